//! A disk that is full: told as such, nothing half written, and the same call goes on once there is room.

use crate::database::connect;
use crate::own_server::OwnServer;
use crate::palace::{backend, batch, numbered, rows_of, spec};
use palanquin_engine::contract::{ErrorKind, OpenMode, PalaceRef, Purpose, WriteMode, advice};
use palanquin_postgres::{Dsn, PostgresOptions};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_halts_the_writer_and_the_same_call_goes_on_once_there_is_room() {
    let Some((server, disk)) = OwnServer::with_a_small_disk("24m") else {
        return println!("no file system can be mounted here: the full disk is not tried");
    };
    let admin = connect(&server.dsn()).await;
    admin.batch_execute(&format!("CREATE TABLESPACE small LOCATION '{disk}'")).await.unwrap();
    admin.batch_execute("CREATE DATABASE palaces TABLESPACE small TEMPLATE template0").await.unwrap();
    let dsn = format!("{}/palaces", server.dsn().rsplit_once('/').unwrap().0);
    let client = connect(&dsn).await;
    // What is removed to make room.
    client
        .batch_execute("CREATE TABLE ballast AS SELECT repeat('x', 1900) FROM generate_series(1, 3000)")
        .await
        .unwrap();
    let reference = PalaceRef { id: "palace".into(), local_path: None, namespace: None };
    let options = || PostgresOptions::of(Dsn::parse(&dsn).unwrap());
    let palace = backend(options()).open(&reference, OpenMode::Create.into()).await.unwrap();
    let drawers = palace.create_collection(&spec("mempalace_drawers", 256)).await.unwrap();
    let batches: Vec<_> = (0..20).map(|n| numbered(n * 500..(n + 1) * 500, 256)).collect();
    let mut written = 0;
    let error = loop {
        let mode = if written % 2 == 0 { WriteMode::Append } else { WriteMode::Upsert };
        match drawers.apply(batch(&batches[written]), mode).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < batches.len(), "the disk never fills");
    };
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    assert_eq!(advice::retry_class(error.kind()), advice::RetryClass::Operator);
    assert_eq!(drawers.count().await.unwrap(), written as u64 * 500, "nothing of the last one is there");
    let checks = backend(options()).preflight(&reference, Purpose::Target).await;
    let told = checks.iter().find(|check| check.name == "disk").unwrap();
    assert!(told.found.contains(&disk) || told.found.contains("cannot be told"), "{told:?}");

    for statement in ["DROP TABLE ballast", "VACUUM", "CHECKPOINT"] {
        client.batch_execute(statement).await.unwrap();
    }
    drawers.apply(batch(&batches[written]), WriteMode::Append).await.unwrap();
    assert_eq!(rows_of(drawers.as_ref()).await, batches[..=written].concat());
}
