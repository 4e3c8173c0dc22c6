//! Which model made the vectors (§1.5): three states, on each open path, recorded when something is written.

use crate::rows::{assert_holds, batch, deletes, numbered, numbered_row};
use crate::world::{DRAWERS, WIDTH, World, assert_refused, model};
use palanquin_engine::contract::{
    Collection, CollectionSpec, EmbedderIdentity, ErrorKind, GetRequest, KeyRange, OpenMode, OpenOptions, Palace,
    Progress, QueryRequest, Result, RowUpdates, Selection, WriteMode, kind, set_embedder,
};
use std::sync::Arc;

/// A palace whose drawers have this identity stored, and three rows.
async fn made_with(world: &World, identity: Option<EmbedderIdentity>) {
    let spec = CollectionSpec { identity, ..world.spec(DRAWERS, WIDTH) };
    let drawers = world.palace("palace").await.create_collection(&spec).await.unwrap();
    drawers.upsert(batch(&numbered(0..3, WIDTH), WIDTH)).await.unwrap();
}

async fn opened(world: &World, embedder: &EmbedderIdentity, force_model_swap: bool) -> Arc<dyn Palace> {
    let options =
        OpenOptions { mode: OpenMode::Write, embedder: Some(embedder.clone()), force_model_swap, consumer: None };
    world.another_process().open(&world.reference("palace"), options).await.expect("the palace itself opens")
}

/// Both ways a collection is opened with that embedder.
async fn open_each_way(world: &World, embedder: &EmbedderIdentity) -> [Result<Arc<dyn Collection>>; 2] {
    let palace = opened(world, embedder, false).await;
    [palace.collection(DRAWERS).await, palace.create_collection(&world.spec(DRAWERS, WIDTH)).await]
}

/// What is stored now, as another process sees it.
async fn stored(world: &World) -> Option<EmbedderIdentity> {
    let palace = world.another_process().open(&world.reference("palace"), OpenMode::Read.into()).await.unwrap();
    let info = palace.collection(DRAWERS).await.unwrap().info().await.unwrap();
    let listed = palace.collections().await.unwrap().into_iter().find(|info| info.name == DRAWERS).unwrap();
    assert_eq!(listed.identity, info.identity, "the palace and the collection say the same");
    info.identity
}

pub(crate) async fn the_identity_is_stored_with_a_new_collection(world: &World) {
    made_with(world, Some(model("minilm", WIDTH))).await;
    assert_eq!(stored(world).await, Some(model("minilm", WIDTH)));
    let palace = world.palace("another").await;
    palace.create_collection(&world.spec(DRAWERS, WIDTH)).await.unwrap();
    assert_eq!(palace.collections().await.unwrap()[0].identity, None, "none was given");
    for (name, dimension) in [("of_the_embedder", WIDTH), ("not_probed", 0)] {
        let palace = world.open_with("third", OpenMode::Create, &model("embeddinggemma", dimension)).await.unwrap();
        let made = palace.create_collection(&world.spec(name, WIDTH)).await.unwrap();
        let info = made.info().await.unwrap();
        assert_eq!(info.identity, Some(model("embeddinggemma", WIDTH)), "{name}: the embedder's, with its width");
    }
}

pub(crate) async fn the_same_model_opens_and_another_is_refused(world: &World) {
    made_with(world, Some(model("minilm", WIDTH))).await;
    for same in [model("minilm", WIDTH), model("minilm", 0), model("all-minilm-l6-v2", 0), model("none", WIDTH)] {
        for way in open_each_way(world, &same).await {
            let drawers = way.unwrap_or_else(|error| panic!("{same} is minilm: {error}"));
            drawers.upsert(batch(&numbered(0..3, WIDTH), WIDTH)).await.unwrap();
        }
    }
    for other in [model("embeddinggemma", WIDTH), model("embeddinggemma", 0), model("MiniLM", 0)] {
        for way in open_each_way(world, &other).await {
            assert_refused(way.map(drop), ErrorKind::EmbedderIdentityMismatch, &other);
        }
        let reading = world.open_with("palace", OpenMode::Read, &other).await.unwrap();
        let refused = reading.collection(DRAWERS).await;
        assert_refused(refused.map(drop), ErrorKind::EmbedderIdentityMismatch, "to read it");
    }
    assert_eq!(stored(world).await, Some(model("minilm", WIDTH)), "it stays as it was recorded");
    let palace = world.palace_elsewhere("palace").await;
    assert!(palace.migration_log().await.unwrap().is_empty());
    assert!(palace.collection(DRAWERS).await.is_ok(), "without an embedder nothing is compared");
}

