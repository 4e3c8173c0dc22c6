use crate::connection::sqlite;
use crate::read::marks::Marks;
use crate::read::session::Session;
use palanquin_engine::contract::{Cursor, Error, ErrorKind, FeedHead, Result};
use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};

/// The newest operation on a collection, and what it can be recognised by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Its number; 0 if there was none.
    pub(crate) seq: i64,
    /// Stands for the id it was on; 0 if the log does not hold it.
    witness: u64,
    /// When it was made, in seconds since the epoch; 0 if the log does not hold it.
    made: i64,
}

/// What a cursor says: `1:<inode>:<collection>:<seq>:<witness>:<made>:<memory>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Of the database file.
    inode: u64,
    /// The collection's id.
    collection: String,
    /// How far it is.
    pub(crate) end: End,
    /// The memory that vouches for it, if any.
    pub(crate) memory: String,
}

impl End {
    /// As of a lock.
    pub(crate) fn read(session: &Session, lock: &Connection, marks: Marks) -> Result<Self> {
        if let Some((as_of, end)) = session.end.get()
            && as_of == marks
        {
            return Ok(end);
        }
        let sql = "SELECT seq_id, id, CAST(strftime('%s', created_at) AS INTEGER) FROM embeddings_queue
                   WHERE seq_id >= ?1 AND substr(topic, -36) = ?2 ORDER BY seq_id DESC LIMIT 1";
        let mut statement = lock.prepare_cached(sql).map_err(sqlite)?;
        let newest = statement.query_row((marks.metadata.unwrap_or(i64::MIN), &session.entry.id), |row| {
            let witness = row.get_ref(1)?.as_bytes().map(witness)?;
            Ok(Self { seq: row.get(0)?, witness, made: row.get::<_, Option<i64>>(2)?.unwrap_or(0) })
        });
        let unseen = Self { seq: marks.metadata.unwrap_or(0), witness: 0, made: 0 };
        let end = newest.optional().map_err(sqlite)?.unwrap_or(unseen);
        session.end.set(Some((marks, end)));
        Ok(end)
    }

    /// The feed's head at this end.
    pub(crate) fn head(self, session: &Session, memory: &str) -> FeedHead {
        let changed_at_ms = (self.made > 0).then_some(self.made * 1000);
        FeedHead { cursor: Mark::at(session, self, memory).cursor(), changed_at_ms }
    }

    /// Whether the operation of its number, found in the log, is the one that was meant.
    fn is(self, id: &[u8], made: i64) -> bool {
        self.witness == 0 || (self.witness == witness(id) && self.made == made)
    }

    /// Whether a row that carries its number is the one that was meant.
    pub(super) fn is_on(self, id: &[u8]) -> bool {
        self.witness == 0 || self.witness == witness(id)
    }
}

impl Mark {
    /// An end of the collection's, vouched for by a memory.
    pub(crate) fn at(session: &Session, end: End, memory: &str) -> Self {
        let (_, inode) = session.database.file();
        Self { inode, collection: session.entry.id.clone(), end, memory: memory.to_owned() }
    }

    /// As text, the same for the same place and memory.
    pub(crate) fn cursor(&self) -> Cursor {
        let Self { inode, collection, end, memory } = self;
        Cursor(format!("1:{inode}:{collection}:{}:{:016x}:{}:{memory}", end.seq, end.witness, end.made))
    }

    /// Reads a cursor.
    pub(crate) fn parse(cursor: &Cursor) -> Result<Self> {
        let parts: Vec<&str> = cursor.0.split(':').collect();
        let read = || {
            let ["1", inode, collection, seq, witness, made, memory] = parts[..] else { return None };
            let end = End {
                seq: seq.parse().ok().filter(|seq| *seq >= 0)?,
                witness: u64::from_str_radix(witness, 16).ok()?,
                made: made.parse().ok()?,
            };
            // As a memory names itself.
            let memory = uuid::Uuid::try_parse(memory)
                .ok()
                .filter(|name| name.simple().to_string() == memory)
                .map(|_| memory)?;
            Some(Self { inode: inode.parse().ok()?, collection: collection.to_owned(), end, memory: memory.to_owned() })
        };
        read().ok_or_else(|| {
            let detail = format!("{:?} is no place in a Chroma collection's log", cursor.0);
            Error::new(ErrorKind::CursorExpired, detail)
        })
    }

    /// Refuses a cursor of another history: of another file, another collection, a number that is yet to come, or one
    /// that is another operation's now.
    pub(crate) fn check(&self, session: &Session, lock: &Connection, now: End) -> Result<()> {
        let (_, inode) = session.database.file();
        if self.inode != inode {
            return expired("the database is another file than the cursor's: it was restored, rebuilt or moved");
        }
        if self.collection != session.entry.id {
            return expired("the collection was dropped and made again since the cursor was taken");
        }
        if now.seq < self.end.seq {
            let detail = format!(
                "the cursor is at operation {}, the collection only at {}: an older state was restored",
                self.end.seq, now.seq
            );
            return expired(detail);
        }
        let sql = "SELECT id, CAST(strftime('%s', created_at) AS INTEGER) FROM embeddings_queue
                   WHERE seq_id = ?1 AND substr(topic, -36) = ?2";
        let mut statement = lock.prepare_cached(sql).map_err(sqlite)?;
        let found = statement.query_row((self.end.seq, &self.collection), |row| {
            let made = row.get::<_, Option<i64>>(1)?.unwrap_or(0);
            Ok(self.end.is(row.get_ref(0)?.as_bytes()?, made))
        });
        match found.optional().map_err(sqlite)? {
            Some(false) => Err(another_history(self.end.seq)),
            _ => Ok(()),
        }
    }
}

/// The operation of the cursor's number is not the cursor's.
pub(super) fn another_history(seq: i64) -> Error {
    let detail = format!("operation {seq} is another one than the cursor's: an older state was restored and changed");
    Error::new(ErrorKind::CursorExpired, detail)
}

fn expired(detail: impl Into<String>) -> Result<()> {
    Err(Error::new(ErrorKind::CursorExpired, detail))
}

fn witness(id: &[u8]) -> u64 {
    let digest = Sha256::digest(id);
    let start = digest.first_chunk::<8>().map_or(0, |start| u64::from_be_bytes(*start));
    // 0 stands for none.
    start.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a memory names itself.
    const NAME: &str = "6d5175fe44b4470f8964964a8c78ecb0";

    #[test]
    fn a_cursor_is_read_back_and_anything_else_is_not_taken_for_one() {
        let end = End { seq: 12, witness: witness(b"a"), made: 1_772_366_400 };
        let mark = Mark { inode: 7, collection: "c".into(), end, memory: NAME.into() };
        assert_eq!(Mark::parse(&mark.cursor()).unwrap(), mark);
        let of = |start: &str, end: &str| format!("{start}:{NAME}{end}");
        let named = [
            ("2:7:c:12:0:0", ""),
            ("1:7:c:x:0:0", ""),
            ("1:-7:c:12:0:0", ""),
            ("1:7:c:-12:0:0", ""),
            ("1:7:c:12:0:0", "0"),
        ];
        let named = named.map(|(start, end)| of(start, end));
        for text in ["", "1", "1:7:c:12:0:0", "1:7:c:12:0:0:m"].map(str::to_owned).into_iter().chain(named) {
            let error = Mark::parse(&Cursor(text.clone())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::CursorExpired, "{text:?}");
        }
    }
}
