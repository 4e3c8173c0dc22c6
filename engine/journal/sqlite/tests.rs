use super::*;
use crate::link::{LinkKind, SetAside};
use std::os::unix::fs::PermissionsExt;

fn spec() -> LinkSpec {
    LinkSpec::new(LinkKind::Migrate, "s", "t")
}

fn plan() -> Plan {
    Plan { collections: vec![], without_dimension: vec!["empty".into()] }
}

fn at(upto: &str, rows: u64) -> Position {
    Position { upto: Some(upto.into()), rows, bytes: rows * 10, done: false }
}

#[tokio::test]
async fn a_claim_finds_what_was_stored() {
    let state = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(state.path()).unwrap();
    let first = journal.claim(&spec()).await.unwrap();
    assert_eq!(first.plan, None);
    journal.store_plan(&first.link, first.epoch, &plan()).await.unwrap();
    journal.advance(&first.link, first.epoch, &[(0, 1, at("m", 5))], &[(0, Cursor("c".into()))]).await.unwrap();
    drop(journal);
    let again = SqliteJournal::open(state.path()).unwrap().claim(&spec()).await.unwrap();
    assert_eq!(again.plan, Some(plan()));
    assert_eq!(again.positions.partition(0, 1), at("m", 5));
    assert_eq!(again.positions.feed(0), Some(&Cursor("c".into())));
    assert_eq!(again.ending, None);
}

#[tokio::test]
async fn a_link_that_is_reopened_has_its_plan_and_no_ending() {
    let state = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(state.path()).unwrap();
    let claim = journal.claim(&spec()).await.unwrap();
    journal.store_plan(&claim.link, claim.epoch, &plan()).await.unwrap();
    journal.end(&claim.link, claim.epoch, &Ending { verified: true, at_ms: 1 }).await.unwrap();
    journal.reopen(&claim.link, claim.epoch).await.unwrap();
    let again = journal.claim(&spec()).await.unwrap();
    assert_eq!((again.plan, again.ending), (Some(plan()), None));
    assert!(matches!(journal.reopen(&claim.link, claim.epoch).await, Err(JournalError::Fenced(_))));
}

#[tokio::test]
async fn an_older_claim_is_fenced_out() {
    let state = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(state.path()).unwrap();
    let old = journal.claim(&spec()).await.unwrap();
    let new = journal.claim(&spec()).await.unwrap();
    let refused = journal.advance(&old.link, old.epoch, &[(0, 0, at("a", 1))], &[]).await;
    assert!(matches!(refused, Err(JournalError::Fenced(_))), "{refused:?}");
    journal.advance(&new.link, new.epoch, &[(0, 0, at("a", 1))], &[]).await.unwrap();
}

#[tokio::test]
async fn a_plan_is_stored_once_and_positions_never_go_back() {
    let state = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(state.path()).unwrap();
    let claim = journal.claim(&spec()).await.unwrap();
    journal.store_plan(&claim.link, claim.epoch, &plan()).await.unwrap();
    let again = journal.store_plan(&claim.link, claim.epoch, &plan()).await;
    assert!(matches!(again, Err(JournalError::PlanExists(_))));
    for position in [at("m", 5), at("a", 1)] {
        journal.advance(&claim.link, claim.epoch, &[(0, 0, position)], &[]).await.unwrap();
    }
    assert_eq!(journal.claim(&spec()).await.unwrap().positions.partition(0, 0), at("m", 5));
}

#[tokio::test]
async fn a_journal_of_a_newer_version_is_refused() {
    let state = tempfile::tempdir().unwrap();
    drop(SqliteJournal::open(state.path()).unwrap());
    let path = state.path().join("journal.sqlite3");
    Connection::open(path).unwrap().pragma_update(None, "user_version", FORMAT + 1).unwrap();
    assert!(matches!(SqliteJournal::open(state.path()), Err(JournalError::Newer { .. })));
}

