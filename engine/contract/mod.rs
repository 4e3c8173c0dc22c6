//! The storage contract (RFC 001, spec version 1.0): implement [`Backend`], [`Palace`] and [`Collection`] to add a store.
//!
//! A [`Backend`] opens a [`PalaceRef`] into a [`Palace`]; a palace hands out [`Collection`]s; a collection is scanned
//! ([`Collection::scan`]), followed ([`Collection::changes_since`]) and written ([`Collection::apply`]) in
//! [`RowBatch`](crate::rows::RowBatch)es. Every failure is an [`Error`] of one [`ErrorKind`]; [`advice`] alone says
//! which kinds are worth a retry and what the operator should do.

pub mod advice;
mod backend;
mod capability;
mod error;
mod health;
mod identity;
mod key_range;
mod metric;
mod palace_ref;
mod spec_version;

pub use backend::{
    Applied, Backend, ChangeBatch, Collection, CollectionInfo, CollectionSpec, Cursor, Descriptor, FeedHead, OpenMode,
    Palace, Partition, RowStream, ScanOrder, ScanRequest, WriteMode,
};
pub use capability::{Capabilities, CaptureLevel, Fidelity, token};
pub(crate) use error::kind_of_io;
pub use error::{Error, ErrorKind, Result};
pub use health::{Condition, Finding, Health, MaintenanceState, Severity};
pub use identity::{EmbedderIdentity, IdentityState};
pub use key_range::KeyRange;
pub use metric::Metric;
pub use palace_ref::PalaceRef;
pub use spec_version::SpecVersion;
