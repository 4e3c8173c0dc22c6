//! A palace that another takes the place of, and what is there where that is cut off.

use crate::fake::{Fake, Then};
use crate::rows::{DRAWERS, batch, numbered, rows_of, spec};
use crate::tenant::Tenant;
use palanquin_chroma::{ChromaServerBackend, ServerOptions};
use palanquin_engine::contract::{
    Backend, ErrorKind, LogEntry, OpenMode, Palace, PalaceRef, Severity, WriteMode, enforce,
};
use serde_json::Value;
use std::sync::Arc;

const CLOSETS: &str = "mempalace_closets";
const ROOMS: &str = "mempalace_rooms";

fn backend(options: ServerOptions) -> Arc<dyn Backend> {
    enforce(Arc::new(ChromaServerBackend::new(options)))
}

fn palace() -> PalaceRef {
    PalaceRef { id: "palace".into(), local_path: None, namespace: None }
}

fn staged() -> PalaceRef {
    PalaceRef { id: "palace.palanquin-new-0123456789ab".into(), ..palace() }
}

fn nothing() -> PalaceRef {
    PalaceRef { id: "palace.palanquin-nothing-0123456789ab".into(), ..palace() }
}

fn entry(at: &str) -> LogEntry {
    LogEntry { kind: "migration".to_owned(), at: at.to_owned(), details: Default::default() }
}

async fn opened(backend: &Arc<dyn Backend>, palace: &PalaceRef, mode: OpenMode) -> Arc<dyn Palace> {
    backend.open(palace, mode.into()).await.unwrap()
}

/// Fills a palace with collections, each of these rows, and an entry of its log.
async fn fill(palace: &dyn Palace, collections: &[(&str, &[Value])], incarnation: &str) {
    for (name, rows) in collections {
        let made = palace.create_collection(&spec(name, incarnation)).await.unwrap();
        made.apply(batch(rows), WriteMode::Append).await.unwrap();
    }
    palace.append_to_migration_log(&entry(incarnation)).await.unwrap();
}

/// The old palace, and the copy beside it.
async fn fill_both(backend: &Arc<dyn Backend>) {
    let old = opened(backend, &palace(), OpenMode::Create).await;
    fill(old.as_ref(), &[(DRAWERS, &numbered(0..3)), (CLOSETS, &numbered(3..5))], "1-old").await;
    let new = opened(backend, &staged(), OpenMode::Create).await;
    fill(new.as_ref(), &[(DRAWERS, &numbered(10..14)), (ROOMS, &numbered(14..16))], "2-new").await;
}

/// Names and rows of every collection a palace has.
async fn contents(palace: &dyn Palace) -> Vec<(String, Vec<Value>)> {
    let mut contents = Vec::new();
    for info in palace.collections().await.unwrap() {
        let rows = rows_of(palace.collection(&info.name).await.unwrap().as_ref()).await;
        contents.push((info.name, rows));
    }
    contents
}

fn new_contents() -> Vec<(String, Vec<Value>)> {
    vec![(DRAWERS.to_owned(), numbered(10..14)), (ROOMS.to_owned(), numbered(14..16))]
}

