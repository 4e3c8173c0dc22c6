use super::counts::Counts;
use super::health;
use crate::catalog;
use crate::connection::Database;
use crate::layout::files::{DATA, HEADER, LENGTH, PICKLE, SegmentFolder};
use crate::layout::quarantine::quarantines;
use crate::writer_lock::Holder;
use palanquin_engine::contract::{Check, Error, Finding, Purpose, Result, Severity};
use rusqlite::Connection;
use std::io::ErrorKind as Io;
use std::path::Path;

/// What can be told of whether a palace is fit to be read, without reading a row. `holder` has MemPalace's lock.
pub(super) fn checks(
    folder: &Path,
    name: String,
    holder: Option<Holder>,
    purpose: Purpose,
    salvaging: bool,
) -> Vec<Check> {
    let opened = Database::find(folder, name).and_then(|database| {
        let connection = database.connect()?;
        database.check_schema(&connection)?;
        Ok((database, connection))
    });
    let (database, connection) = match opened {
        Ok(opened) => opened,
        Err(error) => return vec![refused(&error)],
    };
    let mut checks = match unreadable(&database, &connection) {
        Ok(None) => vec![Check::passes("readable", "its database and the files of its indexes can be read")],
        Ok(Some(file)) => {
            let found = format!("{file} may not be read by this user");
            vec![Check::fails("readable", found, "Grant this user the right to read it, or run as the palace's owner.")]
        }
        Err(error) => return vec![refused(&error)],
    };
    checks.push(Check::passes("version", "its tables are Chroma's, of a version that is known (chromadb 0.5 to 1.5)"));
    checks.push(writers(holder, purpose));
    match health::findings(&database, &connection, &mut Counts::default()) {
        Ok(findings) => checks.extend(conditions(&database, &findings, salvaging)),
        Err(error) => checks.push(refused(&error)),
    }
    checks
}

fn refused(error: &Error) -> Check {
    Check::fails("readable", error.what(), error.advice())
}

/// A file of an index that may not be read, if there is one.
fn unreadable(database: &Database, connection: &Connection) -> Result<Option<String>> {
    for entry in catalog::entries(connection)? {
        let Ok(segments) = entry.segments() else { continue };
        let folder = SegmentFolder::new(database.folder(), segments.vector_folder);
        for name in [HEADER, DATA, LENGTH, PICKLE] {
            let path = folder.path().join(name);
            if std::fs::File::open(&path).is_err_and(|error| error.kind() == Io::PermissionDenied) {
                return Ok(Some(path.display().to_string()));
            }
        }
    }
    Ok(None)
}

/// Who may be writing meanwhile. That harms neither; a copy that is compared once differs where the palace has changed.
fn writers(holder: Option<Holder>, purpose: Purpose) -> Check {
    match (holder, purpose) {
        (None, _) => Check::passes("writers", "nobody holds MemPalace's lock on it"),
        (Some(holder), Purpose::Source) => Check::warns(
            "writers",
            format!("{holder} holds MemPalace's lock on it and may write while it is copied"),
            "Nothing, or stop that process and keep others out with `palanquin freeze`: rows that change meanwhile are \
             told as differences.",
        ),
        (Some(holder), _) => {
            Check::passes("writers", format!("{holder} holds MemPalace's lock on it; what it writes is followed"))
        }
    }
}

/// Each thing that is wrong with it, with what to do about it.
fn conditions(database: &Database, findings: &[Finding], salvaging: bool) -> Vec<Check> {
    let wrong: Vec<&Finding> = findings.iter().filter(|finding| finding.severity >= Severity::Warning).collect();
    if wrong.is_empty() {
        return vec![Check::passes("condition", "nothing is wrong with it")];
    }
    let aside = quarantines(database.folder()).is_ok_and(|found| !found.is_empty());
    let check = |finding: &&Finding| {
        Check::warns(finding.name.clone(), finding.summary.clone(), fix(&finding.name, aside, salvaging))
    };
    wrong.iter().map(check).collect()
}

fn fix(finding: &str, aside: bool, salvaging: bool) -> &'static str {
    match finding {
        "rows_without_vector" | "index_missing" | "index_capped" | "segment_missing" => match (aside, salvaging) {
            (true, false) => "Look for their vectors in the indexes MemPalace has set aside: --salvage.",
            (true, true) => {
                "Nothing: what the indexes set aside still have is used and reported; embed the others anew afterwards."
            }
            (false, _) => "Restore a backup that has them, or copy the rows without and embed those anew afterwards.",
        },
        "quarantined_index" if salvaging => "Nothing: rows that have lost their vector are looked up there.",
        "quarantined_index" => "Nothing while no row lacks a vector; else look for them there with --salvage.",
        "link_lists_empty" | "link_lists_missing" | "link_lists_runaway" | "fulltext_broken" => {
            "Nothing here: it is not read. Do not open the palace with MemPalace before it is copied."
        }
        "queue_stranded" | "queue_overdue" => "Nothing here: what waits in the log is read from it.",
        "sequence_beyond_log" => {
            "Copy the palace and go on with the copy: MemPalace ignores what is written to this one."
        }
        "leftover_journal" | "leftover_wal" => "Nothing here. MemPalace takes it up when it opens the palace.",
        "write_ahead_mode" => {
            "Nothing to copy it once. While nobody has the palace open, PRAGMA journal_mode = DELETE undoes it."
        }
        "leaked_list_metadata" => "Look at the lists in the metadata of rows written lately: they may not be theirs.",
        _ => "See `palanquin inspect`.",
    }
}
