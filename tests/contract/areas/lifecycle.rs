//! Making, opening and finding palaces and collections (§2.4, §2.5, §9).

use crate::interpose::{Between, interpose};
use crate::rows::{assert_holds, batch, numbered, numbered_row};
use crate::world::{DRAWERS, WIDTH, World, assert_refused};
use futures::future::join_all;
use palanquin_engine::contract::{
    Backend, CollectionSpec, Descriptor, EmbedderIdentity, ErrorKind, LogEntry, OpenMode, PalaceRef, SpecVersion,
    enforce, token,
};
use std::sync::Arc;

pub(crate) async fn making_a_backend_does_no_io(world: &World) {
    let before = world.store().picture(None).await;
    let backends: Vec<_> = (0..3).map(|_| world.store().backend()).collect();
    for backend in &backends {
        assert_eq!(backend.descriptor().name, world.descriptor().name);
        assert!(!backend.detect(std::path::Path::new("/nowhere at all")));
    }
    assert_eq!(world.store().picture(None).await, before, "something was written");
    match world.store().unreachable() {
        None => println!("the store has no unreachable backend to try"),
        Some(backend) => {
            let palace = world.reference("palace");
            backend.close_palace(&palace).await.expect("closing what was never opened reaches for nothing");
            let opened = backend.open(&palace, OpenMode::Read.into()).await;
            assert!(opened.is_err(), "it cannot be reached, so opening is where that is found out");
        }
    }
}

pub(crate) async fn closing_a_palace_that_was_never_opened_is_fine(world: &World) {
    for _ in 0..2 {
        world.backend().close_palace(&world.reference("never opened")).await.unwrap();
        world.store().backend().close_palace(&world.reference("never opened")).await.unwrap();
    }
    let missing = world.open("never opened", OpenMode::Read).await;
    assert_refused(missing.map(drop), ErrorKind::PalaceNotFound, "closing makes nothing");
}

pub(crate) async fn opening_what_is_not_there_is_refused_and_makes_nothing(world: &World) {
    let before = world.store().picture(None).await;
    for mode in [OpenMode::Read, OpenMode::Write, OpenMode::Read] {
        let opened = world.open("nothing", mode).await;
        assert_refused(opened.map(drop), ErrorKind::PalaceNotFound, mode);
    }
    assert_eq!(world.store().picture(None).await, before, "something was made");
}

pub(crate) async fn a_collection_that_is_not_there_is_told_from_a_palace_that_is_not(world: &World) {
    let palace = world.palace("palace").await;
    assert!(palace.collections().await.unwrap().is_empty(), "a new palace has no collection");
    palace.create_collection(&world.spec(DRAWERS, WIDTH)).await.unwrap();
    for mode in [OpenMode::Read, OpenMode::Write, OpenMode::Create] {
        let palace = world.open("palace", mode).await.unwrap();
        for name in ["mempalace_closets", "Mempalace_Drawers", "mempalace_drawer"] {
            let missing = palace.collection(name).await;
            assert_refused(missing.map(drop), ErrorKind::CollectionNotInitialized, (mode, name));
        }
        let names: Vec<String> = palace.collections().await.unwrap().into_iter().map(|info| info.name).collect();
        assert_eq!(names, [DRAWERS], "asking for it did not make it");
    }
}

pub(crate) async fn a_palace_that_holds_nothing_but_its_record_is_found_again(world: &World) {
    let identity = EmbedderIdentity { model_name: "minilm".to_owned(), dimension: WIDTH };
    let entry = LogEntry::embedder_set("none yet", None, &identity);
    let palace = world.palace("palace").await;
    palace.append_to_migration_log(&entry).await.unwrap();
    drop(palace);
    for mode in [OpenMode::Read, OpenMode::Write, OpenMode::Create] {
        let again = world.another_process().open(&world.reference("palace"), mode.into()).await.unwrap();
        assert!(again.collections().await.unwrap().is_empty(), "{mode:?}");
        assert_eq!(again.migration_log().await.unwrap(), std::slice::from_ref(&entry), "{mode:?}");
    }
}

pub(crate) async fn making_a_palace_that_is_there_opens_it(world: &World) {
    let rows = numbered(0..3, WIDTH);
    world.drawers().await.upsert(batch(&rows, WIDTH)).await.unwrap();
    for backend in [world.another_process(), world.another_process()] {
        let palace = backend.open(&world.reference("palace"), OpenMode::Create.into()).await.unwrap();
        assert_holds(world, palace.collection(DRAWERS).await.unwrap().as_ref(), &rows, "after making it again").await;
    }
}

