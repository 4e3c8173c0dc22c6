//! The one place that says which kinds of failure are worth another attempt and what the operator should do.

use super::ErrorKind;

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryClass {
    /// The same call may succeed in a moment.
    Transient,
    /// Only after the operator has acted.
    Operator,
    /// Never, as asked.
    Permanent,
}

/// The retry class of a kind.
pub fn retry_class(kind: ErrorKind) -> RetryClass {
    match kind {
        ErrorKind::Busy | ErrorKind::Unavailable | ErrorKind::Internal | ErrorKind::BackendClosed => {
            RetryClass::Transient
        }
        ErrorKind::PermissionDenied
        | ErrorKind::StorageFull
        | ErrorKind::Corrupt
        | ErrorKind::EmbedderIdentityMismatch
        | ErrorKind::DimensionMismatch
        | ErrorKind::PalaceExists
        | ErrorKind::InUse
        | ErrorKind::CursorExpired => RetryClass::Operator,
        ErrorKind::PalaceNotFound
        | ErrorKind::CollectionNotInitialized
        | ErrorKind::NotAPalace
        | ErrorKind::UnsupportedFormat
        | ErrorKind::UnsupportedCapability
        | ErrorKind::UnsupportedFilter
        | ErrorKind::UnsupportedMaintenanceKind
        | ErrorKind::IdExists
        | ErrorKind::RowRefused
        | ErrorKind::BackendVersionMismatch
        | ErrorKind::InvalidRequest => RetryClass::Permanent,
    }
}

/// What to do, as a sentence for the operator.
pub fn operator_sentence(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::PalaceNotFound => "Check the path: nothing was written.",
        ErrorKind::CollectionNotInitialized => "Check the collection's name against those the palace has.",
        ErrorKind::PalaceExists => "Choose another target, move this one away, or replace it with --overwrite.",
        ErrorKind::NotAPalace => "Check that this is the palace you meant; nothing was written.",
        ErrorKind::UnsupportedFormat => "Open it once with the MemPalace that made it, or use a newer Palanquin.",
        ErrorKind::Corrupt => {
            "The source is left as it is. Restore the damaged file from a backup, or leave the collection out with --collection."
        }
        ErrorKind::DimensionMismatch => "Vectors of different widths cannot share a collection; choose another target.",
        ErrorKind::EmbedderIdentityMismatch => {
            "Two models' vectors must not be mixed; use the model it was made with, or settle it with `palace set-embedder`."
        }
        ErrorKind::UnsupportedCapability => "This backend cannot do that; choose another one.",
        ErrorKind::UnsupportedFilter => {
            "Use the operators $eq, $ne, $in, $nin, $and, $or and $contains, and $gt, $gte, $lt and $lte where the backend has them."
        }
        ErrorKind::UnsupportedMaintenanceKind => "Choose one of the kinds the backend advertises; nothing was changed.",
        ErrorKind::IdExists => "Upsert the rows to replace those that are there; nothing was written.",
        ErrorKind::RowRefused => {
            "Correct the row, leave it out with --where, or let it be set aside with --max-dead-letters."
        }
        ErrorKind::BackendVersionMismatch => "Use an adapter built for this version of Palanquin.",
        ErrorKind::BackendClosed => "Open the palace again.",
        ErrorKind::PermissionDenied => "Grant the access and run the same command again.",
        ErrorKind::StorageFull => "Make space and run the same command again: it continues where it stopped.",
        ErrorKind::Busy => "Another program is writing to the palace; run the same command again.",
        ErrorKind::Unavailable => "Check that the store can be reached and run the same command again.",
        ErrorKind::InUse => "Wait for it to end, or stop it; nothing was written.",
        ErrorKind::CursorExpired => "The changes since then are gone; start a new link, which compares everything.",
        ErrorKind::InvalidRequest => "Correct the request; nothing was written.",
        ErrorKind::Internal => "Run the same command again; if it happens again, report it with the log.",
    }
}
