use super::pick::rows_of;
use super::{Compared, Difference, End, Heard, Manner};
use crate::contract::{ChangeBatch, Error, ErrorKind, Result, WriteMode};
use crate::rows::RowBatch;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Rows made durable at once.
const COMMIT_ROWS: usize = 10_000;

/// What a repair did to the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// Rows copied from the source, new or in place of others.
    pub copied: u64,
    /// Rows removed because the source has none of their id.
    pub removed: u64,
    /// Rows only the target has that were left there.
    pub left: u64,
}

/// What hears of writes.
pub type Wrote<'a> = &'a (dyn Fn(Repaired) + Send + Sync);

impl Repaired {
    /// Adds up what was done.
    pub fn add(&mut self, other: Self) {
        self.copied += other.copied;
        self.removed += other.removed;
        self.left += other.left;
    }

    /// Rows written.
    pub fn written(&self) -> u64 {
        self.copied + self.removed
    }
}

/// Makes differing rows of the target what they are in the source. Rows only the target has are removed if
/// `delete_extra`. The source is only read. `wrote` hears of each write once it is durable.
///
/// # Errors
/// The first failure of either end; what was repaired before it stays.
pub async fn repair(
    compared: &Compared,
    manner: Manner,
    differences: &[Difference],
    delete_extra: bool,
    (heard, wrote): (Heard<'_>, Wrote<'_>),
) -> Result<Repaired> {
    let mut repaired = Repaired::default();
    let (mut wanted, mut removed, mut several) = (BTreeSet::new(), Vec::new(), Vec::new());
    for difference in differences {
        let id = difference.id().to_owned();
        match difference {
            Difference::Missing { .. } | Difference::Different { .. } => {
                wanted.insert(id);
            }
            Difference::Duplicate { source: 1.., .. } => {
                several.push(id.clone());
                wanted.insert(id);
            }
            Difference::Extra { .. } | Difference::Duplicate { .. } if delete_extra => removed.push(id),
            Difference::Extra { .. } => repaired.left += 1,
            Difference::Duplicate { target, .. } => repaired.left += target,
        }
    }
    // An upsert cannot be relied on to replace two rows by one.
    delete(compared, several, &|_| {}).await?;
    repaired.removed = delete(compared, removed, wrote).await?;
    let mut rows = rows_of(&compared.source, &Arc::new(wanted), manner.batch_rows);
    let (mut held, mut held_rows): (Vec<RowBatch>, usize) = (Vec::new(), 0);
    while let Some(batch) = rows.try_next().await? {
        heard(End::Source, 0);
        if !batch.is_empty() {
            held_rows += batch.len();
            held.push(batch);
        }
        if held_rows >= COMMIT_ROWS {
            held_rows = 0;
            repaired.copied += upsert(compared, std::mem::take(&mut held), wrote).await?;
        }
    }
    repaired.copied += upsert(compared, held, wrote).await?;
    Ok(repaired)
}

async fn upsert(compared: &Compared, batches: Vec<RowBatch>, wrote: Wrote<'_>) -> Result<u64> {
    if batches.is_empty() {
        return Ok(0);
    }
    let broken = |error| Error::new(ErrorKind::Internal, "rows of the source").with_source(error);
    let rows = RowBatch::concat(&batches).map_err(broken)?;
    drop(batches);
    let copied = compared.target.apply(ChangeBatch::upserts(rows), WriteMode::Upsert).await?.upserted;
    wrote(Repaired { copied, ..Repaired::default() });
    Ok(copied)
}

async fn delete(compared: &Compared, ids: Vec<String>, wrote: Wrote<'_>) -> Result<u64> {
    let mut deleted = 0;
    for ids in ids.chunks(COMMIT_ROWS) {
        let batch = ChangeBatch { deletes: ids.to_vec(), ..ChangeBatch::default() };
        let removed = compared.target.apply(batch, WriteMode::Upsert).await?.deleted;
        wrote(Repaired { removed, ..Repaired::default() });
        deleted += removed;
    }
    Ok(deleted)
}
