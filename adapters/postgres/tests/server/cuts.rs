//! Connections that break in the middle: nothing is lost, nothing doubled, and a commit whose answer was lost is found.

use crate::database::Database;
use crate::palace::{batch, drawers, numbered, rows_of};
use crate::way::{Cut, Way};
use palanquin_engine::contract::{ChangeBatch, ErrorKind, WriteMode};
use palanquin_postgres::{Dsn, PostgresOptions};

fn through(way: &Way) -> PostgresOptions {
    PostgresOptions { sessions: 2, ..PostgresOptions::of(Dsn::parse(way.dsn()).unwrap()) }
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_of_a_copy_leaves_nothing_of_it_and_the_next_call_does_it() {
    let database = Database::new().await;
    let way = Way::to(&database.dsn()).await;
    let drawers = drawers(through(&way), 64).await;
    let mut expected = Vec::new();
    for (n, mode) in [(0, WriteMode::Append), (1, WriteMode::Upsert)] {
        let rows = numbered(n * 2_000..(n + 1) * 2_000, 64);
        way.cut(Cut::AfterSent(200_000));
        let error = drawers.apply(batch(&rows), mode).await.unwrap_err();
        assert_eq!((error.kind(), way.cuts()), (ErrorKind::Unavailable, n as usize + 1), "{mode:?}: {error}");
        assert_eq!(rows_of(drawers.as_ref()).await, expected, "{mode:?}: nothing of it is there");
        drawers.apply(batch(&rows), mode).await.unwrap();
        expected.extend(rows);
        assert_eq!(rows_of(drawers.as_ref()).await, expected, "{mode:?}");
    }
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_taken_again_and_nothing_is_doubled_or_written_anew() {
    let database = Database::new().await;
    let way = Way::to(&database.dsn()).await;
    let drawers = drawers(through(&way), 8).await;
    let client = database.client().await;
    let find = "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relname LIKE '%mempalace_drawers'";
    let table: String = client.query_one(find, &[]).await.unwrap().get(0);
    let written =
        format!("SELECT coalesce(string_agg(ctid::text || xmin::text, ',' ORDER BY id), '') FROM \"{table}\"");
    let mut expected = Vec::new();
    for (n, mode) in [(0, WriteMode::Append), (1, WriteMode::Upsert)] {
        let rows = numbered(n * 100..(n + 1) * 100, 8);
        way.cut(Cut::AnswerToCommit(0));
        let error = drawers.apply(batch(&rows), mode).await.unwrap_err();
        assert_eq!((error.kind(), way.cuts()), (ErrorKind::Unavailable, n as usize + 1), "{mode:?}: {error}");
        expected.extend(rows.clone());
        assert_eq!(rows_of(drawers.as_ref()).await, expected, "{mode:?}: it was committed");
        let before: String = client.query_one(&written, &[]).await.unwrap().get(0);
        drawers.apply(batch(&rows), mode).await.unwrap();
        assert_eq!(rows_of(drawers.as_ref()).await, expected, "{mode:?}");
        let after: String = client.query_one(&written, &[]).await.unwrap().get(0);
        assert_eq!(after, before, "{mode:?}: rows that are there are not written again");
    }
    // The same of a deletion.
    let gone = ChangeBatch { deletes: vec!["row-0000007".into()], ..ChangeBatch::default() };
    way.cut(Cut::AnswerToCommit(0));
    drawers.apply(gone.clone(), WriteMode::Upsert).await.unwrap_err();
    drawers.apply(gone, WriteMode::Upsert).await.unwrap();
    assert_eq!(drawers.count().await.unwrap(), 199);
}

#[tokio::test]
async fn a_scan_whose_connection_is_cut_ends_with_an_error_and_never_as_if_it_were_over() {
    use futures::TryStreamExt;
    use palanquin_engine::contract::{KeyRange, ScanOrder, ScanRequest};
    let database = Database::new().await;
    let way = Way::to(&database.dsn()).await;
    let drawers = drawers(through(&way), 64).await;
    drawers.apply(batch(&numbered(0..4_000, 64)), WriteMode::Append).await.unwrap();
    for order in [ScanOrder::Any, ScanOrder::ById] {
        way.cut(Cut::AfterReceived(300_000));
        let request = ScanRequest { range: KeyRange::ALL, order, batch_rows: 100 };
        let error = drawers.scan(request.clone()).try_collect::<Vec<_>>().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{order:?}: {error}");
        let batches: Vec<_> = drawers.scan(request).try_collect().await.unwrap();
        assert_eq!(batches.iter().map(palanquin_engine::rows::RowBatch::len).sum::<usize>(), 4_000, "{order:?}");
    }
    assert_eq!(way.cuts(), 2);
}
