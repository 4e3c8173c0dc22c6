use crate::catalog::{self, Entry};
use crate::connection::{DATABASE, Database, sqlite};
use crate::layout::files::{DATA, PICKLE, SegmentFolder};
use crate::read::marks::max_seq_id;
use palanquin_engine::contract::{Finding, Result, Severity};
use rusqlite::Connection;
use std::time::Duration;

/// Rows counted before "or more" will do.
const COUNTED: i64 = 1000;
/// A journal younger than this belongs to a writer at work.
const JOURNAL_AGE: Duration = Duration::from_secs(60);
/// Chroma's `link_lists.bin` outgrowing its vectors this often is the known runaway growth.
const LINK_LISTS_RATIO: u64 = 10;

/// What the operator should look at. No table is read whole.
pub(super) fn findings(database: &Database, connection: &Connection) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    findings.extend(quarantines(database));
    findings.extend(old_journal(database));
    findings.extend(leaked_lists(connection)?);
    findings.extend(collections_elsewhere(connection)?);
    for entry in catalog::entries(connection)? {
        of_collection(database, connection, &entry, &mut findings)?;
    }
    Ok(findings)
}

fn finding(severity: Severity, name: &str, summary: String) -> Finding {
    Finding { severity, name: name.to_owned(), summary, rows: Vec::new() }
}

/// `<segment>.drift-…` and `<segment>.corrupt-…`: indexes that MemPalace set aside, with vectors in them.
fn quarantines(database: &Database) -> Option<Finding> {
    let names =
        std::fs::read_dir(database.folder()).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let quarantined = |name: &String| {
        let (segment, rest) = name.split_once('.').unwrap_or_default();
        uuid::Uuid::parse_str(segment).is_ok() && (rest.starts_with("drift-") || rest.starts_with("corrupt-"))
    };
    let count = names.filter(quarantined).count();
    let summary = || format!("MemPalace has set {count} vector index(es) aside; their vectors are not read");
    (count > 0).then(|| finding(Severity::Warning, "quarantined_index", summary()))
}

fn old_journal(database: &Database) -> Option<Finding> {
    let meta = std::fs::metadata(database.folder().join(format!("{DATABASE}-journal"))).ok()?;
    let old = meta.modified().ok()?.elapsed().is_ok_and(|age| age > JOURNAL_AGE);
    let summary = format!("{DATABASE}-journal is left over from a write that was interrupted");
    (old && meta.len() > 0).then(|| finding(Severity::Warning, "leftover_journal", summary))
}

/// Chroma 1.5 forgets the lists of a dropped collection's rows; a new row under their number inherits them.
fn leaked_lists(connection: &Connection) -> Result<Option<Finding>> {
    if !catalog::has_table(connection, "embedding_metadata_array")? {
        return Ok(None);
    }
    let sql = "SELECT count(*) FROM (SELECT 1 FROM embedding_metadata_array a
               WHERE NOT EXISTS (SELECT 1 FROM embeddings e WHERE e.id = a.id) LIMIT ?1)";
    let count: i64 = connection.query_row(sql, [COUNTED], |row| row.get(0)).map_err(sqlite)?;
    let or_more = if count == COUNTED { " or more" } else { "" };
    let summary = format!(
        "{count}{or_more} list values in metadata belong to no row: Chroma left them behind when a collection was \
         dropped, and rows written since may carry some that are not theirs"
    );
    Ok((count > 0).then(|| finding(Severity::Warning, "leaked_list_metadata", summary)))
}

fn collections_elsewhere(connection: &Connection) -> Result<Option<Finding>> {
    let count = catalog::entries_elsewhere(connection)?;
    let summary = format!("{count} collection(s) are in a tenant or database that MemPalace does not use; not read");
    Ok((count > 0).then(|| finding(Severity::Info, "other_database", summary)))
}

fn of_collection(
    database: &Database,
    connection: &Connection,
    entry: &Entry,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let name = &entry.name;
    let segments = match entry.segments() {
        Ok(segments) => segments,
        Err(error) => {
            findings.push(finding(Severity::Error, "segment_missing", format!("{name}: {}", error.what())));
            return Ok(());
        }
    };
    let folder = SegmentFolder::new(database.folder(), segments.vector_folder);
    let flushed = max_seq_id(connection, &segments.vector)?;
    let metadata = max_seq_id(connection, &segments.metadata)?;
    let has_rows = connection
        .prepare_cached("SELECT 1 FROM embeddings WHERE segment_id = ?1 LIMIT 1")
        .and_then(|mut statement| statement.exists([&segments.metadata]))
        .map_err(sqlite)?;
    if has_rows && flushed.is_some() && folder.size_of(PICKLE).is_none() {
        let lost = if folder.path().is_dir() { "its id map is missing" } else { "its folder is missing" };
        let summary =
            format!("{name}: the vector index was written and {lost}; rows have no vector unless still in the log");
        findings.push(finding(Severity::Error, "index_missing", summary));
    }
    let newest: Option<i64> =
        connection.query_row("SELECT max(seq_id) FROM embeddings_queue", [], |row| row.get(0)).map_err(sqlite)?;
    if flushed.max(metadata) > Some(newest.unwrap_or(i64::MAX)) {
        let summary =
            format!("{name}: its sequence number is beyond the log's, so Chroma ignores what is written to it");
        findings.push(finding(Severity::Error, "sequence_beyond_log", summary));
    }
    if let (Some(links), Some(data)) = (folder.size_of("link_lists.bin"), folder.size_of(DATA))
        && links / LINK_LISTS_RATIO > data.max(1)
    {
        let summary =
            format!("{name}: link_lists.bin has {links} bytes, {LINK_LISTS_RATIO} times its vectors' {data} and more");
        findings.push(finding(Severity::Warning, "link_lists_runaway", summary));
    }
    Ok(())
}
