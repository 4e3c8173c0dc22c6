//! Palaces in every condition operators have met: each gives all its rows, or says exactly which of them lack what.

use crate::ChromaBackend;
use crate::read::fixture::{Fixture, METADATA, VECTOR, database_of};
use futures::TryStreamExt;
use palanquin_engine::contract::{
    Backend, Check, ErrorKind, Finding, KeyRange, OpenMode, PalaceRef, Purpose, Result, ScanOrder, ScanRequest,
    Severity, Standing,
};
use palanquin_engine::rows::RowBatch;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A row as it was read: its id, its vector, and where that was salvaged from, if it was.
type Read = (String, Option<Vec<f32>>, Option<(String, bool)>);

async fn read_by(backend: ChromaBackend, palace: &Path) -> Result<Vec<Read>> {
    let palace = backend.open(&PalaceRef::local(palace), OpenMode::Read.into()).await?;
    let collection = palace.collection("drawers").await?;
    let request = ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows: 2 };
    let batches: Vec<RowBatch> = collection.scan(request).try_collect().await?;
    let mut read = Vec::new();
    for batch in &batches {
        for (at, row) in batch.rows().enumerate() {
            let salvaged = batch.salvaged().iter().find(|one| one.row == at);
            let salvaged = salvaged.map(|one| (one.origin.to_string(), one.is_current));
            read.push((row.id.to_owned(), row.embedding.map(<[f32]>::to_vec), salvaged));
        }
    }
    Ok(read)
}

async fn read(fixture: &Fixture) -> Vec<Read> {
    read_by(ChromaBackend::new(), &fixture.path).await.unwrap()
}

async fn salvage(fixture: &Fixture) -> Vec<Read> {
    read_by(ChromaBackend::salvaging(), &fixture.path).await.unwrap()
}

/// Ids of the rows there are, and of those that lack a vector.
fn ids(rows: &[Read]) -> (String, String) {
    let lacking = rows.iter().filter(|(_, vector, _)| vector.is_none());
    (rows.iter().map(|row| row.0.as_str()).collect(), lacking.map(|row| row.0.as_str()).collect())
}

/// The findings that are warnings or worse: name, severity, rows listed.
async fn wrong(fixture: &Fixture) -> Vec<(String, Severity, String)> {
    let palace = ChromaBackend::new().open(&PalaceRef::local(&fixture.path), OpenMode::Read.into()).await.unwrap();
    let mut findings: Vec<Finding> = palace.health().await.findings;
    findings.retain(|finding| finding.severity >= Severity::Warning);
    findings.into_iter().map(|finding| (finding.name, finding.severity, finding.rows.concat())).collect()
}

fn one(name: &str, severity: Severity, rows: &str) -> Vec<(String, Severity, String)> {
    vec![(name.to_owned(), severity, rows.to_owned())]
}

async fn preflight(backend: ChromaBackend, palace: &Path) -> Vec<Check> {
    backend.preflight(&PalaceRef::local(palace), Purpose::Source).await
}

/// Three rows in the index, the newest operation in the log, as Chroma leaves it.
fn sound() -> Fixture {
    let fixture = Fixture::flushed();
    fixture.log(3, 2, "c", None, None);
    fixture
}

fn age(path: &Path, by: Duration) {
    File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - by).unwrap();
}

#[tokio::test]
async fn link_lists_of_no_bytes_cost_no_vector() {
    let fixture = sound();
    fixture.write("link_lists.bin", b"");
    assert_eq!(ids(&read(&fixture).await), ("abc".into(), String::new()));
    assert_eq!(wrong(&fixture).await, one("link_lists_empty", Severity::Error, ""));
}

