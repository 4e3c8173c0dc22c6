use crate::ChromaBackend;
use crate::read::fixture::{Fixture, METADATA, VECTOR, database_of};
use palanquin_engine::contract::{Backend, Condition, Error, ErrorKind, OpenMode, Palace, PalaceRef, Result, Severity};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

async fn open(path: &Path) -> Result<Arc<dyn Palace>> {
    ChromaBackend::new().open(&PalaceRef::local(path), OpenMode::Read.into()).await
}

async fn refusal(path: &Path) -> Error {
    match open(path).await {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error,
    }
}

#[track_caller]
fn assert_says(error: &Error, kind: ErrorKind, words: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

/// The error of a scan; damage must not cost more than a moment.
async fn scan_error(fixture: &Fixture) -> Error {
    let begun = Instant::now();
    let error = fixture.scan(10).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_millis(900), "{error} after {:?}", begun.elapsed());
    assert!(error.to_string().contains("drawers"), "{error}");
    error
}

#[tokio::test]
async fn a_path_where_nothing_is() {
    let error = refusal(Path::new("/nonexistent/palace")).await;
    assert_says(&error, ErrorKind::PalaceNotFound, "/nonexistent/palace: there is nothing at this path");
}

#[tokio::test]
async fn a_path_that_is_a_file_or_leads_through_one() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert_says(&refusal(file.path()).await, ErrorKind::NotAPalace, "is a file");
    assert_says(&refusal(&file.path().join("x")).await, ErrorKind::PalaceNotFound, "a part of this path is a file");
}

#[tokio::test]
async fn a_directory_without_a_database() {
    let folder = tempfile::tempdir().unwrap();
    assert_says(&refusal(folder.path()).await, ErrorKind::PalaceNotFound, "holds no chroma.sqlite3");
    std::fs::create_dir(database_of(folder.path())).unwrap();
    assert_says(&refusal(folder.path()).await, ErrorKind::NotAPalace, "not a regular file");
}

#[tokio::test]
async fn a_database_file_that_is_empty_or_something_else() {
    let folder = tempfile::tempdir().unwrap();
    for (bytes, words) in [(&b""[..], "is empty"), (b"SQLite", "not an SQLite database"), (&[7; 9000], "not an SQLite")]
    {
        std::fs::write(database_of(folder.path()), bytes).unwrap();
        assert_says(&refusal(folder.path()).await, ErrorKind::NotAPalace, words);
        assert!(!ChromaBackend::new().detect(folder.path()));
    }
}

#[tokio::test]
async fn a_truncated_database() {
    let fixture = Fixture::flushed();
    let path = database_of(&fixture.path);
    let bytes = std::fs::read(&path).unwrap();
    for size in [20, 100, 4096, 5000, bytes.len() / 2, bytes.len() - 4096] {
        std::fs::write(&path, &bytes[..size]).unwrap();
        let error = match open(&fixture.path).await {
            Err(error) => error,
            Ok(_) => fixture.scan(10).await.unwrap_err(),
        };
        assert_says(&error, ErrorKind::Corrupt, "chroma.sqlite3 is damaged");
    }
}

#[tokio::test]
async fn an_sqlite_database_that_is_not_chromas() {
    let fixture = Fixture::empty();
    fixture.database.execute_batch("DROP TABLE segments; DROP TABLE max_seq_id").unwrap();
    assert_says(&refusal(&fixture.path).await, ErrorKind::NotAPalace, "it has no table max_seq_id, segments");
}

#[tokio::test]
async fn a_schema_that_is_newer_older_or_unknown() {
    let cases = [
        ("INSERT INTO migrations VALUES ('sysdb', 11, '', '', '')", "sysdb 11, known up to 10"),
        ("INSERT INTO migrations VALUES ('metadb', 7, '', '', '')", "metadb 7"),
        ("INSERT INTO migrations VALUES ('blockstore', 1, '', '', '')", "blockstore 1"),
        ("UPDATE migrations SET version = 1 WHERE dir = 'sysdb'", "too old: sysdb 1"),
    ];
    for (sql, words) in cases {
        let fixture = Fixture::empty();
        fixture.database.execute_batch(sql).unwrap();
        assert_says(&refusal(&fixture.path).await, ErrorKind::UnsupportedFormat, words);
    }
}

