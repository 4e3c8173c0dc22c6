//! A palace put in another's place: all of it or nothing, and what belongs to the place stays with the place.

use crate::database::Database;
use crate::own_server::OwnServer;
use crate::palace::{backend, batch, numbered, rows_of, spec};
use palanquin_engine::contract::{
    Backend, CollectionSpec, EmbedderIdentity, ErrorKind, LogEntry, OpenMode, Palace, PalaceRef, Progress, WriteMode,
    kind,
};
use palanquin_postgres::{Dsn, PostgresOptions};
use std::path::Path;
use std::sync::Arc;

fn named(id: &str) -> PalaceRef {
    PalaceRef { id: id.to_owned(), local_path: None, namespace: None }
}

fn identity(name: &str) -> EmbedderIdentity {
    EmbedderIdentity { model_name: name.to_owned(), dimension: 4 }
}

/// A palace with drawers of these rows, of a model.
async fn made(
    backend: &Arc<dyn Backend>,
    reference: &PalaceRef,
    rows: std::ops::Range<u32>,
    model: &str,
) -> Arc<dyn Palace> {
    let palace = backend.open(reference, OpenMode::Create.into()).await.unwrap();
    let spec = CollectionSpec {
        identity: Some(identity(model)),
        incarnation: format!("of-{}", reference.id),
        ..spec("mempalace_drawers", 4)
    };
    let drawers = palace.create_collection(&spec).await.unwrap();
    drawers.apply(batch(&numbered(rows, 4)), WriteMode::Append).await.unwrap();
    palace
}

async fn found(backend: &Arc<dyn Backend>, reference: &PalaceRef) -> Vec<serde_json::Value> {
    let palace = backend.open(reference, OpenMode::Read.into()).await.unwrap();
    rows_of(palace.collection("mempalace_drawers").await.unwrap().as_ref()).await
}

#[tokio::test]
async fn a_staged_palace_takes_the_place_of_another_whole_with_its_names_rights_and_history() {
    let database = Database::new().await;
    let backend = backend(database.options());
    let (target, staging) = (named("target"), named("target.new"));
    let old = made(&backend, &target, 0..10, "old").await;
    old.create_collection(&spec("mempalace_closets", 4)).await.unwrap();
    old.append_to_migration_log(&LogEntry::embedder_set("mempalace_drawers", None, &identity("old"))).await.unwrap();
    let role = format!("mempalace_{}", std::process::id());
    let client = database.client().await;
    let find = "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relname LIKE '%mempalace_drawers'";
    let table: String = client.query_one(find, &[]).await.unwrap().get(0);
    let grant = format!(
        "DROP ROLE IF EXISTS {role}; CREATE ROLE {role}; GRANT SELECT, INSERT ON \"{table}\" TO {role}; \
         GRANT SELECT ON \"{table}\" TO PUBLIC"
    );
    client.batch_execute(&grant).await.unwrap();

    let new = made(&backend, &staging, 5..30, "new").await;
    new.append_to_migration_log(&LogEntry::embedder_set("mempalace_drawers", None, &identity("new"))).await.unwrap();
    new.run_maintenance(kind::REINDEX, &Progress::unheard()).await.unwrap();
    backend.replace(&target, &staging).await.unwrap();

    let closed = old.collections().await.unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::BackendClosed, "a handle on what is gone does not answer");
    assert_eq!(found(&backend, &target).await, numbered(5..30, 4));
    let palace = backend.open(&target, OpenMode::Write.into()).await.unwrap();
    let infos = palace.collections().await.unwrap();
    assert_eq!(infos.len(), 1, "the old closets are gone: {infos:?}");
    assert_eq!(infos[0].incarnation.as_deref(), Some("of-target.new"));
    assert_eq!(infos[0].identity, Some(identity("new")));
    assert_eq!(palace.migration_log().await.unwrap().len(), 2, "the place keeps its history");
    let gone = backend.open(&staging, OpenMode::Read.into()).await.err().unwrap();
    assert_eq!(gone.kind(), ErrorKind::PalaceNotFound);
    let again = backend.replace(&target, &staging).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::PalaceNotFound, "{again}");
    assert_eq!(found(&backend, &target).await, numbered(5..30, 4));

    // The names MemPalace looks for, and the rights its role had.
    let relations = "SELECT string_agg(relname::text, ' ' ORDER BY relname) FROM pg_class \
                     WHERE relname LIKE 'mempalace%' AND relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')";
    let relations: String = client.query_one(relations, &[]).await.unwrap().get(0);
    assert_eq!(relations, format!("{table} {table}_hnsw_idx {table}_pkey"));
    let may =
        "SELECT has_table_privilege($1::text, $2::text, 'INSERT'), has_table_privilege('public', $2::text, 'SELECT')";
    let quoted = format!("\"{table}\"");
    let row = client.query_one(may, &[&role, &quoted]).await.unwrap();
    assert!(row.get::<_, bool>(0) && row.get::<_, bool>(1));
    client.batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
}