#[track_caller]
fn assert_holds_all(picture: &str, rows: std::ops::Range<u32>, when: &str) {
    for n in rows {
        assert!(picture.contains(&format!("document {n}\"")), "{when}: row {n} is gone from {picture}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_palace_and_the_copy_beside_it_do_not_see_each_other_and_the_copy_takes_its_place() {
    let tenant = Tenant::new();
    let backend = backend(tenant.options());
    let none = backend.open(&staged(), OpenMode::Write.into()).await.err().unwrap();
    assert_eq!(none.kind(), ErrorKind::PalaceNotFound);
    fill_both(&backend).await;
    let old = opened(&backend, &palace(), OpenMode::Read).await;
    let wanted = vec![(CLOSETS.to_owned(), numbered(3..5)), (DRAWERS.to_owned(), numbered(0..3))];
    assert_eq!(contents(old.as_ref()).await, wanted);
    assert_eq!(contents(opened(&backend, &staged(), OpenMode::Read).await.as_ref()).await, new_contents());
    let hidden = old.collection("palanquin-new-0123456789ab.mempalace_drawers").await.err().unwrap();
    assert_eq!(hidden.kind(), ErrorKind::CollectionNotInitialized);

    assert!(!backend.finish_replacing(&palace(), &staged()).await.unwrap(), "nothing was begun");
    backend.replace(&palace(), &staged()).await.unwrap();
    let new = opened(&backend, &palace(), OpenMode::Read).await;
    assert_eq!(contents(new.as_ref()).await, new_contents());
    assert_eq!(new.migration_log().await.unwrap(), [entry("1-old"), entry("2-new")]);
    assert!(!tenant.picture(None).await.contains("palanquin-"), "nothing else is left");
    let again = backend.replace(&palace(), &staged()).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::PalaceNotFound);
    assert_eq!(contents(opened(&backend, &palace(), OpenMode::Read).await.as_ref()).await, new_contents());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_not_wanted_is_emptied_and_the_palace_stays() {
    let tenant = Tenant::new();
    let backend = backend(tenant.options());
    fill_both(&backend).await;
    let before = contents(opened(&backend, &palace(), OpenMode::Read).await.as_ref()).await;
    opened(&backend, &nothing(), OpenMode::Create).await;
    backend.replace(&staged(), &nothing()).await.unwrap();
    let gone = backend.open(&staged(), OpenMode::Read.into()).await.err().unwrap();
    assert_eq!(gone.kind(), ErrorKind::PalaceNotFound);
    assert_eq!(contents(opened(&backend, &palace(), OpenMode::Read).await.as_ref()).await, before);
    assert!(!tenant.picture(None).await.contains("palanquin-"), "nothing else is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn palaces_that_cannot_be_exchanged_are_refused_and_stay() {
    let tenant = Tenant::new();
    let backend = backend(tenant.options());
    fill_both(&backend).await;
    let other = PalaceRef { id: "other".into(), ..palace() };
    let before = tenant.picture(None).await;
    for (target, staging) in [(palace(), other.clone()), (other, staged()), (staged(), palace())] {
        let error = backend.replace(&target, &staging).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{target} {staging}: {error}");
    }
    assert_eq!(tenant.picture(None).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_is_cut_off_anywhere_loses_nothing_and_is_finished_by_asking_again() {
    for loses_the_answer in [false, true] {
        let mut cuts = 0;
        loop {
            let tenant = Tenant::new();
            let direct = backend(tenant.options());
            fill_both(&direct).await;
            let plan = move |_: &_, before: usize| match before.cmp(&cuts) {
                std::cmp::Ordering::Less => Then::PassOn,
                std::cmp::Ordering::Equal if loses_the_answer => Then::CutInHalf,
                _ => Then::HangUp,
            };
            let fake = Fake::before(&tenant.options().url, plan).await;
            let through = backend(ServerOptions { retries: 0, ..fake.options(tenant.options()) });
            let done = through.replace(&palace(), &staged()).await;
            let when = format!("cut at {cuts}, answer lost: {loses_the_answer}");
            let picture = tenant.picture(None).await;
            assert_holds_all(&picture, 10..16, &when);
            if done.is_ok() {
                break;
            }
            let there = opened(&direct, &palace(), OpenMode::Read).await;
            let is_new = contents(there.as_ref()).await == new_contents();
            let findings = there.health().await.findings;
            if !is_new {
                assert_holds_all(&picture, 0..5, &when);
            }
            let says_so = findings.iter().any(|finding| finding.name == "replacement_interrupted");
            assert_eq!(says_so, picture.contains("palanquin-old-"), "{when}: {findings:?}");
            assert!(findings.iter().all(|finding| finding.severity == Severity::Warning));
            let written = direct.open(&palace(), OpenMode::Create.into()).await.err();
            assert_eq!(written.map(|error| error.kind()), says_so.then_some(ErrorKind::InUse), "{when}");
            if !direct.finish_replacing(&palace(), &staged()).await.unwrap() && !is_new {
                direct.replace(&palace(), &staged()).await.unwrap();
            }
            let new = opened(&direct, &palace(), OpenMode::Read).await;
            assert_eq!(contents(new.as_ref()).await, new_contents(), "{when}");
            assert_eq!(new.migration_log().await.unwrap(), [entry("1-old"), entry("2-new")], "{when}");
            assert!(!tenant.picture(None).await.contains("palanquin-"), "{when}: something else is left");
            cuts += 1;
        }
        assert!(cuts > 15, "{cuts} requests");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_one_of_whose_answers_is_lost_is_done_by_asking_for_that_once_more() {
    for lost in 0.. {
        let tenant = Tenant::new();
        let direct = backend(tenant.options());
        fill_both(&direct).await;
        let plan = move |_: &_, before: usize| if before == lost { Then::CutInHalf } else { Then::PassOn };
        let fake = Fake::before(&tenant.options().url, plan).await;
        let through = backend(fake.options(tenant.options()));
        through.replace(&palace(), &staged()).await.unwrap_or_else(|error| panic!("answer {lost} lost: {error}"));
        let new = opened(&direct, &palace(), OpenMode::Read).await;
        assert_eq!(contents(new.as_ref()).await, new_contents(), "answer {lost} lost");
        assert_eq!(new.migration_log().await.unwrap(), [entry("1-old"), entry("2-new")], "answer {lost} lost");
        assert!(!tenant.picture(None).await.contains("palanquin-"), "answer {lost} lost: something else is left");
        if fake.asked().len() <= lost {
            assert!(lost > 15, "{lost} requests");
            break;
        }
    }
}
