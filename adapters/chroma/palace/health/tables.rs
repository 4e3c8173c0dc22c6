use super::finding;
use crate::catalog::{self, Entry};
use crate::connection::sqlite;
use crate::palace::figures::Figures;
use palanquin_engine::contract::{Finding, Result, Severity};
use rusqlite::Connection;

/// Rows counted before "or more" will do.
const COUNTED: i64 = 1000;
const FULLTEXT: &str = "embedding_fulltext_search";

/// What the tables tell that concerns no one collection.
pub(super) fn findings(connection: &Connection) -> Result<Vec<Finding>> {
    let found = [leaked_lists(connection)?, collections_elsewhere(connection)?, broken_fulltext(connection)?];
    Ok(found.into_iter().flatten().collect())
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

/// What can be seen of a broken full-text index without reading it: tables of it that are gone, its two records that
/// every index has, and documents beyond the last one it has counted, or the other way round.
fn broken_fulltext(connection: &Connection) -> Result<Option<Finding>> {
    let broken = |what: String| {
        let summary = format!(
            "the full-text index is broken: {what}; searches in documents fail or miss rows, and nothing that is read \
             here depends on it"
        );
        Ok(Some(finding(Severity::Warning, "fulltext_broken", summary)))
    };
    if !catalog::has_table(connection, FULLTEXT)? {
        // Older than the index, or all of it is gone; Chroma makes it anew.
        return Ok(None);
    }
    for part in ["data", "idx", "content", "docsize", "config"] {
        if !catalog::has_table(connection, &format!("{FULLTEXT}_{part}"))? {
            return broken(format!("its table {part} is gone"));
        }
    }
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(sqlite);
    let records = number(&format!("SELECT count(*) FROM {FULLTEXT}_data WHERE id IN (1, 10) AND length(block) > 0"))?;
    if records < 2 {
        return broken(format!("{} of its two head records are gone", 2 - records));
    }
    let [counted, kept] =
        ["docsize", "content"].map(|part| number(&format!("SELECT coalesce(max(id), 0) FROM {FULLTEXT}_{part}")));
    let (counted, kept) = (counted?, kept?);
    if counted != kept {
        return broken(format!("its last document is {kept}, the last it has counted {counted}"));
    }
    Ok(None)
}

/// Chroma takes what has a number beyond the newest as done already.
pub(super) fn sequence(connection: &Connection, entry: &Entry, figures: &Figures) -> Result<Option<Finding>> {
    let newest: Option<i64> =
        connection.query_row("SELECT max(seq_id) FROM embeddings_queue", [], |row| row.get(0)).map_err(sqlite)?;
    let Some((newest, beyond)) = newest.zip(figures.vector.max(figures.metadata)).filter(|(newest, at)| at > newest)
    else {
        return Ok(None);
    };
    let summary = format!(
        "{}: it has come to sequence number {beyond}, the log only to {newest}: the next {} operations on it are ignored",
        entry.name,
        beyond.saturating_sub(newest)
    );
    Ok(Some(finding(Severity::Error, "sequence_beyond_log", summary)))
}
