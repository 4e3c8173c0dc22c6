use serde::{Deserialize, Serialize};
use std::fmt;

/// Work a link does in order; the part of its state that survives a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Preflight: both ends opened and compared, the plan made if there is none.
    Checking,
    /// Scanning partitions into the target.
    Copying,
    /// Comparing both ends row by row (migrate).
    Verifying,
    /// Building the target's indexes and refreshing its statistics (migrate). After the comparison: maintenance changes
    /// no row, so the proof holds, and neither a failure nor an interruption of it can stand between a copy and its
    /// proof; before the end: nobody is told that the copy is finished while its searches are still slow.
    Maintaining,
    /// Replaying what changed during the copy (mirror).
    CatchingUp,
    /// Following changes as they happen (mirror).
    Live,
}

/// Where a link is, with the reason where the state calls for one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "snake_case")]
pub enum LinkState {
    /// Known, not begun.
    Planned,
    /// Doing the work of a phase.
    Working {
        /// Which.
        phase: Phase,
    },
    /// Stopped by the operator; resumes in the same phase.
    Paused {
        /// The phase it was in.
        phase: Phase,
    },
    /// Backing off after a failure; tries the phase again by itself.
    Waiting {
        /// The phase it was in.
        phase: Phase,
        /// What failed.
        reason: String,
        /// When it tries again, milliseconds since the epoch.
        next_try_at_ms: i64,
    },
    /// Needs the operator.
    Halted {
        /// The phase it was in.
        phase: Phase,
        /// What failed.
        reason: String,
        /// What to do.
        advice: String,
    },
    /// On the way out: no more reading, acknowledgements awaited.
    Draining {
        /// The phase it was in.
        phase: Phase,
    },
    /// Drained; the same command continues it.
    Interrupted {
        /// The phase it was in.
        phase: Phase,
    },
    /// A migration that has ended.
    Done {
        /// Whether both ends were found equal.
        verified: bool,
    },
}

impl LinkState {
    /// One word for screens, JSON and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Working { phase } => phase.word(),
            Self::Paused { .. } => "paused",
            Self::Waiting { .. } => "waiting",
            Self::Halted { .. } => "halted",
            Self::Draining { .. } => "draining",
            Self::Interrupted { .. } => "interrupted",
            Self::Done { .. } => "done",
        }
    }

    /// The phase it is in or will go on with.
    pub fn phase(&self) -> Option<Phase> {
        match self {
            Self::Planned | Self::Done { .. } => None,
            Self::Working { phase }
            | Self::Paused { phase }
            | Self::Waiting { phase, .. }
            | Self::Halted { phase, .. }
            | Self::Draining { phase }
            | Self::Interrupted { phase } => Some(*phase),
        }
    }

    /// Why it is in this state, where that needs saying.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Waiting { reason, .. } | Self::Halted { reason, .. } => Some(reason),
            Self::Paused { .. } => Some("by the operator"),
            _ => None,
        }
    }

    /// Whether nothing more will happen without the operator.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Halted { .. } | Self::Interrupted { .. })
    }
}

impl Phase {
    /// One word for screens, JSON and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Checking => "checking",
            Self::Copying => "copying",
            Self::Verifying => "verifying",
            Self::Maintaining => "maintaining",
            Self::CatchingUp => "catching up",
            Self::Live => "live",
        }
    }
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Self::Paused { phase } => write!(f, " while {}", phase.word()),
            _ => match self.reason() {
                Some(reason) => write!(f, ": {reason}"),
                None => Ok(()),
            },
        }
    }
}
