//! A server whose disk is full: that it may be is told, and the same rows are written once there is room.

use crate::own_server::OwnServer;
use crate::rows::{batch, drawers, numbered, rows_of};
use palanquin_chroma::ServerOptions;
use palanquin_engine::contract::{ErrorKind, WriteMode, advice};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_halts_the_writer_and_the_same_rows_are_written_once_there_is_room() {
    let Some(server) = tokio::task::block_in_place(|| OwnServer::with_a_small_disk("8m")) else {
        return println!("no file system can be mounted here: the full disk is not tried");
    };
    let options = ServerOptions { retries: 0, ..ServerOptions::of(server.url()) };
    let drawers = drawers(options).await;
    // What is removed to make room.
    let ballast = server.palace().join("ballast");
    std::fs::write(&ballast, vec![1; 4 << 20]).unwrap();
    let batches: Vec<_> = (0..100).map(|n| numbered(n * 500..(n + 1) * 500)).collect();
    let mut written = 0;
    let error = loop {
        match drawers.apply(batch(&batches[written]), WriteMode::Upsert).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < batches.len(), "the disk never fills");
    };
    // The server does not say why it cannot write.
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(advice::retry_class(error.kind()), advice::RetryClass::Transient);
    assert!(error.to_string().contains("disk is full"), "{error}");

    std::fs::remove_file(&ballast).unwrap();
    drawers.apply(batch(&batches[written]), WriteMode::Upsert).await.unwrap();
    assert_eq!(rows_of(drawers.as_ref()).await, batches[..=written].concat());
}
