use crate::home::{migration_log, sidecar};
use crate::layout;
use crate::testing::{TestPalace, kind, row, spec, upserts};
use palanquin_engine::contract::{
    CollectionSpec, Condition, EmbedderIdentity, ErrorKind, LogEntry, Severity, WriteMode,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn minilm(dimension: u32) -> EmbedderIdentity {
    EmbedderIdentity { model_name: "minilm".into(), dimension }
}

fn known(name: &str) -> CollectionSpec {
    CollectionSpec { identity: Some(minilm(4)), ..spec(name, 4) }
}

#[tokio::test]
async fn the_first_version_carries_layout_identity_and_key() {
    let palace = TestPalace::new().await;
    let spec = known("c");
    palace.palace.create_collection(&spec).await.unwrap();
    let table = palace.table("c").await;
    assert_eq!(table.version().await.unwrap(), 1);
    let dataset = table.dataset().unwrap().get().await.unwrap();
    assert!(dataset.manifest().uses_stable_row_ids());
    let schema = arrow_schema::Schema::from(dataset.schema());
    assert_eq!(schema, *layout::table_schema(&spec));
    let key: Vec<_> = dataset.schema().unenforced_primary_key().iter().map(|field| field.name.clone()).collect();
    assert_eq!(key, ["id"]);

    let info = palace.again().await.collection("c").await.unwrap().info().await.unwrap();
    assert_eq!((info.name.as_str(), info.rows, info.dimension, info.metric), ("c", 0, Some(4), Some(spec.metric)));
    assert_eq!((info.identity, info.incarnation), (spec.identity, Some(spec.incarnation)));
}

#[tokio::test]
async fn layout_and_identity_survive_writes_and_compaction() {
    let palace = TestPalace::new().await;
    let collection = palace.palace.create_collection(&known("c")).await.unwrap();
    let before = collection.info().await.unwrap();
    collection.apply(upserts(&[row("a", 0)]), WriteMode::Append).await.unwrap();
    collection.apply(upserts(&[row("a", 1), row("b", 2)]), WriteMode::Upsert).await.unwrap();
    palace.table("c").await.optimize(lancedb::table::OptimizeAction::All).await.unwrap();
    let after = palace.again().await.collection("c").await.unwrap().info().await.unwrap();
    assert_eq!(palanquin_engine::contract::CollectionInfo { rows: 2, ..before }, after);
}

#[tokio::test]
async fn creating_again_opens_the_same_incarnation_and_refuses_another() {
    let palace = TestPalace::new().await;
    let mine = known("c");
    palace.palace.create_collection(&mine).await.unwrap();
    fs::remove_file(palace.directory.path().join(sidecar::FILE_NAME)).unwrap();
    palace.again().await.create_collection(&mine).await.unwrap();
    assert_eq!(sidecar::read(palace.directory.path(), "c").unwrap(), mine.identity);
    assert_eq!(palace.table("c").await.version().await.unwrap(), 1);
    assert_eq!(kind(palace.palace.create_collection(&known("c")).await), ErrorKind::PalaceExists);
    let wider = CollectionSpec { dimension: 8, identity: None, ..mine.clone() };
    assert_eq!(kind(palace.palace.create_collection(&wider).await), ErrorKind::DimensionMismatch);
    let other = EmbedderIdentity { model_name: "embeddinggemma".into(), dimension: 4 };
    let other = CollectionSpec { identity: Some(other), ..mine };
    assert_eq!(kind(palace.palace.create_collection(&other).await), ErrorKind::EmbedderIdentityMismatch);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_that_create_the_same_collection_one_succeeds() {
    for _ in 0..10 {
        let palace = TestPalace::new().await;
        let handles = [palace.again_to_create().await, palace.again_to_create().await, palace.again_to_create().await];
        let specs = [spec("c", 4), spec("c", 4), spec("c", 4)];
        let made = handles.iter().zip(&specs).map(|(handle, spec)| handle.create_collection(spec));
        let made = futures::future::join_all(made).await;
        assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1);
        for refused in made.into_iter().filter_map(Result::err) {
            assert_eq!(refused.kind(), ErrorKind::PalaceExists, "{}", refused.what());
        }
    }
}

#[tokio::test]
async fn a_table_overwritten_in_the_moment_it_was_made_is_given_back() {
    let palace = TestPalace::new().await;
    let theirs = palace.collection().await;
    theirs.apply(upserts(&[row("theirs", 0)]), WriteMode::Append).await.unwrap();
    let mine = spec("c", 8);
    let overwrite = lancedb::database::CreateTableMode::Overwrite;
    let made = palace.connection().await.create_empty_table("c", layout::table_schema(&mine)).mode(overwrite);
    let table = made.execute().await.unwrap();
    let place = crate::error::Place::palace("p").collection("c");
    super::create::give_back(crate::collection::TableHandle::of_rows(table, place), &mine).await.unwrap();
    assert_eq!(crate::testing::contents(theirs.as_ref()).await.into_keys().collect::<Vec<_>>(), ["theirs"]);
    assert_eq!(kind(palace.palace.create_collection(&mine).await), ErrorKind::PalaceExists);
}

#[tokio::test]
async fn a_spec_that_makes_no_sense_is_refused_before_anything_is_written() {
    let palace = TestPalace::new().await;
    let mut bad = vec![spec("../up", 4), spec("", 4), spec("a/b", 4), spec("a\nb", 4), spec("c", 0)];
    bad.push(CollectionSpec { identity: Some(minilm(384)), ..spec("c", 4) });
    bad.push(CollectionSpec { incarnation: String::new(), ..spec("c", 4) });
    for spec in bad {
        assert_eq!(kind(palace.palace.create_collection(&spec).await), ErrorKind::InvalidRequest, "{spec:?}");
    }
    assert_eq!(kind(palace.palace.collection("../up").await), ErrorKind::InvalidRequest);
    assert_eq!(kind(palace.palace.collection("c").await), ErrorKind::CollectionNotInitialized);
    assert_eq!(fs::read_dir(palace.directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn the_sidecar_is_written_with_the_identity_and_read_where_the_store_has_none() {
    let palace = TestPalace::new().await;
    palace.palace.create_collection(&known("known")).await.unwrap();
    palace.palace.create_collection(&spec("unknown", 4)).await.unwrap();
    let path = palace.directory.path();
    assert_eq!(sidecar::read(path, "known").unwrap(), Some(minilm(4)));
    assert_eq!(sidecar::read(path, "unknown").unwrap(), None);
    sidecar::write(path, "unknown", Some(&minilm(0))).unwrap();
    let info = palace.palace.collection("unknown").await.unwrap().info().await.unwrap();
    assert_eq!(info.identity, Some(minilm(0)));
}

#[tokio::test]
async fn a_sidecar_that_names_another_model_or_width_is_a_mismatch_that_names_both() {
    let palace = TestPalace::new().await;
    palace.palace.create_collection(&known("c")).await.unwrap();
    palace.palace.create_collection(&spec("nameless", 4)).await.unwrap();
    let path = palace.directory.path();
    let gemma = EmbedderIdentity { model_name: "embeddinggemma".into(), dimension: 0 };
    for (name, recorded) in [("c", gemma), ("c", minilm(384)), ("nameless", minilm(384))] {
        sidecar::write(path, name, Some(&recorded)).unwrap();
        let error = palace.palace.collection(name).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::EmbedderIdentityMismatch);
        assert!(error.what().contains(&recorded.to_string()) && error.what().contains("(4)"), "{}", error.what());
        let health = palace.palace.health().await;
        assert_eq!((health.condition, health.findings[0].severity), (Condition::Degraded, Severity::Error));
    }
    let alias = EmbedderIdentity { model_name: "all-minilm-l6-v2".into(), dimension: 0 };
    sidecar::write(path, "c", Some(&alias)).unwrap();
    assert!(palace.palace.collection("c").await.is_ok());
}

#[tokio::test]
async fn a_recorded_identity_is_in_the_store_and_beside_it_and_touches_nothing_else() {
    let palace = TestPalace::new().await;
    let spec = spec("c", 4);
    let collection = palace.palace.create_collection(&spec).await.unwrap();
    collection.apply(upserts(&[row("a", 0)]), WriteMode::Append).await.unwrap();
    let key = ("somebody's", "own");
    let table = palace.table("c").await;
    let mut dataset = table.dataset().unwrap().get().await.unwrap().as_ref().clone();
    dataset.update_schema_metadata([key]).await.unwrap();
    for identity in [minilm(4), EmbedderIdentity { model_name: "embeddinggemma".into(), dimension: 0 }] {
        palace.palace.record_identity("c", &identity).await.unwrap();
        let info = palace.again().await.collection("c").await.unwrap().info().await.unwrap();
        assert_eq!((info.identity.as_ref(), info.incarnation), (Some(&identity), Some(spec.incarnation.clone())));
        assert_eq!(collection.info().await.unwrap().identity.as_ref(), Some(&identity));
        assert_eq!(sidecar::read(palace.directory.path(), "c").unwrap(), Some(identity.clone()));
        let schema = palace.table("c").await.schema().await.unwrap();
        assert_eq!(schema.metadata()[key.0], key.1);
        let version = palace.table("c").await.version().await.unwrap();
        palace.palace.record_identity("c", &identity).await.unwrap();
        assert_eq!(palace.table("c").await.version().await.unwrap(), version, "the same again is no commit");
    }
    assert_eq!(kind(palace.palace.record_identity("c", &minilm(384)).await), ErrorKind::DimensionMismatch);
    let absent = palace.palace.record_identity("absent", &minilm(4)).await;
    assert_eq!(kind(absent), ErrorKind::CollectionNotInitialized);
    assert_eq!(kind(palace.palace.record_identity("../c", &minilm(4)).await), ErrorKind::InvalidRequest);
}

#[tokio::test]
async fn recording_an_identity_settles_a_disagreement_between_store_and_sidecar() {
    let palace = TestPalace::new().await;
    palace.palace.create_collection(&known("c")).await.unwrap();
    let gemma = EmbedderIdentity { model_name: "embeddinggemma".into(), dimension: 4 };
    sidecar::write(palace.directory.path(), "c", Some(&gemma)).unwrap();
    assert_eq!(kind(palace.palace.collection("c").await), ErrorKind::EmbedderIdentityMismatch);
    let listed = palace.palace.collections().await.unwrap().remove(0);
    assert_eq!((listed.dimension, listed.identity), (Some(4), Some(minilm(4))), "what the store says is told");
    palace.palace.record_identity("c", &gemma).await.unwrap();
    assert_eq!(palace.palace.collection("c").await.unwrap().info().await.unwrap().identity, Some(gemma));
    assert_eq!(palace.palace.health().await.condition, Condition::Healthy);
}

#[tokio::test]
async fn the_migration_log_is_kept_beside_the_tables_whoever_writes_it() {
    let palace = TestPalace::new().await;
    let path = palace.directory.path().join(migration_log::FILE_NAME);
    assert!(palace.palace.migration_log().await.unwrap().is_empty());
    assert!(!path.exists());
    let entries: Vec<_> = (0..6).map(|n| LogEntry::embedder_set(&format!("c{n}"), None, &minilm(n))).collect();
    let (mine, theirs) = entries.split_at(3);
    let other = palace.again_to_create().await;
    let (mine, theirs) = (
        futures::future::join_all(mine.iter().map(|entry| palace.palace.append_to_migration_log(entry))),
        futures::future::join_all(theirs.iter().map(|entry| other.append_to_migration_log(entry))),
    );
    let (mine, theirs) = tokio::join!(mine, theirs);
    assert!(mine.into_iter().chain(theirs).all(|appended| appended.is_ok()));
    assert_eq!(palace.palace.migration_log().await.unwrap().len(), 6);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(palace.directory.path()).unwrap().count(), 1, "nothing temporary is left");

    fs::write(&path, "{\"log\": 1}").unwrap();
    assert_eq!(kind(palace.palace.migration_log().await), ErrorKind::Corrupt);
    assert_eq!(kind(palace.palace.append_to_migration_log(&entries[0]).await), ErrorKind::Corrupt);
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"log\": 1}");
}

#[tokio::test]
async fn a_corrupt_sidecar_stops_a_creation_and_not_a_read() {
    let palace = TestPalace::new().await;
    palace.palace.create_collection(&known("c")).await.unwrap();
    let path = palace.directory.path().join(sidecar::FILE_NAME);
    fs::write(&path, "{").unwrap();
    assert_eq!(palace.palace.collection("c").await.unwrap().info().await.unwrap().identity, Some(minilm(4)));
    assert_eq!(palace.palace.health().await.findings[0].name, "unreadable_sidecar");
    assert_eq!(kind(palace.palace.create_collection(&known("d")).await), ErrorKind::Corrupt);
    assert_eq!(fs::read_to_string(&path).unwrap(), "{");
    assert_eq!(kind(palace.palace.collection("d").await), ErrorKind::CollectionNotInitialized);
}

#[tokio::test]
async fn a_collection_made_after_another_of_its_name_does_not_inherit_its_identity() {
    let palace = TestPalace::new().await;
    palace.palace.create_collection(&known("c")).await.unwrap();
    palace.connection().await.drop_table("c", &[]).await.unwrap();
    let palace_again = palace.again_to_create().await;
    let collection = palace_again.create_collection(&spec("c", 8)).await.unwrap();
    assert_eq!(collection.info().await.unwrap().identity, None);
}

#[tokio::test]
async fn a_damaged_table_is_listed_and_reported_and_stops_no_other() {
    let palace = TestPalace::new().await;
    palace.palace.create_collection(&spec("bad", 4)).await.unwrap();
    palace.palace.create_collection(&spec("good", 4)).await.unwrap();
    for entry in fs::read_dir(palace.directory.path().join("bad.lance/_versions")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "manifest") {
            fs::write(path, "").unwrap();
        }
    }
    let palace_again = palace.again().await;
    let names: Vec<_> = palace_again.collections().await.unwrap().into_iter().map(|info| info.name).collect();
    assert_eq!(names, ["bad", "good"]);
    assert!(palace_again.collection("good").await.is_ok());
    let error = palace_again.collection("bad").await.err().unwrap();
    assert!(error.what().contains("collection bad"), "{}", error.what());
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{}", error.what());
    let health = palace_again.health().await;
    assert_eq!((health.condition, health.findings[0].name.as_str()), (Condition::Degraded, "unreadable_table"));
}

#[tokio::test]
async fn the_state_tells_the_figures_of_each_collection() {
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    for n in 0..3 {
        collection.apply(upserts(&[row(format!("{n}"), 0), row("same", n)]), WriteMode::Upsert).await.unwrap();
    }
    let state = palace.palace.maintenance_state().await.unwrap();
    let state = &state["c"];
    assert_eq!((&state["rows"], &state["version"]), (&4.into(), &4.into()));
    assert_eq!(state["indices"], serde_json::json!([]));
    assert!(state["bytes"].as_u64().unwrap() > 0);
    assert!(state["fragments"].as_u64().unwrap() >= 3 && state["small_fragments"].is_u64());
    assert_eq!(palace.palace.health().await.condition, Condition::Healthy);
}