pub(crate) async fn an_alias_that_is_stored_is_the_model_it_stands_for(world: &World) {
    made_with(world, Some(model("all-minilm-l6-v2", WIDTH))).await;
    for way in open_each_way(world, &model("minilm", WIDTH)).await {
        way.expect("all-minilm-l6-v2 is minilm");
    }
    for way in open_each_way(world, &model("embeddinggemma", WIDTH)).await {
        assert_refused(way.map(drop), ErrorKind::EmbedderIdentityMismatch, "embeddinggemma");
    }
}

pub(crate) async fn a_width_that_differs_is_refused_before_the_name_is_looked_at(world: &World) {
    for identity in [Some(model("minilm", WIDTH)), None] {
        let spec = CollectionSpec { identity, ..world.spec(DRAWERS, WIDTH) };
        world.palace("palace").await.create_collection(&spec).await.unwrap();
        for name in ["minilm", "embeddinggemma", ""] {
            for width in [WIDTH - 1, WIDTH + 1, 384] {
                for way in open_each_way(world, &model(name, width)).await {
                    assert_refused(way.map(drop), ErrorKind::DimensionMismatch, (name, width));
                }
                let forced = opened(world, &model(name, width), true).await.collection(DRAWERS).await;
                assert_refused(forced.map(drop), ErrorKind::DimensionMismatch, "force swaps models, not widths");
            }
        }
    }
}

pub(crate) async fn a_collection_is_not_made_for_another_model_than_the_embedder(world: &World) {
    let palace = world.open_with("palace", OpenMode::Create, &model("minilm", WIDTH)).await.unwrap();
    let spec = |identity| CollectionSpec { identity: Some(identity), ..world.spec(DRAWERS, WIDTH) };
    let refused = palace.create_collection(&spec(model("embeddinggemma", WIDTH))).await;
    assert_refused(refused.map(drop), ErrorKind::EmbedderIdentityMismatch, "another model");
    let refused = palace.create_collection(&spec(model("minilm", WIDTH + 1))).await;
    assert_refused(refused.map(drop), ErrorKind::DimensionMismatch, "an identity of another width");
    let refused = palace.create_collection(&world.spec(DRAWERS, WIDTH + 1)).await;
    assert_refused(refused.map(drop), ErrorKind::DimensionMismatch, "vectors of another width");
    assert!(palace.collections().await.unwrap().is_empty(), "nothing was made");
}

pub(crate) async fn a_nameless_embedder_is_unknown_and_never_recorded(world: &World) {
    for identity in [None, Some(model("minilm", WIDTH))] {
        let name = if identity.is_some() { "known" } else { "unknown" };
        let palace = world.open_with(name, OpenMode::Create, &model("", WIDTH)).await.unwrap();
        let spec = CollectionSpec { identity: identity.clone(), ..world.spec(DRAWERS, WIDTH) };
        let drawers = palace.create_collection(&spec).await.expect("unknown never fails");
        drawers.upsert(batch(&numbered(0..3, WIDTH), WIDTH)).await.unwrap();
        assert_eq!(palace.collection(DRAWERS).await.unwrap().info().await.unwrap().identity, identity, "{name}");
    }
}

