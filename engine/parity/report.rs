use super::SearchParity;
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
    /// Collections of the source that hold rows, were asked for, and have no counterpart in the target.
    pub uncopied: Vec<String>,
    /// Collections of the target that hold rows and have no counterpart in the source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only_in_target: Vec<String>,
    /// What was compared, in sentences.
    pub compared: Vec<String>,
    /// What was not, in sentences.
    pub not_compared: Vec<String>,
    /// The same searches on both ends, if they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchParity>,
}

/// How one collection compares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CollectionParity {
    /// Its name in the source.
    pub name: String,
    /// Its name in the target, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_name: Option<String>,
    /// Rows of the source.
    pub source_rows: u64,
    /// Rows of the target.
    pub target_rows: u64,
    /// Rows found the same on both ends.
    pub equal: u64,
    /// Of the equal ones, rows whose vectors are not the same bit for bit, but as near as was asked for.
    pub within_tolerance: u64,
    /// How many rows differ, and how; complete.
    pub counts: DifferenceCounts,
    /// The differing rows by id, ascending, as many as are worth listing.
    pub differences: Vec<Difference>,
    /// Differing rows that are counted and not listed.
    pub unlisted: u64,
    /// Rows of the source that have no vector.
    pub without_vector: u64,
    /// How far the vectors that were compared are apart.
    pub vectors: VectorDistance,
    /// The digest of all rows the source gave, whatever their order; none of a sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_digest: Option<String>,
    /// The same of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_digest: Option<String>,
    /// Which rows were compared, if not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<SampleTaken>,
    /// Rows that changed while they were compared, and were compared again.
    pub compared_again: u64,
    /// Why nothing can be concluded; empty where something can.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inconclusive: Vec<String>,
}

/// Differing rows by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DifferenceCounts {
    /// In the source only.
    pub missing: u64,
    /// In the target only.
    pub extra: u64,
    /// On both ends with other content.
    pub different: u64,
    /// Ids that stand more often on one end than on the other.
    pub duplicate: u64,
}

/// How far vectors are apart, over all that were compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VectorDistance {
    /// Pairs compared.
    pub compared: u64,
    /// Of them, pairs with the same bits.
    pub exact: u64,
    /// Largest distance of two components in units of the last place; `null` where a component is no number.
    pub max_ulps: Option<u32>,
    /// Largest cosine distance, 1 minus the cosine.
    pub max_cosine_distance: f64,
    /// Mean cosine distance.
    pub mean_cosine_distance: f64,
}

/// The rows a sample was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleTaken {
    /// How many rows of the source.
    pub rows: u64,
    /// The seed that chooses the same ones again, as long as the source is the same.
    pub seed: u64,
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
        /// Fields that differ: `document`, `metadata`, `embedding`; `copies` where the id stands several times on both
        /// ends and the further ones differ.
        fields: Vec<String>,
    },
    /// More often on one end than on the other.
    Duplicate {
        /// Its id.
        id: String,
        /// Rows of that id in the source.
        source: u64,
        /// Rows of that id in the target.
        target: u64,
    },
}

impl Difference {
    /// The row's id.
    pub fn id(&self) -> &str {
        match self {
            Self::Missing { id } | Self::Extra { id } | Self::Different { id, .. } | Self::Duplicate { id, .. } => id,
        }
    }
}

/// Whether two palaces hold the same rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every row that was to be compared is the same.
    Equal,
    /// At least one is not.
    Different,
    /// It could not be told.
    Inconclusive,
}

impl DifferenceCounts {
    /// All kinds together.
    pub fn total(&self) -> u64 {
        self.missing + self.extra + self.different + self.duplicate
    }
}

impl CollectionParity {
    /// Rows known to be missing, extra, different or duplicate, those that are not listed included.
    pub fn difference_count(&self) -> u64 {
        self.counts.total()
    }

    /// The verdict over this collection. A sample that found nothing, of ends of different size, is a difference.
    pub fn verdict(&self) -> Verdict {
        let sizes_differ = self.sample.is_some() && self.source_rows != self.target_rows;
        if !self.inconclusive.is_empty() {
            Verdict::Inconclusive
        } else if self.difference_count() > 0 || sizes_differ {
            Verdict::Different
        } else {
            Verdict::Equal
        }
    }
}

impl ParityReport {
    /// The verdict over all collections: a difference that is certain outweighs what could not be told.
    pub fn verdict(&self) -> Verdict {
        let verdicts = || self.collections.iter().map(CollectionParity::verdict);
        if !self.uncopied.is_empty() || !self.only_in_target.is_empty() || verdicts().any(|v| v == Verdict::Different) {
            Verdict::Different
        } else if verdicts().any(|verdict| verdict == Verdict::Inconclusive) {
            Verdict::Inconclusive
        } else {
            Verdict::Equal
        }
    }

    /// Whether only a sample of some collection was compared.
    pub fn is_of_a_sample(&self) -> bool {
        self.collections.iter().any(|collection| collection.sample.is_some())
    }

    /// The verdict in a few words, which name a sample as such.
    pub fn conclusion(&self) -> &'static str {
        match (self.verdict(), self.is_of_a_sample()) {
            (Verdict::Equal, false) => "equal",
            (Verdict::Equal, true) => "equal in the sample",
            (Verdict::Different, _) => "different",
            (Verdict::Inconclusive, _) => "inconclusive",
        }
    }

    /// Why nothing can be concluded, per collection.
    pub fn inconclusive(&self) -> Vec<String> {
        let of = |collection: &CollectionParity| {
            let name = collection.name.clone();
            collection.inconclusive.iter().map(move |reason| format!("{name}: {reason}")).collect::<Vec<_>>()
        };
        self.collections.iter().flat_map(of).collect()
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
