use super::{Copy, consumer, drawers, followed_by, table_of, until};
use crate::database::Database;
use crate::palace::{backend, batch, numbered};
use palanquin_engine::contract::{Collection, ErrorKind, PalaceRef, WriteMode};
use std::sync::Arc;
use tokio_postgres::Client;

/// What is confirmed of the database's only slot.
async fn confirmed(client: &Client) -> u64 {
    let statement = "SELECT confirmed_flush_lsn - '0/0' FROM pg_replication_slots WHERE database = current_database()";
    let row = client.query_one(&format!("SELECT (({statement})::int8)"), &[]).await.unwrap();
    row.get::<_, i64>(0).unsigned_abs()
}

/// When a reader of the database's slot last told the server how far it is, in microseconds.
async fn last_word(client: &Client) -> Option<i64> {
    let statement = "SELECT (extract(epoch FROM max(reply_time)) * 1000000)::int8 FROM pg_stat_replication \
                     JOIN pg_replication_slots ON active_pid = pid WHERE database = current_database()";
    client.query_one(statement, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_confirmed_before_the_consumer_says_so() {
    let database = Database::new().await;
    let (palace, drawers) = drawers(database.options(), 4).await;
    drawers.apply(batch(&numbered(0..5, 4)), WriteMode::Append).await.unwrap();
    let mut copy = Copy::of(drawers.as_ref()).await;
    let client = database.client().await;
    let begins = confirmed(&client).await;
    let first = copy.cursor.clone();
    let name = || "mempalace_drawers".to_owned();
    palace.confirm(&[(name(), first.clone())]).await.unwrap();
    for round in 0..3 {
        drawers.apply(batch(&numbered(round * 5..round * 5 + 5, 4)), WriteMode::Upsert).await.unwrap();
        copy.catch_up(drawers.as_ref(), 100).await;
    }
    let follower = tokio::sync::Mutex::new(&mut copy);
    let told = async || {
        follower.lock().await.step(drawers.as_ref(), 100).await.unwrap();
        last_word(&client).await
    };
    for _ in 0..2 {
        let before = last_word(&client).await;
        until("the server is told how far it was read", async || told().await > before).await;
    }
    assert_eq!(confirmed(&client).await, begins, "it was read, and nobody said that it is durable");
    palace.confirm(&[(name(), copy.cursor.clone())]).await.unwrap();
    until("what is durable and stored is confirmed", async || confirmed(&client).await > begins).await;
    // A reader that comes again from before that has lost its place, and is told.
    let error = Copy { cursor: first, ..copy }.step(drawers.as_ref(), 100).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CursorExpired, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_palace_lets_go_of_what_other_databases_write() {
    let (database, other) = (Database::new().await, Database::new().await);
    let (palace, drawers) = drawers(database.options(), 4).await;
    drawers.apply(batch(&numbered(0..5, 4)), WriteMode::Append).await.unwrap();
    let mut copy = Copy::of(drawers.as_ref()).await;
    palace.confirm(&[("mempalace_drawers".to_owned(), copy.cursor.clone())]).await.unwrap();
    let client = database.client().await;
    let begins = confirmed(&client).await;
    let writer = other.client().await;
    writer
        .batch_execute("CREATE TABLE t AS SELECT n, repeat(md5(n::text), 20) FROM generate_series(1, 20000) n")
        .await
        .unwrap();
    let cursor = tokio::sync::Mutex::new(&mut copy);
    until("the confirmed position follows", async || {
        let mut copy = cursor.lock().await;
        copy.step(drawers.as_ref(), 100).await.unwrap();
        palace.confirm(&[("mempalace_drawers".to_owned(), copy.cursor.clone())]).await.unwrap();
        confirmed(&client).await > begins + (8 << 20)
    })
    .await;
    assert_eq!(copy.rows.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_reader_of_a_slot_takes_it_over_and_misses_nothing() {
    let database = Database::new().await;
    let who = consumer();
    let palace = followed_by(database.options(), &who).await;
    let one = palace.create_collection(&crate::palace::spec("mempalace_drawers", 4)).await.unwrap();
    let mut copy = Copy::of(one.as_ref()).await;
    let again = followed_by(database.options(), &who).await;
    let other = again.collection("mempalace_drawers").await.unwrap();
    again.confirm(&[("mempalace_drawers".to_owned(), copy.cursor.clone())]).await.unwrap();
    for round in 0..4_u32 {
        let reader: &Arc<dyn Collection> = if round % 2 == 0 { &one } else { &other };
        one.apply(batch(&numbered(round * 5..round * 5 + 5, 4)), WriteMode::Append).await.unwrap();
        copy.catch_up(reader.as_ref(), 100).await;
    }
    assert_eq!(copy.rows.len(), 20);
}

#[tokio::test]
async fn what_is_kept_for_a_consumer_is_listed_and_let_go_of() {
    let database = Database::new().await;
    let who = consumer();
    let reference = PalaceRef { id: "palace".into(), local_path: None, namespace: None };
    let backend = backend(database.options());
    let palace = followed_by(database.options(), &who).await;
    let drawers = palace.create_collection(&crate::palace::spec("mempalace_drawers", 4)).await.unwrap();
    let mut copy = Copy::of(drawers.as_ref()).await;
    let slots = backend.slots(&reference).await.unwrap();
    let slot = slots.iter().find(|slot| slot.consumer.as_deref() == Some(&who)).unwrap().clone();
    assert!(!slot.active && !slot.lost && slot.retained_bytes.is_some(), "{slot:?}");
    copy.step(drawers.as_ref(), 10).await.unwrap();
    let in_use = backend.drop_slot(&reference, &slot.name).await.unwrap_err();
    assert_eq!(in_use.kind(), ErrorKind::InUse, "{in_use}");
    for (name, kind) in [("palanquin_nobody", ErrorKind::InvalidRequest), ("theirs", ErrorKind::InvalidRequest)] {
        assert_eq!(backend.drop_slot(&reference, name).await.unwrap_err().kind(), kind, "{name}");
    }
    let client = database.client().await;
    let theirs = format!("theirs_{}", std::process::id());
    client.query_one("SELECT pg_create_physical_replication_slot($1::text::name)", &[&theirs]).await.unwrap();
    let refused = backend.drop_slot(&reference, &theirs).await.unwrap_err();
    client.query_one("SELECT pg_drop_replication_slot($1::text::name)", &[&theirs]).await.unwrap();
    assert_eq!(refused.kind(), ErrorKind::InvalidRequest, "{refused}");
    drop((drawers, palace));
    let dropped = backend.release(&reference, &who).await.unwrap();
    assert_eq!(dropped.len(), 2, "slot and publication: {dropped:?}");
    assert!(backend.release(&reference, &who).await.unwrap().is_empty(), "nothing is kept any more");
    let left = "SELECT count(*) FROM pg_publication";
    assert_eq!(client.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
    let _ = table_of(&client, "mempalace_drawers").await;
}