#[tokio::test]
async fn vector_files_that_end_too_early_or_are_missing() {
    for (name, size) in
        [("data_level0.bin", 300), ("length.bin", 8), ("header.bin", 99), ("index_metadata.pickle", 150)]
    {
        let fixture = Fixture::flushed();
        let bytes = std::fs::read(fixture.segment().join(name)).unwrap();
        fixture.write(name, &bytes[..size]);
        assert_says(&scan_error(&fixture).await, ErrorKind::Corrupt, name);
    }
    for name in ["data_level0.bin", "length.bin"] {
        let fixture = Fixture::flushed();
        std::fs::remove_file(fixture.segment().join(name)).unwrap();
        assert_says(&scan_error(&fixture).await, ErrorKind::Corrupt, name);
    }
}

#[tokio::test]
async fn a_header_that_lies() {
    for (at, value) in [(0, 9), (20, 4), (25, 1), (28, 0), (44, 0), (68, 9)] {
        let fixture = Fixture::flushed();
        let mut bytes = std::fs::read(fixture.segment().join("header.bin")).unwrap();
        bytes[at] = value;
        fixture.write("header.bin", &bytes);
        assert_says(&scan_error(&fixture).await, ErrorKind::Corrupt, "header.bin");
    }
}

#[tokio::test]
async fn a_pickle_that_is_garbage_or_names_code() {
    for bytes in [&b""[..], b"garbage", b"cos\nsystem\n(S'true'\ntR.", b"\x80\x04}\x94."] {
        let fixture = Fixture::flushed();
        fixture.write("index_metadata.pickle", bytes);
        assert_says(&scan_error(&fixture).await, ErrorKind::Corrupt, "index_metadata.pickle");
    }
}

#[tokio::test]
async fn an_index_whose_labels_contradict_its_elements() {
    let fixture = Fixture::flushed();
    let mut bytes = std::fs::read(fixture.segment().join("data_level0.bin")).unwrap();
    bytes[2] |= 1;
    fixture.write("data_level0.bin", &bytes);
    assert_says(&scan_error(&fixture).await, ErrorKind::Corrupt, "as deleted");
    bytes[140] = 77;
    fixture.write("data_level0.bin", &bytes);
    assert_says(&scan_error(&fixture).await, ErrorKind::Corrupt, "label");
}

#[tokio::test]
async fn a_log_that_is_malformed() {
    let cases = [
        ("UPDATE embeddings_queue SET vector = x'00'", "1 bytes instead of 8"),
        ("UPDATE embeddings_queue SET encoding = 'INT32'", "INT32"),
        ("UPDATE embeddings_queue SET operation = 9", "operation 9"),
        ("UPDATE embeddings_queue SET vector = 'text'", "malformed"),
        ("UPDATE max_seq_id SET seq_id = 'x'", "sequence number"),
        ("UPDATE embeddings SET embedding_id = CAST(x'ff' AS TEXT)", "UTF-8"),
        ("UPDATE embedding_metadata SET int_value = 'x', string_value = NULL WHERE key = 'wing'", "type"),
    ];
    for (sql, words) in cases {
        let fixture = Fixture::flushed();
        fixture.log(4, 2, "a", Some([1.0, 1.0]), None);
        fixture.set_max(METADATA, 4);
        fixture.database.execute("DELETE FROM embeddings WHERE embedding_id <> 'a'", []).unwrap();
        fixture.database.execute_batch(sql).unwrap();
        assert_says(&scan_error(&fixture).await, ErrorKind::Corrupt, words);
    }
}

#[tokio::test]
async fn a_collection_that_lacks_a_segment_fails_alone() {
    let fixture = Fixture::flushed();
    fixture.database.execute("DELETE FROM segments WHERE scope = 'VECTOR'", []).unwrap();
    assert_says(&fixture.scan(10).await.unwrap_err(), ErrorKind::Corrupt, "no vector segment");
    assert_eq!(open(&fixture.path).await.unwrap().collections().await.unwrap().len(), 1);
    let fixture = Fixture::flushed();
    fixture.database.execute("UPDATE segments SET id = '../../x' WHERE scope = 'VECTOR'", []).unwrap();
    assert_says(&fixture.scan(10).await.unwrap_err(), ErrorKind::Corrupt, "malformed");
}

