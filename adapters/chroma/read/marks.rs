use crate::catalog::{self, Segments};
use crate::connection::sqlite;
use palanquin_engine::contract::{Error, ErrorKind, Result};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};

/// What a collection's state hangs on, as committed; all of it is read under one lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    /// Changes with each commit of another connection.
    data_version: i64,
    /// Width of the vectors; `None` until the first write.
    pub(crate) dimension: Option<u32>,
    /// The sequence number the tables have come to.
    pub(crate) metadata: Option<i64>,
    /// The sequence number the index has come to.
    pub(crate) vector: Option<i64>,
    /// Whether the log holds changes that the tables have not.
    pub(crate) behind: bool,
    /// Whether any row of the palace has a list in its metadata.
    pub(crate) lists: bool,
    /// The greatest sequence number committed anywhere.
    pub(crate) newest: i64,
}

impl Marks {
    /// The marks now; `last` if nothing was committed since. Takes the shared lock if the connection has none.
    pub(crate) fn read(
        connection: &Connection,
        collection: &str,
        segments: &Segments,
        last: Option<Self>,
    ) -> Result<Self> {
        let data_version: i64 = connection
            .prepare_cached("PRAGMA data_version")
            .and_then(|mut s| s.query_row([], |row| row.get(0)))
            .map_err(sqlite)?;
        if let Some(last) = last.filter(|last| last.data_version == data_version) {
            return Ok(last);
        }
        let Some(dimension) = catalog::dimension(connection, collection)? else {
            let detail = "the collection was dropped while it was being read";
            return Err(Error::new(ErrorKind::CollectionNotInitialized, detail));
        };
        let metadata = max_seq_id(connection, &segments.metadata)?;
        let vector = max_seq_id(connection, &segments.vector)?;
        let behind = exists(
            connection,
            "SELECT 1 FROM embeddings_queue WHERE seq_id > ?1 AND substr(topic, -36) = ?2 LIMIT 1",
            (metadata.unwrap_or(i64::MIN), collection),
        )?;
        let lists = catalog::has_table(connection, "embedding_metadata_array")?
            && exists(connection, "SELECT 1 FROM embedding_metadata_array LIMIT 1", [])?;
        let logged: Option<i64> = connection
            .prepare_cached("SELECT max(seq_id) FROM embeddings_queue")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
            .map_err(sqlite)?;
        let newest = [logged, metadata, vector].into_iter().flatten().max().unwrap_or(0);
        Ok(Self { data_version, dimension, metadata, vector, behind, lists, newest })
    }
}

fn exists(connection: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<bool> {
    connection.prepare_cached(sql).and_then(|mut statement| statement.exists(params)).map_err(sqlite)
}

/// The sequence number a segment has come to; `None` before its first flush.
pub(crate) fn max_seq_id(connection: &Connection, segment: &str) -> Result<Option<i64>> {
    let sql = "SELECT seq_id FROM max_seq_id WHERE segment_id = ?1";
    let mut statement = connection.prepare_cached(sql).map_err(sqlite)?;
    let found = statement.query_row([segment], |row| Ok(seq_id(row.get_ref(0)?))).optional().map_err(sqlite)?;
    found.transpose().map(Option::flatten)
}

/// A sequence number: an integer, or in older palaces eight bytes, the highest first.
pub(crate) fn seq_id(value: ValueRef<'_>) -> Result<Option<i64>> {
    let read = match value {
        ValueRef::Null => return Ok(None),
        ValueRef::Integer(seq) => Some(seq),
        ValueRef::Blob(bytes) => <[u8; 8]>::try_from(bytes).ok().map(i64::from_be_bytes),
        _ => None,
    };
    read.map(Some).ok_or_else(|| Error::new(ErrorKind::Corrupt, "a sequence number is malformed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_number_is_an_integer_or_eight_bytes() {
        assert_eq!(seq_id(ValueRef::Integer(7)).unwrap(), Some(7));
        assert_eq!(seq_id(ValueRef::Blob(&[0, 0, 0, 0, 0, 0, 1, 2])).unwrap(), Some(258));
        assert_eq!(seq_id(ValueRef::Null).unwrap(), None);
        for value in [ValueRef::Blob(&[1]), ValueRef::Text(b"7"), ValueRef::Real(7.0)] {
            assert_eq!(seq_id(value).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
}
