//! The proof that two palaces hold the same rows.
//!
//! Both ends are read from end to end and every row's digest is folded, order-free, into buckets of ids ([`Fold`]): equal
//! buckets cost nothing more. Rows of buckets that differ are read again and compared one by one ([`compare()`]), down to
//! the field. [`ParityReport`] says what was compared, and what was not.

mod compare;
mod fold;
mod report;
mod rows;

pub use compare::{Compared, End, compare};
pub use fold::Fold;
pub use report::{CollectionParity, Difference, ParityReport, Verdict};
