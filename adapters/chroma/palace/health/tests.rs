use super::beside::lock_holder;
use crate::ChromaBackend;
use crate::layout::header::tests::header_bytes;
use crate::read::fixture::{Fixture, METADATA, VECTOR};
use crate::writer_lock::Holder;
use palanquin_engine::contract::{
    Backend, Condition, Finding, Health, MaintenanceState, OpenMode, PalaceRef, Severity,
};
use std::fs::File;
use std::time::{Duration, SystemTime};

async fn health(fixture: &Fixture) -> Health {
    let palace = ChromaBackend::new().open(&PalaceRef::local(&fixture.path), OpenMode::Read.into()).await.unwrap();
    palace.health().await
}

async fn state(fixture: &Fixture) -> MaintenanceState {
    let palace = ChromaBackend::new().open(&PalaceRef::local(&fixture.path), OpenMode::Read.into()).await.unwrap();
    palace.maintenance_state().await.unwrap()
}

/// The one finding of that name, which says these words.
#[track_caller]
fn found<'a>(health: &'a Health, name: &str, severity: Severity, words: &[&str]) -> &'a Finding {
    let of_name: Vec<&Finding> = health.findings.iter().filter(|finding| finding.name == name).collect();
    assert_eq!(of_name.len(), 1, "{name} in {:?}", health.findings);
    assert_eq!(of_name[0].severity, severity, "{:?}", of_name[0]);
    for words in words {
        assert!(of_name[0].summary.contains(words), "{words:?} in {:?}", of_name[0]);
    }
    of_name[0]
}

#[track_caller]
fn not_found(health: &Health, name: &str) {
    assert!(!health.findings.iter().any(|finding| finding.name == name), "{name} in {:?}", health.findings);
}

fn age(path: &std::path::Path, by: Duration) {
    File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - by).unwrap();
}

/// Rows and elements enough that no row is asked by itself.
fn many_rows(fixture: &Fixture) {
    let rows = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20001)
                INSERT INTO embeddings (segment_id, embedding_id, seq_id) SELECT ?1, 'row-' || n, 1 FROM n";
    fixture.database.execute(rows, [METADATA]).unwrap();
}

#[tokio::test]
async fn a_sound_palace_has_no_findings() {
    let fixture = Fixture::flushed();
    fixture.log(3, 2, "c", None, None);
    let health = health(&fixture).await;
    assert_eq!((health.condition, health.findings), (Condition::Healthy, Vec::new()));
}

#[tokio::test]
async fn rows_without_a_vector_are_counted_exactly_where_that_is_cheap() {
    let fixture = Fixture::flushed();
    fixture.log(4, 2, "d", Some([1.0, 1.0]), None);
    fixture.log(5, 1, "e", Some([1.0, 1.0]), None);
    fixture.set_max(METADATA, 5);
    ["d", "e", "f"].iter().for_each(|id| fixture.add_row(id, &[]));
    let health = health(&fixture).await;
    found(&health, "rows_without_vector", Severity::Error, &["drawers: 2 of 6 rows", "3 elements", "2 vectors"]);
    let drawers = &state(&fixture).await["collections"]["drawers"];
    assert_eq!((&drawers["rows_without_vector"], &drawers["rows_without_vector_is_exact"]), (&2.into(), &true.into()));
}

#[tokio::test]
async fn rows_without_a_vector_are_estimated_where_counting_is_dear() {
    let fixture = Fixture::flushed();
    fixture.log(3, 2, "c", None, None);
    many_rows(&fixture);
    let health = health(&fixture).await;
    found(&health, "rows_without_vector", Severity::Error, &["at least 20001 of 20004 rows"]);
    let drawers = &state(&fixture).await["collections"]["drawers"];
    assert_eq!(drawers["rows_without_vector_is_exact"], false);
}

#[tokio::test]
async fn an_index_that_is_being_written_is_not_judged() {
    let fixture = Fixture::flushed();
    fixture.add_row("d", &[]);
    let path = fixture.segment().join("index_metadata.pickle");
    age(&path, Duration::ZERO);
    not_found(&health(&fixture).await, "rows_without_vector");
}

