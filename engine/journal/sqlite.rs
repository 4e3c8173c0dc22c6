mod letters;
#[cfg(test)]
mod tests;

use super::{Claim, DeadLetter, Ending, Journal, JournalError, KeptLetter, KnownLink, digests};
use crate::contract::{Conversion, Cursor};
use crate::link::{ConvertedRows, LinkId, LinkSpec, Plan, Position, Positions};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What makes each format out of the one before it; a journal's format is how many of them it has had.
const FORMATS: [&str; 3] = [
    "
CREATE TABLE link (
    id TEXT PRIMARY KEY, spec TEXT NOT NULL, epoch INTEGER NOT NULL, plan TEXT, ending TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE position (
    link TEXT NOT NULL REFERENCES link(id) ON DELETE CASCADE, collection INTEGER NOT NULL, part INTEGER NOT NULL,
    upto TEXT, rows INTEGER NOT NULL, bytes INTEGER NOT NULL, done INTEGER NOT NULL,
    PRIMARY KEY (link, collection, part)
) STRICT, WITHOUT ROWID;
CREATE TABLE feed (
    link TEXT NOT NULL REFERENCES link(id) ON DELETE CASCADE, collection INTEGER NOT NULL, cursor TEXT NOT NULL,
    PRIMARY KEY (link, collection)
) STRICT, WITHOUT ROWID;
",
    letters::TABLES,
    digests::FORMAT,
];
const FORMAT: i64 = FORMATS.len() as i64;

/// The journal of one machine: one SQLite file, mode 0600, each call one durable transaction.
#[derive(Clone, Debug)]
pub struct SqliteJournal {
    path: PathBuf,
    connection: Arc<Mutex<Connection>>,
}

impl SqliteJournal {
    /// Opens `journal.sqlite3` in the state directory; both are made, with modes 0700 and 0600, if they are not there.
    ///
    /// # Errors
    /// `Newer` if a newer version made it.
    pub fn open(state: &Path) -> Result<Self, JournalError> {
        let path = state.join("journal.sqlite3");
        let io = |source| JournalError::Io { path: path.clone(), source };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state).map_err(io)?;
        std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(io)?;
        let sqlite = |source| JournalError::Sqlite { path: path.clone(), source };
        let mut connection = Connection::open(&path).map_err(sqlite)?;
        prepare(&mut connection).map_err(sqlite)?;
        let found = format_of(&connection).map_err(sqlite)?;
        if found > FORMAT {
            return Err(JournalError::Newer { path, found, known: FORMAT });
        }
        Ok(Self { path, connection: Arc::new(Mutex::new(connection)) })
    }

    /// Runs one transaction on a thread that may block.
    pub(super) async fn transact<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, JournalError> {
        let connection = Arc::clone(&self.connection);
        let done = tokio::task::spawn_blocking(move || {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        });
        done.await.map_err(|_| JournalError::Gone)?.map_err(|refusal| match refusal {
            Refusal::Sqlite(source) => JournalError::Sqlite { path: self.path.clone(), source },
            Refusal::Unreadable(what, source) => JournalError::Unreadable { path: self.path.clone(), what, source },
            Refusal::Of(error) => error,
        })
    }
}

