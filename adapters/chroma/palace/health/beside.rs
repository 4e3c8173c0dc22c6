use super::{finding, size};
use crate::connection::{DATABASE, Database};
use crate::layout::quarantine::{Quarantine, quarantines};
use crate::recovered::Reason;
use crate::writer_lock;
use palanquin_engine::contract::{Finding, Severity};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A journal younger than this belongs to a writer at work.
const JOURNAL_AGE: Duration = Duration::from_secs(60);
const DAY: u64 = 86_400;

/// What lies beside the database: indexes set aside, journals, and MemPalace's lock.
pub(super) fn findings(database: &Database) -> Vec<Finding> {
    let home = std::env::home_dir();
    let lock = home.and_then(|home| lock_holder(&home, database.folder()));
    [set_aside(database), leftover(database, "journal"), leftover(database, "wal"), write_ahead(database), lock]
        .into_iter()
        .flatten()
        .collect()
}

/// Indexes that MemPalace set aside, with vectors in them.
fn set_aside(database: &Database) -> Option<Finding> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    let found = quarantines(database.folder()).ok().filter(|found| !found.is_empty())?;
    let bytes = found.iter().map(Quarantine::bytes).sum::<u64>();
    let made: Vec<u64> = found.iter().filter_map(Quarantine::made_at).collect();
    let age = |made: Option<&u64>| made.map_or("unknown".to_owned(), |made| days(now.saturating_sub(*made)));
    let ages = match (age(made.iter().min()), age(made.iter().max())) {
        (oldest, newest) if oldest == newest => oldest,
        (oldest, newest) => format!("{newest} to {oldest}"),
    };
    let summary = format!(
        "MemPalace has set {} vector index(es) aside, {} in all, {ages} old; their vectors are not read unless asked for \
         with --salvage",
        found.len(),
        size(bytes)
    );
    Some(finding(Severity::Warning, "quarantined_index", summary))
}

fn days(seconds: u64) -> String {
    match seconds / DAY {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

fn leftover(database: &Database, kind: &str) -> Option<Finding> {
    let meta = std::fs::metadata(database.folder().join(format!("{DATABASE}-{kind}"))).ok()?;
    let age = meta.modified().ok()?.elapsed().ok()?;
    let copied = match database.recovered() {
        Some(_) => "it is read from a private copy, in which this was done",
        None => "there is nothing in it to be taken up",
    };
    let summary = format!(
        "{DATABASE}-{kind} ({}, {} old) is left over from a write that was interrupted; MemPalace takes it up when it \
         opens the palace next; {copied}",
        size(meta.len()),
        days(age.as_secs())
    );
    let name = format!("leftover_{kind}");
    let is_told = age > JOURNAL_AGE || database.recovered() == Some(Reason::Interrupted);
    (is_told && meta.len() > 0).then(|| finding(Severity::Warning, &name, summary))
}

/// A mode that is not Chroma's.
fn write_ahead(database: &Database) -> Option<Finding> {
    let summary = format!(
        "{DATABASE} was put into write-ahead mode, in which even a reader writes beside it: it is read from a private copy, \
         made anew whenever it has changed"
    );
    let is_so = database.recovered() == Some(Reason::WriteAhead);
    is_so.then(|| finding(Severity::Warning, "write_ahead_mode", summary))
}

/// Who keeps others from writing, as MemPalace's own servers do all the time.
pub(super) fn lock_holder(home: &Path, folder: &Path) -> Option<Finding> {
    let holder = writer_lock::holder(home, folder)?;
    let summary = format!("{holder} holds MemPalace's lock on the palace: nobody else can write to it meanwhile");
    Some(finding(Severity::Info, "writer_lock_held", summary))
}
