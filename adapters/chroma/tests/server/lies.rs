//! Servers that do not do as they say, and what the adapter sends them.

use crate::fake::{Asked, Fake, Then};
use crate::rows::{DRAWERS, batch, drawers, numbered, palace, rows_of, spec};
use crate::tenant::Tenant;
use palanquin_chroma::{Credentials, ServerOptions};
use palanquin_engine::contract::{ErrorKind, RowUpdates, WriteMode};
use serde_json::{Value, json};
use std::time::Duration;

fn is_write(asked: &Asked) -> bool {
    ["/upsert", "/update", "/delete"].iter().any(|end| asked.path.ends_with(end))
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_one_answer_is_made_good_by_asking_again() {
    for what in ["429", "503 with a pause", "500", "cut in half", "silence"] {
        let tenant = Tenant::new();
        let plan = move |asked: &Asked, before: usize| {
            if before % 3 != 1 || asked.path.ends_with("pre-flight-checks") {
                return Then::PassOn;
            }
            match what {
                "429" => Then::Answer(429, &[]),
                "503 with a pause" => Then::Answer(503, &[("retry-after", "0")]),
                "500" => Then::Answer(500, &[]),
                "cut in half" => Then::CutInHalf,
                _ => Then::Silence,
            }
        };
        let fake = Fake::before(&tenant.options().url, plan).await;
        // Long enough for the server, short enough for the test.
        let patience = Duration::from_secs(if what == "silence" { 3 } else { 60 });
        let options =
            ServerOptions { read_timeout: patience, write_timeout: patience, ..fake.options(tenant.options()) };
        let drawers = drawers(options).await;
        drawers.apply(batch(&numbered(0..40)), WriteMode::Append).await.unwrap();
        let mut wanted = numbered(0..40);
        wanted[3]["document"] = json!("changed");
        wanted[4]["metadata"] = json!({"other": true});
        drawers.apply(batch(&wanted), WriteMode::Upsert).await.unwrap();
        assert_eq!(rows_of(drawers.as_ref()).await, wanted, "{what}");
        assert_eq!(drawers.count().await.unwrap(), 40, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_on_failing_is_told_as_what_it_is() {
    for (status, kind) in [
        (401, ErrorKind::PermissionDenied),
        (403, ErrorKind::PermissionDenied),
        (429, ErrorKind::Busy),
        (500, ErrorKind::Unavailable),
        (503, ErrorKind::Busy),
        (507, ErrorKind::StorageFull),
        (302, ErrorKind::InvalidRequest),
    ] {
        let tenant = Tenant::new();
        let plan = move |asked: &Asked, _| if is_write(asked) { Then::Answer(status, &[]) } else { Then::PassOn };
        let fake = Fake::before(&tenant.options().url, plan).await;
        let credentials = Credentials::token("s3cret").unwrap();
        let drawers = drawers(ServerOptions { credentials, retries: 2, ..fake.options(tenant.options()) }).await;
        let error = drawers.apply(batch(&numbered(0..3)), WriteMode::Append).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}: {error}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        assert_eq!(drawers.count().await.unwrap(), 0);
        let shown = fake.asked();
        let token = |asked: &Asked| asked.headers.contains(&("x-chroma-token".to_owned(), "s3cret".to_owned()));
        assert!(!shown.is_empty() && shown.iter().all(token), "the token goes with every request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_less_than_it_says_is_sent_less() {
    for hangs_up in [false, true] {
        let tenant = Tenant::new();
        let limit = if hangs_up { 2 << 20 } else { 20_000 };
        let plan = move |asked: &Asked, _| {
            let length = asked.headers.iter().find(|(name, _)| name == "content-length");
            let length: usize = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
            match length > limit {
                true if hangs_up => Then::HangUp,
                true => Then::Answer(413, &[]),
                false => Then::PassOn,
            }
        };
        let fake = Fake::before(&tenant.options().url, plan).await;
        let drawers = drawers(fake.options(tenant.options())).await;
        let mut wanted = numbered(0..500);
        if hangs_up {
            wanted.truncate(8);
            wanted.iter_mut().for_each(|row| row["document"] = json!("x".repeat(600_000)));
        }
        drawers.apply(batch(&wanted), WriteMode::Append).await.unwrap();
        assert_eq!(rows_of(drawers.as_ref()).await, wanted);
        // One row that is too large by itself is named.
        let mut large = numbered(900..901);
        large[0]["document"] = json!("secret ".repeat(limit));
        let error = drawers.apply(batch(&large), WriteMode::Append).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RowRefused, "{error}");
        assert!(error.what().contains("row-0000900") && !error.what().contains("secret"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_that_are_there_are_not_sent_again_and_rows_that_are_there_not_at_all() {
    let tenant = Tenant::new();
    let fake = Fake::before(&tenant.options().url, |_, _| Then::PassOn).await;
    let drawers = drawers(fake.options(tenant.options())).await;
    let mut wanted = numbered(0..50);
    drawers.apply(batch(&wanted), WriteMode::Append).await.unwrap();
    let sent = || fake.asked().into_iter().filter(is_write).collect::<Vec<_>>();
    let before = sent().len();
    drawers.apply(batch(&wanted), WriteMode::Upsert).await.unwrap();
    assert_eq!(sent().len(), before, "nothing differs, nothing is sent");
    wanted[7]["document"] = json!("new");
    wanted[9]["metadata"] = json!({"only": 1.5});
    drawers.apply(batch(&wanted), WriteMode::Upsert).await.unwrap();
    let update = RowUpdates::try_new(vec!["row-0000011".into()], Some(vec![Some("newer".into())]), None, None).unwrap();
    assert_eq!(drawers.update(update).await.unwrap(), 1);
    wanted[11]["document"] = json!("newer");
    let writes = sent().split_off(before);
    assert!(!writes.is_empty());
    for write in writes {
        assert!(write.path.ends_with("/update"), "{}", write.path);
        let body: Value = serde_json::from_slice(&write.body).unwrap();
        assert!(body.get("embeddings").is_none() && body["ids"].as_array().unwrap().len() <= 2, "{body}");
    }
    assert_eq!(rows_of(drawers.as_ref()).await, wanted);
    let keys: Vec<Asked> =
        fake.asked().into_iter().filter(|asked| String::from_utf8_lossy(&asked.body).contains("chroma:")).collect();
    assert!(keys.is_empty(), "keys of Chroma's own never leave: {keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_a_server_would_die_of_is_refused_by_name_and_nothing_is_sent() {
    let tenant = Tenant::new();
    let fake = Fake::before(&tenant.options().url, |_, _| Then::PassOn).await;
    let drawers = drawers(fake.options(tenant.options())).await;
    for metadata in [json!({"chroma:document": null}), json!({"chroma:document": 1}), json!({"chroma:uri": "secret"})] {
        let mut rows = numbered(0..3);
        rows[1]["metadata"] = metadata;
        for mode in [WriteMode::Append, WriteMode::Upsert] {
            let error = drawers.apply(batch(&rows), mode).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RowRefused, "{error}");
            assert!(error.what().contains("row-0000001") && !error.what().contains("secret"), "{error}");
        }
    }
    assert!(!fake.asked().iter().any(is_write));
    assert_eq!(drawers.count().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_was_dropped_and_made_again_is_not_the_one_that_was_opened() {
    let tenant = Tenant::new();
    let palace = palace(tenant.options()).await;
    let drawers = palace.create_collection(&spec(DRAWERS, "first")).await.unwrap();
    drawers.apply(batch(&numbered(0..5)), WriteMode::Append).await.unwrap();
    tenant.drop_collection("palace", DRAWERS).await;
    let other = palace.create_collection(&spec(DRAWERS, "second")).await.unwrap();
    for refused in [
        drawers.apply(batch(&numbered(5..6)), WriteMode::Append).await.map(drop),
        drawers.apply(batch(&numbered(5..6)), WriteMode::Upsert).await.map(drop),
        drawers.count().await.map(drop),
        drawers.info().await.map(drop),
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CollectionNotInitialized, "{error}");
    }
    assert_eq!(other.count().await.unwrap(), 0, "nothing went into its successor");
    assert_eq!(other.info().await.unwrap().incarnation.as_deref(), Some("second"));
}
