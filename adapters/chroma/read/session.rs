use super::behind::Behind;
use super::marks::Marks;
use crate::catalog::{Entry, Segments};
use crate::connection::{Database, sqlite};
use crate::feed::cursor::End;
use palanquin_engine::contract::Result;
use rusqlite::{Connection, Transaction};
use std::cell::Cell;
use std::ops::Deref;
use std::time::Instant;

/// One connection to one collection.
#[derive(Debug)]
pub(crate) struct Session {
    /// The palace's database.
    pub(crate) database: Database,
    /// The collection as it was when it was opened.
    pub(crate) entry: Entry,
    /// Its segments.
    pub(crate) segments: Segments,
    /// Whether rows that have lost their vector are given one of an index that was set aside.
    pub(crate) salvaging: bool,
    connection: Connection,
    last: Cell<Option<Marks>>,
    /// The newest operation as of some marks.
    pub(crate) end: Cell<Option<(Marks, End)>>,
}

impl Session {
    /// Connects; nothing of the collection is read yet.
    pub(crate) fn new(database: Database, entry: Entry) -> Result<Self> {
        let segments = entry.segments()?;
        let connection = database.connect()?;
        let (last, end) = (Cell::new(None), Cell::new(None));
        Ok(Self { database, entry, segments, salvaging: false, connection, last, end })
    }

    /// The same, and what it reads is salvaged or not.
    pub(crate) fn salvaging(self, salvaging: bool) -> Self {
        Self { salvaging, ..self }
    }

    /// The collection's rows once logged changes are applied, as of a lock.
    pub(crate) fn behind<'a>(&'a self, lock: &'a Connection, marks: Marks) -> Behind<'a> {
        Behind { connection: lock, collection: &self.entry.id, segment: &self.segments.metadata, marks }
    }

    /// Begins a transaction that holds the shared lock, so that no commit can happen, until it is dropped. It must be
    /// short: a writer waits.
    pub(crate) fn lock(&self) -> Result<(Lock<'_>, Marks)> {
        self.database.check_same_file()?;
        let lock =
            Lock { taken: Instant::now(), transaction: self.connection.unchecked_transaction().map_err(sqlite)? };
        let marks = Marks::read(&lock, &self.entry.id, &self.segments, self.last.get())?;
        self.last.set(Some(marks));
        Ok((lock, marks))
    }
}

/// The shared lock, held until it is dropped. What it was held for is logged at the level `trace`: so long a writer may have
/// waited.
pub(crate) struct Lock<'a> {
    transaction: Transaction<'a>,
    taken: Instant,
}

impl Deref for Lock<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.transaction
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        tracing::trace!(micros = self.taken.elapsed().as_micros() as u64, "the palace's lock was held");
    }
}
