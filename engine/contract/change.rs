use super::Include;
use crate::rows::RowBatch;
use serde::{Deserialize, Serialize};

/// A place in a collection's feed; opaque outside its adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// Where a feed ends now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedHead {
    /// Cursor of the newest change.
    pub cursor: Cursor,
    /// When the newest change was made, if the store says; milliseconds since the epoch.
    pub changed_at_ms: Option<i64>,
}

/// Changes to be applied together: deletes first, then upserts, then patches. No id is in two of them.
#[derive(Clone, Debug, Default)]
pub struct ChangeBatch {
    /// Rows to insert or replace; ids are distinct.
    pub upserts: Option<RowBatch>,
    /// Rows of which only some fields are known to have changed; ids are distinct.
    pub patches: Vec<Patch>,
    /// Ids to remove; absent ones are ignored.
    pub deletes: Vec<String>,
    /// Once this batch is durable the feed has gone this far. `None` while more batches of the same step follow.
    pub cursor: Option<Cursor>,
}

/// New values for whole fields of rows that are there, as a log tells them that leaves out what did not change.
#[derive(Clone, Debug)]
pub struct Patch {
    /// The rows; fields that are not among [`fields`](Self::fields) are empty in them and mean nothing.
    pub rows: RowBatch,
    /// Which fields are replaced, each as a whole; the others stay as the store has them.
    pub fields: Include,
}

impl ChangeBatch {
    /// Rows to insert or replace, nothing else.
    pub fn upserts(rows: RowBatch) -> Self {
        Self { upserts: Some(rows), ..Self::default() }
    }

    /// How many rows it touches.
    pub fn rows(&self) -> usize {
        let patched: usize = self.patches.iter().map(|patch| patch.rows.len()).sum();
        self.upserts.as_ref().map_or(0, RowBatch::len) + patched + self.deletes.len()
    }
}

/// How a batch meets what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// The caller vouches that none of the ids is in the collection; the store's fastest path.
    Append,
    /// Ids that are there are replaced.
    Upsert,
}

/// What applying a batch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Rows inserted or replaced.
    pub upserted: u64,
    /// Rows removed.
    pub deleted: u64,
}
