use crate::connection::sqlite;
use palanquin_engine::contract::Result;
use rusqlite::Connection;
use std::collections::HashMap;

/// What a count is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Of {
    /// A collection's rows, with what is logged and not applied.
    Collection,
    /// The rows a segment's tables have.
    Tables,
}

/// What was counted, kept for as long as nobody commits: a palace is looked at every few seconds, and rows by the hundred
/// thousand would be counted each time.
#[derive(Debug, Default)]
pub(super) struct Counts {
    as_of: Option<i64>,
    rows: HashMap<(Of, String), u64>,
}

impl Counts {
    /// The rows of a collection or segment, counted if anything was committed since they were. `connection` is the same one
    /// each time: SQLite's number of changes is one's own.
    pub(super) fn of(
        &mut self,
        connection: &Connection,
        of: Of,
        id: &str,
        count: impl FnOnce() -> Result<u64>,
    ) -> Result<u64> {
        // Read before the rows are counted: a commit between the two has another number the next time.
        let now: i64 = connection.pragma_query_value(None, "data_version", |row| row.get(0)).map_err(sqlite)?;
        if self.as_of.replace(now) != Some(now) {
            self.rows.clear();
        }
        let key = (of, id.to_owned());
        if let Some(rows) = self.rows.get(&key) {
            return Ok(*rows);
        }
        let rows = count()?;
        self.rows.insert(key, rows);
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn rows_are_counted_again_once_somebody_has_committed_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("database");
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("CREATE TABLE t (n)").unwrap();
        let reader = Connection::open(&path).unwrap();
        let (mut counts, counted) = (Counts::default(), Cell::new(0));
        let mut rows = |of, id: &str| {
            counts.of(&reader, of, id, || {
                counted.set(counted.get() + 1);
                reader.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).map_err(sqlite)
            })
        };
        assert_eq!([rows(Of::Collection, "a").unwrap(), rows(Of::Collection, "a").unwrap()], [0, 0]);
        assert_eq!(counted.get(), 1);
        rows(Of::Tables, "a").unwrap();
        rows(Of::Collection, "b").unwrap();
        assert_eq!(counted.get(), 3);
        writer.execute_batch("INSERT INTO t VALUES (1)").unwrap();
        assert_eq!([rows(Of::Collection, "a").unwrap(), rows(Of::Collection, "a").unwrap()], [1, 1]);
        assert_eq!(counted.get(), 4);
    }
}