/// Why a transaction was given up; the path is added outside.
pub(super) enum Refusal {
    Sqlite(rusqlite::Error),
    Unreadable(&'static str, serde_json::Error),
    Of(JournalError),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let has = usize::try_from(format_of(&transaction)?).unwrap_or(usize::MAX);
    if has < FORMATS.len() {
        FORMATS[has..].iter().try_for_each(|format| transaction.execute_batch(format))?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
    }
    transaction.commit()
}

fn format_of(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Refuses writers whose claim was overtaken.
pub(super) fn fence(transaction: &Transaction<'_>, link: &LinkId, epoch: u64) -> Result<(), Refusal> {
    let current: Option<u64> =
        transaction.query_row("SELECT epoch FROM link WHERE id = ?1", [&link.0], |row| row.get(0)).optional()?;
    if current == Some(epoch) { Ok(()) } else { Err(Refusal::Of(JournalError::Fenced(link.clone()))) }
}

fn parsed<T: serde::de::DeserializeOwned>(what: &'static str, text: Option<String>) -> Result<Option<T>, Refusal> {
    text.map(|text| serde_json::from_str(&text)).transpose().map_err(|source| Refusal::Unreadable(what, source))
}

fn text_of(what: &'static str, value: &impl serde::Serialize) -> Result<String, Refusal> {
    serde_json::to_string(value).map_err(|source| Refusal::Unreadable(what, source))
}

fn positions(transaction: &Transaction<'_>, link: &LinkId) -> rusqlite::Result<Positions> {
    let mut positions = Positions::default();
    let mut statement =
        transaction.prepare("SELECT collection, part, upto, rows, bytes, done FROM position WHERE link = ?1")?;
    let mut rows = statement.query([&link.0])?;
    while let Some(row) = rows.next()? {
        let position = Position { upto: row.get(2)?, rows: row.get(3)?, bytes: row.get(4)?, done: row.get(5)? };
        positions.advance(row.get(0)?, row.get(1)?, position);
    }
    let mut statement = transaction.prepare("SELECT collection, cursor FROM feed WHERE link = ?1")?;
    let mut rows = statement.query([&link.0])?;
    while let Some(row) = rows.next()? {
        positions.advance_feed(row.get(0)?, Cursor(row.get(1)?));
    }
    Ok(positions)
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn claim(&self, spec: &LinkSpec) -> Result<Claim, JournalError> {
        let spec = spec.clone();
        self.transact(move |transaction| {
            let link = spec.id();
            transaction.execute(
                "INSERT INTO link (id, spec, epoch) VALUES (?1, ?2, 1) ON CONFLICT (id) DO UPDATE SET epoch = epoch + 1",
                params![link.0, text_of("a link", &spec)?],
            )?;
            let (epoch, plan, ending) = transaction.query_row(
                "SELECT epoch, plan, ending FROM link WHERE id = ?1",
                [&link.0],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )?;
            let positions = positions(transaction, &link)?;
            Ok(Claim { epoch, plan: parsed("a plan", plan)?, positions, ending: parsed("an ending", ending)?, link })
        })
        .await
    }

    async fn store_plan(&self, link: &LinkId, epoch: u64, plan: &Plan) -> Result<(), JournalError> {
        let (link, plan) = (link.clone(), plan.clone());
        self.transact(move |transaction| {
            fence(transaction, &link, epoch)?;
            let stored = transaction.execute(
                "UPDATE link SET plan = ?2 WHERE id = ?1 AND plan IS NULL",
                params![link.0, text_of("a plan", &plan)?],
            )?;
            if stored == 1 { Ok(()) } else { Err(Refusal::Of(JournalError::PlanExists(link))) }
        })
        .await
    }

    async fn advance(
        &self,
        link: &LinkId,
        epoch: u64,
        partitions: &[(usize, usize, Position)],
        feeds: &[(usize, Cursor)],
    ) -> Result<(), JournalError> {
        let (link, partitions, feeds) = (link.clone(), partitions.to_vec(), feeds.to_vec());
        self.transact(move |transaction| {
            fence(transaction, &link, epoch)?;
            let mut statement = transaction.prepare_cached(
                "INSERT INTO position (link, collection, part, upto, rows, bytes, done)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT DO UPDATE SET upto = excluded.upto, rows = excluded.rows, bytes = excluded.bytes,
                     done = excluded.done
                 WHERE NOT done AND (excluded.done OR excluded.upto > coalesce(upto, ''))",
            )?;
            for (collection, part, position) in partitions {
                let Position { upto, rows, bytes, done } = position;
                statement.execute(params![link.0, collection, part, upto, rows, bytes, done])?;
            }
            let mut statement = transaction.prepare_cached(
                "INSERT INTO feed (link, collection, cursor) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET cursor = excluded.cursor",
            )?;
            for (collection, cursor) in feeds {
                statement.execute(params![link.0, collection, cursor.0])?;
            }
            Ok(())
        })
        .await
    }

    async fn end(&self, link: &LinkId, epoch: u64, ending: &Ending) -> Result<(), JournalError> {
        let (link, ending) = (link.clone(), ending.clone());
        self.transact(move |transaction| {
            fence(transaction, &link, epoch)?;
            let ending = text_of("an ending", &ending)?;
            transaction.execute("UPDATE link SET ending = ?2 WHERE id = ?1", params![link.0, ending])?;
            Ok(())
        })
        .await
    }

    async fn links(&self) -> Result<Vec<KnownLink>, JournalError> {
        self.transact(|transaction| {
            let mut links = Vec::new();
            let mut statement = transaction.prepare("SELECT id, spec, plan, ending FROM link ORDER BY id")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let link = LinkId(row.get(0)?);
                let spec: String = row.get(1)?;
                let spec = serde_json::from_str(&spec).map_err(|source| Refusal::Unreadable("a link", source))?;
                let (plan, ending) = (parsed("a plan", row.get(2)?)?, parsed("an ending", row.get(3)?)?);
                links.push(KnownLink { spec, plan, positions: positions(transaction, &link)?, ending, link });
            }
            Ok(links)
        })
        .await
    }

    async fn set_aside(&self, link: &LinkId, epoch: u64, letters: &[DeadLetter]) -> Result<(), JournalError> {
        let (link, letters) = (link.clone(), letters.to_vec());
        self.transact(move |transaction| {
            fence(transaction, &link, epoch)?;
            Ok(letters::set_aside(transaction, &link, &letters)?)
        })
        .await
    }

    async fn release(&self, link: &LinkId, epoch: u64, collection: &str, ids: &[String]) -> Result<u64, JournalError> {
        let (link, collection, ids) = (link.clone(), collection.to_owned(), ids.to_vec());
        self.transact(move |transaction| {
            fence(transaction, &link, epoch)?;
            Ok(letters::release(transaction, &link, &collection, &ids)?)
        })
        .await
    }

    async fn dead_letters(&self, link: &LinkId) -> Result<Vec<KeptLetter>, JournalError> {
        let link = link.clone();
        self.transact(move |transaction| Ok(letters::list(transaction, &link)?)).await
    }

    async fn dead_letter(&self, link: &LinkId, collection: &str, id: &str) -> Result<Option<DeadLetter>, JournalError> {
        let (link, collection, id) = (link.clone(), collection.to_owned(), id.to_owned());
        self.transact(move |transaction| Ok(letters::one(transaction, &link, &collection, &id)?)).await
    }

    async fn note_converted(
        &self,
        link: &LinkId,
        epoch: u64,
        collection: &str,
        rows: &[(Conversion, String)],
    ) -> Result<(), JournalError> {
        let (link, collection, rows) = (link.clone(), collection.to_owned(), rows.to_vec());
        self.transact(move |transaction| {
            fence(transaction, &link, epoch)?;
            Ok(letters::note_converted(transaction, &link, &collection, &rows)?)
        })
        .await
    }

    async fn converted(&self, link: &LinkId) -> Result<Vec<ConvertedRows>, JournalError> {
        let link = link.clone();
        self.transact(move |transaction| Ok(letters::converted(transaction, &link)?)).await
    }

    async fn reopen(&self, link: &LinkId, epoch: u64) -> Result<(), JournalError> {
        let link = link.clone();
        self.transact(move |transaction| {
            fence(transaction, &link, epoch)?;
            transaction.execute("UPDATE link SET ending = NULL WHERE id = ?1", [&link.0])?;
            Ok(())
        })
        .await
    }

    async fn forget(&self, link: &LinkId, epoch: u64) -> Result<(), JournalError> {
        let link = link.clone();
        self.transact(move |transaction| {
            fence(transaction, &link, epoch)?;
            transaction.execute("DELETE FROM link WHERE id = ?1", [&link.0])?;
            Ok(())
        })
        .await
    }
}
