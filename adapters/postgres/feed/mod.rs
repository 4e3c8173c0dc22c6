//! The change log: logical decoding by pgoutput, streamed (§6).
//!
//! A consumer (a link) has one replication slot and one publication of its palace's tables, both under its name. `slot`
//! makes, lists and drops them, `requirements` says what they need of a server. `stream` is the connection the log comes
//! over, through a `tunnel` where TLS may be spoken; `message` reads what comes, `changes` keeps it net per row and makes
//! batches of it. A [`Feed`] is all of that for one open palace: it parts one stream by tables, each of which is handed
//! on as far as it was asked for. `position` is a place in it.
//!
//! Nothing is confirmed to the server but what the consumer said is durable and stored ([`Feed::confirm`]).

mod changes;
mod message;
mod position;
mod preparation;
mod reading;
mod requirements;
mod slot;
mod stream;
mod tunnel;

pub(crate) use preparation::{drop_slot, preflight, release};
pub(crate) use reading::changes_since;
pub(crate) use slot::{findings, slots};

use crate::connection::Server;
use crate::layout::Schema;
use changes::Changes;
use palanquin_engine::contract::{Cursor, Error, ErrorKind};
use position::{Log, Lsn, Position};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use stream::Stream;
use tokio::time::Instant;

/// How long a stream is kept that nobody asks for.
const IDLE: Duration = Duration::from_secs(20);

/// The log of one palace, for one consumer.
pub(crate) struct Feed {
    /// Of the slot, and of the publication.
    name: String,
    server: Server,
    schema: Schema,
    /// Where the consumer stands with each of its tables: durable there, and stored.
    confirmed: Mutex<Vec<Position>>,
    state: Arc<tokio::sync::Mutex<State>>,
}

/// How far the log has been read.
#[derive(Default)]
struct State {
    /// Where the slot begins, if it was made here.
    made: Option<Lsn>,
    stream: Option<Stream>,
    /// When it was last asked for anything.
    used: Option<Instant>,
    /// Whether somebody sees to it that an idle stream is let go of.
    watched: bool,
    /// The tables that are followed.
    tables: BTreeMap<u32, Followed>,
    /// Tables whose last place is no longer in the log: following them begins anew.
    expired: BTreeSet<u32>,
}

/// A table that is followed.
struct Followed {
    /// Everything up to here has been handed on.
    handed: Lsn,
    /// What came after that; `None` if it has to be read anew, because nobody took it and there was no more room.
    read: Option<Changes>,
}

impl State {
    /// Forgets what was read; what was handed on is known.
    fn stop(&mut self) {
        self.stream = None;
        self.tables.values_mut().for_each(|table| table.read = None);
    }

    fn used(&mut self) {
        self.used = Some(Instant::now());
    }

    /// Follows the tables of these positions too.
    fn take_up(&mut self, positions: impl IntoIterator<Item = Position>) {
        for Position { table, lsn, .. } in positions {
            if let (false, Entry::Vacant(vacant)) = (self.expired.contains(&table), self.tables.entry(table)) {
                vacant.insert(Followed { handed: lsn, read: None });
            }
        }
    }

    /// Notices a failure that means that a table's place is gone.
    fn expire(&mut self, table: u32, error: &Error) {
        if error.kind() == ErrorKind::CursorExpired {
            self.tables.remove(&table);
            self.expired.insert(table);
        }
    }
}

/// Lets go of the stream once nobody has asked for it for a while: whoever stops the server would wait for a reader that
/// confirms nothing. It is begun again when it is asked for.
fn leave_when_idle(state: &Arc<tokio::sync::Mutex<State>>) {
    let state = Arc::downgrade(state);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(IDLE / 2).await;
            let Some(state) = state.upgrade() else { return };
            // Somebody reads.
            let Ok(mut state) = state.try_lock() else { continue };
            if state.used.is_none_or(|used| used.elapsed() > IDLE) {
                state.stop();
            }
            if state.stream.is_none() {
                state.watched = false;
                return;
            }
        }
    });
}

impl Feed {
    pub(crate) fn new(consumer: &str, server: &Server, schema: &Schema) -> Self {
        Self {
            name: slot::name_of(consumer),
            server: server.clone(),
            schema: schema.clone(),
            confirmed: Mutex::default(),
            state: Arc::default(),
        }
    }

    /// See [`Palace::confirm`](palanquin_engine::contract::Palace::confirm).
    pub(crate) fn confirm(&self, positions: &[(String, Cursor)]) {
        let positions = positions.iter().filter_map(|(_, cursor)| Position::of(cursor)).collect();
        *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner) = positions;
        // Whoever reads tells the server by itself.
        if let Ok(state) = self.state.try_lock() {
            self.tell(&state);
        }
    }

    /// Where the consumer stands in this log.
    fn confirmed(&self, log: Log) -> Vec<Position> {
        let positions = self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        positions.iter().filter(|position| position.log == log).copied().collect()
    }

    fn tell(&self, state: &State) {
        if let Some(stream) = &state.stream
            && let Some(least) = self.confirmed(stream.log).iter().map(|position| position.lsn).min()
        {
            stream.confirm(least);
        }
    }
}
