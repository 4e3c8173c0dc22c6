use serde::{Deserialize, Serialize};
use std::fmt;

/// Distance a collection is searched by; lower is closer, whatever the metric (§1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// 1 − cosine similarity.
    Cosine,
    /// Squared Euclidean distance.
    L2,
    /// 1 − inner product.
    Ip,
}

impl Metric {
    /// The name stores and MemPalace use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::L2 => "l2",
            Self::Ip => "ip",
        }
    }

    /// Reads a store's own name for a metric.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "cosine" => Some(Self::Cosine),
            "l2" => Some(Self::L2),
            "ip" => Some(Self::Ip),
            _ => None,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
