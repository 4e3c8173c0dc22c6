use serde::{Deserialize, Serialize};

/// How two palaces compare.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParityReport {
    /// Address of the source.
    pub source: String,
    /// Address of the target.
    pub target: String,
    /// One entry per collection compared.
    pub collections: Vec<CollectionParity>,
    /// Collections of the source that hold rows and have no part in the copy, though they were asked for: they came into
    /// being after it was planned.
    pub uncopied: Vec<String>,
    /// What was compared, in sentences.
    pub compared: Vec<String>,
    /// What was not, in sentences.
    pub not_compared: Vec<String>,
}

/// How one collection compares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CollectionParity {
    /// Its name.
    pub name: String,
    /// Rows read from the source.
    pub source_rows: u64,
    /// Rows read from the target.
    pub target_rows: u64,
    /// Rows on both ends whose digests are equal, or whose vectors differ by no more than the source's fidelity.
    pub equal: u64,
    /// Of the equal ones, rows whose vectors differ in their last bits, as the source's fidelity allows.
    pub within_tolerance: u64,
    /// Rows missing, extra or different that were found one by one.
    pub differences: Vec<Difference>,
    /// Rows in differing groups that were not looked at one by one; 0 when the list above is complete.
    pub not_examined: u64,
    /// Rows of the source that have no vector.
    pub without_vector: u64,
}

/// One row that is not the same on both ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Difference {
    /// In the source only.
    Missing {
        /// Its id.
        id: String,
    },
    /// In the target only.
    Extra {
        /// Its id.
        id: String,
    },
    /// On both ends, with other content.
    Different {
        /// Its id.
        id: String,
        /// Fields that differ: `document`, `metadata`, `embedding`.
        fields: Vec<String>,
    },
    /// More than once on one end.
    Duplicate {
        /// Its id.
        id: String,
    },
}

/// Whether two palaces hold the same rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every row that was to be compared is the same.
    Equal,
    /// At least one is not.
    Different,
}

impl CollectionParity {
    /// Rows known to be missing, extra or different, those not looked at one by one included.
    pub fn difference_count(&self) -> u64 {
        self.differences.len() as u64 + self.not_examined
    }
}

impl ParityReport {
    /// The verdict over all collections.
    pub fn verdict(&self) -> Verdict {
        if self.difference_count() == 0 && self.uncopied.is_empty() { Verdict::Equal } else { Verdict::Different }
    }

    /// Differences in all collections.
    pub fn difference_count(&self) -> u64 {
        self.collections.iter().map(CollectionParity::difference_count).sum()
    }

    /// Equal rows in all collections.
    pub fn equal_rows(&self) -> u64 {
        self.collections.iter().map(|collection| collection.equal).sum()
    }
}