#[tokio::test]
async fn a_missing_id_map_is_worse_without_the_log() {
    let fixture = Fixture::flushed();
    fixture.log(3, 2, "c", Some([1.0, 1.0]), None);
    std::fs::remove_file(fixture.segment().join("index_metadata.pickle")).unwrap();
    found(&health(&fixture).await, "index_missing", Severity::Error, &["id map", "of 3 rows the log has 1 vectors"]);
    fixture.log(1, 2, "a", Some([1.0, 1.0]), None);
    fixture.log(2, 2, "b", Some([1.0, 1.0]), None);
    let intact = health(&fixture).await;
    found(&intact, "index_missing", Severity::Warning, &["the log still has the vectors of all 3 rows"]);
    not_found(&intact, "rows_without_vector");
}

#[tokio::test]
async fn an_index_that_is_full_and_too_small_is_told() {
    let fixture = Fixture::flushed();
    fixture.log(3, 2, "c", None, None);
    fixture.write("header.bin", &header_bytes(2, 3, 3));
    not_found(&health(&fixture).await, "index_capped");
    fixture.add_row("d", &[]);
    found(&health(&fixture).await, "index_capped", Severity::Error, &["room for 3 elements", "4 rows"]);
}

#[tokio::test]
async fn empty_link_lists_of_an_index_with_elements_are_told() {
    let fixture = Fixture::flushed();
    fixture.write("link_lists.bin", b"");
    found(&health(&fixture).await, "link_lists_empty", Severity::Error, &["3 elements", "read here all the same"]);
    assert_eq!(fixture.scan(10).await.unwrap().len(), 3);
    fixture.write("link_lists.bin", &[0; 12]);
    not_found(&health(&fixture).await, "link_lists_empty");
}

#[tokio::test]
async fn link_lists_that_outgrow_the_vectors_are_told_with_what_they_take_on_the_disk() {
    let fixture = Fixture::flushed();
    fixture.write("link_lists.bin", &[0; 4440]);
    // 444 bytes of vectors.
    not_found(&health(&fixture).await, "link_lists_runaway");
    fixture.write("link_lists.bin", &[0; 4441]);
    found(&health(&fixture).await, "link_lists_runaway", Severity::Warning, &["4.3 KiB long", "10 times", "444 bytes"]);
    File::options().write(true).open(fixture.segment().join("link_lists.bin")).unwrap().set_len(300 << 30).unwrap();
    found(&health(&fixture).await, "link_lists_runaway", Severity::Warning, &["300.0 GiB long", "KiB on the disk"]);
}

#[tokio::test]
async fn a_threshold_that_is_never_reached_strands_what_waits_for_it() {
    let fixture = Fixture::empty();
    let threshold = |value: i64| {
        let sql = "INSERT OR REPLACE INTO collection_metadata (collection_id, key, int_value)
                   SELECT id, 'hnsw:sync_threshold', ?1 FROM collections";
        fixture.database.execute(sql, [value]).unwrap();
    };
    fixture.add_row("a", &[]);
    fixture.log(1, 2, "a", Some([1.0, 1.0]), None);
    fixture.set_max(METADATA, 1);
    let usual = health(&fixture).await;
    found(&usual, "queue_stranded", Severity::Info, &["1 operations wait in the log until 1000 have come"]);
    assert_eq!(usual.condition, Condition::Healthy);
    threshold(50_000);
    found(&health(&fixture).await, "queue_stranded", Severity::Warning, &["until 50000", "which may be for ever"]);
    assert_eq!(state(&fixture).await["collections"]["drawers"]["sync_threshold"], 50_000);
}

#[tokio::test]
async fn a_log_that_the_index_no_longer_keeps_up_with_is_told() {
    let fixture = Fixture::flushed();
    let topic = format!("persistent://default/default/{}", crate::read::fixture::COLLECTION);
    let sql = "WITH RECURSIVE n(n) AS (SELECT 4 UNION ALL SELECT n + 1 FROM n WHERE n < 3004)
               INSERT INTO embeddings_queue (seq_id, operation, topic, id) SELECT n, 1, ?1, 'a' FROM n";
    fixture.database.execute(sql, [topic]).unwrap();
    fixture.set_max(METADATA, 3004);
    found(&health(&fixture).await, "queue_overdue", Severity::Warning, &["3001 operations wait", "every 1000"]);
}