fn letter(id: &str) -> DeadLetter {
    let about = SetAside {
        collection: "c\0".into(),
        id: id.into(),
        reason: "RowRefused".into(),
        detail: "it does not fit".into(),
    };
    let embedding = Some(vec![f32::NAN, -0.0, 1.0]);
    DeadLetter { about, at_ms: 5, document: Some("d\0é".into()), metadata: r#"{"a":2.0}"#.into(), embedding }
}

#[tokio::test]
async fn a_dead_letter_comes_back_whole_once_and_only_to_its_link() {
    let state = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(state.path()).unwrap();
    let claim = journal.claim(&spec()).await.unwrap();
    let other = journal.claim(&LinkSpec::new(LinkKind::Mirror, "s", "t")).await.unwrap();
    for _ in 0..2 {
        journal.set_aside(&claim.link, claim.epoch, &[letter("a"), letter("i\0")]).await.unwrap();
    }
    drop(journal);
    let journal = SqliteJournal::open(state.path()).unwrap();
    let kept = journal.dead_letters(&claim.link).await.unwrap();
    let ids: Vec<_> = kept.iter().map(|letter| letter.about.id.as_str()).collect();
    assert_eq!(ids, ["a", "i\0"]);
    assert_eq!(kept[0].bytes, 4 + 9 + 12);
    assert_eq!(journal.dead_letters(&other.link).await.unwrap(), []);
    let whole = journal.dead_letter(&claim.link, "c\0", "i\0").await.unwrap().unwrap();
    let bits = |letter: &DeadLetter| letter.embedding.as_ref().unwrap().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&whole), bits(&letter("i\0")));
    assert_eq!((whole.document, whole.metadata), (letter("").document, letter("").metadata));
    assert_eq!(journal.release(&claim.link, claim.epoch, "c\0", &["a".into(), "b".into()]).await.unwrap(), 1);
    assert_eq!(journal.dead_letters(&claim.link).await.unwrap().len(), 1);
    journal.forget(&claim.link, claim.epoch).await.unwrap();
    assert_eq!(journal.dead_letters(&claim.link).await.unwrap(), []);
}

#[tokio::test]
async fn a_converted_row_counts_once_however_often_it_is_replayed() {
    let state = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(state.path()).unwrap();
    let claim = journal.claim(&spec()).await.unwrap();
    let rows: Vec<_> = (0..150).map(|i| (Conversion::NulInText, format!("{i:03}"))).collect();
    for batch in [&rows[..100], &rows[50..], &rows[..]] {
        journal.note_converted(&claim.link, claim.epoch, "c", batch).await.unwrap();
    }
    let converted = journal.converted(&claim.link).await.unwrap();
    assert_eq!((converted.len(), converted[0].count, converted[0].ids.len()), (1, 150, 100));
    assert_eq!(converted[0].conversion, Conversion::NulInText.sentence());
}

#[tokio::test]
async fn an_overtaken_claim_sets_nothing_aside() {
    let state = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(state.path()).unwrap();
    let old = journal.claim(&spec()).await.unwrap();
    journal.claim(&spec()).await.unwrap();
    let refused = journal.set_aside(&old.link, old.epoch, &[letter("a")]).await;
    assert!(matches!(refused, Err(JournalError::Fenced(_))), "{refused:?}");
    let refused = journal.release(&old.link, old.epoch, "c", &[]).await;
    assert!(matches!(refused, Err(JournalError::Fenced(_))), "{refused:?}");
}

#[tokio::test]
async fn only_its_owner_can_read_the_journal_and_what_sqlite_keeps_beside_it() {
    let state = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(state.path()).unwrap();
    let claim = journal.claim(&spec()).await.unwrap();
    journal.set_aside(&claim.link, claim.epoch, &[letter("a")]).await.unwrap();
    let mut files = 0;
    for file in std::fs::read_dir(state.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
        files += 1;
    }
    assert!(files > 1, "the log beside it is there");
}

#[tokio::test]
async fn a_journal_of_the_first_format_is_taken_up_with_what_it_holds() {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("journal.sqlite3");
    let first = Connection::open(&path).unwrap();
    first.execute_batch(FORMATS[0]).unwrap();
    first.pragma_update(None, "user_version", 1).unwrap();
    let text = serde_json::to_string(&spec()).unwrap();
    first.execute("INSERT INTO link (id, spec, epoch) VALUES (?1, ?2, 7)", params![spec().id().0, text]).unwrap();
    drop(first);
    let journal = SqliteJournal::open(state.path()).unwrap();
    let claim = journal.claim(&spec()).await.unwrap();
    assert_eq!(claim.epoch, 8);
    journal.set_aside(&claim.link, claim.epoch, &[letter("a")]).await.unwrap();
    let links = journal.links().await.unwrap();
    assert_eq!((links.len(), &links[0].spec, &links[0].plan), (1, &spec(), &None));
}
