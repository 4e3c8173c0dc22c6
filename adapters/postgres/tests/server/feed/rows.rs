use super::{Copy, consumer, drawers, followed_by, random_text, table_of, until};
use crate::database::Database;
use crate::palace::{batch, numbered, rows_of, spec};
use futures::TryStreamExt;
use palanquin_engine::contract::WriteMode;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Rows whose documents have these lengths and do not compress.
fn sized(lengths: &[usize], width: usize) -> Vec<Value> {
    let mut rows = numbered(0..lengths.len() as u32, width);
    for (seed, (row, length)) in rows.iter_mut().zip(lengths).enumerate() {
        row["document"] = json!(random_text(seed as u64, *length));
        let mut random = StdRng::seed_from_u64(seed as u64);
        row["embedding"] = (0..width).map(|_| random.random::<f32>().to_bits()).collect::<Vec<_>>().into();
    }
    rows
}

async fn values_that_were_not_touched(database: Database) {
    let (_palace, drawers) = drawers(database.options(), 384).await;
    let lengths = [0, 300, 480, 700, 1_000, 1_500, 1_900, 2_100, 3_000, 20_000];
    drawers.apply(batch(&sized(&lengths, 384)), WriteMode::Append).await.unwrap();
    let mut copy = Copy::of(drawers.as_ref()).await;
    let client = database.client().await;
    let table = table_of(&client, "mempalace_drawers").await;
    client.batch_execute(&format!("UPDATE {table} SET metadata = '{{\"touched\": 1.0}}'")).await.unwrap();
    copy.step(drawers.as_ref(), 100).await.unwrap();
    let of = |documents, embeddings| {
        let is = |fields: &palanquin_engine::contract::Include| {
            fields.metadatas && (fields.documents, fields.embeddings) == (documents, embeddings)
        };
        copy.patched.iter().filter(|(fields, _)| is(fields)).map(|(_, rows)| rows).sum::<usize>()
    };
    assert!(of(true, false) >= 4, "documents of 480 to 1500 bytes come without the vector: {:?}", copy.patched);
    assert!(of(false, true) >= 2, "longer ones do not come, and the vector does: {:?}", copy.patched);
    copy.catch_up(drawers.as_ref(), 100).await;
    for set in [
        "document = document || 'x'",
        "embedding = (SELECT embedding FROM {} WHERE id = 'row-0000000')",
        "document = NULL",
        "embedding = NULL",
        "updated_at = now()",
        "document = '', metadata = '{}'",
    ] {
        let statement = format!("UPDATE {table} SET {}", set.replace("{}", &table).replace("'{'", "'{}'"));
        let statement = if set.contains("metadata") { format!("UPDATE {table} SET {set}") } else { statement };
        client.batch_execute(&statement).await.unwrap();
        copy.catch_up(drawers.as_ref(), 3).await;
    }
}

#[tokio::test]
async fn values_the_log_does_not_have_are_left_as_they_were_on_18() {
    values_that_were_not_touched(Database::new().await).await;
}

#[tokio::test]
async fn values_the_log_does_not_have_are_left_as_they_were_on_16() {
    values_that_were_not_touched(Database::on("PALANQUIN_TEST_POSTGRES_16").await).await;
}

#[tokio::test]
async fn a_row_under_another_key_is_the_old_one_gone_and_a_new_one_whole() {
    for identity in ["DEFAULT", "FULL"] {
        let database = Database::new().await;
        let (_palace, drawers) = drawers(database.options(), 384).await;
        drawers.apply(batch(&sized(&[300, 1_000, 1_200, 3_000, 1_000, 1_000], 384)), WriteMode::Append).await.unwrap();
        let client = database.client().await;
        let table = table_of(&client, "mempalace_drawers").await;
        client.batch_execute(&format!("ALTER TABLE {table} REPLICA IDENTITY {identity}")).await.unwrap();
        let mut copy = Copy::of(drawers.as_ref()).await;
        let row = |n: usize| format!("'row-{n:07}'");
        for statements in [
            // Each alone, then what stood under the new key goes first, round in a ring, there and back, on and gone.
            format!("UPDATE {table} SET id = 'new-' || id WHERE id IN ({}, {})", row(0), row(1)),
            format!(
                "DELETE FROM {table} WHERE id = {}; UPDATE {table} SET id = {} WHERE id = {}",
                row(2),
                row(2),
                row(3)
            ),
            format!(
                "UPDATE {table} SET id = 't' WHERE id = {0}; UPDATE {table} SET id = {0} WHERE id = {1}; \
                 UPDATE {table} SET id = {1} WHERE id = 't'",
                row(4),
                row(5)
            ),
            format!("UPDATE {table} SET id = 't' WHERE id = {0}; UPDATE {table} SET id = {0} WHERE id = 't'", row(4)),
            format!(
                "UPDATE {table} SET id = 't', metadata = '{{}}' WHERE id = {}; DELETE FROM {table} WHERE id = 't'",
                row(4)
            ),
            format!(
                "UPDATE {table} SET id = 'u' WHERE id = {}; UPDATE {table} SET document = 'short' WHERE id = 'u'",
                row(5)
            ),
        ] {
            client.batch_execute(&format!("BEGIN; {statements}; COMMIT")).await.unwrap();
            copy.catch_up(drawers.as_ref(), 100).await;
        }
    }
}

