use super::{Copy, consumer, drawers, followed_by, table_of, until};
use crate::database::Database;
use crate::own_server::OwnServer;
use crate::palace::{batch, numbered, spec};
use futures::TryStreamExt;
use palanquin_engine::contract::{ErrorKind, OpenMode, PalaceRef, Severity, WriteMode, advice};
use palanquin_postgres::{Dsn, PostgresOptions};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Rows as SQL, with a new document in each.
fn touch(table: &str, n: usize) -> String {
    format!("UPDATE {table} SET document = 'touched {n}'")
}

/// Forwards to a server, and cuts each connection off once so many bytes have come from there; never, if 0.
async fn cutting(to: String, after: Arc<AtomicUsize>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let (to, after) = (to.clone(), Arc::clone(&after));
            tokio::spawn(async move {
                let Ok(far) = TcpStream::connect(&to).await else { return };
                let ((mut near_read, mut near_write), (mut far_read, mut far_write)) =
                    (near.into_split(), far.into_split());
                let up = tokio::spawn(async move { tokio::io::copy(&mut near_read, &mut far_write).await.ok() });
                let (mut buffer, mut passed) = (vec![0; 4_096], 0);
                while let Ok(read) = far_read.read(&mut buffer).await {
                    passed += read;
                    let limit = after.load(Ordering::Acquire);
                    if read == 0 || limit > 0 && passed > limit || near_write.write_all(&buffer[..read]).await.is_err()
                    {
                        break;
                    }
                }
                up.abort();
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_anywhere_goes_on_from_the_last_cursor() {
    let database = Database::new().await;
    let address = database.dsn();
    let server = address.split('@').nth(1).unwrap().split('/').next().unwrap().to_owned();
    let after = Arc::new(AtomicUsize::new(0));
    let port = cutting(server.clone(), Arc::clone(&after)).await;
    let options = PostgresOptions {
        sessions: 2,
        ..PostgresOptions::of(Dsn::parse(&address.replace(&server, &format!("127.0.0.1:{port}"))).unwrap())
    };
    let (_palace, drawers) = drawers(options, 64).await;
    drawers.apply(batch(&numbered(0..2_000, 64)), WriteMode::Append).await.unwrap();
    let client = database.client().await;
    let table = table_of(&client, "mempalace_drawers").await;
    let mut copy = Copy::of(drawers.as_ref()).await;
    let mut broken = 0;
    for (n, cut) in [3_000, 20_000, 60_000, 150_000, 400_000].into_iter().enumerate() {
        client.batch_execute(&touch(&table, n)).await.unwrap();
        after.store(cut, Ordering::Release);
        // What is connected now is cut by its age, what connects anew by what it reads.
        let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE datname = current_database() AND pid <> pg_backend_pid()";
        client.batch_execute(ended).await.unwrap();
        for _ in 0..5 {
            if let Err(error) = copy.step(drawers.as_ref(), 100).await {
                assert_eq!(advice::retry_class(error.kind()), advice::RetryClass::Transient, "{error}");
                broken += 1;
            }
        }
        after.store(0, Ordering::Release);
    }
    assert!(broken > 5, "{broken} steps were cut");
    while copy.step(drawers.as_ref(), 100).await.is_err() {}
    copy.catch_up(drawers.as_ref(), 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_in_the_middle_of_the_stream_and_comes_back_loses_nothing() {
    for how in ["fast", "immediate"] {
        let server = Arc::new(OwnServer::start());
        let options = PostgresOptions::of(Dsn::parse(&server.dsn()).unwrap());
        let (palace, drawers) = drawers(options, 8).await;
        drawers.apply(batch(&numbered(0..5_000, 8)), WriteMode::Append).await.unwrap();
        let (client, _) = (crate::database::connect(&server.dsn()).await, ());
        let table = table_of(&client, "mempalace_drawers").await;
        let mut copy = Copy::of(drawers.as_ref()).await;
        for n in 0..3 {
            client.batch_execute(&touch(&table, n)).await.unwrap();
        }
        let before = copy.cursor.clone();
        let mut changes = drawers.changes_since(&before, 100);
        let first = changes.try_next().await.unwrap().unwrap();
        copy.apply(drawers.as_ref(), first, 100).await;
        let stopping = async {
            let stopped = tokio::task::spawn_blocking({
                let server = Arc::clone(&server);
                move || server.stop(how)
            });
            stopped.await.unwrap();
        };
        // A server that is stopped in order sends what it has, and waits for its readers.
        let reading = async {
            while let Ok(Some(batch)) = changes.try_next().await {
                copy.apply(drawers.as_ref(), batch, 100).await;
            }
            drop(changes);
            loop {
                if let Err(error) = copy.step(drawers.as_ref(), 100).await {
                    return error;
                }
            }
        };
        let ((), gone) = tokio::join!(stopping, reading);
        assert_eq!(advice::retry_class(gone.kind()), advice::RetryClass::Transient, "{gone}");
        tokio::task::block_in_place(|| server.restart());
        palace.confirm(&[("mempalace_drawers".to_owned(), copy.cursor.clone())]).await.unwrap();
        let client = crate::database::connect(&server.dsn()).await;
        client.batch_execute(&touch(&table, 9)).await.unwrap();
        copy.catch_up(drawers.as_ref(), 100).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_the_server_has_given_up_is_told_and_followed_again_by_a_new_one() {
    let server = OwnServer::with(&["max_slot_wal_keep_size=4MB", "min_wal_size=32MB", "max_wal_size=32MB"]);
    let options = PostgresOptions::of(Dsn::parse(&server.dsn()).unwrap());
    let palace = followed_by(options.clone(), &consumer()).await;
    let drawers = palace.create_collection(&spec("mempalace_drawers", 8)).await.unwrap();
    let closets = palace.create_collection(&spec("mempalace_closets", 8)).await.unwrap();
    drawers.apply(batch(&numbered(0..50, 8)), WriteMode::Append).await.unwrap();
    let (mut copy, mut other) = (Copy::of(drawers.as_ref()).await, Copy::of(closets.as_ref()).await);
    let client = crate::database::connect(&server.dsn()).await;
    let lost = async || {
        let fill = "CREATE TABLE IF NOT EXISTS fill (t text); \
                    INSERT INTO fill SELECT repeat(md5(n::text), 30) FROM generate_series(1, 40000) n";
        client.batch_execute(fill).await.unwrap();
        client.batch_execute("SELECT pg_switch_wal()").await.unwrap();
        client.batch_execute("CHECKPOINT").await.unwrap();
        let status = "SELECT coalesce(bool_or(wal_status = 'lost'), false) FROM pg_replication_slots";
        client.query_one(status, &[]).await.unwrap().get::<_, bool>(0)
    };
    until("the slot is given up", lost).await;
    let findings = palace.health().await.findings;
    assert!(findings.iter().any(|one| one.name == "slot_lost" && one.severity == Severity::Warning), "{findings:?}");
    for (copy, collection) in [(&mut copy, &drawers), (&mut other, &closets)] {
        let error = copy.step(collection.as_ref(), 100).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CursorExpired, "{error}");
        assert!(error.what().contains("given up"), "{error}");
    }
    let (mut copy, mut other) = (Copy::of(drawers.as_ref()).await, Copy::of(closets.as_ref()).await);
    for (copy, collection) in [(&mut copy, &drawers), (&mut other, &closets)] {
        collection.apply(batch(&numbered(20..70, 8)), WriteMode::Upsert).await.unwrap();
        copy.catch_up(collection.as_ref(), 100).await;
    }
    // Dropped by somebody else's hand.
    drop((copy, other));
    let mut copy = Copy::of(drawers.as_ref()).await;
    let reference = PalaceRef { id: "palace".into(), local_path: None, namespace: None };
    let ended = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active";
    client.batch_execute(ended).await.unwrap();
    let dropped = async || {
        let drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active";
        client.batch_execute(drop).await.is_ok()
            && client.query_one("SELECT count(*) FROM pg_replication_slots", &[]).await.unwrap().get::<_, i64>(0) == 0
    };
    until("the slot is dropped", dropped).await;
    let error = copy.step(drawers.as_ref(), 100).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CursorExpired, "{error}");
    assert!(crate::palace::backend(options).open(&reference, OpenMode::Read.into()).await.is_ok());
}
