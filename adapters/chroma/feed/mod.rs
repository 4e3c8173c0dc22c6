//! What changed in a collection since a cursor: capture level `log`.
//!
//! Chroma numbers every operation, one count for all collections of a palace. A row carries the number of the last
//! operation on it, and the log ([`window`]) holds the operations themselves, deletes included, until Chroma purges
//! it: of each collection the oldest first, after every thousand operations or so, never the newest. A [`cursor`] is
//! the number of the collection's newest operation, and what tells that it is still the same history.
//!
//! * **The log reaches back to the cursor.** It says which rows were written and which were deleted.
//! * **It was purged, yet each number since is that of a logged operation or is carried by a row.** Then no operation
//!   was a delete that the log does not show: a delete leaves no row with its number. Rows written are found by their
//!   numbers.
//! * **It was purged and some numbers are nowhere.** They may be deletes or writes that were overtaken. The store does
//!   not say which, and no adapter can know what the target holds; but it can know what it has handed out. Each process
//!   keeps, for each collection it follows, the ids there were and those it handed out since ([`memory`], [`ids`]:
//!   about as much memory as the ids' last parts), and compares them with those that are left. A cursor carries the
//!   name of the memory that vouches for it.
//! * **And the cursor is of another process's memory**, or more was handed out than is remembered: `CursorExpired`; only
//!   a full comparison with the target can tell.
//!
//! [`changes`] hands out the difference, net per row: each row as it is committed when it is read, which may be newer
//! than the cursor that the last batch leads to; the next step then has it again. Every read is a transaction over a
//! few thousand rows at most. When nothing was committed since the last look nothing is read but SQLite's change
//! counter.

pub(crate) mod changes;
pub(crate) mod cursor;
mod ids;
pub(crate) mod memory;
mod window;

#[cfg(test)]
mod history;
#[cfg(test)]
mod tests;
