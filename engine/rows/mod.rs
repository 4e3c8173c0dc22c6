//! Rows as they travel: Arrow batches of one schema, a canonical form for metadata, a digest per row.
//!
//! An adapter fills a [`RowBatchBuilder`] with canonical metadata ([`canonical_metadata`]) and hands on [`RowBatch`]es;
//! [`RowDigest`] is what parity compares. What a store cannot hold is changed by [`convert()`], the same for what is written
//! and for what it is compared with.

mod batch;
mod canonical;
mod convert;
mod digest;
mod shown;

pub use batch::{Row, RowBatch, RowBatchBuilder, RowSchemaError, Salvaged, row_schema};
pub use canonical::{REPAIRED_EMPTY, canonical_metadata, canonical_metadata_text};
pub use convert::{Converted, convert, metadata_without_nul, text_without_nul};
pub use digest::RowDigest;
pub use shown::shown;
