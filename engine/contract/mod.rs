//! The storage contract (RFC 001, spec version 1.0): implement [`Backend`], [`Palace`] and [`Collection`] to add a store.
//!
//! A [`Backend`] opens a [`PalaceRef`] into a [`Palace`]; a palace hands out [`Collection`]s. Rows travel in
//! [`RowBatch`](crate::rows::RowBatch)es: a collection is scanned ([`Collection::scan`]), followed
//! ([`Collection::changes_since`]) and written ([`Collection::apply`]) in them. The operations of §1 (`add`, `upsert`,
//! `update`, `delete`, `get`, `query`) have defaults made of those, right for any store, to be replaced where a store can
//! do better.
//!
//! # Writing an adapter
//! 1. Declare what the store can do in a [`Descriptor`]: tokens ([`token`]), [`MaintenanceKind`]s, metrics, [`Fidelity`],
//!    the [`Conversion`]s without which it cannot hold some rows, how many scans and writers of a collection it takes at once.
//!    Advertise nothing that does not hold: the contract suite (crate `palanquin-contract`) checks each token both ways.
//! 2. Implement the three traits. What every store has in common is kept by [`enforce`](enforce()), through which core
//!    uses every backend: spec version (§9), namespaces (§2.2), closed handles (§2.6), read-only palaces, embedder
//!    identity and dimension (§1.5), optional filter operators (§1.4), unadvertised maintenance kinds (§7.3) and feeds
//!    (§6). An adapter need not repeat these.
//! 3. Return an [`Error`] of the right [`ErrorKind`]: it alone decides on retries and on what the operator is told
//!    ([`advice`]). Name the palace and the collection ([`Error::in_palace`], [`Error::in_collection`]); never put row
//!    content into it.
//! 4. Acknowledge nothing that is not durable, and treat `apply` in [`WriteMode::Upsert`] as something that will be
//!    repeated.
//! 5. Run the contract suite on it.
#![doc = include_str!("adapter.md")]

pub mod advice;
mod backend;
mod capability;
mod change;
mod collection;
mod conversion;
mod enforce;
mod error;
mod filter;
mod health;
mod identity;
mod key_range;
mod lists;
mod lookup;
mod maintenance;
mod metric;
mod migration_log;
mod palace;
mod palace_ref;
mod preflight;
pub mod reference;
mod scan;
mod selection;
mod slot;
mod spec_version;

pub use backend::{Backend, Descriptor, OpenMode, OpenOptions, Replaces};
pub use capability::{Capabilities, CaptureLevel, Fidelity, token};
pub use change::{Applied, ChangeBatch, Cursor, FeedHead, Patch, WriteMode};
pub use collection::Collection;
pub use conversion::Conversion;
pub use enforce::{enforce, set_embedder};
pub(crate) use error::kind_of_io;
pub use error::{Error, ErrorKind, Result};
pub use filter::{Filter, Test};
pub use health::{Condition, Finding, Health, Severity};
pub use identity::{EmbedderIdentity, IdentityState, ModelKnownBy};
pub use key_range::KeyRange;
pub use lists::{RowLists, RowUpdates};
pub use lookup::{GetRequest, GetResult, Include, Metadata, QueryRequest, QueryResult, Selection};
pub use maintenance::{
    MaintenanceKind, MaintenanceResult, MaintenanceState, MaintenanceStatus, MaintenanceStep, Progress, kind,
};
pub use metric::Metric;
pub use migration_log::{LogEntry, MigrationRecord, RecordedCollection};
pub use palace::{CollectionInfo, CollectionSpec, Palace};
pub use palace_ref::PalaceRef;
pub use preflight::{Check, Purpose, Standing};
pub use scan::{Partition, RowStream, ScanOrder, ScanRequest};
pub use selection::{BackendChoice, DEFAULT_BACKEND, SelectedBy, select_backend};
pub use slot::Slot;
pub use spec_version::SpecVersion;
