//! What the operator should look at: [`beside`] the database, in its [`tables`], in a collection's [`index`] and log.

mod beside;
mod index;
mod tables;

#[cfg(test)]
mod tests;

use super::counts::Counts;
use super::figures::Figures;
use crate::catalog;
use crate::connection::Database;
use palanquin_engine::contract::{Finding, Result, Severity};
use rusqlite::Connection;

/// All findings. No vector is read, and no table of many columns whole.
pub(super) fn findings(database: &Database, connection: &Connection, counts: &mut Counts) -> Result<Vec<Finding>> {
    let mut findings = beside::findings(database);
    findings.extend(tables::findings(connection)?);
    for entry in catalog::entries(connection)? {
        match entry.segments() {
            Ok(segments) => {
                let figures = Figures::read(database, connection, &entry, &segments, counts)?;
                findings.extend(index::findings(&entry, &figures));
                findings.extend(tables::sequence(connection, &entry, &figures)?);
            }
            Err(error) => {
                let summary = format!("{}: {}", entry.name, error.what());
                findings.push(finding(Severity::Error, "segment_missing", summary));
            }
        }
    }
    Ok(findings)
}

fn finding(severity: Severity, name: &str, summary: String) -> Finding {
    Finding { severity, name: name.to_owned(), summary, rows: Vec::new() }
}

/// A size as a person reads it.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut value = bytes as f64;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} bytes") } else { format!("{value:.1} {}", UNITS[unit]) }
}
