use super::changes::Changes;
use super::message::Message;
use super::position::{Log, Lsn, Position};
use super::slot::{self, Now};
use super::stream::{Stream, Transaction};
use super::{Feed, Followed, State};
use crate::collection::Table;
use crate::read;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use palanquin_engine::contract::{ChangeBatch, Cursor, ErrorKind, Result};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout};

/// A step ends with the transaction that makes it so large.
const STEP_ROWS: usize = 8_000;
const STEP_BYTES: usize = 16 << 20;
/// What is kept of tables that are not asked for now; more of it is read anew when they are.
const KEPT_BYTES: usize = 16 << 20;
/// What is waited for changes once there are some, or for the server to say that there are none.
const QUIET: Duration = Duration::from_millis(200);
/// A step takes no longer than that, if it can be helped.
const STEP_TIME: Duration = Duration::from_secs(1);
/// How often whoever waits for a large transaction is told that it goes on.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// After so much silence the server is asked whether it still sends.
const DOUBTED: Duration = Duration::from_secs(30);
/// The end of the log may lie so far beyond the end of its last record.
const NOT_A_RECORD: u64 = 16 << 10;
/// A feed without changes moves its cursor by at least so much, that not every look is worth storing.
const LEAP_BYTES: u64 = 1 << 20;

/// Changes of one table as far as the log has them now.
pub(crate) fn changes_since(
    feed: Arc<Feed>,
    table: Arc<Table>,
    oid: u32,
    cursor: Cursor,
    batch_rows: usize,
) -> BoxStream<'static, Result<ChangeBatch>> {
    let asked = Step::Asked { feed, table, oid, cursor, batch_rows };
    stream::try_unfold(asked, |step| async move {
        let mut running = match step {
            Step::Asked { feed, table, oid, cursor, batch_rows } => {
                Running::begin(feed, table, oid, &cursor, batch_rows).await?
            }
            Step::Running(running) => *running,
        };
        Ok(running.next().await?.map(|batch| (batch, Step::Running(Box::new(running)))))
    })
    .boxed()
}

enum Step {
    Asked { feed: Arc<Feed>, table: Arc<Table>, oid: u32, cursor: Cursor, batch_rows: usize },
    Running(Box<Running>),
}

/// One step of a feed: from a cursor to the end of a transaction. Dropped before it has ended, nobody knows what of it
/// was applied, and the log is read anew.
struct Running {
    feed: Arc<Feed>,
    state: OwnedMutexGuard<State>,
    table: Arc<Table>,
    log: Log,
    oid: u32,
    batch_rows: usize,
    /// Of vectors, where the table says.
    width: u32,
    /// What the log had when it was asked.
    target: Lsn,
    began: Instant,
    /// When the server was last asked whether it still sends.
    told: Instant,
    ready: VecDeque<ChangeBatch>,
    /// Whether a part of a transaction was handed on.
    parted: bool,
    /// Where it ends, once that is known.
    reached: Option<Lsn>,
    has_ended: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended {
            self.state.stop();
        }
    }
}

impl Running {
    async fn begin(feed: Arc<Feed>, table: Arc<Table>, oid: u32, cursor: &Cursor, batch_rows: usize) -> Result<Self> {
        let mut state = Arc::clone(&feed.state).lock_owned().await;
        let looked = look(&feed, &table, oid).await;
        if looked.is_err() {
            // A server that is being stopped waits for those who read its log, as long as they do.
            state.stop();
        }
        let (now, width) = looked?;
        state.used();
        state.take_up(feed.confirmed(now.log));
        let checked = check(&feed, oid, cursor, &now);
        let checked = checked.map_err(|detail| table.place.error(ErrorKind::CursorExpired, detail));
        let handed = checked.inspect_err(|error| state.expire(oid, error))?;
        let known = state.tables.remove(&oid).filter(|followed| followed.handed == handed);
        state.tables.insert(oid, known.unwrap_or(Followed { handed, read: None }));
        state.expired.remove(&oid);
        let began = Instant::now();
        let mut running = Self {
            feed,
            state,
            table,
            log: now.log,
            oid,
            batch_rows,
            width,
            target: now.end,
            began,
            told: began,
            ready: VecDeque::new(),
            parted: false,
            reached: None,
            has_ended: false,
        };
        let connected = running.connect(now.kept.map(|kept| kept.confirmed).unwrap_or_default()).await;
        connected.inspect_err(|error| running.state.expire(oid, error))?;
        Ok(running)
    }

