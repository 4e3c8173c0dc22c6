use crate::contract::{CollectionSpec, Cursor, Partition};
use serde::{Deserialize, Serialize};

/// What a link will copy: made once, stored before the first row, never made anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The collections, in the order they are copied.
    pub collections: Vec<CollectionPlan>,
    /// Collections of the source that cannot be made in the target because they are empty and have no width yet.
    pub without_dimension: Vec<String>,
}

/// The share of one collection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CollectionPlan {
    /// How it is made in the target; its incarnation tells our collection from another's.
    pub spec: CollectionSpec,
    /// Its name in the source, where it gets another one in the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
    /// The source's incarnation when the plan was made.
    pub source_incarnation: Option<String>,
    /// Ranges that together cover every id there can be.
    pub partitions: Vec<Partition>,
    /// The feed's head before the scan began; what follows it is replayed afterwards.
    pub feed_from: Option<Cursor>,
}

impl CollectionPlan {
    /// Its name in the source.
    pub fn source_name(&self) -> &str {
        self.renamed_from.as_deref().unwrap_or(&self.spec.name)
    }

    /// Rows there were when it was planned.
    pub fn rows(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.rows).sum()
    }
}

impl Plan {
    /// Rows there were when it was planned.
    pub fn rows(&self) -> u64 {
        self.collections.iter().map(CollectionPlan::rows).sum()
    }

    /// How many partitions.
    pub fn partitions(&self) -> usize {
        self.collections.iter().map(|collection| collection.partitions.len()).sum()
    }
}
