//! What survives a crash: links with their plans, positions and endings, the rows their targets refused, which rows were
//! converted, and digests of what was carried over ([`Digests`]) where nothing but comparison tells what has changed.
//!
//! [`Journal`] is the interface, [`SqliteJournal`] the one for a single machine. Who works on a link holds its
//! [`LinkLock`] and writes under the epoch its [`Claim`] was given; a later claim fences it out.

mod claim;
mod dead_letter;
mod digests;
mod error;
mod lock;
mod sqlite;

pub use claim::{Claim, Ending, Journal, KnownLink};
pub use dead_letter::{DeadLetter, KeptLetter};
pub use digests::{Carried, Digests};
pub use error::JournalError;
pub use lock::{LastRun, LinkLock};
pub use sqlite::SqliteJournal;
