//! A directory as target: what is written through a server of ours is there for whoever opens the directory.

use crate::rows::{DRAWERS, WIDTH, batch, numbered, rows_of, spec};
use palanquin_chroma::{ChromaBackend, freeze};
use palanquin_engine::contract::{
    CollectionSpec, EmbedderIdentity, ErrorKind, LogEntry, OpenMode, Palace, PalaceRef, WriteMode, enforce,
};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

async fn open(path: &Path, mode: OpenMode) -> palanquin_engine::contract::Result<Arc<dyn Palace>> {
    enforce(Arc::new(ChromaBackend::new())).open(&PalaceRef::local(path), mode.into()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_was_written_is_read_back_without_chroma() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("new").join("palace");
    assert_eq!(open(&path, OpenMode::Write).await.err().unwrap().kind(), ErrorKind::PalaceNotFound);
    assert!(!path.exists(), "nothing was made");
    let identity = EmbedderIdentity { model_name: "minilm".into(), dimension: WIDTH };
    let made = CollectionSpec { identity: Some(identity.clone()), ..spec(DRAWERS, "first") };
    let entry = LogEntry::embedder_set(DRAWERS, None, &identity);

    let palace = open(&path, OpenMode::Create).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    let drawers = palace.create_collection(&made).await.unwrap();
    drawers.apply(batch(&numbered(0..2_500)), WriteMode::Append).await.unwrap();
    drawers.apply(batch(&numbered(2_400..2_600)), WriteMode::Upsert).await.unwrap();
    palace.append_to_migration_log(&entry).await.unwrap();
    // MemPalace's writers, and others of ours, wait for as long as it is open.
    assert_eq!(freeze(&path).unwrap_err().kind(), ErrorKind::InUse);
    let again = open(&path, OpenMode::Write).await.expect("one server serves all of this process");
    assert_eq!(again.collection(DRAWERS).await.unwrap().count().await.unwrap(), 2_600);
    drop((drawers, again, palace));
    drop(freeze(&path).expect("nobody holds it once it is closed"));

    let read = open(&path, OpenMode::Read).await.unwrap();
    let drawers = read.collection(DRAWERS).await.unwrap();
    assert_eq!(rows_of(drawers.as_ref()).await, numbered(0..2_600));
    let info = drawers.info().await.unwrap();
    assert_eq!((info.incarnation.as_deref(), info.identity), (Some("first"), Some(identity)));
    assert_eq!((info.dimension, info.metric), (Some(WIDTH), Some(made.metric)));
    assert_eq!(read.migration_log().await.unwrap(), [entry]);
    assert!(read.health().await.findings.is_empty(), "{:?}", read.health().await.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_something_else_is_left_alone() {
    let scratch = tempfile::tempdir().unwrap();
    std::fs::write(scratch.path().join("letter.txt"), "mine").unwrap();
    let file = scratch.path().join("letter.txt");
    for (path, kind) in [(scratch.path(), ErrorKind::NotAPalace), (file.as_path(), ErrorKind::NotAPalace)] {
        for mode in [OpenMode::Write, OpenMode::Create] {
            let error = open(path, mode).await.err().unwrap();
            assert_eq!(error.kind(), kind, "{error}");
        }
    }
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1);
}