#[tokio::test]
async fn indexes_set_aside_are_told_with_their_age_and_size() {
    let fixture = Fixture::flushed();
    for name in [format!("{VECTOR}.drift-20260101-000000"), format!("{VECTOR}.corrupt-20200101-120000")] {
        std::fs::create_dir(fixture.path.join(&name)).unwrap();
        std::fs::write(fixture.path.join(&name).join("data_level0.bin"), [0; 1024]).unwrap();
    }
    std::fs::create_dir(fixture.path.join("notes.drift-20260101-000000")).unwrap();
    let health = health(&fixture).await;
    let finding = found(&health, "quarantined_index", Severity::Warning, &["set 2 vector index(es) aside", "2.0 KiB"]);
    assert!(finding.summary.contains(" days to ") && finding.summary.contains(" days old"), "{}", finding.summary);
}

#[tokio::test]
async fn leftover_journals_are_told_once_they_are_old() {
    let fixture = Fixture::flushed();
    for kind in ["journal", "wal"] {
        let path = fixture.path.join(format!("chroma.sqlite3-{kind}"));
        let name = format!("leftover_{kind}");
        std::fs::write(&path, [0; 512]).unwrap();
        not_found(&health(&fixture).await, &name);
        age(&path, Duration::from_secs(3 * 86_400));
        found(&health(&fixture).await, &name, Severity::Warning, &["512 bytes, 3 days old"]);
    }
}

#[tokio::test]
async fn a_full_text_index_that_lacks_a_part_is_told() {
    let with = |sql: &'static str| async move {
        let fixture = Fixture::flushed();
        let index = "CREATE VIRTUAL TABLE embedding_fulltext_search USING fts5(string_value, tokenize='trigram');
                     INSERT INTO embedding_fulltext_search (rowid, string_value) VALUES (1, 'Ada'), (2, 'Grace');";
        fixture.database.execute_batch(index).unwrap();
        fixture.database.execute_batch(sql).unwrap();
        health(&fixture).await
    };
    not_found(&with("").await, "fulltext_broken");
    not_found(&with("DELETE FROM embedding_fulltext_search").await, "fulltext_broken");
    let gone = with("DELETE FROM embedding_fulltext_search_data WHERE id = 10").await;
    found(&gone, "fulltext_broken", Severity::Warning, &["1 of its two head records are gone"]);
    let uncounted = with("DELETE FROM embedding_fulltext_search_docsize WHERE id = 2").await;
    found(&uncounted, "fulltext_broken", Severity::Warning, &["last document is 2, the last it has counted 1"]);
    let no_table = with(
        "PRAGMA writable_schema = ON;
                         DELETE FROM sqlite_master WHERE name = 'embedding_fulltext_search_idx'",
    )
    .await;
    found(&no_table, "fulltext_broken", Severity::Warning, &["its table idx is gone"]);
}

#[tokio::test]
async fn a_sequence_number_beyond_the_log_is_told_with_what_will_be_ignored() {
    let fixture = Fixture::flushed();
    fixture.log(3, 2, "c", None, None);
    fixture.set_max(METADATA, 53);
    found(
        &health(&fixture).await,
        "sequence_beyond_log",
        Severity::Error,
        &["the next 50 operations on it are ignored"],
    );
}

#[test]
fn who_holds_the_writers_lock_is_told() {
    let holder = Holder { pid: Some(7), command: Some("mempalace serve".to_owned()) };
    assert_eq!(holder.to_string(), "process 7 (mempalace serve)");
    let (fixture, home) = (Fixture::flushed(), tempfile::tempdir().unwrap());
    assert_eq!(lock_holder(home.path(), &fixture.path), None);
    let freeze = crate::writer_lock::freeze_in(home.path(), &fixture.path).unwrap();
    let finding = lock_holder(home.path(), &fixture.path);
    if cfg!(target_os = "linux") {
        let finding = finding.unwrap();
        assert_eq!((finding.name.as_str(), finding.severity), ("writer_lock_held", Severity::Info));
        assert!(finding.summary.contains(&format!("process {} (", std::process::id())), "{}", finding.summary);
    }
    drop(freeze);
    assert_eq!(lock_holder(home.path(), &fixture.path), None);
}
