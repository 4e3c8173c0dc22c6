//! Servers that stop, locks others hold, rights that lack, rows Postgres cannot hold.

use crate::database::Database;
use crate::own_server::OwnServer;
use crate::palace::{backend, batch, drawers, numbered, palace, rows_of, spec};
use futures::TryStreamExt;
use palanquin_engine::contract::{
    ErrorKind, KeyRange, OpenMode, PalaceRef, ScanOrder, ScanRequest, Selection, WriteMode, advice,
};
use palanquin_postgres::{Dsn, PostgresOptions};
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_before_the_server_died_is_there_and_a_replay_completes_the_rest() {
    for how in ["immediate", "fast"] {
        let server = OwnServer::start();
        let options = PostgresOptions::of(Dsn::parse(&server.dsn()).unwrap());
        let drawers = drawers(options, 8).await;
        let batches: Vec<_> = (0..40).map(|n| numbered(n * 500..(n + 1) * 500, 8)).collect();
        let (acknowledged, seen) = tokio::sync::watch::channel(0_usize);
        let writer = async {
            for (n, rows) in batches.iter().enumerate() {
                let mode = if n % 2 == 0 { WriteMode::Append } else { WriteMode::Upsert };
                if let Err(error) = drawers.apply(batch(rows), mode).await {
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{how}: {error}");
                    return n;
                }
                acknowledged.send_replace(n + 1);
            }
            panic!("{how}: the server died after everything was written");
        };
        let mut seen = seen;
        let killer = async {
            seen.wait_for(|done| *done >= 5).await.unwrap();
            tokio::task::block_in_place(|| server.stop(how));
        };
        let (done, ()) = tokio::join!(writer, killer);
        assert!(done >= 5);
        let gone = drawers.count().await.unwrap_err();
        assert_eq!(advice::retry_class(gone.kind()), advice::RetryClass::Transient, "{gone}");

        tokio::task::block_in_place(|| server.restart());
        let found = rows_of(drawers.as_ref()).await;
        assert_eq!(found.len() % 500, 0, "{how}: a batch is there whole or not at all");
        assert!(found.len() >= done * 500, "{how}: {done} batches were acknowledged, {} rows are there", found.len());
        // The one that was under way may have been committed without an answer: both modes take it again.
        for rows in &batches[done..] {
            drawers.apply(batch(rows), WriteMode::Append).await.unwrap();
        }
        let expected: Vec<_> = batches.concat();
        assert_eq!(rows_of(drawers.as_ref()).await, expected, "{how}");
    }
}

