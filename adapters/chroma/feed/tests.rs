use super::history::{Mirror, Writer, open};
use crate::ChromaBackend;
use crate::read::fixture::{COLLECTION, METADATA, database_of};
use futures::TryStreamExt;
use palanquin_engine::contract::{
    Backend, CaptureLevel, ChangeBatch, Cursor, Error, ErrorKind, OpenMode, PalaceRef, token,
};

async fn mirror(writer: &Writer) -> Mirror {
    Mirror::copy(open(&ChromaBackend::new(), &writer.fixture.path).await, || {}).await
}

/// The same target, followed by a process that began just now.
async fn taken_over(writer: &Writer, mirror: &Mirror) -> Mirror {
    let source = open(&ChromaBackend::new(), &writer.fixture.path).await;
    Mirror { source, cursor: mirror.cursor.clone(), rows: mirror.rows.clone(), taken_over: true }
}

fn three_rows() -> Writer {
    let mut writer = Writer::new();
    ["a", "b", "c"].iter().for_each(|id| writer.upsert(id, "t", 1.0));
    writer
}

async fn batches(mirror: &Mirror, rows: usize) -> Vec<(Vec<String>, Vec<String>)> {
    let batches: Vec<ChangeBatch> = mirror.source.changes_since(&mirror.cursor, rows).try_collect().await.unwrap();
    let ids = |batch: &ChangeBatch| -> Vec<String> {
        batch.upserts.iter().flat_map(|rows| rows.rows()).map(|row| row.id.to_owned()).collect()
    };
    batches.iter().map(|batch| (batch.deletes.clone(), ids(batch))).collect()
}

#[track_caller]
fn assert_expired(error: &Error, words: &str) {
    assert_eq!(error.kind(), ErrorKind::CursorExpired, "{error}");
    let text = error.to_string();
    assert!(text.contains(words) && text.contains("drawers"), "{error}");
}

#[test]
fn the_feed_is_advertised_as_a_log() {
    let backend = ChromaBackend::new();
    assert_eq!(backend.descriptor().capture, Some(CaptureLevel::Log));
    assert!(backend.descriptor().capabilities.has(token::CHANGE_FEED));
}

#[tokio::test]
async fn a_small_change_is_one_batch_with_deletes_first() {
    let mut writer = three_rows();
    let mut mirror = mirror(&writer).await;
    writer.delete("b");
    writer.upsert("c", "new", 2.0);
    writer.upsert("d", "new", 3.0);
    assert_eq!(batches(&mirror, 10).await, [(vec!["b".to_owned()], vec!["c".to_owned(), "d".to_owned()])]);
    assert_eq!(batches(&mirror, 1).await.len(), 3);
    assert_eq!(mirror.follow(10).await.unwrap(), 1);
    assert_eq!(mirror.rows, writer.expected());
}

#[tokio::test]
async fn nothing_is_told_where_nothing_was_done() {
    let writer = three_rows();
    let mut mirror = mirror(&writer).await;
    assert_eq!(mirror.follow(10).await.unwrap(), 0);
    let head = mirror.source.feed_head().await.unwrap().unwrap();
    assert_eq!(head.cursor, mirror.cursor);
    assert!(head.changed_at_ms > Some(1_700_000_000_000), "{head:?}");
}

#[tokio::test]
async fn operations_that_changed_nothing_move_the_cursor_and_nothing_else() {
    let mut writer = three_rows();
    let mut mirror = mirror(&writer).await;
    writer.log(3, "nobody", None, None);
    writer.log(1, "nobody", Some("t"), None);
    writer.catch_up();
    let before = mirror.cursor.clone();
    assert_eq!(batches(&mirror, 10).await, [(vec!["nobody".to_owned()], vec![])]);
    assert_eq!(mirror.follow(10).await.unwrap(), 1);
    assert_ne!(mirror.cursor, before);
    assert_eq!(mirror.rows, writer.expected());
}

#[tokio::test]
async fn deletes_that_the_log_no_longer_has_are_found_by_the_ids_that_were_there() {
    let mut writer = three_rows();
    let mut mirror = mirror(&writer).await;
    writer.delete("a");
    writer.upsert("d", "t", 4.0);
    writer.flush();
    assert_eq!(mirror.follow(10).await.unwrap(), 1);
    assert_eq!(mirror.rows, writer.expected());
}