#[tokio::test]
async fn link_lists_of_four_hundred_gigabytes_cost_no_vector_and_are_not_read() {
    let fixture = sound();
    let file = File::options().write(true).open(fixture.segment().join("link_lists.bin")).unwrap();
    file.set_len(400 << 30).unwrap();
    assert_eq!(ids(&read(&fixture).await), ("abc".into(), String::new()));
    assert_eq!(wrong(&fixture).await, one("link_lists_runaway", Severity::Warning, ""));
    let palace = ChromaBackend::new().open(&PalaceRef::local(&fixture.path), OpenMode::Read.into()).await.unwrap();
    let state = &palace.maintenance_state().await.unwrap()["collections"]["drawers"];
    assert!(state["hnsw_link_lists_per_data"].as_f64() > Some(900_000_000.0), "{state}");
    assert!(state["hnsw_link_lists_allocated_bytes"].as_u64() < Some(1 << 20), "{state}");
}

#[tokio::test]
async fn link_lists_that_are_missing_cost_no_vector() {
    let fixture = sound();
    std::fs::remove_file(fixture.segment().join("link_lists.bin")).unwrap();
    assert_eq!(ids(&read(&fixture).await), ("abc".into(), String::new()));
    assert_eq!(wrong(&fixture).await, one("link_lists_missing", Severity::Error, ""));
}

#[tokio::test]
async fn a_missing_id_map_costs_no_vector_while_the_log_is_intact() {
    let fixture = Fixture::flushed();
    for (seq, id) in (1..).zip(["a", "b", "c"]) {
        fixture.log(seq, 2, id, Some([seq as f32, 1.0]), None);
    }
    std::fs::remove_file(fixture.segment().join("index_metadata.pickle")).unwrap();
    let rows = read(&fixture).await;
    assert_eq!(ids(&rows), ("abc".into(), String::new()));
    assert_eq!(rows[1].1, Some(vec![2.0, 1.0]));
    assert_eq!(wrong(&fixture).await, one("index_missing", Severity::Warning, ""));
}

#[tokio::test]
async fn a_missing_id_map_and_a_purged_log_cost_exactly_the_vectors_that_were_only_in_the_index() {
    let fixture = sound();
    fixture.log(4, 2, "b", Some([9.0, 1.0]), None);
    fixture.set_max(METADATA, 4);
    std::fs::remove_file(fixture.segment().join("index_metadata.pickle")).unwrap();
    assert_eq!(ids(&read(&fixture).await), ("abc".into(), "ac".into()));
    let mut expected = one("index_missing", Severity::Error, "");
    expected.extend(one("rows_without_vector", Severity::Error, "ac"));
    assert_eq!(wrong(&fixture).await, expected);
}

#[tokio::test]
async fn an_index_that_was_capped_costs_exactly_the_rows_beyond_it() {
    let fixture = sound();
    fixture.write("header.bin", &crate::layout::header::tests::header_bytes(2, 3, 3));
    fixture.add_row("d", &[]);
    fixture.add_row("e", &[]);
    assert_eq!(ids(&read(&fixture).await), ("abcde".into(), "de".into()));
    let mut expected = one("rows_without_vector", Severity::Error, "de");
    expected.extend(one("index_capped", Severity::Error, ""));
    assert_eq!(wrong(&fixture).await, expected);
}

#[tokio::test]
async fn a_broken_full_text_index_costs_nothing() {
    let fixture = sound();
    let index = "CREATE VIRTUAL TABLE embedding_fulltext_search USING fts5(string_value, tokenize='trigram');
                 INSERT INTO embedding_fulltext_search (rowid, string_value) VALUES (1, 'Ada');
                 DELETE FROM embedding_fulltext_search_data;";
    fixture.database.execute_batch(index).unwrap();
    assert_eq!(ids(&read(&fixture).await), ("abc".into(), String::new()));
    assert_eq!(wrong(&fixture).await, one("fulltext_broken", Severity::Warning, ""));
}

#[tokio::test]
async fn journals_left_over_that_hold_nothing_cost_nothing() {
    for kind in ["journal", "wal"] {
        let fixture = sound();
        let path = fixture.path.join(format!("chroma.sqlite3-{kind}"));
        // What a commit in Chroma's mode may leave: a header of zeros, which is no journal.
        std::fs::write(&path, [0; 512]).unwrap();
        age(&path, Duration::from_secs(600));
        assert_eq!(ids(&read(&fixture).await), ("abc".into(), String::new()), "{kind}");
        assert_eq!(wrong(&fixture).await, one(&format!("leftover_{kind}"), Severity::Warning, ""));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 512, "{kind} was touched");
    }
}

