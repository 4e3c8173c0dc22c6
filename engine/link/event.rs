use serde::{Deserialize, Serialize};

/// One transition of an actor, a link or a palace; what the operator reads to learn what happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Who changed: `link …`, `palace …`, `supervisor`.
    pub who: String,
    /// When, milliseconds since the epoch.
    pub at_ms: i64,
    /// State before; empty at the beginning.
    pub from: String,
    /// State after.
    pub to: String,
    /// Why; empty where the states say it all.
    pub reason: String,
    /// How often it has been tried in a row; 0 where nothing failed.
    pub attempt: u32,
    /// When it will be tried again, milliseconds since the epoch.
    pub next_try_at_ms: Option<i64>,
}