    /// Goes on with the stream, or begins one where the last of the tables stands.
    async fn connect(&mut self, confirmed: Lsn) -> Result<()> {
        let has_read = self.state.tables.get(&self.oid).is_some_and(|table| table.read.is_some());
        if has_read && self.state.stream.as_ref().is_some_and(|stream| stream.log == self.log) {
            return Ok(());
        }
        self.state.stop();
        let stands = self.state.tables.values().map(|table| table.handed).filter(|handed| *handed >= confirmed);
        let from = stands.min().unwrap_or(confirmed);
        let durable = self.feed.confirmed(self.log).iter().map(|position| position.lsn).min().unwrap_or_default();
        let (server, place) = (&self.feed.server, &self.table.place);
        let stream = Stream::start(server, place, &self.feed.name, (self.log, from), durable).await?;
        for table in self.state.tables.values_mut().filter(|table| table.handed >= from) {
            table.read = Some(Changes::default());
        }
        self.state.stream = Some(stream);
        if !std::mem::replace(&mut self.state.watched, true) {
            super::leave_when_idle(&self.feed.state);
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<ChangeBatch>> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some(batch));
            }
            if let Some(reached) = self.reached {
                // Asked on, so that what came before is where it belongs.
                if let Some(followed) = self.state.tables.get_mut(&self.oid) {
                    followed.handed = reached;
                }
                self.feed.tell(&self.state);
                self.state.used();
                self.has_ended = true;
                return Ok(None);
            }
            self.read().await?;
        }
    }

    /// Reads until there is something to hand on, or the end.
    async fn read(&mut self) -> Result<()> {
        self.feed.tell(&self.state);
        let began = Instant::now();
        loop {
            let read = self.state.tables.get(&self.oid).and_then(|table| table.read.as_ref());
            let is_full = read.is_some_and(|read| read.len() >= STEP_ROWS || read.bytes() >= STEP_BYTES);
            let Some(stream) = &mut self.state.stream else {
                return Err(self.table.place.error(ErrorKind::Internal, "the server's log is not being read"));
            };
            let boundary = stream.boundary;
            if stream.inside.is_none() {
                if boundary >= self.target || is_full || self.began.elapsed() > STEP_TIME && boundary > self.handed() {
                    return self.hand_on(Some(boundary)).await;
                }
            } else if is_full {
                return self.hand_on(None).await;
            }
            if began.elapsed() > SIGN_OF_LIFE {
                self.ready.push_back(ChangeBatch::default());
                return Ok(());
            }
            let Some(stream) = &mut self.state.stream else { continue };
            match timeout(QUIET, stream.next(&self.table.place)).await {
                Ok(message) => {
                    let inside = stream.inside;
                    if let (Some(message), Some(transaction)) = (message?, inside) {
                        self.take(message, transaction)?;
                    }
                }
                Err(_) if stream.inside.is_none() && boundary.0 + NOT_A_RECORD >= self.target.0 => {
                    return self.hand_on(Some(boundary)).await;
                }
                Err(_) if stream.silent_for() > DOUBTED && self.told.elapsed() > DOUBTED => self.doubt().await?,
                Err(_) => {}
            }
        }
    }

    fn handed(&self) -> Lsn {
        self.state.tables.get(&self.oid).map(|table| table.handed).unwrap_or_default()
    }

    /// A server that is busy with a large transaction may be silent; one that has cut us off stays so.
    async fn doubt(&mut self) -> Result<()> {
        self.told = Instant::now();
        let session = self.table.session().await?;
        let kept = slot::look(&session, &self.feed.name).await;
        let kept = kept.map_err(|error| self.table.place.sql("could not look at the replication slot", error))?;
        if kept.is_some_and(|kept| kept.slot.active) {
            return Ok(());
        }
        Err(self.table.place.error(ErrorKind::Unavailable, "the server no longer sends its log"))
    }

    fn take(&mut self, message: Message, transaction: Transaction) -> Result<()> {
        match message {
            Message::Insert { table, new } => {
                self.change(table, transaction, |changes, columns| changes.insert(columns, &new))
            }
            Message::Update { table, old, new } => {
                self.change(table, transaction, |changes, columns| changes.update(columns, old.as_deref(), &new))
            }
            Message::Delete { table, old } => {
                self.change(table, transaction, |changes, columns| changes.delete(columns, &old))
            }
            Message::Truncate { tables } => tables.into_iter().try_for_each(|table| {
                self.change(table, transaction, |changes, _| {
                    changes.empty();
                    Ok(())
                })
            }),
            Message::Relation(_) | Message::Other => Ok(()),
        }
    }

    /// Takes a change of a table that is followed and has not been handed it yet.
    fn change(
        &mut self,
        table: u32,
        transaction: Transaction,
        change: impl FnOnce(&mut Changes, super::changes::Columns) -> Result<(), read::Malformed>,
    ) -> Result<()> {
        let State { stream, tables, .. } = &mut *self.state;
        let (Some(followed), Some(stream)) = (tables.get_mut(&table), stream) else { return Ok(()) };
        let is_new = transaction.commit >= followed.handed;
        let Some(read) = followed.read.as_mut().filter(|_| is_new) else { return Ok(()) };
        let place = &self.table.place;
        let columns = match stream.columns(table, place) {
            Ok(columns) => columns,
            Err(error) if table == self.oid => return Err(error),
            Err(_) => {
                // It is told to whoever asks for that table.
                followed.read = None;
                return Ok(());
            }
        };
        read.made_at(transaction.at_ms);
        let changed = change(read, columns);
        changed.map_err(|error| place.error(ErrorKind::Corrupt, "a row of the server's log").with_source(error))?;
        if table != self.oid && read.bytes() > KEPT_BYTES {
            followed.read = None;
        }
        Ok(())
    }

    /// Hands on what was read, up to the end of a transaction or of as much of one as fits.
    async fn hand_on(&mut self, reached: Option<Lsn>) -> Result<()> {
        let Some(followed) = self.state.tables.get_mut(&self.oid) else { return Ok(()) };
        let handed = followed.handed;
        let read = followed.read.replace(Changes::default()).unwrap_or_default();
        let is_empty = read.is_empty();
        let batches = read.into_batches(&self.table, self.width, self.batch_rows).await?;
        self.ready.extend(batches);
        let Some(boundary) = reached else {
            self.parted = true;
            return Ok(());
        };
        let boundary = boundary.max(handed);
        if is_empty && !self.parted && boundary.0 - handed.0 < LEAP_BYTES {
            self.reached = Some(handed);
            return Ok(());
        }
        if self.ready.is_empty() {
            self.ready.push_back(ChangeBatch::default());
        }
        if let Some(last) = self.ready.back_mut() {
            last.cursor = Some(Position { log: self.log, table: self.oid, lsn: boundary }.cursor());
        }
        self.reached = Some(boundary);
        Ok(())
    }
}

