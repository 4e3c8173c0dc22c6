//! Maintenance as a server sees it: indexes that were left half built, locks that MemPalace holds, figures that are true.

use crate::database::Database;
use crate::palace::{batch, numbered, palace, spec};
use palanquin_engine::contract::{MaintenanceStatus, Palace, Progress, QueryRequest, Selection, WriteMode, kind};
use std::sync::{Arc, Mutex};
use tokio_postgres::Client;

async fn filled(database: &Database) -> (Arc<dyn Palace>, Client, String) {
    let palace = palace(database.options(), "palace").await;
    let drawers = palace.create_collection(&spec("mempalace_drawers", 8)).await.unwrap();
    drawers.apply(batch(&numbered(0..2_000, 8)), WriteMode::Append).await.unwrap();
    let client = database.client().await;
    let find = "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relname LIKE '%mempalace_drawers'";
    let table = client.query_one(find, &[]).await.unwrap().get(0);
    (palace, client, table)
}

async fn indexes(client: &Client) -> Vec<(String, bool)> {
    let find = "SELECT c.relname::text, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
                JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'hnsw'";
    client.query(find, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn run(palace: &dyn Palace, kind: &str) -> MaintenanceStatus {
    palace.run_maintenance(kind, &Progress::unheard()).await.unwrap().status
}

async fn names_of_findings(palace: &dyn Palace) -> Vec<String> {
    palace.health().await.findings.into_iter().map(|finding| finding.name).collect()
}

#[tokio::test]
async fn what_an_unfinished_build_left_is_told_and_replaced() {
    let database = Database::new().await;
    let (palace, client, table) = filled(&database).await;
    assert!(names_of_findings(palace.as_ref()).await.is_empty());
    assert_eq!(run(palace.as_ref(), kind::REINDEX).await, MaintenanceStatus::Ran);
    let index = format!("{table}_hnsw_idx");
    assert_eq!(indexes(&client).await, [(index.clone(), true)], "it has the name MemPalace gives it");
    let broken = format!("UPDATE pg_index SET indisvalid = false WHERE indexrelid = '\"{index}\"'::regclass");
    client.batch_execute(&broken).await.unwrap();
    assert_eq!(names_of_findings(palace.as_ref()).await, ["invalid_index"]);
    assert_eq!(run(palace.as_ref(), kind::REINDEX).await, MaintenanceStatus::Ran);
    assert_eq!(indexes(&client).await, [(index, true)]);
    assert!(names_of_findings(palace.as_ref()).await.is_empty());
}

#[tokio::test]
async fn while_mempalace_builds_an_index_nobody_else_does() {
    let database = Database::new().await;
    let (palace, client, table) = filled(&database).await;
    // MemPalace's own key: the first four bytes of the digest of the table's name.
    let lock = "SELECT pg_advisory_lock(1296387408, ('x' || substr(encode(sha256($1::text::bytea), 'hex'), 1, 8))::bit(32)::int)";
    client.query(lock, &[&table]).await.unwrap();
    assert_eq!(run(palace.as_ref(), kind::REINDEX).await, MaintenanceStatus::AlreadyRunning);
    assert_eq!(run(palace.as_ref(), kind::ANALYZE).await, MaintenanceStatus::Ran, "what needs no index goes on");
    assert!(indexes(&client).await.is_empty());
    client.batch_execute("SELECT pg_advisory_unlock_all()").await.unwrap();
    assert_eq!(run(palace.as_ref(), kind::REINDEX).await, MaintenanceStatus::Ran);
}

#[tokio::test]
async fn compacting_with_an_index_rebuilds_it_frees_dead_rows_and_tells_how_far_it_is() {
    let database = Database::new().await;
    let (palace, client, table) = filled(&database).await;
    run(palace.as_ref(), kind::REINDEX).await;
    let drawers = palace.collection("mempalace_drawers").await.unwrap();
    let gone = numbered(0..500, 8);
    let gone: Vec<&str> = gone.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(drawers.delete(&Selection::ids(gone)).await.unwrap(), 500);
    let dead = format!("SELECT pg_stat_get_dead_tuples('\"{table}\"'::regclass)");
    let mut asked = 0;
    while client.query_one(&dead, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        // A session tells its figures when it next works.
        drawers.count().await.unwrap();
        asked += 1;
        assert!(asked < 100_000, "the server never counts its dead rows");
        tokio::task::yield_now().await;
    }
    let told = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&told);
    let progress = Progress::to(move |step| hears.lock().unwrap().push(step.doing));
    let result = palace.run_maintenance(kind::COMPACT, &progress).await.unwrap();
    let stats = &result.stats["mempalace_drawers"];
    assert_eq!(stats["rebuilt_indexes"].as_array().map(Vec::len), Some(1), "{stats}");
    assert_eq!((&stats["dead_rows_before"], &stats["dead_rows_after"]), (&500.into(), &0.into()), "{stats}");
    let told = told.lock().unwrap().clone();
    assert!(told.iter().any(|doing| doing.contains("rebuilding")), "{told:?}");
    assert!(told.iter().any(|doing| doing.contains("vacuuming mempalace_drawers")), "{told:?}");
    // A few dead rows are cleaned out of the index: building it anew would take longer.
    drawers.delete(&Selection::ids([numbered(700..701, 8)[0]["id"].as_str().unwrap()])).await.unwrap();
    let few = palace.run_maintenance(kind::COMPACT, &Progress::unheard()).await.unwrap();
    assert_eq!(few.stats["mempalace_drawers"]["rebuilt_indexes"].as_array().map(Vec::len), Some(0), "{few:?}");
    let state = palace.maintenance_state().await.unwrap();
    let drawers_state = &state["mempalace_drawers"];
    assert_eq!(drawers_state["vector_indexes"][0]["valid"], true, "{drawers_state}");
    for age in ["seconds_since_vacuum", "seconds_since_analyze", "transactions_since_freeze"] {
        assert!(drawers_state[age].as_u64().is_some(), "{age}: {drawers_state}");
    }
    assert!(
        state["server"]["freezes_by_itself_after"].as_u64() > state["server"]["transactions_since_freeze"].as_u64()
    );
    assert!(
        drawers_state["last_vacuum"].is_string() && drawers_state["table_bytes"].as_u64() > Some(0),
        "{drawers_state}"
    );
}

#[tokio::test]
async fn an_index_that_is_being_built_is_told_with_its_phase_and_is_no_finding() {
    let database = Database::new().await;
    let (palace, client, table) = filled(&database).await;
    // A build waits for older transactions, for as long as those last.
    let mut other = database.client().await;
    let older = other.transaction().await.unwrap();
    older.batch_execute(&format!("DELETE FROM \"{table}\" WHERE false")).await.unwrap();
    let builder = database.client().await;
    let statement =
        format!("CREATE INDEX CONCURRENTLY operators ON \"{table}\" USING hnsw (embedding vector_cosine_ops)");
    let building = tokio::spawn(async move { builder.batch_execute(&statement).await });
    let waits = "SELECT count(*) FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting%'";
    let mut asked = 0;
    while client.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        asked += 1;
        assert!(asked < 100_000, "it never waits");
        tokio::task::yield_now().await;
    }
    let state = palace.maintenance_state().await.unwrap();
    let index = &state["mempalace_drawers"]["vector_indexes"][0];
    assert!(index["building"].as_str().is_some_and(|phase| phase.contains("waiting")), "{index}");
    assert_eq!(index["valid"], false);
    assert!(names_of_findings(palace.as_ref()).await.is_empty());
    let other_run = palace.run_maintenance(kind::REINDEX, &Progress::unheard()).await.unwrap();
    assert_eq!(other_run.status, MaintenanceStatus::Noop, "another session is at it: {other_run:?}");
    older.rollback().await.unwrap();
    building.await.unwrap().unwrap();
    assert_eq!(indexes(&client).await, [("operators".to_owned(), true)]);
}

#[tokio::test]
async fn a_search_by_index_answers_as_many_rows_as_are_asked_for() {
    let database = Database::new().await;
    let (palace, ..) = filled(&database).await;
    run(palace.as_ref(), kind::REINDEX).await;
    let drawers = palace.collection("mempalace_drawers").await.unwrap();
    let found = drawers.query(&QueryRequest::of(vec![vec![0.5; 8]], 100)).await.unwrap();
    assert_eq!(found.ids[0].len(), 100);
    assert!(found.distances[0].is_sorted(), "{:?}", found.distances[0]);
}