#[tokio::test]
async fn a_session_that_the_server_ends_is_unavailable_and_the_next_call_has_another() {
    let database = Database::new().await;
    let drawers = drawers(database.options(), 4).await;
    drawers.apply(batch(&numbered(0..2_000, 4)), WriteMode::Append).await.unwrap();
    let request = ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows: 1 };
    let mut scan = drawers.scan(request);
    scan.try_next().await.unwrap().unwrap();
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    database.client().await.batch_execute(others).await.unwrap();
    // Rows that were on their way still come; then the break is told.
    let error = loop {
        match scan.try_next().await {
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    if let Some(error) = error {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    let mut attempts = 0;
    while let Err(error) = drawers.count().await {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        attempts += 1;
        assert!(attempts < 20, "no new session is made");
    }
}

#[tokio::test]
async fn a_scan_that_is_dropped_is_cancelled_and_its_session_closed() {
    let database = Database::new().await;
    let drawers = drawers(database.options(), 400).await;
    drawers.apply(batch(&numbered(0..5_000, 400)), WriteMode::Append).await.unwrap();
    let request = ScanRequest { range: KeyRange::ALL, order: ScanOrder::Any, batch_rows: 1 };
    let client = database.client().await;
    let copying = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY%' \
                   AND state = 'active'";
    let mut scan = drawers.scan(request);
    scan.try_next().await.unwrap().unwrap();
    assert_eq!(client.query_one(copying, &[]).await.unwrap().get::<_, i64>(0), 1, "it waits for its reader");
    drop(scan);
    let mut asked = 0;
    while client.query_one(copying, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        asked += 1;
        assert!(asked < 10_000, "the statement goes on though nobody reads");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_lock_that_another_session_holds_is_told_as_busy() {
    let database = Database::new().await;
    let options = PostgresOptions { lock_timeout: Duration::from_millis(50), ..database.options() };
    let drawers = drawers(options, 4).await;
    drawers.apply(batch(&numbered(0..3, 4)), WriteMode::Append).await.unwrap();
    let mut other = database.client().await;
    let table: String = other
        .query_one("SELECT relname::text FROM pg_class WHERE relname LIKE '%mempalace_drawers'", &[])
        .await
        .unwrap()
        .get(0);
    let held = other.transaction().await.unwrap();
    held.batch_execute(&format!("LOCK TABLE \"{table}\" IN ACCESS EXCLUSIVE MODE")).await.unwrap();
    for mode in [WriteMode::Append, WriteMode::Upsert] {
        let error = drawers.apply(batch(&numbered(3..5, 4)), mode).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        assert!(error.what().contains("lock"), "{error}");
    }
    held.rollback().await.unwrap();
    drawers.apply(batch(&numbered(3..5, 4)), WriteMode::Append).await.unwrap();
    assert_eq!(drawers.count().await.unwrap(), 5);
}

#[tokio::test]
async fn a_role_without_rights_is_told_so() {
    let database = Database::new().await;
    let role = format!("reader_{}", std::process::id());
    let admin = database.client().await;
    admin.batch_execute(&format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN")).await.unwrap();
    let dsn = database.dsn().replace("postgres@", &format!("{role}@"));
    let options = PostgresOptions { sessions: 2, ..PostgresOptions::of(Dsn::parse(&dsn).unwrap()) };
    let reference = PalaceRef { id: "palace".into(), local_path: None, namespace: None };

    let missing = backend(options.clone()).open(&reference, OpenMode::Create.into()).await.err().unwrap();
    assert_eq!(missing.kind(), ErrorKind::PermissionDenied, "{missing}");
    assert!(missing.what().contains("CREATE EXTENSION vector"), "{missing}");

    admin.batch_execute("CREATE EXTENSION vector").await.unwrap();
    let denied = backend(options.clone()).open(&reference, OpenMode::Create.into()).await.err().unwrap();
    assert_eq!(denied.kind(), ErrorKind::PermissionDenied, "{denied}");

    let drawers = drawers(database.options(), 4).await;
    drawers.apply(batch(&numbered(0..3, 4)), WriteMode::Append).await.unwrap();
    admin.batch_execute(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")).await.unwrap();
    let palace = backend(options).open(&reference, OpenMode::Write.into()).await.unwrap();
    let theirs = palace.collection("mempalace_drawers").await.unwrap();
    assert_eq!(rows_of(theirs.as_ref()).await, numbered(0..3, 4), "what it may do it can");
    for mode in [WriteMode::Append, WriteMode::Upsert] {
        let denied = theirs.apply(batch(&numbered(3..4, 4)), mode).await.unwrap_err();
        assert_eq!(denied.kind(), ErrorKind::PermissionDenied, "{denied}");
    }
    admin.batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
}

#[tokio::test]
async fn a_row_that_postgres_cannot_hold_is_refused_by_name_and_nothing_is_written() {
    let database = Database::new().await;
    let drawers = drawers(database.options(), 4).await;
    let sound = numbered(0..1, 4).remove(0);
    let hostile = [
        json!({"id": "nul\0id", "document": "d", "metadata": {}, "embedding": sound["embedding"]}),
        json!({"id": "nul-document", "document": "secret\0", "metadata": {}, "embedding": sound["embedding"]}),
        json!({"id": "nul-metadata", "document": "d", "metadata": {"k": "secret\0"}, "embedding": sound["embedding"]}),
        json!({"id": "nan", "document": "d", "metadata": {}, "embedding": vec![f32::NAN.to_bits(); 4]}),
        json!({"id": random_text(9_000), "document": "d", "metadata": {}, "embedding": sound["embedding"]}),
    ];
    for row in hostile {
        let id: String = row["id"].as_str().unwrap().chars().take(50).collect();
        for mode in [WriteMode::Append, WriteMode::Upsert] {
            let error = drawers.apply(batch(&[sound.clone(), row.clone()]), mode).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RowRefused, "{error}");
            assert!(error.what().contains(id.trim_end_matches("\0id")), "{error}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
        assert_eq!(drawers.count().await.unwrap(), 0);
    }
}

/// Text that does not compress.
fn random_text(length: usize) -> String {
    use rand::{Rng, SeedableRng};
    let mut random = rand::rngs::StdRng::seed_from_u64(7);
    (0..length).map(|_| char::from(random.sample(rand::distr::Alphanumeric))).collect()
}

#[tokio::test]
async fn a_row_without_a_document_is_refused_where_mempalace_made_the_table() {
    let database = Database::new().await;
    let palace = palace(database.options(), "palace").await;
    let client = database.client().await;
    let prefix: String = client.query_one("SELECT prefix FROM palanquin_palaces", &[]).await.unwrap().get(0);
    let table = format!(
        "CREATE TABLE \"{prefix}_mempalace_drawers\" (id text PRIMARY KEY, document text NOT NULL DEFAULT '', \
         metadata jsonb NOT NULL DEFAULT '{{}}'::jsonb, embedding vector(4), updated_at timestamptz)"
    );
    client.batch_execute(&table).await.unwrap();
    let drawers = palace.collection("mempalace_drawers").await.unwrap();
    let mut row = numbered(0..1, 4).remove(0);
    row["document"] = json!(null);
    let error = drawers.apply(batch(&[row]), WriteMode::Append).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RowRefused, "{error}");
}

#[tokio::test]
async fn hostile_names_are_names_and_nothing_else() {
    let database = Database::new().await;
    let hostile = "x\"; DROP TABLE palanquin_palaces; --";
    let reference = PalaceRef { id: hostile.into(), local_path: None, namespace: Some(hostile.into()) };
    let palace = backend(database.options()).open(&reference, OpenMode::Create.into()).await.unwrap();
    let drawers = palace.create_collection(&spec(hostile, 4)).await.unwrap();
    let mut row = numbered(0..1, 4).remove(0);
    row["id"] = json!("'; DROP TABLE palanquin_palaces; --\\");
    drawers.apply(batch(&[row.clone()]), WriteMode::Append).await.unwrap();
    let range = KeyRange { after: Some("'".into()), upto: row["id"].as_str().map(str::to_owned) };
    let request = ScanRequest { range, order: ScanOrder::ById, batch_rows: 10 };
    let found: Vec<_> = drawers.scan(request).try_collect().await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(drawers.delete(&Selection::ids([row["id"].as_str().unwrap()])).await.unwrap(), 1);
    assert_eq!(palace.collections().await.unwrap()[0].name, hostile);
    // Another namespace whose tables would have the same names.
    let other = PalaceRef { namespace: Some("x_DROP_TABLE_palanquin_palaces".into()), ..reference };
    let refused = backend(database.options()).open(&other, OpenMode::Create.into()).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::InvalidRequest);
    assert!(refused.what().contains("DROP TABLE palanquin_palaces; --"), "it says with whom: {refused}");
    let missing = backend(database.options()).open(&other, OpenMode::Read.into()).await.err().unwrap();
    assert_eq!(missing.kind(), ErrorKind::PalaceNotFound);
}

#[tokio::test]
async fn names_of_any_length_and_script_are_kept_and_those_that_fall_together_are_refused() {
    let database = Database::new().await;
    let backend = backend(database.options());
    let long = "n".repeat(5_000);
    let namespaces = ["日本語 🙂", "\u{202e}évil\t\n", "%s $1 {} \\ ' \"", &long, " ", "__", "-"];
    let mut first_of: std::collections::BTreeMap<String, &str> = std::collections::BTreeMap::new();
    let client = database.client().await;
    for (n, namespace) in namespaces.into_iter().enumerate() {
        let reference = PalaceRef { id: long.clone(), local_path: None, namespace: Some(namespace.into()) };
        let opened = backend.open(&reference, OpenMode::Create.into()).await;
        let rows = client.query("SELECT prefix, namespace FROM palanquin_palaces", &[]).await.unwrap();
        for row in &rows {
            let prefix: String = row.get(0);
            assert!(prefix.is_ascii() && prefix.len() < 120, "{prefix}");
            first_of.entry(prefix).or_insert(namespace);
        }
        match opened {
            Ok(palace) => {
                let drawers = palace.create_collection(&spec("mempalace_drawers", 4)).await.unwrap();
                let given = numbered(n as u32..n as u32 + 2, 4);
                drawers.apply(batch(&given), WriteMode::Append).await.unwrap();
                let again = backend.open(&reference, OpenMode::Read.into()).await.unwrap();
                let found = again.collection("mempalace_drawers").await.unwrap();
                assert_eq!(rows_of(found.as_ref()).await, given, "{namespace:?}");
            }
            // Those of which nothing is left but the word for a namespace without a letter.
            Err(refused) => {
                assert_eq!(refused.kind(), ErrorKind::InvalidRequest, "{namespace:?}: {refused}");
                assert!(refused.what().contains("choose another name"), "{refused}");
            }
        }
    }
    let kept: Vec<&str> = first_of.into_values().collect();
    assert_eq!(kept.len(), 4, "{kept:?}");
}

#[tokio::test]
async fn a_wrong_password_and_a_missing_server_are_told_without_the_password() {
    let database = Database::new().await;
    let unreachable = "postgresql://ada:s3cret@127.0.0.1:1/memory".to_owned();
    let missing = database.dsn().replace("postgres@", "nobody_of_that_name:s3cret@");
    for (dsn, kind) in [(unreachable, ErrorKind::Unavailable), (missing, ErrorKind::PermissionDenied)] {
        let options = PostgresOptions::of(Dsn::parse(&dsn).unwrap());
        assert!(!format!("{options:?}").contains("s3cret"));
        let reference = PalaceRef { id: "palace".into(), local_path: None, namespace: None };
        let error = backend(options).open(&reference, OpenMode::Read.into()).await.err().unwrap();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    }
}

#[tokio::test]
async fn a_replay_of_what_is_there_writes_nothing_and_a_changed_bit_is_written() {
    let database = Database::new().await;
    let drawers = drawers(database.options(), 4).await;
    let mut given = numbered(0..100, 4);
    given[0]["embedding"][0] = json!(0.0_f32.to_bits());
    given[0]["metadata"]["n"] = json!(1);
    drawers.apply(batch(&given), WriteMode::Append).await.unwrap();
    let client = database.client().await;
    let table: String = client
        .query_one("SELECT relname::text FROM pg_class WHERE relname LIKE '%mempalace_drawers'", &[])
        .await
        .unwrap()
        .get(0);
    let written = format!("SELECT string_agg(ctid::text || xmin::text, ',' ORDER BY id) FROM \"{table}\"");
    let before: String = client.query_one(&written, &[]).await.unwrap().get(0);
    drawers.apply(batch(&given), WriteMode::Upsert).await.unwrap();
    assert_eq!(client.query_one(&written, &[]).await.unwrap().get::<_, String>(0), before, "a replay writes nothing");
    given[0]["embedding"][0] = json!((-0.0_f32).to_bits());
    given[0]["metadata"]["n"] = json!(1.0);
    drawers.apply(batch(&given), WriteMode::Upsert).await.unwrap();
    assert_eq!(rows_of(drawers.as_ref()).await, given, "equal is not the same");
}
