use super::{KeyRange, Result};
use crate::rows::RowBatch;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

/// Rows in ascending byte order of their ids, or as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanOrder {
    /// Ascending by id.
    ById,
    /// Whatever is cheapest.
    Any,
}

/// Which rows to read, and how many at once.
#[derive(Clone, Debug)]
pub struct ScanRequest {
    /// The ids wanted.
    pub range: KeyRange,
    /// Order of the rows.
    pub order: ScanOrder,
    /// Upper bound of rows in a batch.
    pub batch_rows: usize,
}

/// Batches as they are read; it owns what it needs and reads no further than it is polled.
pub type RowStream = BoxStream<'static, Result<RowBatch>>;

/// A share of a collection: one range and about how many rows it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Its ids.
    pub range: KeyRange,
    /// Rows when it was cut.
    pub rows: u64,
}