/// What there is to be known, and the width of the vectors (0 where nothing tells).
async fn look(feed: &Feed, table: &Table, oid: u32) -> Result<(Now, u32)> {
    let session = table.session().await?;
    let now = slot::now(&session, &feed.name, oid).await;
    let now = now.map_err(|error| table.place.sql("could not look at the server's log", error))?;
    Ok((now, read::dimension(&session, table).await?.unwrap_or(0)))
}

/// Whether the log can be read on from a cursor; why not, in words.
fn check(feed: &Feed, oid: u32, cursor: &Cursor, now: &Now) -> Result<Lsn, String> {
    let position = Position::of(cursor).ok_or("the cursor is of no place in the server's log")?;
    if position.log != now.log {
        return Err("the server is another one, or was restored or promoted".to_owned());
    }
    if position.table != oid {
        return Err("the table was dropped and made again".to_owned());
    }
    if !now.has_table {
        return Err("its table was dropped".to_owned());
    }
    if position.lsn > now.end {
        return Err("the cursor is beyond the end of the server's log".to_owned());
    }
    let kept = now.kept.as_ref();
    let kept =
        kept.ok_or_else(|| format!("the server has no replication slot {} any more; a new one is made", feed.name))?;
    if kept.slot.lost {
        let why = kept.lost_by.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        return Err(format!("the server has given up the replication slot {}{why}; a new one is made", feed.name));
    }
    if position.lsn < kept.confirmed {
        return Err(format!("the replication slot {} has moved on without this copy", feed.name));
    }
    Ok(position.lsn)
}
