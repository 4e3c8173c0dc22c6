use super::{Error, ErrorKind, Include, Result};
use crate::rows::{Row, RowBatch, RowBatchBuilder};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

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
    /// Of a feed: before all of this, every row the source had is gone, as after TRUNCATE. Core empties the target then;
    /// [`apply`](super::Collection::apply) is never given it.
    pub emptied: bool,
    /// Of a feed: when the oldest of these changes was made, if the store says; milliseconds since the epoch.
    pub changed_at_ms: Option<i64>,
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

impl Patch {
    /// The rows of `there` that the patch is for, with its fields in them.
    ///
    /// # Errors
    /// `DimensionMismatch` if vectors are replaced by ones of another width.
    pub fn merged_into(&self, there: &RowBatch) -> Result<RowBatch> {
        let new: HashMap<&str, Row<'_>> = self.rows.rows().map(|row| (row.id, row)).collect();
        let mut merged = RowBatchBuilder::with_capacity(there.len(), there.dimension());
        for old in there.rows() {
            let Some(new) = new.get(old.id) else { continue };
            let row = Row {
                id: old.id,
                document: if self.fields.documents { new.document } else { old.document },
                metadata: if self.fields.metadatas { new.metadata } else { old.metadata },
                embedding: if self.fields.embeddings { new.embedding } else { old.embedding },
            };
            merged.push(row).map_err(|error| Error::new(ErrorKind::DimensionMismatch, error.to_string()))?;
        }
        merged.finish().map_err(|error| Error::new(ErrorKind::Internal, "patched rows").with_source(error))
    }
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Rows inserted or replaced, or patched.
    pub upserted: u64,
    /// Rows removed.
    pub deleted: u64,
    /// Ids of patches that are not there, so that nothing could be patched: whoever asked has to fetch the rows whole.
    pub missing: Vec<String>,
}
