use crate::connection::sqlite;
use crate::layout::fingerprint::{Fingerprint, Fingerprints};
use palanquin_engine::contract::{Error, ErrorKind, Result};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};

/// What a logged change does; Chroma's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Of a row that is not there; else nothing.
    Add,
    /// Of a row that is there; else nothing.
    Update,
    /// Either.
    Upsert,
    /// Of a row that is there.
    Delete,
}

impl Operation {
    /// The operation Chroma writes as `code`.
    pub(crate) fn of(code: i64) -> Result<Self> {
        match code {
            0 => Ok(Self::Add),
            1 => Ok(Self::Update),
            2 => Ok(Self::Upsert),
            3 => Ok(Self::Delete),
            _ => Err(Error::new(ErrorKind::Corrupt, format!("the log has the operation {code}, which Chroma has not"))),
        }
    }
}

/// What is known of a row before the tail begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// The index has it.
    There,
    /// The index does not have it.
    Absent,
    /// The index is lost.
    Unknown,
}

/// Where a row's vector is, once the tail was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vector {
    /// Where it was before.
    AsBefore,
    /// In the log, at this sequence number.
    Logged(i64),
    /// Nowhere.
    Nowhere,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    id: Fingerprint,
    seq_id: i64,
    operation: Operation,
    has_vector: bool,
}

/// The changes of a collection that its index does not have yet: 32 bytes each, not the changes themselves.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// By id, then in order.
    changes: Vec<Change>,
    /// The sequence number the index has come to.
    after: Option<i64>,
    /// The greatest sequence number in it. The last row of a collection stays in the log as long as the collection
    /// lives, so that numbers above it are new ones.
    upto: Option<i64>,
}

impl Tail {
    /// Brings it up to the log as it is now. `after` is where the index ends.
    pub(crate) fn refresh(
        &mut self,
        connection: &Connection,
        collection: &str,
        after: Option<i64>,
        fingerprints: &Fingerprints,
    ) -> Result<()> {
        if self.after != after {
            *self = Self { changes: Vec::new(), after, upto: None };
        }
        let sql = "SELECT seq_id, id, operation, vector IS NOT NULL FROM embeddings_queue
                   WHERE seq_id > ?1 AND substr(topic, -36) = ?2 ORDER BY seq_id";
        let mut statement = connection.prepare_cached(sql).map_err(sqlite)?;
        let from = self.upto.or(after).unwrap_or(i64::MIN);
        let mut rows = statement.query((from, collection)).map_err(sqlite)?;
        let known = self.changes.len();
        while let Some(row) = rows.next().map_err(sqlite)? {
            let id = row.get_ref(1).map_err(sqlite)?;
            let id = id.as_bytes().map_err(|error| sqlite(error.into()))?;
            let seq_id = row.get(0).map_err(sqlite)?;
            self.changes.push(Change {
                id: fingerprints.of(id),
                seq_id,
                operation: Operation::of(row.get(2).map_err(sqlite)?)?,
                has_vector: row.get(3).map_err(sqlite)?,
            });
            self.upto = Some(seq_id);
        }
        if self.changes.len() > known {
            self.changes.sort_unstable_by_key(|change| (change.id, change.seq_id));
        }
        Ok(())
    }

    /// Where the tail leaves a row's vector.
    pub(crate) fn vector(&self, id: Fingerprint, before: Before) -> Vector {
        let from = self.changes.partition_point(|change| change.id < id);
        let changes = self.changes[from..].iter().take_while(|change| change.id == id);
        let (mut state, mut vector) = (before, Vector::AsBefore);
        for change in changes {
            let logged = if change.has_vector { Vector::Logged(change.seq_id) } else { vector };
            match (change.operation, state) {
                (Operation::Delete, _) => (state, vector) = (Before::Absent, Vector::Nowhere),
                (Operation::Upsert, _) | (Operation::Add, Before::Absent) => (state, vector) = (Before::There, logged),
                (Operation::Update, Before::There) => vector = logged,
                // Ignored by Chroma too, or of no use: whether an unknown row took it cannot be told.
                (Operation::Add, Before::There) | (Operation::Update, Before::Absent) | (_, Before::Unknown) => {}
            }
        }
        vector
    }
}

