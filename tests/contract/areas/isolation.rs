//! A row written under one name is never seen, changed or deleted under another (§2.2 +).

use crate::rows::{assert_holds, assert_rows, batch, deletes, row, scanned};
use crate::world::{DRAWERS, WIDTH, World, assert_refused};
use palanquin_engine::contract::{
    Backend, Collection, Error, ErrorKind, Filter, OpenMode, PalaceRef, Result, Selection, WriteMode, token,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Names that fall together where a store folds case, replaces signs, normalises, cuts or climbs.
fn names() -> Vec<String> {
    let short = [
        "notes-1",
        "notes_1",
        "notes.1",
        "notes 1",
        "notes1",
        "NOTES_1",
        "A",
        "a",
        "é",
        "e\u{301}",
        "e",
        "日本語",
        "🙂",
        "..",
        ".",
        "../x",
        "x",
        "a/b",
        "a\\b",
        "a_b",
        "b",
        "/etc/x",
        "x'; DROP TABLE mempalace_drawers; --",
        "x\"; DROP TABLE mempalace_drawers; --",
        "%",
        "_",
        "*",
        "nul\0inside",
        "nul",
        "",
        " ",
        "-",
        "select",
        "con",
    ];
    let long = ["x".repeat(62), "x".repeat(63), "x".repeat(64), format!("{}y", "x".repeat(63)), "x".repeat(200)];
    let longer = [format!("{}y", "x".repeat(199)), "x".repeat(1_000), "é".repeat(130)];
    short.map(str::to_owned).into_iter().chain(long).chain(longer).collect()
}

fn marked(name: &str) -> crate::rows::Written {
    row("shared-id").document(format!("of {name:?}")).vector(vec![1.0; WIDTH as usize])
}

fn assert_named_refusal(error: &Error, name: &str) {
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{name:?} works or is refused as InvalidRequest, not {error}");
}

/// Each of the collections holds its own row and nothing else, whatever is done to another.
async fn assert_apart(world: &World, places: &[(String, Arc<dyn Collection>)], found: &[Arc<dyn Collection>]) {
    for ((name, _), found) in places.iter().zip(found) {
        assert_holds(world, found.as_ref(), &[marked(name)], &format!("{name:?} after all were written")).await;
    }
    // Every second one is emptied, in every way there is.
    for (at, (_, place)) in places.iter().enumerate().step_by(2) {
        match at % 3 {
            0 => assert_eq!(place.delete(&Selection::ids(["shared-id"])).await.unwrap(), 1),
            1 => assert_eq!(place.apply(deletes(&["shared-id"]), WriteMode::Upsert).await.unwrap().deleted, 1),
            _ => {
                let everything = Selection::filter(Filter::DocumentContains("of".into()));
                assert_eq!(place.delete(&everything).await.unwrap(), 1);
            }
        }
    }
    for (at, ((name, _), found)) in places.iter().zip(found).enumerate() {
        let wanted = if at % 2 == 0 { Vec::new() } else { vec![marked(name)] };
        assert_rows(world, &scanned(found.as_ref()).await, &wanted, &format!("{name:?} after others were emptied"));
    }
}

async fn drawers_of(world: &World, backend: &dyn Backend, palace: &PalaceRef) -> Result<Arc<dyn Collection>> {
    let opened = backend.open(palace, OpenMode::Create.into()).await?;
    opened.create_collection(&world.spec(DRAWERS, WIDTH)).await
}

async fn check_palaces_apart(world: &World, palaces: Vec<(String, PalaceRef)>) {
    let (mut places, mut kept) = (Vec::new(), Vec::new());
    for (name, palace) in palaces {
        let before = world.store().picture(None).await;
        match drawers_of(world, world.backend(), &palace).await {
            Ok(drawers) => {
                assert_eq!(drawers.count().await.unwrap(), 0, "{name:?} sees the rows of a palace made before it");
                drawers.add(batch(&[marked(&name)], WIDTH)).await.unwrap();
                places.push((name, drawers));
                kept.push(palace);
            }
            Err(error) => {
                assert_named_refusal(&error, &name);
                assert_eq!(world.store().picture(None).await, before, "{name:?} was refused and left something");
                println!("refused: {name:?}");
            }
        }
    }
    assert!(places.len() >= 4, "names a store can hold are few: {}", places.len());
    let (elsewhere, mut found) = (world.another_process(), Vec::new());
    for palace in &kept {
        let opened = elsewhere.open(palace, OpenMode::Write.into()).await.unwrap();
        found.push(opened.collection(DRAWERS).await.unwrap());
    }
    assert_apart(world, &places, &found).await;
}

pub(crate) async fn palaces_whose_names_look_alike_are_apart(world: &World) {
    let palaces = names().into_iter().map(|name| (name.clone(), world.reference(&name))).collect();
    check_palaces_apart(world, palaces).await;
}

pub(crate) async fn collections_whose_names_look_alike_are_apart(world: &World) {
    let sibling = world.drawers_of("sibling").await;
    sibling.add(batch(&[marked("sibling")], WIDTH)).await.unwrap();
    let (palace, reference) = (world.palace("palace").await, world.reference("palace"));
    let drawers = palace.create_collection(&world.spec(DRAWERS, WIDTH)).await.unwrap();
    drawers.add(batch(&[marked(DRAWERS)], WIDTH)).await.unwrap();
    let mut places = vec![(DRAWERS.to_owned(), drawers)];
    let outside = world.store().picture(Some(&reference)).await;
    for name in names() {
        let missing = palace.collection(&name).await.err().expect("it was not made yet");
        let named = matches!(missing.kind(), ErrorKind::CollectionNotInitialized | ErrorKind::InvalidRequest);
        assert!(named, "{name:?}: {missing}");
        match palace.create_collection(&world.spec(&name, WIDTH)).await {
            Ok(made) => {
                assert_eq!(made.count().await.unwrap(), 0, "{name:?} sees the rows of another collection");
                assert_eq!(made.info().await.unwrap().name, name, "it keeps its name");
                made.add(batch(&[marked(&name)], WIDTH)).await.unwrap();
                places.push((name, made));
            }
            Err(error) => {
                assert_named_refusal(&error, &name);
                println!("refused: {name:?}");
            }
        }
    }
    assert_eq!(world.store().picture(Some(&reference)).await, outside, "something outside the palace was touched");
    let (elsewhere, mut found) = (world.palace_elsewhere("palace").await, Vec::new());
    let listed: BTreeSet<String> = elsewhere.collections().await.unwrap().into_iter().map(|info| info.name).collect();
    let made: BTreeSet<String> = places.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(listed, made, "the palace lists what was made");
    for (name, _) in &places {
        found.push(elsewhere.collection(name).await.unwrap());
    }
    assert_apart(world, &places, &found).await;
    assert_holds(world, sibling.as_ref(), &[marked("sibling")], "in another palace").await;
}

pub(crate) async fn a_palace_and_its_collection_are_not_told_by_their_names_run_together(world: &World) {
    let (mut places, mut found) = (Vec::new(), Vec::new());
    for (palace, collection) in [
        ("aaa", "bbb_ccc"),
        ("aaa_bbb", "ccc"),
        ("aaa", "bbb"),
        ("aaa_bbb_ccc", "ddd"),
        ("aaa", "bbb_ccc_ddd"),
        ("aaa-bbb", "ccc"),
        ("bbb", "bbb"),
        ("ccc", "bbb_ccc"),
    ] {
        let spec = world.spec(collection, WIDTH);
        let made = world.palace(palace).await.create_collection(&spec).await.expect("plain names are taken");
        let name = format!("{palace} of {collection}");
        assert_eq!(made.count().await.unwrap(), 0, "{name} sees the rows of another");
        made.add(batch(&[marked(&name)], WIDTH)).await.unwrap();
        places.push((name, made));
        found.push(world.palace_elsewhere(palace).await.collection(collection).await.unwrap());
    }
    assert_apart(world, &places, &found).await;
}

pub(crate) async fn namespaces_are_apart_or_refused(world: &World) {
    let within = |id: &str, namespace: Option<&str>| PalaceRef {
        namespace: namespace.map(str::to_owned),
        ..world.reference(id)
    };
    if !world.has(token::NAMESPACE_ISOLATION) {
        let before = world.store().picture(None).await;
        for mode in [OpenMode::Read, OpenMode::Write, OpenMode::Create] {
            for namespace in ["tenant", "", "default"] {
                let opened = world.backend().open(&within("palace", Some(namespace)), mode.into()).await;
                assert_refused(opened.map(drop), ErrorKind::UnsupportedCapability, (mode, namespace));
            }
        }
        assert_eq!(world.store().picture(None).await, before, "it was refused and left something");
        let missing = world.open("palace", OpenMode::Read).await;
        return assert_refused(missing.map(drop), ErrorKind::PalaceNotFound, "nothing was made without the namespace");
    }
    let mut palaces: Vec<_> =
        names().into_iter().map(|name| (format!("in {name}"), within("palace", Some(&name)))).collect();
    let pairs = [
        ("palace", None),
        ("other", Some("a")),
        ("a-b", Some("c")),
        ("a", Some("b-c")),
        ("a_b", Some("c")),
        ("a", Some("b_c")),
        ("a:b", Some("c")),
        ("a", Some("b:c")),
        ("a/b", Some("c")),
        ("a", Some("b/c")),
        ("c", Some("a")),
    ];
    palaces.extend(pairs.map(|(id, namespace)| (format!("{id} in {namespace:?}"), within(id, namespace))));
    check_palaces_apart(world, palaces).await;
}

pub(crate) async fn a_palace_without_a_namespace_is_found_again_by_its_id(world: &World) {
    let reference = PalaceRef { namespace: None, ..world.reference("an id: 1/2") };
    let drawers = drawers_of(world, world.backend(), &reference).await.unwrap();
    drawers.add(batch(&[marked("an id")], WIDTH)).await.unwrap();
    let again = world.another_process().open(&reference, OpenMode::Read.into()).await.unwrap();
    let again = again.collection(DRAWERS).await.unwrap();
    assert_holds(world, again.as_ref(), &[marked("an id")], "its namespace is derived the same way each time").await;
}
