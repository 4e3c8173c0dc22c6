//! Palaces whose database cannot be read in its place: all rows are read, and nothing in the palace changes.

use crate::ChromaBackend;
use crate::read::fixture::{Fixture, database_of};
use crate::recovered::{Reason, Recovered};
use futures::TryStreamExt;
use palanquin_engine::contract::{
    Backend, ErrorKind, KeyRange, OpenMode, Palace, PalaceRef, Purpose, ScanOrder, ScanRequest, Standing,
};
use palanquin_engine::rows::RowBatch;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// A copy of everything in a palace, as a crash at this moment would leave it, some minutes later.
fn crash(fixture: &Fixture) -> TempDir {
    let crashed = tempfile::tempdir().unwrap();
    for from in files(&fixture.path).into_keys() {
        let to = crashed.path().join(from.strip_prefix(&fixture.path).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(&from, &to).unwrap();
        age(&to);
    }
    crashed
}

fn age(path: &Path) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(600)).unwrap();
}

/// Every file below a folder, with what is in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            files.insert(path, bytes);
        }
    }
    files
}

/// With a write under way that fills a cache of a few pages, so that pages of it are in the database already.
fn in_the_middle_of_a_write() -> Fixture {
    let fixture = Fixture::flushed();
    fixture.database.execute_batch("PRAGMA cache_size = 5; PRAGMA cache_spill = 5; BEGIN IMMEDIATE").unwrap();
    for i in 0..2000 {
        fixture.add_row(&format!("{i}"), &[("k", "v")]);
    }
    fixture
}

/// With a row that is in the write-ahead log alone, and has no vector.
fn in_write_ahead_mode() -> Fixture {
    let fixture = Fixture::flushed();
    fixture.database.execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0").unwrap();
    fixture.add_row("d", &[("wing", "w")]);
    fixture
}

async fn open(path: &Path) -> Arc<dyn Palace> {
    ChromaBackend::new().open(&PalaceRef::local(path), OpenMode::Read.into()).await.unwrap()
}

async fn ids(palace: &dyn Palace) -> Vec<String> {
    let request = ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows: 100 };
    let drawers = palace.collection("drawers").await.unwrap();
    let batches: Vec<RowBatch> = drawers.scan(request).try_collect().await.unwrap();
    batches.iter().flat_map(|batch| batch.rows().map(|row| row.id.to_owned()).collect::<Vec<_>>()).collect()
}

async fn findings(palace: &dyn Palace) -> Vec<String> {
    palace.health().await.findings.into_iter().map(|finding| finding.name).collect()
}

#[tokio::test]
async fn a_write_that_was_interrupted_is_undone_in_a_copy_and_every_row_is_read() {
    let crashed = crash(&in_the_middle_of_a_write());
    let before = files(crashed.path());
    let palace = open(crashed.path()).await;
    assert_eq!(ids(palace.as_ref()).await, ["a", "b", "c"]);
    assert_eq!(palace.collections().await.unwrap()[0].rows, 3);
    assert!(findings(palace.as_ref()).await.contains(&"leftover_journal".to_owned()));
    let checks = ChromaBackend::new().preflight(&PalaceRef::local(crashed.path()), Purpose::Source).await;
    assert!(checks.iter().all(|check| check.standing != Standing::Fails), "{checks:?}");
    drop(palace);
    assert_eq!(files(crashed.path()), before);
}

#[tokio::test]
async fn what_is_in_a_write_ahead_log_alone_is_read_from_a_copy() {
    let fixture = in_write_ahead_mode();
    let crashed = crash(&fixture);
    let before = files(crashed.path());
    assert!(before.contains_key(&crashed.path().join("chroma.sqlite3-wal")));
    let palace = open(crashed.path()).await;
    assert_eq!(ids(palace.as_ref()).await, ["a", "b", "c", "d"]);
    let found = findings(palace.as_ref()).await;
    assert!(
        ["write_ahead_mode", "leftover_wal", "rows_without_vector"].iter().all(|name| found.iter().any(|f| f == name))
    );
    drop(palace);
    assert_eq!(files(crashed.path()), before);
}

#[tokio::test]
async fn a_palace_that_is_written_after_it_was_copied_is_not_read_on() {
    let crashed = crash(&in_the_middle_of_a_write());
    let palace = open(crashed.path()).await;
    assert_eq!(palace.collections().await.unwrap().len(), 1);
    // What MemPalace's next start does.
    let database = rusqlite::Connection::open(database_of(crashed.path())).unwrap();
    let rows: i64 = database.query_row("SELECT count(*) FROM embeddings", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 3);
    assert_eq!(palace.collections().await.unwrap_err().kind(), ErrorKind::BackendClosed);
    assert_eq!(ids(open(crashed.path()).await.as_ref()).await, ["a", "b", "c"]);
}

#[test]
fn a_private_copy_is_for_its_user_alone_and_goes_with_its_last_handle() {
    use std::os::unix::fs::PermissionsExt;
    let crashed = crash(&in_write_ahead_mode());
    let copy = Recovered::of(crashed.path(), Reason::WriteAhead).unwrap();
    let folder = copy.database().parent().unwrap().to_owned();
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(copy.database().exists());
    drop(copy);
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_journal_that_names_another_file_is_refused_and_that_file_left_alone() {
    let crashed = crash(&in_the_middle_of_a_write());
    let other = crashed.path().join("other");
    std::fs::write(&other, "mine").unwrap();
    let name = other.to_str().unwrap().as_bytes();
    // As SQLite ends a journal of a transaction over several databases: a page number, the name, its length, its sum, a mark.
    let lock_page = (1_u32 << 30) / 4096 + 1;
    let sum = name.iter().fold(0_u32, |sum, byte| sum.wrapping_add(u32::from(*byte)));
    let mark = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    let length = name.len() as u32;
    let end =
        [&lock_page.to_be_bytes()[..], name, &length.to_be_bytes()[..], &sum.to_be_bytes()[..], &mark[..]].concat();
    let journal = crashed.path().join("chroma.sqlite3-journal");
    let bytes = [std::fs::read(&journal).unwrap(), end].concat();
    std::fs::write(&journal, bytes).unwrap();
    age(&journal);
    let opened = ChromaBackend::new().open(&PalaceRef::local(crashed.path()), OpenMode::Read.into()).await;
    assert_eq!(opened.err().unwrap().kind(), ErrorKind::UnsupportedFormat);
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "mine");
}