pub(crate) async fn an_unknown_model_is_recorded_by_the_next_write_and_by_no_read(world: &World) {
    let embedder = model("minilm", 0);
    let updates = || RowUpdates::try_new(vec!["row-00001".into()], Some(vec![Some("x".into())]), None, None).unwrap();
    for write in ["upsert", "add", "update", "delete", "apply", "apply of a delete"] {
        let palace = world.reference(write);
        let made = world.another_process().open(&palace, OpenMode::Create.into()).await.unwrap();
        let made = made.create_collection(&world.spec(DRAWERS, WIDTH)).await.unwrap();
        made.upsert(batch(&numbered(0..3, WIDTH), WIDTH)).await.unwrap();
        let identity = async || made.info().await.unwrap().identity;
        assert_eq!(identity().await, None, "a write without an embedder records nothing");
        let options = OpenOptions { embedder: Some(embedder.clone()), ..world.options(write, OpenMode::Write) };
        let opened = world.another_process().open(&palace, options).await.unwrap();
        let drawers = opened.collection(DRAWERS).await.expect("unknown never fails");
        read_everything(drawers.as_ref()).await;
        opened.create_collection(&world.spec(DRAWERS, WIDTH)).await.expect("unknown never fails");
        assert_eq!(identity().await, None, "{write}: reading and opening record nothing");
        match write {
            "upsert" => drawers.upsert(batch(&numbered(2..4, WIDTH), WIDTH)).await.unwrap(),
            "add" => drawers.add(batch(&numbered(4..5, WIDTH), WIDTH)).await.unwrap(),
            "update" => assert_eq!(drawers.update(updates()).await.unwrap(), 1),
            "delete" => assert_eq!(drawers.delete(&Selection::ids(["row-00001"])).await.unwrap(), 1),
            "apply" => apply_one(drawers.as_ref()).await,
            _ => assert_eq!(drawers.apply(deletes(&["row-00001"]), WriteMode::Upsert).await.unwrap().deleted, 1),
        }
        assert_eq!(identity().await, Some(model("minilm", WIDTH)), "{write}: recorded, with the width it has");
        assert!(opened.migration_log().await.unwrap().is_empty(), "what was unknown is no swap");
    }
}

async fn apply_one(drawers: &dyn Collection) {
    let changes = palanquin_engine::contract::ChangeBatch::upserts(batch(&[numbered_row(9, WIDTH)], WIDTH));
    drawers.apply(changes, WriteMode::Append).await.unwrap();
}

async fn read_everything(drawers: &dyn Collection) {
    drawers.count().await.unwrap();
    drawers.estimated_count().await.unwrap();
    drawers.info().await.unwrap();
    drawers.cut(2).await.unwrap();
    drawers.last_id(&KeyRange::ALL).await.unwrap();
    crate::rows::scanned(drawers).await;
    drawers.get(&GetRequest::of(Selection::default())).await.unwrap();
    drawers.query(&QueryRequest::of(vec![vec![1.0; WIDTH as usize]], 2)).await.unwrap();
    drawers.feed_head().await.unwrap();
}

pub(crate) async fn a_write_that_failed_records_nothing(world: &World) {
    made_with(world, None).await;
    let drawers = opened(world, &model("minilm", WIDTH), false).await.collection(DRAWERS).await.unwrap();
    let there = drawers.add(batch(&numbered(0..1, WIDTH), WIDTH)).await;
    assert_refused(there, ErrorKind::IdExists, "a row that is there");
    let wide = drawers.upsert(batch(&numbered(0..1, 9), 9)).await;
    assert_refused(wide, ErrorKind::DimensionMismatch, "a row of another width");
    assert_eq!(stored(world).await, None);
}

pub(crate) async fn what_another_recorded_meanwhile_is_not_replaced(world: &World) {
    made_with(world, None).await;
    let slow = opened(world, &model("minilm", WIDTH), false).await.collection(DRAWERS).await.unwrap();
    let quick = opened(world, &model("embeddinggemma", WIDTH), false).await.collection(DRAWERS).await.unwrap();
    quick.upsert(batch(&numbered(3..4, WIDTH), WIDTH)).await.unwrap();
    slow.upsert(batch(&numbered(4..5, WIDTH), WIDTH)).await.unwrap();
    assert_eq!(stored(world).await, Some(model("embeddinggemma", WIDTH)), "the first to write settled it");
}

pub(crate) async fn a_reindex_records_an_unknown_model_too(world: &World) {
    if world.descriptor().maintenance_kind(kind::REINDEX).is_err() {
        return println!("not advertised: reindex");
    }
    made_with(world, None).await;
    world.store().make_work_for(kind::REINDEX, &world.reference("palace")).await;
    let palace = opened(world, &model("minilm", WIDTH), false).await;
    let result = palace.run_maintenance(kind::REINDEX, &Progress::unheard()).await.unwrap();
    if result.status == palanquin_engine::contract::MaintenanceStatus::Ran {
        assert_eq!(stored(world).await, Some(model("minilm", WIDTH)));
    }
}