/// Appends the raw bytes of a logged vector; `false` if the change is not there.
pub(crate) fn logged_vector(connection: &Connection, seq_id: i64, dimension: u32, out: &mut Vec<u8>) -> Result<bool> {
    let sql = "SELECT vector, encoding FROM embeddings_queue WHERE seq_id = ?1";
    let mut statement = connection.prepare_cached(sql).map_err(sqlite)?;
    let read = statement.query_row([seq_id], |row| {
        let (ValueRef::Blob(bytes), ValueRef::Text(encoding)) = (row.get_ref(0)?, row.get_ref(1)?) else {
            return Ok(Err(Error::new(ErrorKind::Corrupt, "a vector in the log is malformed")));
        };
        if encoding != b"FLOAT32" {
            let encoding = String::from_utf8_lossy(&encoding[..encoding.len().min(32)]);
            return Ok(Err(Error::new(ErrorKind::Corrupt, format!("a vector in the log is encoded as {encoding:?}"))));
        }
        if bytes.len() as u64 != 4 * u64::from(dimension) {
            let detail =
                format!("a vector in the log has {} bytes instead of {}", bytes.len(), 4 * u64::from(dimension));
            return Ok(Err(Error::new(ErrorKind::Corrupt, detail)));
        }
        out.extend_from_slice(bytes);
        Ok(Ok(()))
    });
    read.optional().map_err(sqlite)?.transpose().map(|found| found.is_some())
}

#[cfg(test)]
mod tests {
    use super::Operation::{Add, Delete, Update, Upsert};
    use super::*;

    fn after(before: Before, changes: &[(Operation, bool)]) -> Vector {
        let seq = |(at, &(operation, has_vector))| Change { id: [1, 1], seq_id: at as i64, operation, has_vector };
        let mut changes: Vec<Change> = changes.iter().enumerate().map(seq).collect();
        changes.insert(0, Change { id: [0, 9], seq_id: 99, operation: Delete, has_vector: false });
        changes.push(Change { id: [2, 0], seq_id: 99, operation: Upsert, has_vector: true });
        Tail { changes, after: None, upto: None }.vector([1, 1], before)
    }

    #[test]
    fn an_add_counts_only_for_a_row_that_is_not_there() {
        assert_eq!(after(Before::There, &[(Add, true)]), Vector::AsBefore);
        assert_eq!(after(Before::Absent, &[(Add, true), (Add, true)]), Vector::Logged(0));
        assert_eq!(after(Before::There, &[(Delete, false), (Add, true)]), Vector::Logged(1));
    }

    #[test]
    fn an_update_counts_only_for_a_row_that_is_there_and_only_with_a_vector() {
        assert_eq!(after(Before::Absent, &[(Update, true)]), Vector::AsBefore);
        assert_eq!(after(Before::There, &[(Update, true), (Update, false)]), Vector::Logged(0));
        assert_eq!(after(Before::There, &[(Update, false)]), Vector::AsBefore);
    }

    #[test]
    fn a_deleted_row_has_no_vector_and_an_upserted_one_has_its_own() {
        assert_eq!(after(Before::There, &[(Upsert, true), (Delete, false)]), Vector::Nowhere);
        assert_eq!(after(Before::There, &[(Delete, false), (Upsert, true)]), Vector::Logged(1));
    }

    #[test]
    fn without_an_index_only_what_is_certain_counts() {
        assert_eq!(after(Before::Unknown, &[(Add, true)]), Vector::AsBefore);
        assert_eq!(after(Before::Unknown, &[(Update, true)]), Vector::AsBefore);
        assert_eq!(after(Before::Unknown, &[(Upsert, true), (Update, true)]), Vector::Logged(1));
    }
}
