//! The one table of exit codes.

use palanquin_actors::LinkEnd;
use palanquin_engine::contract::{Error, ErrorKind};
use palanquin_engine::link::Outcome;
use std::process::ExitCode;

/// How the program ends, as scripts see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Copied, and both ends were found equal; or whatever else was asked is done.
    Verified = 0,
    /// Something broke: a defect, or a store that did not answer. The same command continues.
    Failed = 1,
    /// The request or the source is no good; nothing was written.
    BadInput = 2,
    /// Refused for the sake of what is there; nothing was written.
    Refused = 3,
    /// Whether both ends hold the same rows could not be told; of a copy, every row is copied.
    NotVerified = 4,
    /// Copied, and the ends differ: rows that were set aside are differences like others.
    Different = 5,
    /// Halted until the operator has acted: made room, granted access, repaired. The same command continues.
    Halted = 6,
    /// Interrupted. The same command continues.
    Interrupted = 130,
}

/// The table as `--help` and the README show it.
pub(crate) const TABLE: &str = "\
Exit codes:
    0  done; of a copy: verified, both ends hold the same rows
    1  failed; the same command continues where it stopped
    2  bad input: the request or the source is no good, nothing was written
    3  refused: it exists, is in use, does not fit, or is being done already; nothing was written
    4  not verified: the comparison could not be finished, or is inconclusive; a copy is complete
    5  differences found: the ends differ, by rows that were set aside too; of a receipt: it was changed since
    6  halted: the operator must act (make room, grant access); the same command continues
  130  interrupted: drained, the same command continues";

impl Exit {
    pub(crate) fn of_error(error: &Error) -> Self {
        Self::of_kind(error.kind())
    }

    fn of_kind(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::PalaceNotFound
            | ErrorKind::CollectionNotInitialized
            | ErrorKind::NotAPalace
            | ErrorKind::UnsupportedFormat
            | ErrorKind::Corrupt
            | ErrorKind::UnsupportedFilter
            | ErrorKind::UnsupportedMaintenanceKind
            | ErrorKind::RowRefused
            | ErrorKind::InvalidRequest => Self::BadInput,
            ErrorKind::PalaceExists
            | ErrorKind::IdExists
            | ErrorKind::InUse
            | ErrorKind::DimensionMismatch
            | ErrorKind::EmbedderIdentityMismatch
            | ErrorKind::UnsupportedCapability
            | ErrorKind::BackendVersionMismatch
            | ErrorKind::CursorExpired => Self::Refused,
            ErrorKind::StorageFull | ErrorKind::PermissionDenied => Self::Halted,
            _ => Self::Failed,
        }
    }

    /// The exit of a link.
    pub(crate) fn of_end(end: &LinkEnd) -> Self {
        match &end.outcome {
            Outcome::Verified => Self::Verified,
            Outcome::Different => Self::Different,
            Outcome::Interrupted => Self::Interrupted,
            Outcome::Halted(_) if end.copied => Self::NotVerified,
            // It is found by writing the rows around it.
            Outcome::Halted(failure) if failure.kind == ErrorKind::RowRefused => Self::Halted,
            Outcome::Halted(failure) => match Self::of_kind(failure.kind) {
                Self::BadInput | Self::Refused if end.rows > 0 => Self::Halted,
                exit => exit,
            },
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
