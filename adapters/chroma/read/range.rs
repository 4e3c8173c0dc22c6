use super::behind::Behind;
use super::page::{lower, upper};
use super::session::Session;
use crate::connection::sqlite;
use palanquin_engine::contract::{KeyRange, Partition, Result};
use rusqlite::{Connection, OptionalExtension};

/// Rows of the collection as of now.
pub(crate) fn count(session: &Session) -> Result<u64> {
    let (lock, marks) = session.lock()?;
    let segment = &session.segments.metadata;
    let mut rows = count_in(&lock, segment, &KeyRange::ALL)? as i64;
    if marks.behind {
        rows += Behind { connection: &lock, collection: &session.entry.id, segment, marks }.difference()?;
    }
    Ok(rows.max(0) as u64)
}

/// The greatest id in a range.
pub(crate) fn last_id(session: &Session, range: &KeyRange) -> Result<Option<String>> {
    let (lock, marks) = session.lock()?;
    let segment = &session.segments.metadata;
    if marks.behind {
        return Behind { connection: &lock, collection: &session.entry.id, segment, marks }.last_id(range);
    }
    let sql = format!("SELECT embedding_id FROM embeddings WHERE {IN_RANGE} ORDER BY embedding_id DESC LIMIT 1");
    let mut statement = lock.prepare_cached(&sql).map_err(sqlite)?;
    let params = (segment, lower(range), upper(range), range.after.is_none());
    statement.query_row(params, |row| row.get(0)).optional().map_err(sqlite)
}

/// Cuts the ids into ranges of `rows_per_partition`, each found under a lock of its own.
pub(crate) fn cut(session: &Session, rows_per_partition: u64) -> Result<Vec<Partition>> {
    let step = rows_per_partition.clamp(1, i64::MAX as u64);
    let segment = &session.segments.metadata;
    let sql = format!("SELECT embedding_id FROM embeddings WHERE {IN_RANGE} ORDER BY embedding_id LIMIT 1 OFFSET ?5");
    let mut partitions: Vec<Partition> = Vec::new();
    let mut range = KeyRange::ALL;
    loop {
        let (lock, _) = session.lock()?;
        let mut statement = lock.prepare_cached(&sql).map_err(sqlite)?;
        let params = (segment, lower(&range), upper(&range), range.after.is_none(), step as i64 - 1);
        let bound: Option<String> = statement.query_row(params, |row| row.get(0)).optional().map_err(sqlite)?;
        if let Some(bound) = bound {
            partitions.push(Partition { range: KeyRange { upto: Some(bound.clone()), ..range }, rows: step });
            range = KeyRange { after: Some(bound), upto: None };
            continue;
        }
        match (count_in(&lock, segment, &range)?, partitions.last_mut()) {
            (0, Some(last)) => last.range.upto = None,
            (rows, _) => partitions.push(Partition { range, rows }),
        }
        return Ok(partitions);
    }
}

/// Rows that the tables have in a range.
pub(crate) fn count_in(connection: &Connection, segment: &str, range: &KeyRange) -> Result<u64> {
    let sql = format!("SELECT count(*) FROM embeddings WHERE {IN_RANGE}");
    let mut statement = connection.prepare_cached(&sql).map_err(sqlite)?;
    let params = (segment, lower(range), upper(range), range.after.is_none());
    statement.query_row(params, |row| row.get(0)).map_err(sqlite)
}

const IN_RANGE: &str = "segment_id = ?1 AND embedding_id >= ?2 AND embedding_id <= ?3 AND (?4 OR embedding_id > ?2)";
