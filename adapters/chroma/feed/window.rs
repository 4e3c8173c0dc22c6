use super::cursor::{End, another_history};
use crate::connection::sqlite;
use crate::read::marks::seq_id;
use crate::read::session::Session;
use crate::read::tail::Operation;
use palanquin_engine::contract::Result;
use rusqlite::Connection;
use std::collections::BTreeMap;

/// Logged operations read under one lock.
const LOG_PAGE: i64 = 2048;
/// Rows looked at under one lock.
const TABLE_PAGE: i64 = 4096;
/// Operations accounted for one by one; beyond, none is.
const MAX_SPAN: i64 = 1 << 28;

/// What can be told of the operations on a collection between two numbers.
#[derive(Debug)]
pub(super) struct Window {
    /// Those of the collection's rows that were touched, as far as can be told: all that are still there.
    pub(super) touched: BTreeMap<String, Touched>,
    from: i64,
    /// One bit for each number after `from`: whether it is known what its operation was.
    known: Vec<u64>,
    /// From here on the log itself is complete.
    log_from: Option<i64>,
}

/// What happened to a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Touched {
    /// Number of the last operation on it.
    pub(super) last: i64,
    /// Number of the last delete.
    pub(super) deleted: Option<i64>,
}

impl Window {
    /// Looks at what came after the operations `marks`, up to `upto`. The log is read, and where it was purged the
    /// numbers that rows carry.
    ///
    /// # Errors
    /// `CursorExpired` if a row shows that the operation of `cursor` is another one now.
    pub(super) fn read(session: &Session, marks: [i64; 2], upto: i64, cursor: End) -> Result<Self> {
        let [from, later] = [marks[0].min(marks[1]), marks[0].max(marks[1])];
        let span = upto.saturating_sub(from).max(0);
        let words = if span > MAX_SPAN { 0 } else { (span as usize).div_ceil(64) };
        let mut window = Self { touched: BTreeMap::new(), from, known: vec![0; words], log_from: None };
        window.read_log(session, upto)?;
        // Purges take the oldest first, so what is still there after all was read vouches for what comes after it.
        let (lock, _) = session.lock()?;
        for mark in [from, later] {
            if window.log_from.is_none() && (mark == upto || is_logged(session, &lock, mark)?) {
                window.log_from = Some(mark);
            }
        }
        drop(lock);
        if !window.is_complete_after(from, upto) {
            window.read_tables(session, upto, cursor)?;
        }
        Ok(window)
    }

    /// Whether every delete after that number is among what was touched.
    pub(super) fn is_complete_after(&self, seq: i64, upto: i64) -> bool {
        self.log_from.is_some_and(|from| seq >= from) || self.unknown_after(seq, upto) == 0
    }

    /// How many operations after that number cannot be told any more.
    pub(super) fn unknown_after(&self, seq: i64, upto: i64) -> i64 {
        let first = self.log_from.map_or(upto, |from| from.min(upto));
        if self.known.is_empty() {
            return first.saturating_sub(seq).max(0);
        }
        (seq.max(self.from) + 1..=first).filter(|seq| !self.is_known(*seq)).count() as i64
    }

    fn is_known(&self, seq: i64) -> bool {
        let at = (seq - self.from - 1) as usize;
        self.known.get(at / 64).is_some_and(|word| word & (1 << (at % 64)) != 0)
    }

    fn know(&mut self, seq: i64) {
        let at = seq.checked_sub(self.from).and_then(|after| usize::try_from(after.checked_sub(1)?).ok());
        if let Some(at) = at
            && let Some(word) = self.known.get_mut(at / 64)
        {
            *word |= 1 << (at % 64);
        }
    }

    fn touch(&mut self, id: &str, seq: i64) -> &mut Touched {
        if !self.touched.contains_key(id) {
            self.touched.insert(id.to_owned(), Touched::default());
        }
        let touched = self.touched.entry(id.to_owned()).or_default();
        touched.last = touched.last.max(seq);
        touched
    }