pub(crate) async fn a_forced_swap_is_recorded_logged_and_seen_by_others(world: &World) {
    made_with(world, Some(model("minilm", WIDTH))).await;
    let drawers = opened(world, &model("embeddinggemma", 0), true).await.collection(DRAWERS).await.unwrap();
    assert_eq!(stored(world).await, Some(model("embeddinggemma", WIDTH)));
    let log = world.palace_elsewhere("palace").await.migration_log().await.unwrap();
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!(log[0].kind, "model_swap");
    assert_eq!(log[0].details["collection"], DRAWERS);
    let named = |key: &str| serde_json::from_value::<EmbedderIdentity>(log[0].details[key].clone()).unwrap();
    assert_eq!((named("from"), named("to")), (model("minilm", WIDTH), model("embeddinggemma", WIDTH)));
    assert!(!log[0].at.is_empty(), "it says when");
    assert_holds(world, drawers.as_ref(), &numbered(0..3, WIDTH), "the rows stay").await;
    for way in open_each_way(world, &model("minilm", WIDTH)).await {
        assert_refused(way.map(drop), ErrorKind::EmbedderIdentityMismatch, "the model before");
    }
    for way in open_each_way(world, &model("embeddinggemma", WIDTH)).await {
        way.expect("the model now");
    }
    let palace = opened(world, &model("minilm", WIDTH), true).await;
    palace.create_collection(&world.spec(DRAWERS, WIDTH)).await.expect("forced, by the other open path");
    let log = world.palace_elsewhere("palace").await.migration_log().await.unwrap();
    assert_eq!(log.len(), 2, "the oldest first, and none is lost: {log:?}");
    assert_eq!(log[0].details["collection"], DRAWERS);
    assert_eq!(stored(world).await, Some(model("minilm", WIDTH)));
}

pub(crate) async fn a_swap_needs_a_model_and_a_palace_that_can_be_written(world: &World) {
    made_with(world, Some(model("minilm", WIDTH))).await;
    for (mode, embedder) in [(OpenMode::Read, Some(model("embeddinggemma", 0))), (OpenMode::Write, None)] {
        let options = OpenOptions { mode, embedder, force_model_swap: true, consumer: None };
        let opened = world.backend().open(&world.reference("palace"), options.clone()).await;
        assert_refused(opened.map(drop), ErrorKind::InvalidRequest, options);
    }
    assert_eq!(stored(world).await, Some(model("minilm", WIDTH)));
    // What needs no swap is none: the same model, or nothing recorded.
    opened(world, &model("all-minilm-l6-v2", 0), true).await.collection(DRAWERS).await.unwrap();
    assert!(world.palace_elsewhere("palace").await.migration_log().await.unwrap().is_empty());
    assert_eq!(stored(world).await, Some(model("minilm", WIDTH)));
}

pub(crate) async fn a_model_can_be_set_by_hand(world: &World) {
    made_with(world, None).await;
    let palace = world.palace_elsewhere("palace").await;
    let info = async || palace.collection(DRAWERS).await.unwrap().info().await.unwrap();
    let set =
        async |identity: EmbedderIdentity, force| set_embedder(palace.as_ref(), &info().await, &identity, force).await;
    assert_refused(set(model("", 0), true).await, ErrorKind::InvalidRequest, "a model without a name");
    let wide = set(model("minilm", WIDTH + 1), true).await;
    assert_refused(wide, ErrorKind::DimensionMismatch, "a model of another width");
    assert_eq!(stored(world).await, None);
    assert_eq!(set(model("minilm", 0), false).await.unwrap(), None, "nothing was recorded before");
    assert_eq!(stored(world).await, Some(model("minilm", WIDTH)));
    let other = set(model("embeddinggemma", 0), false).await;
    assert_refused(other, ErrorKind::EmbedderIdentityMismatch, "another model, without force");
    assert_eq!(set(model("embeddinggemma", 0), true).await.unwrap(), Some(model("minilm", WIDTH)));
    assert_eq!(stored(world).await, Some(model("embeddinggemma", WIDTH)));
    let log = world.palace_elsewhere("palace").await.migration_log().await.unwrap();
    assert_eq!(log.iter().map(|entry| entry.kind.as_str()).collect::<Vec<_>>(), ["embedder_set", "model_swap"]);
    set(model("embeddinggemma", WIDTH), false).await.expect("what is recorded already changes nothing");
    assert_eq!(palace.migration_log().await.unwrap().len(), 2);
    let missing = palace.record_identity("absent", &model("minilm", 0)).await;
    assert_refused(missing, ErrorKind::CollectionNotInitialized, "a collection that is not there");
}
