use super::{CancelQuestion, MaintenanceDialog};
use crate::dashboard::theme::Tone;
use palanquin_actors::board::{Act, ActKind};

/// What lies over the screen and takes the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Overlay {
    Help {
        scroll: usize,
    },
    /// The question before leaving while something would be cut off.
    Quit {
        /// Whether "quit" has the focus and not "cancel".
        yes: bool,
    },
    Maintenance(MaintenanceDialog),
    Cancel(CancelQuestion),
}

/// The operator has confirmed; the links drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaving {
    pub(crate) since_ms: i64,
}

/// A short word on what a key has done; gone by itself, never the only place where something can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Toast {
    pub(crate) text: String,
    pub(crate) tone: Tone,
    pub(crate) until_ms: i64,
}

/// An act that was sent and is not on the board yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) kind: ActKind,
    pub(crate) sent_ms: i64,
    /// What the board showed when it was sent; anything else is the answer.
    pub(crate) before: Option<Act>,
}