#[tokio::test]
async fn a_writer_that_keeps_the_lock_makes_the_palace_busy() {
    let fixture = Fixture::flushed();
    let collection = fixture.open().await.unwrap();
    fixture.database.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let error = collection.count().await.unwrap_err();
    assert_says(&error, ErrorKind::Busy, "locked by a writer");
}

#[tokio::test]
async fn files_that_may_not_be_read() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::flushed();
    let locked = |path: &Path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o000)).unwrap();
    let pickle = fixture.segment().join("index_metadata.pickle");
    locked(&pickle);
    if std::fs::File::open(&pickle).is_ok() {
        eprintln!("not checked: this user may read every file");
        return;
    }
    assert_says(&scan_error(&fixture).await, ErrorKind::PermissionDenied, "index_metadata.pickle");
    locked(&database_of(&fixture.path));
    assert_says(&refusal(&fixture.path).await, ErrorKind::PermissionDenied, "chroma.sqlite3");
}

#[tokio::test]
async fn what_a_directory_cannot_do_is_refused() {
    let fixture = Fixture::flushed();
    let backend = ChromaBackend::new();
    let namespaced = PalaceRef { namespace: Some("team".into()), ..PalaceRef::local(&fixture.path) };
    let error = backend.open(&namespaced, OpenMode::Read.into()).await.map(drop).unwrap_err();
    assert_says(&error, ErrorKind::UnsupportedCapability, "namespace");
    let nowhere = PalaceRef { id: "x".into(), local_path: None, namespace: None };
    let error = backend.open(&nowhere, OpenMode::Read.into()).await.map(drop).unwrap_err();
    assert_says(&error, ErrorKind::PalaceNotFound, "needs its path");
    let palace = open(&fixture.path).await.unwrap();
    let error = palace.collection("closets").await.map(drop).unwrap_err();
    assert_says(&error, ErrorKind::CollectionNotInitialized, "there are drawers");
}

#[tokio::test]
async fn health_names_what_is_wrong_and_is_quiet_otherwise() {
    let fixture = Fixture::flushed();
    fixture.log(3, 2, "c", None, None);
    let palace = open(&fixture.path).await.unwrap();
    assert_eq!(palace.health().await.condition, Condition::Healthy);

    std::fs::create_dir(fixture.path.join(format!("{VECTOR}.drift-20260101-000000"))).unwrap();
    std::fs::remove_dir_all(fixture.segment()).unwrap();
    let journal = fixture.path.join("chroma.sqlite3-journal");
    fixture
        .database
        .execute("INSERT INTO embedding_metadata_array VALUES (99, 'k', 'x', NULL, NULL, NULL)", [])
        .unwrap();
    fixture.set_max(METADATA, 9_000_000);
    std::fs::write(&journal, [0; 512]).unwrap();
    let file = std::fs::File::options().write(true).open(&journal).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(600)).unwrap();
    let health = palace.health().await;
    let names: Vec<&str> = health.findings.iter().map(|finding| finding.name.as_str()).collect();
    for name in
        ["index_missing", "sequence_beyond_log", "quarantined_index", "leftover_journal", "leaked_list_metadata"]
    {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    assert_eq!((health.condition, health.findings[0].severity), (Condition::Degraded, Severity::Error));
    std::fs::remove_file(database_of(&fixture.path)).unwrap();
    assert_eq!(palace.health().await.condition, Condition::Unavailable);
}

#[tokio::test]
async fn the_maintenance_state_has_the_stores_own_figures() {
    let fixture = Fixture::flushed();
    fixture.log(3, 2, "c", None, None);
    let state = open(&fixture.path).await.unwrap().maintenance_state().await.unwrap();
    let drawers = &state["collections"]["drawers"];
    for (key, value) in [("rows", 3), ("queue_rows", 1), ("max_seq_id_vector", 3), ("hnsw_elements", 3)] {
        assert_eq!(drawers[key], value, "{key}");
    }
    assert!(state["sqlite_bytes"].as_u64() > Some(0));
}