pub(crate) async fn making_a_collection_again_opens_it_unless_it_is_another_one(world: &World) {
    let (palace, rows) = (world.palace("palace").await, numbered(0..3, WIDTH));
    let spec = world.spec(DRAWERS, WIDTH);
    palace.create_collection(&spec).await.unwrap().upsert(batch(&rows, WIDTH)).await.unwrap();
    for palace in [palace, world.palace_elsewhere("palace").await] {
        let again = palace.create_collection(&spec).await.expect("the same incarnation");
        assert_holds(world, again.as_ref(), &rows, "made again").await;
        let other = CollectionSpec { incarnation: "another incarnation".into(), ..spec.clone() };
        let refused = palace.create_collection(&other).await;
        assert_refused(refused.map(drop), ErrorKind::PalaceExists, "another incarnation");
        assert_holds(world, again.as_ref(), &rows, "after the refusal").await;
        assert_eq!(again.info().await.unwrap().incarnation.as_ref(), Some(&spec.incarnation));
    }
}

pub(crate) async fn what_is_told_of_a_collection_is_true(world: &World) {
    let palace = world.palace("palace").await;
    let closets = CollectionSpec { incarnation: "of closets".into(), ..world.spec("mempalace_closets", 7) };
    palace.create_collection(&world.spec(DRAWERS, WIDTH)).await.unwrap();
    palace.create_collection(&closets).await.unwrap().upsert(batch(&numbered(0..9, 7), 7)).await.unwrap();
    for palace in [palace, world.palace_elsewhere("palace").await] {
        let mut infos = palace.collections().await.unwrap();
        infos.sort_by(|one, other| one.name.cmp(&other.name));
        assert_eq!(infos.len(), 2);
        let of = &infos[0];
        assert_eq!((of.name.as_str(), of.dimension, of.metric), ("mempalace_closets", Some(7), Some(world.metric())));
        assert_eq!((of.incarnation.as_deref(), &of.identity), (Some("of closets"), &None));
        if !world.has(token::ESTIMATED_COUNT) {
            assert_eq!((of.rows, infos[1].rows), (9, 0));
        }
        assert_eq!(&palace.collection("mempalace_closets").await.unwrap().info().await.unwrap(), of);
    }
}