#[tokio::test]
async fn an_index_set_aside_is_left_alone_unless_its_vectors_are_asked_for() {
    let fixture = sound();
    fixture.quarantine("drift-20260101-000000");
    assert_eq!(ids(&read(&fixture).await), ("abc".into(), "abc".into()));
    let origin = format!("{VECTOR}.drift-20260101-000000");
    let rows = salvage(&fixture).await;
    let vectors = [[2.0, 0.0], [3.0, 4.0], [0.0, 3.0]];
    for (row, vector) in rows.iter().zip(vectors) {
        assert_eq!((row.1.as_deref(), &row.2), (Some(&vector[..]), &Some((origin.clone(), false))), "{}", row.0);
    }
    assert_eq!(rows.len(), 3);
}

#[tokio::test]
async fn a_salvaged_vector_is_called_current_only_where_that_is_proven() {
    // The operation the index had come to was logged so long ago; its files were written a minute ago.
    let made = |seconds: i64| {
        let fixture = sound();
        let sql = "UPDATE embeddings_queue SET created_at = datetime('now', ?1)";
        fixture.database.execute(sql, [format!("-{seconds} seconds")]).unwrap();
        made_now(&fixture.quarantine("drift"));
        fixture
    };
    let is_current = |rows: &[Read]| rows.iter().map(|row| row.2.as_ref().unwrap().1).collect::<Vec<_>>();
    let fixture = made(120);
    assert_eq!(is_current(&salvage(&fixture).await), [true; 3]);

    // A row was changed since, without a vector.
    fixture.database.execute("UPDATE embeddings SET seq_id = 4 WHERE embedding_id = 'b'", []).unwrap();
    fixture.log(4, 1, "b", None, Some(r#"{"wing":"x"}"#));
    fixture.set_max(METADATA, 4);
    assert_eq!(is_current(&salvage(&fixture).await), [true, false, true]);

    // Another index was written since, and is lost: the operation that one came to is younger than these files.
    let fixture = made(30);
    assert_eq!(is_current(&salvage(&fixture).await), [false; 3]);

    // The log does not tell any more.
    let fixture = made(120);
    fixture.database.execute("DELETE FROM embeddings_queue", []).unwrap();
    assert_eq!(is_current(&salvage(&fixture).await), [false; 3]);
}

/// Renames a quarantine so that its name says it was made just now.
fn made_now(aside: &Path) {
    let now = "SELECT strftime('%Y%m%d-%H%M%S', 'now')";
    let memory = rusqlite::Connection::open_in_memory().unwrap();
    let stamp: String = memory.query_row(now, [], |row| row.get(0)).unwrap();
    std::fs::rename(aside, aside.with_file_name(format!("{VECTOR}.drift-{stamp}"))).unwrap();
}

#[tokio::test]
async fn the_newest_index_that_has_a_sound_vector_is_asked_first() {
    let fixture = sound();
    fixture.quarantine("corrupt-20250101-000000");
    fixture.write_index(&[("b", 1, [0.6, 0.8], 1.0), ("c", 2, [f32::NAN, 0.0], 1.0)]);
    fixture.quarantine("drift-20260101-000000");
    let rows = salvage(&fixture).await;
    let origins: Vec<&str> = rows.iter().map(|row| row.2.as_ref().unwrap().0.split_once('.').unwrap().1).collect();
    assert_eq!(origins, ["corrupt-20250101-000000", "drift-20260101-000000", "corrupt-20250101-000000"]);
    assert_eq!(rows[1].1, Some(vec![0.6, 0.8]));
    assert_eq!(rows[2].1, Some(vec![0.0, 3.0]));
}

#[tokio::test]
async fn nothing_is_salvaged_from_an_index_of_another_segment_or_width_or_of_stretched_vectors() {
    let fixture = sound();
    let aside = fixture.quarantine("drift-20260101-000000");
    let other = aside.with_file_name(format!("{METADATA}.drift-20260101-000000"));
    std::fs::rename(&aside, &other).unwrap();
    assert_eq!(ids(&salvage(&fixture).await), ("abc".into(), "abc".into()));
    std::fs::rename(&other, &aside).unwrap();
    let data = aside.join("data_level0.bin");
    let mut bytes = std::fs::read(&data).unwrap();
    // The first vector's first component: its length is stored as one.
    bytes[132..136].copy_from_slice(&1.5f32.to_le_bytes());
    std::fs::write(&data, &bytes).unwrap();
    assert_eq!(ids(&salvage(&fixture).await), ("abc".into(), "a".into()));
    std::fs::write(aside.join("header.bin"), crate::layout::header::tests::header_bytes(3, 100, 3)).unwrap();
    assert_eq!(ids(&salvage(&fixture).await), ("abc".into(), "abc".into()));
}

#[tokio::test]
async fn what_the_log_has_goes_before_what_was_set_aside() {
    let fixture = sound();
    fixture.log(4, 2, "a", Some([7.0, 7.0]), None);
    // Chroma drops the update of a vector its index has not; the row is there, and this is its vector.
    fixture.log(5, 1, "b", Some([8.0, 8.0]), None);
    fixture.set_max(METADATA, 5);
    fixture.quarantine("drift-20260101-000000");
    let rows = salvage(&fixture).await;
    assert_eq!((rows[0].1.as_deref(), &rows[0].2), (Some(&[7.0, 7.0][..]), &None));
    assert_eq!((rows[1].1.as_deref(), &rows[1].2), (Some(&[8.0, 8.0][..]), &None));
    assert!(rows[2].2.is_some());
}

#[tokio::test]
async fn an_index_that_cannot_be_read_is_taken_for_lost_by_those_who_salvage() {
    let fixture = sound();
    fixture.quarantine("corrupt-20250101-000000");
    fixture.write_index(&[("a", 1, [1.0, 0.0], 2.0)]);
    fixture.write("index_metadata.pickle", b"garbage");
    let error = read_by(ChromaBackend::new(), &fixture.path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let rows = salvage(&fixture).await;
    assert_eq!(ids(&rows), ("abc".into(), String::new()));
    assert!(rows.iter().all(|row| row.2.as_ref().is_some_and(|(_, is_current)| !is_current)));
}

#[tokio::test]
async fn an_element_that_is_damaged_is_taken_for_lost_by_those_who_salvage() {
    let fixture = sound();
    let mut bytes = std::fs::read(fixture.segment().join("data_level0.bin")).unwrap();
    bytes[2] |= 1;
    fixture.write("data_level0.bin", &bytes);
    assert_eq!(read_by(ChromaBackend::new(), &fixture.path).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(ids(&salvage(&fixture).await), ("abc".into(), "a".into()));
}

#[tokio::test]
async fn preflight_says_what_is_wrong_in_a_sentence_and_what_to_do() {
    let fixture = sound();
    let checks = preflight(ChromaBackend::new(), &fixture.path).await;
    assert!(checks.iter().all(|check| check.standing == Standing::Passes), "{checks:?}");
    let names: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(names, ["readable", "version", "writers", "condition"]);

    fixture.quarantine("drift-20260101-000000");
    let checks = preflight(ChromaBackend::new(), &fixture.path).await;
    let of = |checks: &[Check], name: &str| {
        let check = checks.iter().find(|check| check.name == name).unwrap();
        (check.standing, check.fix.clone().unwrap())
    };
    let (standing, fix) = of(&checks, "rows_without_vector");
    assert!(standing == Standing::Warns && fix.contains("--salvage"), "{fix}");
    let (_, fix) = of(&preflight(ChromaBackend::salvaging(), &fixture.path).await, "rows_without_vector");
    assert!(!fix.contains("--salvage"), "{fix}");

    let nothing = preflight(ChromaBackend::new(), Path::new("/nonexistent")).await;
    assert_eq!((nothing.len(), nothing[0].standing), (1, Standing::Fails));
    std::fs::write(database_of(&fixture.path), b"SQLite format 3\0 and nothing more than that").unwrap();
    assert_eq!(preflight(ChromaBackend::new(), &fixture.path).await[0].standing, Standing::Fails);
}
