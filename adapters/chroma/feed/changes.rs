use super::cursor::{End, Mark};
use super::memory::{Followed, absent};
use super::window::Window;
use crate::read::reader::Reader;
use crate::read::session::Session;
use palanquin_engine::contract::{ChangeBatch, Cursor, Error, ErrorKind, FeedHead, Result};
use std::collections::BTreeSet;

/// Where the feed ends now.
pub(crate) fn head(session: &Session, followed: &Followed) -> Result<FeedHead> {
    followed.memory(session, |memory| {
        let (lock, marks) = session.lock()?;
        Ok(End::read(session, &lock, marks)?.head(session, memory.name()))
    })
}

/// A difference that is being handed out: ids only; rows are read when their turn comes.
#[derive(Debug)]
pub(crate) struct Changes {
    deletes: Vec<String>,
    /// Ascending.
    upserts: Vec<String>,
    read: usize,
    cursor: Cursor,
    batch_rows: usize,
    told_all: bool,
}

impl Changes {
    /// Finds out what changed since the cursor; `None` if nothing was done since.
    ///
    /// # Errors
    /// `CursorExpired` if the cursor belongs to another history, or if neither the log nor this process's memory tells
    /// what was deleted since.
    pub(crate) fn begin(
        session: &Session,
        followed: &Followed,
        cursor: &Cursor,
        batch_rows: usize,
    ) -> Result<Option<Self>> {
        let mark = Mark::parse(cursor)?;
        followed.memory(session, |memory| {
            let (lock, marks) = session.lock()?;
            let end = End::read(session, &lock, marks)?;
            mark.check(session, &lock, end)?;
            drop(lock);
            let vouched = memory.vouches_for(&mark);
            if mark == Mark::at(session, end, memory.name()) {
                return Ok(None);
            }
            let since = mark.end.seq;
            let window = Window::read(session, [since, memory.at()], end.seq, mark.end)?;
            memory.advance(session, &window, end.seq)?;
            if !vouched && !window.is_complete_after(since, end.seq) {
                return Err(untold(window.unknown_after(since, end.seq), end.seq.saturating_sub(since)));
            }
            let touched = window.touched.iter().filter(|(_, touched)| touched.last > since);
            let logged = touched.clone().filter(|(_, touched)| touched.deleted > Some(since)).map(|(id, _)| id);
            let mut gone: BTreeSet<&String> = logged.collect();
            if vouched {
                gone.extend(memory.gone_since(&mark));
            }
            let gone: Vec<String> = gone.into_iter().cloned().collect();
            let deletes = absent(session, &gone)?;
            let written = touched.map(|(id, _)| id).filter(|id| deletes.binary_search(id).is_err());
            Ok(Some(Self {
                upserts: written.cloned().collect(),
                deletes,
                read: 0,
                cursor: Mark::at(session, end, memory.name()).cursor(),
                batch_rows: batch_rows.max(1),
                told_all: false,
            }))
        })
    }

    /// Whether the last batch was handed out.
    pub(crate) fn told_all(&self) -> bool {
        self.told_all
    }

    /// The next batch. Deletes come first and share the batch in which they end with the first rows, so that a small
    /// change is one batch. A row that is gone by now is left to the next step.
    pub(crate) fn next(&mut self, reader: &mut Reader) -> Result<ChangeBatch> {
        let first_kept = self.deletes.len().saturating_sub(self.batch_rows);
        let deletes = self.deletes.split_off(first_kept);
        let room = self.batch_rows - deletes.len();
        let mut upserts = None;
        while self.deletes.is_empty() && room > 0 && upserts.is_none() && self.read < self.upserts.len() {
            let ids = &self.upserts[self.read..];
            let read = reader.read_ids(&ids[..ids.len().min(room)], room)?;
            self.read += match &read.next {
                Some(last) => ids.partition_point(|id| id <= last),
                None => ids.len().min(room),
            };
            upserts = read.batch;
        }
        self.told_all = self.deletes.is_empty() && self.read == self.upserts.len();
        let cursor = self.told_all.then(|| self.cursor.clone());
        Ok(ChangeBatch { upserts, deletes, cursor, ..ChangeBatch::default() })
    }
}

fn untold(unknown: i64, operations: i64) -> Error {
    let detail = format!(
        "Chroma has purged its log beyond the cursor: of {operations} operations since, {unknown} cannot be told any \
         more, and deletes may be among them; full comparison needed"
    );
    Error::new(ErrorKind::CursorExpired, detail)
}