    fn read_log(&mut self, session: &Session, upto: i64) -> Result<()> {
        let sql = "SELECT seq_id, operation, id, substr(topic, -36) = ?1 FROM embeddings_queue
                   WHERE seq_id > ?2 AND seq_id <= ?3 ORDER BY seq_id LIMIT ?4";
        let mut at = self.from;
        loop {
            let (lock, _) = session.lock()?;
            let mut statement = lock.prepare_cached(sql).map_err(sqlite)?;
            let mut rows = statement.query((&session.entry.id, at, upto, LOG_PAGE)).map_err(sqlite)?;
            let (mut read, before) = (0, at);
            while let Some(row) = rows.next().map_err(sqlite)? {
                read += 1;
                at = row.get(0).map_err(sqlite)?;
                self.know(at);
                if row.get(3).map_err(sqlite)? {
                    let operation = Operation::of(row.get(1).map_err(sqlite)?)?;
                    let id = row.get_ref(2).map_err(sqlite)?.as_str().map_err(|error| sqlite(error.into()))?;
                    let touched = self.touch(id, at);
                    if operation == Operation::Delete {
                        touched.deleted = Some(at);
                    }
                }
            }
            // A damaged table may lead back.
            if read < LOG_PAGE || at <= before {
                return Ok(());
            }
        }
    }

    /// Every row's number, of every collection: they share one count.
    fn read_tables(&mut self, session: &Session, upto: i64, cursor: End) -> Result<()> {
        // A number of eight bytes, as older palaces have them, sorts after every integer.
        let sql = "SELECT id, seq_id, segment_id = ?1, embedding_id FROM embeddings
                   WHERE id > ?2 AND id <= ?3 AND seq_id >= ?4";
        let segment = &session.segments.metadata;
        let mut at = i64::MIN;
        loop {
            let (lock, _) = session.lock()?;
            let Some(last) = last_of_page(&lock, at)? else { return Ok(()) };
            let mut statement = lock.prepare_cached(sql).map_err(sqlite)?;
            let mut rows = statement.query((segment, at, last, self.from)).map_err(sqlite)?;
            while let Some(row) = rows.next().map_err(sqlite)? {
                let Some(seq) = seq_id(row.get_ref(1).map_err(sqlite)?)? else { continue };
                let ours: bool = row.get(2).map_err(sqlite)?;
                if ours && seq == cursor.seq {
                    let id = row.get_ref(3).map_err(sqlite)?.as_bytes().map_err(|error| sqlite(error.into()))?;
                    if !cursor.is_on(id) {
                        return Err(another_history(seq));
                    }
                }
                if seq <= self.from {
                    continue;
                }
                if seq <= upto {
                    self.know(seq);
                }
                if ours {
                    let id = row.get_ref(3).map_err(sqlite)?.as_str().map_err(|error| sqlite(error.into()))?;
                    self.touch(id, seq);
                }
            }
            at = last;
        }
    }
}

/// Number of the last row of the page after that one.
fn last_of_page(lock: &Connection, after: i64) -> Result<Option<i64>> {
    let sql = "SELECT max(id) FROM (SELECT id FROM embeddings WHERE id > ?1 ORDER BY id LIMIT ?2)";
    let mut statement = lock.prepare_cached(sql).map_err(sqlite)?;
    statement.query_row((after, TABLE_PAGE), |row| row.get(0)).map_err(sqlite)
}

fn is_logged(session: &Session, lock: &Connection, seq: i64) -> Result<bool> {
    let sql = "SELECT 1 FROM embeddings_queue WHERE seq_id = ?1 AND substr(topic, -36) = ?2";
    let mut statement = lock.prepare_cached(sql).map_err(sqlite)?;
    statement.exists((seq, &session.entry.id)).map_err(sqlite)
}