#[tokio::test]
async fn what_was_rolled_back_never_comes_and_a_table_that_was_emptied_is_empty() {
    let database = Database::new().await;
    let (_palace, drawers) = drawers(database.options(), 4).await;
    drawers.apply(batch(&numbered(0..50, 4)), WriteMode::Append).await.unwrap();
    let mut copy = Copy::of(drawers.as_ref()).await;
    let client = database.client().await;
    let table = table_of(&client, "mempalace_drawers").await;
    let insert = |id: &str| format!("INSERT INTO {table} (id, document) VALUES ('{id}', 'd');");
    client
        .batch_execute(&format!(
            "BEGIN; {} SAVEPOINT a; {} ROLLBACK TO a; {} SAVEPOINT b; DELETE FROM {table} WHERE id < 'row-0000010'; \
             RELEASE b; COMMIT; BEGIN; DELETE FROM {table}; ROLLBACK",
            insert("kept"),
            insert("undone"),
            insert("kept too"),
        ))
        .await
        .unwrap();
    copy.catch_up(drawers.as_ref(), 7).await;
    client.batch_execute(&format!("TRUNCATE {table}")).await.unwrap();
    copy.catch_up(drawers.as_ref(), 7).await;
    assert!(copy.rows.is_empty());
    drawers.apply(batch(&numbered(0..50, 4)), WriteMode::Append).await.unwrap();
    copy.catch_up(drawers.as_ref(), 7).await;
    client
        .batch_execute(&format!("BEGIN; {} TRUNCATE {table}; {} COMMIT", insert("before"), insert("after")))
        .await
        .unwrap();
    copy.catch_up(drawers.as_ref(), 7).await;
    assert_eq!(copy.rows.keys().collect::<Vec<_>>(), ["after"]);
}

#[tokio::test]
async fn a_transaction_is_told_whole_and_only_once_it_is_committed() {
    let database = Database::new().await;
    let (_palace, drawers) = drawers(database.options(), 4).await;
    drawers.apply(batch(&numbered(0..2, 4)), WriteMode::Append).await.unwrap();
    let mut copy = Copy::of(drawers.as_ref()).await;
    let (mut writer, client) = (database.client().await, database.client().await);
    let table = table_of(&client, "mempalace_drawers").await;
    let update = |n: i32, to: &str| format!("UPDATE {table} SET document = '{to}' WHERE id = 'row-{n:07}'");
    let open = writer.transaction().await.unwrap();
    open.batch_execute(&update(0, "one of two")).await.unwrap();
    client.batch_execute(&format!("INSERT INTO {table} (id) VALUES ('other')")).await.unwrap();
    open.batch_execute(&update(1, "two of two")).await.unwrap();
    while !copy.rows.contains_key("other") {
        copy.step(drawers.as_ref(), 100).await.unwrap();
    }
    assert!(copy.rows.values().all(|row| !row["document"].to_string().contains("of two")));
    open.commit().await.unwrap();
    let before = copy.batches;
    while copy.rows["row-0000000"]["document"] != "one of two" {
        copy.step(drawers.as_ref(), 100).await.unwrap();
    }
    assert_eq!(copy.rows["row-0000001"]["document"], "two of two", "after {} batches", copy.batches - before);
}

