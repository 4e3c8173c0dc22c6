use serde::{Deserialize, Serialize};
use std::fmt;

/// A half-open range of ids, `after < id <= upto`, in the byte order of their UTF-8.
///
/// Open below when `after` is `None`, above when `upto` is `None`. The bounds are ids, so that the last id done *is*
/// the range that remains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRange {
    /// Exclusive lower bound.
    pub after: Option<String>,
    /// Inclusive upper bound.
    pub upto: Option<String>,
}

impl KeyRange {
    /// Every id.
    pub const ALL: Self = Self { after: None, upto: None };

    /// Whether `id` lies in the range.
    pub fn contains(&self, id: &str) -> bool {
        self.after.as_deref().is_none_or(|after| id > after) && self.upto.as_deref().is_none_or(|upto| id <= upto)
    }

    /// What is left of the range once everything up to and including `id` is done.
    pub fn remaining_after(&self, id: Option<&str>) -> Self {
        match id {
            Some(id) if self.contains(id) => Self { after: Some(id.to_owned()), upto: self.upto.clone() },
            _ => self.clone(),
        }
    }
}

impl fmt::Display for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.after, &self.upto) {
            (None, None) => f.write_str("all rows"),
            (Some(after), None) => write!(f, "rows after {after:?}"),
            (None, Some(upto)) => write!(f, "rows up to {upto:?}"),
            (Some(after), Some(upto)) => write!(f, "rows after {after:?} up to {upto:?}"),
        }
    }
}
