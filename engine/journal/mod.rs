//! What survives a crash: links with their plans, positions and endings.
//!
//! [`Journal`] is the interface, [`SqliteJournal`] the one for a single machine. Who works on a link holds its
//! [`LinkLock`] and writes under the epoch its [`Claim`] was given; a later claim fences it out.

mod claim;
mod error;
mod lock;
mod sqlite;

pub use claim::{Claim, Ending, Journal, KnownLink};
pub use error::JournalError;
pub use lock::{LastRun, LinkLock};
pub use sqlite::SqliteJournal;