#[cfg(unix)]
pub(crate) async fn a_directory_that_was_made_is_private(world: &World) {
    use std::os::unix::fs::PermissionsExt;
    let reference = world.reference("palace");
    world.drawers().await;
    let Some(path) = reference.local_path.filter(|_| world.has(token::LOCAL_MODE)) else {
        return println!("not advertised: no directory");
    };
    let mode = std::fs::metadata(&path).expect("the directory is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "{}", path.display());
}

#[cfg(not(unix))]
pub(crate) async fn a_directory_that_was_made_is_private(_world: &World) {
    println!("directories have no mode here");
}

pub(crate) async fn a_reference_without_the_directory_it_needs_is_refused(world: &World) {
    let reference = PalaceRef { local_path: None, ..world.reference("palace") };
    let opened = world.backend().open(&reference, OpenMode::Create.into()).await;
    if world.has(token::LOCAL_MODE) && !world.has(token::SERVER_MODE) {
        assert_refused(opened.map(drop), ErrorKind::PalaceNotFound, "a local store without a directory");
    }
}

pub(crate) async fn what_was_opened_for_reading_writes_nothing(world: &World) {
    use palanquin_engine::contract::{ChangeBatch, Progress, RowUpdates, Selection, WriteMode};
    let rows = numbered(0..3, WIDTH);
    world.drawers().await.upsert(batch(&rows, WIDTH)).await.unwrap();
    world.backend().close_palace(&world.reference("palace")).await.unwrap();
    let before = world.store().picture(None).await;
    let backend = world.another_process();
    let palace = backend.open(&world.reference("palace"), OpenMode::Read.into()).await.unwrap();
    let drawers = palace.collection(DRAWERS).await.unwrap();
    let refused = |result: palanquin_engine::contract::Result<()>, what: &str| {
        assert_refused(result, ErrorKind::InvalidRequest, what);
    };
    let new = || batch(&numbered(5..6, WIDTH), WIDTH);
    refused(drawers.add(new()).await, "add");
    refused(drawers.upsert(new()).await, "upsert");
    for mode in [WriteMode::Append, WriteMode::Upsert] {
        refused(drawers.apply(ChangeBatch::upserts(new()), mode).await.map(drop), "apply");
    }
    let updates = RowUpdates::try_new(vec!["row-00001".into()], Some(vec![None]), None, None).unwrap();
    refused(drawers.update(updates).await.map(drop), "update");
    refused(drawers.delete(&Selection::ids(["row-00001"])).await.map(drop), "delete");
    refused(palace.create_collection(&world.spec("other", WIDTH)).await.map(drop), "create_collection");
    refused(palace.create_collection(&world.spec(DRAWERS, WIDTH)).await.map(drop), "create_collection of it again");
    refused(palace.record_identity(DRAWERS, &crate::world::model("m", WIDTH)).await, "record_identity");
    for kind in world.descriptor().maintenance_kinds {
        refused(palace.run_maintenance(kind.name, &Progress::unheard()).await.map(drop), kind.name);
    }
    assert_holds(world, drawers.as_ref(), &rows, "through the handle that reads").await;
    palace.maintenance_state().await.unwrap();
    palace.health().await;
    drawers.cut(2).await.unwrap();
    assert_eq!(world.store().picture(None).await, before, "reading wrote something");
}

pub(crate) async fn different_palaces_can_be_opened_at_once(world: &World) {
    let names: Vec<String> = (0..64).map(|n| format!("palace-{n}")).collect();
    let opened = join_all(names.iter().enumerate().map(|(n, name)| async move {
        let drawers = world.drawers_of(name).await;
        drawers.add(batch(&[numbered_row(n, WIDTH)], WIDTH)).await.unwrap();
    }));
    assert_eq!(opened.await.len(), 64);
    let elsewhere = world.another_process();
    let elsewhere: &Arc<dyn Backend> = &elsewhere;
    join_all(names.iter().enumerate().map(|(n, name)| async move {
        let palace = elsewhere.open(&world.reference(name), OpenMode::Write.into()).await.unwrap();
        let drawers = palace.collection(DRAWERS).await.unwrap();
        assert_holds(world, drawers.as_ref(), &[numbered_row(n, WIDTH)], name).await;
    }))
    .await;
}

pub(crate) async fn the_same_palace_can_be_made_and_opened_at_once(world: &World) {
    let processes: Vec<_> = (0..4).map(|_| world.another_process()).collect();
    let made = join_all((0..64).map(|n| {
        let (process, reference) = (Arc::clone(&processes[n % 4]), world.reference("palace"));
        let (spec, one) = (world.spec(DRAWERS, WIDTH), numbered_row(n, WIDTH));
        tokio::spawn(async move {
            let palace = process.open(&reference, OpenMode::Create.into()).await?;
            let drawers = palace.create_collection(&spec).await?;
            drawers.upsert(batch(&[one], WIDTH)).await
        })
    }))
    .await;
    for (n, made) in made.into_iter().enumerate() {
        made.unwrap().unwrap_or_else(|error| panic!("opener {n}: {error}"));
    }
    let drawers = world.drawers_elsewhere("palace").await;
    assert_holds(world, drawers.as_ref(), &numbered(0..64, WIDTH), "what 64 openers wrote").await;
    assert_eq!(world.palace("palace").await.collections().await.unwrap().len(), 1);
}

/// A backend written against some version of the contract.
struct OfVersion(SpecVersion);

impl Between for OfVersion {
    fn descriptor(&self, behind: &Descriptor) -> Descriptor {
        Descriptor { spec_version: self.0, ..behind.clone() }
    }
}

pub(crate) async fn a_backend_of_another_major_version_is_refused(world: &World) {
    assert!(world.descriptor().spec_version.is_supported(), "its own version is supported");
    let SpecVersion { major, minor } = SpecVersion::CURRENT;
    for other in [(major + 1, 0), (major - 1, minor), (major, minor + 1)] {
        let version = SpecVersion { major: other.0, minor: other.1 };
        let backend = enforce(interpose(world.store().backend(), Arc::new(OfVersion(version))));
        let opened = backend.open(&world.reference("palace"), OpenMode::Create.into()).await;
        assert_refused(opened.map(drop), ErrorKind::BackendVersionMismatch, version);
    }
    let missing = world.open("palace", OpenMode::Read).await;
    assert_refused(missing.map(drop), ErrorKind::PalaceNotFound, "nothing was made before the refusal");
    for minor in 0..=minor {
        let version = SpecVersion { major, minor };
        let backend = enforce(interpose(world.store().backend(), Arc::new(OfVersion(version))));
        backend.open(&world.reference("palace"), OpenMode::Create.into()).await.expect("an older minor works");
    }
}
