use serde::{Deserialize, Serialize};

/// A place in a store's log that the store keeps for somebody who follows it. What is kept fills the store's disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Its name in the store.
    pub name: String,
    /// The consumer it is kept for, if it is one of this program's.
    pub consumer: Option<String>,
    /// Whether somebody follows by it now.
    pub active: bool,
    /// Bytes of the log that are kept for it; `None` once it is lost.
    pub retained_bytes: Option<u64>,
    /// How it stands, in the store's word.
    pub status: Option<String>,
    /// Whether the store has given it up: who followed by it has to compare everything anew.
    pub lost: bool,
    /// Since when nobody follows by it, if the store says; milliseconds since the epoch.
    pub inactive_since_ms: Option<i64>,
}