#[tokio::test]
async fn a_row_that_was_copied_and_deleted_before_the_first_step_is_deleted_though_the_log_is_purged() {
    let mut writer = three_rows();
    let mut mirror = Mirror::copy(open(&ChromaBackend::new(), &writer.fixture.path).await, || {
        writer.upsert("late", "t", 9.0);
    })
    .await;
    assert!(mirror.rows.contains_key("late"));
    writer.delete("late");
    writer.upsert("d", "t", 4.0);
    writer.flush();
    mirror.follow(10).await.unwrap();
    assert_eq!(mirror.rows, writer.expected());
}

#[tokio::test]
async fn another_process_goes_on_where_the_log_was_purged_if_no_delete_can_be_hidden_there() {
    let mut writer = three_rows();
    let mirror = mirror(&writer).await;
    for i in 0..20 {
        writer.upsert(&format!("new-{i}"), "t", 2.0);
        writer.write_elsewhere(&format!("{i}"), false);
    }
    writer.upsert("c", "t", 5.0);
    writer.flush();
    let mut next = taken_over(&writer, &mirror).await;
    next.follow(7).await.unwrap();
    assert_eq!(next.rows, writer.expected());
}

#[tokio::test]
async fn another_process_cannot_go_on_where_a_purge_may_hide_a_delete() {
    let mut writer = three_rows();
    let mirror = mirror(&writer).await;
    writer.delete("a");
    writer.upsert("d", "t", 2.0);
    writer.flush();
    let error = taken_over(&writer, &mirror).await.follow(10).await.unwrap_err();
    assert_expired(&error, "of 2 operations since, 1 cannot be told any more");
    assert_expired(&error, "full comparison needed");
}

#[tokio::test]
async fn another_process_goes_on_while_the_log_reaches_back() {
    let mut writer = three_rows();
    writer.flush();
    let mirror = mirror(&writer).await;
    writer.delete("a");
    writer.upsert("d", "t", 2.0);
    let mut next = taken_over(&writer, &mirror).await;
    next.follow(10).await.unwrap();
    assert_eq!(next.rows, writer.expected());
    writer.delete("d");
    writer.flush();
    next.follow(10).await.unwrap();
    assert_eq!(next.rows, writer.expected());
}

#[tokio::test]
async fn what_only_the_log_has_is_told_as_committed() {
    let mut writer = three_rows();
    let mut mirror = mirror(&writer).await;
    writer.log(3, "a", None, None);
    writer.log(1, "b", Some("new"), None);
    writer.log(2, "d", Some("new"), Some(7.0));
    mirror.follow(10).await.unwrap();
    assert_eq!(mirror.rows, writer.expected());
    writer.catch_up();
    assert_eq!(mirror.follow(10).await.unwrap(), 0);
}

