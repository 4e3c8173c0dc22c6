//! Chroma's files beside the database: one folder per vector segment.
//!
//! `index_metadata.pickle` ([`pickle`]) says which label an id has, `header.bin` ([`header`]) how `data_level0.bin` is
//! laid out; the two meet in [`index`], the id map of one generation of the files. [`files`] stamps the files, so that
//! a reader notices when a generation ends, and reads elements by position. `link_lists.bin` is never opened. What
//! MemPalace set aside of them is listed by [`quarantine`], and what else in a palace's directory is Chroma's told apart by
//! [`belongings`].
//!
//! All of these files are untrusted: each size is checked against the file's before anything is allocated or read.

pub(crate) mod belongings;
pub(crate) mod files;
pub(crate) mod fingerprint;
pub(crate) mod header;
pub(crate) mod index;
pub(crate) mod pickle;
pub(crate) mod quarantine;
mod trouble;

pub(crate) use trouble::Trouble;
