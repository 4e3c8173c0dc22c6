//! Real servers that are killed.

use crate::own_server::OwnServer;
use crate::rows::{batch, drawers, numbered, palace, rows_of};
use palanquin_chroma::ServerOptions;
use palanquin_engine::contract::{Condition, ErrorKind, OpenMode, PalaceRef, WriteMode, advice};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_before_the_server_was_killed_is_there_and_a_replay_completes_the_rest() {
    let server = OwnServer::start();
    let pause = Duration::from_millis(5);
    let options = ServerOptions { retries: 1, pause, ..ServerOptions::of(server.url()) };
    let drawers = drawers(options).await;
    let batches: Vec<_> = (0..60).map(|n| numbered(n * 50..(n + 1) * 50)).collect();
    let (acknowledged, mut seen) = tokio::sync::watch::channel(0_usize);
    let writer = async {
        for (n, rows) in batches.iter().enumerate() {
            let mode = if n % 2 == 0 { WriteMode::Append } else { WriteMode::Upsert };
            if let Err(error) = drawers.apply(batch(rows), mode).await {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                return n;
            }
            acknowledged.send_replace(n + 1);
        }
        panic!("the server died after everything was written");
    };
    let killer = async {
        seen.wait_for(|done| *done >= 5).await.unwrap();
        tokio::task::block_in_place(|| server.kill());
    };
    let (done, ()) = tokio::join!(writer, killer);
    assert!(done >= 5);
    let gone = drawers.count().await.unwrap_err();
    assert_eq!(advice::retry_class(gone.kind()), advice::RetryClass::Transient, "{gone}");

    tokio::task::block_in_place(|| server.restart());
    let found = rows_of(drawers.as_ref()).await;
    assert!(found.len() >= done * 50, "{done} batches were acknowledged, {} rows are there", found.len());
    for rows in &batches[done..] {
        drawers.apply(batch(rows), WriteMode::Upsert).await.unwrap();
    }
    assert_eq!(rows_of(drawers.as_ref()).await, batches.concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_while_it_is_asked_is_not_noticed() {
    let server = OwnServer::start();
    let pause = Duration::from_millis(500);
    let options = ServerOptions { retries: 7, pause, ..ServerOptions::of(server.url()) };
    let palace = palace(options.clone()).await;
    let drawers = drawers(options).await;
    drawers.apply(batch(&numbered(0..100)), WriteMode::Append).await.unwrap();
    tokio::task::block_in_place(|| server.kill());
    let restart = async { tokio::task::block_in_place(|| server.restart()) };
    let write = async { drawers.apply(batch(&numbered(50..150)), WriteMode::Upsert).await };
    let (written, ()) = tokio::join!(write, restart);
    written.unwrap();
    assert_eq!(rows_of(drawers.as_ref()).await, numbered(0..150));
    assert_eq!(palace.health().await.condition, Condition::Healthy);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_from_a_palace_that_is_not() {
    use palanquin_chroma::ChromaServerBackend;
    use palanquin_engine::contract::Backend;
    let reference = PalaceRef { id: "no-such-palace".into(), local_path: None, namespace: None };
    let nobody = ServerOptions { retries: 0, ..ServerOptions::of("http://127.0.0.1:1") };
    let error = ChromaServerBackend::new(nobody).open(&reference, OpenMode::Read.into()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.what().contains("http://127.0.0.1:1"), "{error}");
    let tenant = crate::tenant::Tenant::new();
    let there = ChromaServerBackend::new(tenant.options());
    for mode in [OpenMode::Read, OpenMode::Write] {
        let error = there.open(&reference, mode.into()).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::PalaceNotFound, "{error}");
    }
}
