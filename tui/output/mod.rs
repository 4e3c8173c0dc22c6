//! What is printed: progress lines ([`plain`]) or JSON lines ([`json`]) where there is no dashboard, and the summary and
//! failures on the normal screen.

mod cadence;
pub(crate) mod json;
pub(crate) mod plain;
mod share;
mod summary;
pub(crate) mod table;
pub(crate) mod tree;
pub(crate) mod words;

pub(crate) use cadence::Cadence;
pub(crate) use share::share_done;
pub(crate) use summary::{complain, failure, headline, note, parity, print, summary};

/// How a command shows itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    /// Full screen.
    Dashboard { read_only: bool, ascii: bool, color: bool },
    /// Progress lines.
    Plain,
    /// One JSON object per line.
    Json,
}