#[tokio::test]
async fn the_files_beside_a_palace_follow_it_and_never_contradict_it() {
    let database = Database::new().await;
    let directory = tempfile::tempdir().unwrap();
    let backend = backend(database.options());
    let target = PalaceRef::local(directory.path().join("palace"));
    let staging = named("staged");
    made(&backend, &target, 0..10, "old").await;
    made(&backend, &staging, 0..20, "new").await;
    let sidecar = |palace: &Path| std::fs::read_to_string(palace.join("mempalace_embedder.json")).unwrap();
    let path = target.local_path.clone().unwrap();
    assert!(sidecar(&path).contains("old"));
    backend.replace(&target, &staging).await.unwrap();
    assert!(sidecar(&path).contains("new") && !sidecar(&path).contains("old"), "{}", sidecar(&path));
    assert_eq!(found(&backend, &target).await, numbered(0..20, 4));

    // Into a place where nothing is.
    let fresh = PalaceRef::local(directory.path().join("fresh"));
    made(&backend, &staging, 0..5, "third").await;
    backend.replace(&fresh, &staging).await.unwrap();
    assert!(fresh.local_path.clone().unwrap().join("pgvector_backend.json").is_file());
    assert_eq!(found(&backend, &fresh).await, numbered(0..5, 4));
}

#[tokio::test]
async fn what_cannot_be_exchanged_is_refused_and_both_stay_as_they_are() {
    let database = Database::new().await;
    let backend = backend(database.options());
    let (target, staging) = (named("target"), named("staging"));
    let nothing = backend.replace(&target, &staging).await.unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::PalaceNotFound, "{nothing}");
    made(&backend, &target, 0..10, "old").await;
    made(&backend, &staging, 0..20, "new").await;
    let same = backend.replace(&target, &target).await.unwrap_err();
    assert_eq!(same.kind(), ErrorKind::InvalidRequest, "{same}");
    let client = database.client().await;
    let find =
        "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relname LIKE '%mempalace_drawers' ORDER BY oid";
    let table: String = client.query_one(&format!("{find} LIMIT 1"), &[]).await.unwrap().get(0);
    let view = format!("CREATE VIEW operators_own AS SELECT count(*) FROM \"{table}\"");
    client.batch_execute(&view).await.unwrap();
    let used = backend.replace(&target, &staging).await.unwrap_err();
    assert_eq!(used.kind(), ErrorKind::InUse, "{used}");
    assert_eq!(found(&backend, &target).await, numbered(0..10, 4));
    assert_eq!(found(&backend, &staging).await, numbered(0..20, 4));
    client.batch_execute("DROP VIEW operators_own").await.unwrap();
    backend.replace(&target, &staging).await.unwrap();
    assert_eq!(found(&backend, &target).await, numbered(0..20, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_in_the_middle_of_an_exchange_has_either_palace_whole() {
    for how in ["immediate", "fast"] {
        let server = OwnServer::start();
        let options = || PostgresOptions::of(Dsn::parse(&server.dsn()).unwrap());
        let (target, staging) = (named("target"), named("staging"));
        let first = backend(options());
        let old = made(&first, &target, 0..10, "old").await;
        let closets = old.create_collection(&spec("mempalace_zclosets", 4)).await.unwrap();
        closets.apply(batch(&numbered(0..3, 4)), WriteMode::Append).await.unwrap();
        made(&first, &staging, 0..20, "new").await;
        // The drawers are dropped by the time the exchange waits for the table after them.
        let mut other = crate::database::connect(&server.dsn()).await;
        let find = "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relname LIKE '%zclosets'";
        let table: String = other.query_one(find, &[]).await.unwrap().get(0);
        let held = other.transaction().await.unwrap();
        held.batch_execute(&format!("LOCK TABLE \"{table}\" IN ACCESS SHARE MODE")).await.unwrap();
        let exchanging = {
            let (backend, target, staging) = (Arc::clone(&first), target.clone(), staging.clone());
            tokio::spawn(async move { backend.replace(&target, &staging).await })
        };
        let watcher = crate::database::connect(&server.dsn()).await;
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DROP TABLE%'";
        let mut asked = 0;
        while watcher.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            asked += 1;
            assert!(asked < 100_000, "it never waits");
            tokio::task::yield_now().await;
        }
        tokio::task::block_in_place(|| server.stop(how));
        let error = exchanging.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{how}: {error}");
        tokio::task::block_in_place(|| server.restart());

        let second = backend(options());
        assert_eq!(found(&second, &target).await, numbered(0..10, 4), "{how}: the old one is whole");
        assert_eq!(found(&second, &staging).await, numbered(0..20, 4), "{how}: and the staged one too");
        second.replace(&target, &staging).await.unwrap();
        assert_eq!(found(&second, &target).await, numbered(0..20, 4), "{how}: the same call does it");
        let palace = second.open(&target, OpenMode::Read.into()).await.unwrap();
        assert_eq!(palace.collections().await.unwrap().len(), 1);
    }
}
