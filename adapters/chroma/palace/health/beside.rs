use super::{finding, size};
use crate::connection::{DATABASE, Database};
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
    [quarantines(database), leftover(database, "journal"), leftover(database, "wal"), lock]
        .into_iter()
        .flatten()
        .collect()
}

/// `<segment>.drift-…` and `<segment>.corrupt-…`: indexes that MemPalace set aside, with vectors in them.
fn quarantines(database: &Database) -> Option<Finding> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    let (mut count, mut bytes, mut made) = (0, 0, Vec::new());
    for entry in std::fs::read_dir(database.folder()).ok()?.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let (segment, rest) = name.split_once('.').unwrap_or_default();
        let Some(stamp) = rest.strip_prefix("drift-").or(rest.strip_prefix("corrupt-")) else { continue };
        if uuid::Uuid::parse_str(segment).is_err() {
            continue;
        }
        count += 1;
        made.extend(seconds_of(stamp));
        let files = std::fs::read_dir(entry.path()).into_iter().flatten().flatten();
        bytes += files.filter_map(|file| Some(file.metadata().ok()?.len())).sum::<u64>();
    }
    let age = |made: Option<&u64>| made.map_or("unknown".to_owned(), |made| days(now.saturating_sub(*made)));
    let ages = match (age(made.iter().min()), age(made.iter().max())) {
        (oldest, newest) if oldest == newest => oldest,
        (oldest, newest) => format!("{newest} to {oldest}"),
    };
    let summary = format!(
        "MemPalace has set {count} vector index(es) aside, {} in all, {ages} old; their vectors are not read",
        size(bytes)
    );
    (count > 0).then(|| finding(Severity::Warning, "quarantined_index", summary))
}

fn days(seconds: u64) -> String {
    match seconds / DAY {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

/// Seconds since the epoch of a `YYYYmmdd-HHMMSS`, which is in a time zone that nobody knows.
fn seconds_of(stamp: &str) -> Option<u64> {
    let (date, time) = stamp.get(..15)?.split_once('-')?;
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let (year, month, day) = (number(date.get(..4)?)?, number(date.get(4..6)?)?, number(date.get(6..8)?)?);
    let (hour, minute, second) = (number(time.get(..2)?)?, number(time.get(2..4)?)?, number(time.get(4..6)?)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since the epoch, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some(days.checked_sub(719_468)? * DAY + hour * 3600 + minute * 60 + second)
}

fn leftover(database: &Database, kind: &str) -> Option<Finding> {
    let meta = std::fs::metadata(database.folder().join(format!("{DATABASE}-{kind}"))).ok()?;
    let age = meta.modified().ok()?.elapsed().ok()?;
    let summary = format!(
        "{DATABASE}-{kind} ({}, {} old) is left over from a write that was interrupted; MemPalace takes it up when it \
         opens the palace next",
        size(meta.len()),
        days(age.as_secs())
    );
    let name = format!("leftover_{kind}");
    (age > JOURNAL_AGE && meta.len() > 0).then(|| finding(Severity::Warning, &name, summary))
}

/// Who keeps others from writing, as MemPalace's own servers do all the time.
pub(super) fn lock_holder(home: &Path, folder: &Path) -> Option<Finding> {
    let holder = writer_lock::holder(home, folder)?;
    let summary = format!("{holder} holds MemPalace's lock on the palace: nobody else can write to it meanwhile");
    Some(finding(Severity::Info, "writer_lock_held", summary))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_in_a_quarantines_name_is_read() {
        assert_eq!(seconds_of("19700101-000001"), Some(1));
        assert_eq!(seconds_of("20260301-120000"), Some(1_772_366_400));
        assert_eq!(seconds_of("20240229-000000.2"), Some(1_709_164_800));
        for stamp in ["", "20260301", "2026-301-120000", "20261301-120000", "+2026030-120000", "日本語日本"] {
            assert_eq!(seconds_of(stamp), None, "{stamp}");
        }
    }
}
