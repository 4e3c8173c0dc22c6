//! Maintenance that is cancelled: nothing of it is left running on the server, and what it left there is found again.

use crate::database::Database;
use crate::palace::{batch, drawers_of, numbered, palace};
use palanquin_engine::contract::{MaintenanceStatus, Palace, Progress, WriteMode, kind};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_postgres::Client;

/// Statements of maintenance that the server is at, or waits to be.
const AT_WORK: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' \
                       AND query ~ '^(VACUUM|ANALYZE|CREATE INDEX|REINDEX|DROP INDEX)'";

async fn number(client: &Client, statement: &str) -> i64 {
    client.query_one(statement, &[]).await.unwrap().get(0)
}

/// A palace of a few rows, and the name of its table.
async fn filled(database: &Database) -> (Arc<dyn Palace>, Client, String) {
    let palace = palace(database.options(), "palace").await;
    let drawers = drawers_of(palace.as_ref(), 8).await;
    drawers.apply(batch(&numbered(0..500, 8)), WriteMode::Append).await.unwrap();
    let client = database.client().await;
    let find = "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relname LIKE '%mempalace_drawers'";
    let table = client.query_one(find, &[]).await.unwrap().get(0);
    (palace, client, table)
}

/// Begins a run, waits until it says that it is doing something like `doing`, and goes away.
async fn begin_and_cancel(palace: &Arc<dyn Palace>, kind: &'static str, doing: &str) {
    let (steps, mut heard) = mpsc::unbounded_channel();
    let progress = Progress::to(move |step| drop(steps.send(step)));
    let running = {
        let palace = Arc::clone(palace);
        tokio::spawn(async move { palace.run_maintenance(kind, &progress).await })
    };
    loop {
        let step = heard.recv().await.expect("it tells its steps for as long as it runs");
        if step.doing.contains(doing) {
            break;
        }
    }
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn an_index_build_that_is_cancelled_ends_on_the_server_and_the_next_one_replaces_what_it_left() {
    let database = Database::new().await;
    let (cut_off, client, table) = filled(&database).await;
    // A build waits for older transactions, for as long as those last.
    let mut other = database.client().await;
    let older = other.transaction().await.unwrap();
    older.batch_execute(&format!("DELETE FROM \"{table}\" WHERE false")).await.unwrap();
    begin_and_cancel(&cut_off, kind::REINDEX, "waiting for writers").await;
    cut_off.close().await.unwrap();
    assert_eq!(number(&client, AT_WORK).await, 0, "it has ended by the time the palace is closed");
    older.rollback().await.unwrap();

    let palace = palace(database.options(), "palace").await;
    let findings = palace.health().await.findings;
    let named = format!("{table}_hnsw_idx");
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].name == "invalid_index" && findings[0].summary.contains(&named), "{findings:?}");
    let result = palace.run_maintenance(kind::REINDEX, &Progress::unheard()).await.unwrap();
    assert_eq!(result.status, MaintenanceStatus::Ran, "its locks are free again");
    assert_eq!(result.stats["mempalace_drawers"]["removed"], 1);
    assert!(palace.health().await.findings.is_empty());
}

#[tokio::test]
async fn a_vacuum_and_an_analyze_that_are_cancelled_end_on_the_server() {
    let database = Database::new().await;
    let (_, client, table) = filled(&database).await;
    let mut other = database.client().await;
    for (kind, doing) in
        [(kind::COMPACT, "vacuuming mempalace_drawers"), (kind::ANALYZE, "analyzing mempalace_drawers")]
    {
        let held = other.transaction().await.unwrap();
        held.batch_execute(&format!("LOCK TABLE \"{table}\" IN SHARE UPDATE EXCLUSIVE MODE")).await.unwrap();
        let cut_off = palace(database.options(), "palace").await;
        begin_and_cancel(&cut_off, kind, doing).await;
        cut_off.close().await.unwrap();
        assert_eq!(number(&client, AT_WORK).await, 0, "{kind} has ended by the time the palace is closed");
        held.rollback().await.unwrap();
        let again = palace(database.options(), "palace").await;
        let result = again.run_maintenance(kind, &Progress::unheard()).await.unwrap();
        assert_eq!(result.status, MaintenanceStatus::Ran, "{kind}: its locks are free again");
    }
}

#[tokio::test]
async fn a_build_tells_how_far_it_is_in_figures() {
    let database = Database::new().await;
    let palace = palace(database.options(), "palace").await;
    let drawers = drawers_of(palace.as_ref(), 64).await;
    for n in 0..6 {
        drawers.apply(batch(&numbered(n * 4_000..(n + 1) * 4_000, 64)), WriteMode::Append).await.unwrap();
    }
    let (steps, mut heard) = mpsc::unbounded_channel();
    let progress = Progress::to(move |step| drop(steps.send(step)));
    palace.run_maintenance(kind::REINDEX, &progress).await.unwrap();
    drop(progress);
    let mut building = Vec::new();
    while let Some(step) = heard.recv().await {
        if step.doing.contains("loading tuples") {
            building.push(step);
        }
    }
    assert!(!building.is_empty(), "it takes longer than two looks");
    for step in &building {
        assert!(step.total.is_some_and(|total| step.done <= total), "{step:?}");
    }
}
