use super::{Copy, consumer, drawers, followed_by, table_of};
use crate::database::Database;
use crate::palace::{batch, numbered, spec};
use palanquin_engine::contract::{ErrorKind, OpenMode, PalaceRef, WriteMode};

#[tokio::test]
async fn a_table_that_gets_another_column_goes_on_and_one_that_loses_its_own_is_told() {
    let database = Database::new().await;
    let (_palace, drawers) = drawers(database.options(), 4).await;
    drawers.apply(batch(&numbered(0..5, 4)), WriteMode::Append).await.unwrap();
    let mut copy = Copy::of(drawers.as_ref()).await;
    let client = database.client().await;
    let table = table_of(&client, "mempalace_drawers").await;
    client
        .batch_execute(&format!(
            "ALTER TABLE {table} ADD COLUMN extra text DEFAULT 'x'; UPDATE {table} SET document = 'after'; \
             ALTER TABLE {table} DROP COLUMN updated_at; UPDATE {table} SET document = 'later' WHERE id < 'row-0000002'"
        ))
        .await
        .unwrap();
    copy.catch_up(drawers.as_ref(), 100).await;
    client
        .batch_execute(&format!("ALTER TABLE {table} DROP COLUMN document; UPDATE {table} SET metadata = '{{}}'"))
        .await
        .unwrap();
    let error = loop {
        if let Err(error) = copy.step(drawers.as_ref(), 100).await {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::UnsupportedFormat, "{error}");
    assert!(error.what().contains("document"), "{error}");
}

#[tokio::test]
async fn a_table_that_was_dropped_is_gone_and_made_again_it_is_another_one() {
    let database = Database::new().await;
    let (palace, drawers) = drawers(database.options(), 4).await;
    drawers.apply(batch(&numbered(0..5, 4)), WriteMode::Append).await.unwrap();
    let mut copy = Copy::of(drawers.as_ref()).await;
    let before = drawers.info().await.unwrap().incarnation;
    let client = database.client().await;
    let table = table_of(&client, "mempalace_drawers").await;
    client.batch_execute(&format!("DROP TABLE {table}")).await.unwrap();
    let error = copy.step(drawers.as_ref(), 100).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CursorExpired, "{error}");
    assert_eq!(drawers.info().await.unwrap_err().kind(), ErrorKind::CollectionNotInitialized);
    client
        .batch_execute(&format!(
            "CREATE TABLE {table} (id text PRIMARY KEY, document text, metadata jsonb, embedding vector(4))"
        ))
        .await
        .unwrap();
    let error = copy.step(drawers.as_ref(), 100).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CursorExpired, "{error}");
    let again = palace.collection("mempalace_drawers").await.unwrap();
    assert_ne!(again.info().await.unwrap().incarnation, before, "another incarnation");
    let mut copy = Copy::of(again.as_ref()).await;
    client.batch_execute(&format!("INSERT INTO {table} (id, metadata) VALUES ('new', '{{}}')")).await.unwrap();
    copy.catch_up(again.as_ref(), 100).await;
    assert_eq!(copy.rows.len(), 1);
}

#[tokio::test]
async fn collections_of_a_palace_share_one_stream_and_each_has_its_own_place() {
    let database = Database::new().await;
    let palace = followed_by(database.options(), &consumer()).await;
    let client = database.client().await;
    let mut followed = Vec::new();
    for name in ["mempalace_drawers", "mempalace_closets", "mempalace_assets"] {
        let collection = palace.create_collection(&spec(name, 4)).await.unwrap();
        collection.apply(batch(&numbered(0..20, 4)), WriteMode::Append).await.unwrap();
        followed.push((collection, table_of(&client, name).await));
    }
    let mut copies = Vec::new();
    for (collection, _) in &followed {
        copies.push(Copy::of(collection.as_ref()).await);
    }
    for round in 0..5 {
        let statements: String = followed
            .iter()
            .enumerate()
            .map(|(n, (_, table))| {
                format!("UPDATE {table} SET document = '{round}' WHERE id >= 'row-{:07}';", n * 3 + round)
            })
            .collect();
        client.batch_execute(&format!("BEGIN; {statements} COMMIT")).await.unwrap();
        // The last of them is asked for every other round only.
        for (n, ((collection, _), copy)) in followed.iter().zip(&mut copies).enumerate() {
            if n < 2 || round % 2 == 0 {
                copy.catch_up(collection.as_ref(), 7).await;
            }
        }
    }
    for ((collection, _), copy) in followed.iter().zip(&mut copies) {
        copy.catch_up(collection.as_ref(), 7).await;
    }
    let slots = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()";
    assert_eq!(client.query_one(slots, &[]).await.unwrap().get::<_, i64>(0), 1);
    let published = "SELECT count(*) FROM pg_publication_tables";
    assert_eq!(client.query_one(published, &[]).await.unwrap().get::<_, i64>(0), 3, "exactly the palace's tables");
}

#[tokio::test]
async fn a_palace_opened_for_nobody_has_no_log_and_leaves_nothing_on_the_server() {
    let database = Database::new().await;
    let (_palace, drawers) = drawers(database.options(), 4).await;
    drawers.apply(batch(&numbered(0..5, 4)), WriteMode::Append).await.unwrap();
    let reference = PalaceRef { id: "palace".into(), local_path: None, namespace: None };
    let nobody = crate::palace::backend(database.options()).open(&reference, OpenMode::Read.into()).await.unwrap();
    let error = nobody.collection("mempalace_drawers").await.unwrap().feed_head().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    let left = "SELECT (SELECT count(*) FROM pg_publication) + \
                (SELECT count(*) FROM pg_replication_slots WHERE database = current_database())";
    assert_eq!(database.client().await.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
}
