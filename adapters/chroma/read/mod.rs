//! Reading rows while a MemPalace may be writing them.
//!
//! [`reader`] follows the protocol for one page: under a shared lock it takes the committed sequence numbers
//! ([`marks`]), ids, documents and metadata of a [`page`], a [`chunk`] at a time, the raw bytes of their vectors from the index and
//! from the log's tail ([`tail`]); then it lets go of the lock and makes the batch. Files that changed meanwhile send
//! it round again ([`patience`]). Rows that have lost their vector may be given one of an index that was set aside
//! ([`salvage`]), if that is wanted. Where the metadata tables are behind the log, [`behind`] applies the difference.
//! [`range`] counts, cuts and finds the last id. A row is what the tables and the index hold at their sequence
//! numbers, plus what the log holds after those.

pub(crate) mod behind;
mod chunk;
pub(crate) mod marks;
pub(crate) mod metadata;
pub(crate) mod page;
pub(crate) mod patience;
pub(crate) mod range;
pub(crate) mod reader;
mod salvage;
pub(crate) mod session;
pub(crate) mod tail;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
