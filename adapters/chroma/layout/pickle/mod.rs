//! A pickle read as data: nothing in it is ever executed, and nothing is kept of it but the labels.
//!
//! The machine knows the opcodes that writers of protocols 0 to 5 emit for dicts, lists, tuples, numbers, strings and
//! for Chroma's older `PersistentData` objects, which are inert here. It streams: of a string it keeps the fingerprint,
//! of a container nothing but what it is for. Stack and strings have a fixed bound, the labels one that the caller knows,
//! the memo (24 bytes a value; only older versions use it) one value to eight bytes of file, and nothing recurses, so
//! memory is a small multiple of the file whatever it says.

mod input;
mod machine;

use super::Trouble;
use super::files::PICKLE;
use super::fingerprint::{Fingerprint, Fingerprints};
use input::Input;
use machine::Machine;
use std::io::BufRead;

/// An id, by its fingerprint, and its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Labelled {
    /// Of the id.
    pub(crate) id: Fingerprint,
    /// Its label.
    pub(crate) label: u32,
    /// Which record of `data_level0.bin` has that label; not known to the pickle.
    pub(crate) slot: u32,
}

/// What is wanted of `index_metadata.pickle`.
#[derive(Debug, Default)]
pub(crate) struct IndexMetadata {
    /// The labels, in no order.
    pub(crate) labels: Vec<Labelled>,
    /// The greatest sequence number of any row, where older versions kept them.
    pub(crate) max_row_seq_id: Option<i64>,
    /// The sequence number the index has come to, where older versions kept it here.
    pub(crate) max_seq_id: Option<i64>,
    /// Whether an older version wrote it.
    pub(crate) legacy: bool,
}

/// Reads an `index_metadata.pickle` of `size` bytes that may hold `max_labels` labels.
pub(crate) fn read_index_metadata(
    input: impl BufRead,
    size: u64,
    max_labels: usize,
    fingerprints: &Fingerprints,
) -> Result<IndexMetadata, Trouble> {
    let machine = Machine::new(Input::new(input, size), size, max_labels, fingerprints);
    machine.run()
}

fn damaged(what: impl std::fmt::Display) -> Trouble {
    Trouble::damaged(format!("{PICKLE} {what}"))
}

#[cfg(test)]
pub(crate) mod tests;