#[tokio::test]
async fn a_transaction_of_any_size_comes_in_batches_and_ends_with_the_only_cursor() {
    let database = Database::new().await;
    let palace = followed_by(database.options(), &consumer()).await;
    let names = ["mempalace_drawers", "mempalace_closets"];
    let mut both = Vec::new();
    for name in names {
        let collection = palace.create_collection(&spec(name, 8)).await.unwrap();
        collection.apply(batch(&numbered(0..10, 8)), WriteMode::Append).await.unwrap();
        both.push((collection, table_of(&database.client().await, name).await));
    }
    let mut copies = vec![Copy::of(both[0].0.as_ref()).await, Copy::of(both[1].0.as_ref()).await];
    let client = database.client().await;
    // Three times what is kept of a table nobody asks for, in both tables at once.
    let rows = |table: &str| {
        format!(
            "INSERT INTO {table} (id, document) SELECT 'big-' || lpad(n::text, 7, '0'), repeat(md5(n::text), 25) \
             FROM generate_series(1, 60000) n"
        )
    };
    let transaction = format!(
        "BEGIN; {}; {}; UPDATE {} SET document = 'again' WHERE id < 'big-0000100'; COMMIT",
        rows(&both[0].1),
        rows(&both[1].1),
        both[0].1
    );
    client.batch_execute(&transaction).await.unwrap();
    let mut largest = 0;
    let before = copies[0].cursor.clone();
    let mut changes = both[0].0.changes_since(&before, 500);
    let mut cursors = 0;
    while let Some(batch) = changes.try_next().await.unwrap() {
        largest = largest.max(batch.rows());
        cursors += usize::from(batch.cursor.is_some());
        copies[0].apply(both[0].0.as_ref(), batch, 500).await;
    }
    drop(changes);
    assert!(
        copies[0].batches > 100 && largest <= 500 && cursors == 1,
        "{} batches, {cursors} cursors",
        copies[0].batches
    );
    for ((collection, _), copy) in both.iter().zip(&mut copies) {
        copy.catch_up(collection.as_ref(), 500).await;
        assert_eq!(copy.rows.len(), 60_010);
    }
}

/// Writes at random until told to stop.
async fn write_at_random(client: tokio_postgres::Client, table: String, seed: u64, stop: Arc<AtomicUsize>) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut n = 0;
    while stop.load(Ordering::Acquire) == 0 {
        n += 1;
        let id = |random: &mut StdRng| format!("id-{:03}", random.random_range(0..200));
        let statements: Vec<String> = (0..random.random_range(1..5))
            .map(|_| {
                let (one, other) = (id(&mut random), id(&mut random));
                let length = [10, 600, 1_000, 2_500][random.random_range(0..4)];
                match random.random_range(0..7) {
                    0 | 1 => format!(
                        "INSERT INTO {table} (id, document, metadata, embedding) VALUES ('{one}', '{}', '{{\"n\": {n}}}', \
                         (SELECT array_agg(random()) FROM generate_series(1, 64))::vector) \
                         ON CONFLICT (id) DO UPDATE SET document = excluded.document, embedding = excluded.embedding",
                        random_text(n, length)
                    ),
                    2 => format!("DELETE FROM {table} WHERE id = '{one}'"),
                    3 => format!(
                        "UPDATE {table} SET id = '{other}' WHERE id = '{one}' AND NOT EXISTS (SELECT FROM {table} WHERE id = '{other}')"
                    ),
                    _ => format!("UPDATE {table} SET metadata = '{{\"n\": {n}}}' WHERE id = '{one}'"),
                }
            })
            .collect();
        let end = if random.random_bool(0.1) { "ROLLBACK" } else { "COMMIT" };
        // Two writers may meet on a key, or wait for each other: that transaction is undone.
        let done = client.batch_execute(&format!("BEGIN; {}; {end}", statements.join("; "))).await;
        if done.is_err() {
            client.batch_execute("ROLLBACK").await.ok();
        }
        if n % 400 == 0 && seed == 0 {
            client.batch_execute(&format!("TRUNCATE {table}")).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_follows_several_writers_at_once_ends_up_equal() {
    for variable in ["PALANQUIN_TEST_POSTGRES", "PALANQUIN_TEST_POSTGRES_16"] {
        let database = Database::on(variable).await;
        let (_palace, drawers) = drawers(database.options(), 64).await;
        let table = table_of(&database.client().await, "mempalace_drawers").await;
        let stop = Arc::new(AtomicUsize::new(0));
        let seed = std::env::var("PALANQUIN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(11_u64);
        println!("seed {seed}; PALANQUIN_SEED={seed} repeats it");
        let mut writers = Vec::new();
        for n in 0..4 {
            let client = database.client().await;
            client.batch_execute("SET lock_timeout = '2s'").await.unwrap();
            writers.push(tokio::spawn(write_at_random(client, table.clone(), seed * n, Arc::clone(&stop))));
        }
        // The hand-over happens while they write.
        let reader = database.client().await;
        let written = format!("SELECT count(*) > 20 FROM {table}");
        until("rows are written", async || reader.query_one(&written, &[]).await.unwrap().get(0)).await;
        let mut copy = Copy::of(drawers.as_ref()).await;
        let began = std::time::Instant::now();
        while began.elapsed() < Duration::from_secs(5) {
            copy.step(drawers.as_ref(), 50).await.unwrap();
        }
        stop.store(1, Ordering::Release);
        for writer in writers {
            writer.await.unwrap();
        }
        copy.catch_up(drawers.as_ref(), 50).await;
        assert_eq!(copy.rows.len(), rows_of(drawers.as_ref()).await.len());
        assert!(copy.batches > 5, "it followed while they wrote");
    }
}
