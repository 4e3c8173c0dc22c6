use super::behind::Behind;
use super::marks::Marks;
use super::page::{lower, upper};
use super::session::Session;
use crate::connection::{out_of_order, sqlite};
use palanquin_engine::contract::{KeyRange, Partition, Result};
use rusqlite::{Connection, OptionalExtension};

/// Rows counted under one lock at once: a writer waits for some ten milliseconds.
const COUNTED_AT_ONCE: u64 = 20_000;
/// Counts that commits may come between before all is counted under one lock.
const COUNTS_SPOILED: usize = 3;

/// Rows of the collection as of now.
pub(crate) fn count(session: &Session) -> Result<u64> {
    for _ in 0..COUNTS_SPOILED {
        if let Some(rows) = count_between_commits(session)? {
            return Ok(rows);
        }
    }
    let (lock, marks) = session.lock()?;
    let rows = count_in(&lock, &session.segments.metadata, &KeyRange::ALL)?;
    with_logged(session, &lock, marks, rows)
}

/// Rows, counted under many short locks; `None` if anything was committed between two of them.
fn count_between_commits(session: &Session) -> Result<Option<u64>> {
    let (mut rows, mut after, mut began) = (0, None, None);
    loop {
        let (lock, marks) = session.lock()?;
        if *began.get_or_insert(marks) != marks {
            return Ok(None);
        }
        let (counted, last) = count_after(&lock, &session.segments.metadata, after.as_deref())?;
        rows += counted;
        if counted < COUNTED_AT_ONCE {
            return with_logged(session, &lock, marks, rows).map(Some);
        }
        after = last;
    }
}

fn with_logged(session: &Session, lock: &Connection, marks: Marks, rows: u64) -> Result<u64> {
    let logged = if marks.behind { session.behind(lock, marks).difference()? } else { 0 };
    Ok(rows.saturating_add_signed(logged))
}

/// Rows of the tables, counted under many short locks, while others may come and go.
pub(crate) fn count_about(connection: &Connection, segment: &str) -> Result<u64> {
    let (mut rows, mut after) = (0, None);
    loop {
        let (counted, last) = count_after(connection, segment, after.as_deref())?;
        rows += counted;
        if counted < COUNTED_AT_ONCE {
            return Ok(rows);
        }
        after = last;
    }
}

/// How many of the rows after an id there are, up to a bound, and the id of the last one counted.
fn count_after(connection: &Connection, segment: &str, after: Option<&str>) -> Result<(u64, Option<String>)> {
    let sql = "SELECT count(*), max(embedding_id) FROM (SELECT embedding_id FROM embeddings
               WHERE segment_id = ?1 AND embedding_id >= ?2 AND (?3 OR embedding_id > ?2) ORDER BY embedding_id LIMIT ?4)";
    let mut statement = connection.prepare_cached(sql).map_err(sqlite)?;
    let params = (segment, after.unwrap_or(""), after.is_none(), COUNTED_AT_ONCE as i64);
    let (counted, last): (u64, Option<String>) =
        statement.query_row(params, |row| Ok((row.get(0)?, row.get(1)?))).map_err(sqlite)?;
    if counted > 0 && after.is_some() && last.as_deref() <= after {
        return Err(out_of_order());
    }
    Ok((counted, last))
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