#[tokio::test]
async fn sequence_numbers_of_eight_bytes_are_followed() {
    let mut writer = three_rows();
    let mirror = mirror(&writer).await;
    writer.upsert("d", "t", 2.0);
    writer.upsert("c", "u", 3.0);
    writer.flush();
    let rows: Vec<(i64, i64)> = {
        let mut statement = writer.fixture.database.prepare("SELECT id, seq_id FROM embeddings").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    for (row, seq) in rows {
        let sql = "UPDATE embeddings SET seq_id = ?2 WHERE id = ?1";
        writer.fixture.database.execute(sql, (row, seq.to_be_bytes())).unwrap();
    }
    let mut next = taken_over(&writer, &mirror).await;
    assert_eq!(batches(&next, 10).await, [(vec![], vec!["c".to_owned(), "d".to_owned()])]);
    next.follow(10).await.unwrap();
    assert_eq!(next.rows, writer.expected());
}

#[tokio::test]
async fn a_collection_made_again_expires_the_cursor() {
    let writer = three_rows();
    let mirror = mirror(&writer).await;
    let other = "66666666-6666-6666-6666-666666666666";
    writer.fixture.database.execute("UPDATE collections SET id = ?1", [other]).unwrap();
    writer.fixture.database.execute("UPDATE segments SET collection = ?1", [other]).unwrap();
    let sql = "UPDATE embeddings_queue SET topic = replace(topic, ?1, ?2)";
    writer.fixture.database.execute(sql, (COLLECTION, other)).unwrap();
    let error = taken_over(&writer, &mirror).await.follow(10).await.unwrap_err();
    assert_expired(&error, "dropped and made again");
}

#[tokio::test]
async fn a_restored_database_expires_the_cursor_and_says_so() {
    let mut writer = three_rows();
    let path = database_of(&writer.fixture.path);
    let backup = std::fs::read(&path).unwrap();
    writer.upsert("d", "t", 1.0);
    let mirror = mirror(&writer).await;

    let moved = writer.fixture.path.join("moved");
    std::fs::copy(&path, &moved).unwrap();
    std::fs::rename(&moved, &path).unwrap();
    assert_expired(&taken_over(&writer, &mirror).await.follow(10).await.unwrap_err(), "another file");

    // In place: the inode stays.
    let mut writer = three_rows();
    let path = database_of(&writer.fixture.path);
    writer.upsert("d", "t", 1.0);
    let mirror = Mirror::copy(open(&ChromaBackend::new(), &writer.fixture.path).await, || {}).await;
    std::fs::write(&path, &backup).unwrap();
    assert_expired(&taken_over(&writer, &mirror).await.follow(10).await.unwrap_err(), "an older state was restored");

    // And went on to the same number.
    let restored = rusqlite::Connection::open(&path).unwrap();
    let sql = "INSERT INTO embeddings_queue (seq_id, operation, topic, id) VALUES (4, 3, 'persistent://default/default/' || ?1, 'b')";
    restored.execute(sql, [COLLECTION]).unwrap();
    restored.execute("UPDATE max_seq_id SET seq_id = 4 WHERE segment_id = ?1", [METADATA]).unwrap();
    assert_expired(&taken_over(&writer, &mirror).await.follow(10).await.unwrap_err(), "another one than the cursor's");
}

#[tokio::test]
async fn text_that_is_no_cursor_is_refused() {
    let writer = three_rows();
    let mut mirror = mirror(&writer).await;
    mirror.cursor = Cursor("x:7".to_owned());
    let error = mirror.follow(10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CursorExpired, "{error}");
}

#[tokio::test]
async fn a_collection_that_was_never_written_is_followed_from_its_beginning() {
    let mut writer = Writer::new();
    let mut mirror = mirror(&writer).await;
    assert!(mirror.rows.is_empty());
    assert_eq!(mirror.follow(10).await.unwrap(), 0);
    writer.upsert("a", "t", 1.0);
    writer.delete("a");
    writer.upsert("b", "t", 2.0);
    writer.flush();
    mirror.follow(10).await.unwrap();
    assert_eq!(mirror.rows, writer.expected());
}

#[tokio::test]
async fn two_targets_at_different_places_both_learn_of_a_delete_that_the_log_has_forgotten() {
    let mut writer = three_rows();
    let backend = ChromaBackend::new();
    let mut fast = Mirror::copy(open(&backend, &writer.fixture.path).await, || {}).await;
    let mut slow = Mirror::copy(open(&backend, &writer.fixture.path).await, || {}).await;
    writer.delete("a");
    fast.follow(10).await.unwrap();
    writer.upsert("d", "t", 1.0);
    writer.flush();
    fast.follow(10).await.unwrap();
    slow.follow(10).await.unwrap();
    assert_eq!((&fast.rows, &slow.rows), (&writer.expected(), &writer.expected()));
    // The palace is let go of: what comes after is another memory's.
    backend.close_palace(&PalaceRef::local(&writer.fixture.path)).await.unwrap();
    writer.delete("b");
    writer.upsert("e", "t", 1.0);
    writer.flush();
    let palace = backend.open(&PalaceRef::local(&writer.fixture.path), OpenMode::Read.into()).await.unwrap();
    fast.source = palace.collection("drawers").await.unwrap();
    assert_expired(&fast.follow(10).await.unwrap_err(), "full comparison needed");
}
