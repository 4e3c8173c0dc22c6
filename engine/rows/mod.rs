//! Rows as they travel: Arrow batches of one schema, a canonical form for metadata, a digest per row.
//!
//! An adapter fills a [`RowBatchBuilder`] with canonical metadata ([`canonical_metadata`]) and hands on [`RowBatch`]es;
//! [`RowDigest`] is what parity compares.

mod batch;
mod canonical;
mod digest;

pub use batch::{Row, RowBatch, RowBatchBuilder, RowSchemaError, Salvaged, row_schema};
pub use canonical::{canonical_metadata, canonical_metadata_text};
pub use digest::RowDigest;
