//! The proof that two palaces hold the same rows.
//!
//! Both ends are read from end to end and every row's digest is folded, order-free, into ranges of ids ([`Fold`]): equal
//! ranges cost nothing more. Rows of ranges that differ are read again in the order of their ids and compared side by side,
//! down to the field, a batch of each end at a time: any number of differences is found, whatever the palaces' size
//! ([`compare()`]). What an end's feed says was changed meanwhile is compared once more, so that what is found is true of one
//! moment; where that cannot be had, the comparison is inconclusive and says why. [`ParityReport`] says what was compared,
//! and what was not.
//!
//! [`compare_sample`] looks at some rows only, [`compare_searches`] at what both ends find, and [`repair()`] makes the target's
//! differing rows what they are in the source.

mod compare;
mod fold;
mod found;
mod mark;
mod merge;
mod pick;
mod repair;
mod report;
mod sample;
mod search;
mod settle;
mod vectors;

pub use compare::{Compared, Comparison, End, Heard, Manner, compare, compare_collection};
pub use fold::{Differing, Fold};
pub use repair::{Repaired, Wrote, repair};
pub use report::{CollectionParity, Difference, DifferenceCounts, ParityReport, SampleTaken, VectorDistance, Verdict};
pub use sample::compare_sample;
pub use search::{SearchParity, SearchedCollection, Searches, compare_searches, uses_approximate_index};
pub use vectors::{Criterion, SAME_COSINE, TOLERATED_ULPS};
