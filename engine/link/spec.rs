use serde::{Deserialize, Serialize};
use std::fmt;

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkKind {
    /// Copies once, verifies, ends.
    Migrate,
    /// Copies, then follows.
    Mirror,
}

impl fmt::Display for LinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Migrate => "migrate",
            Self::Mirror => "mirror",
        })
    }
}

/// What was asked for. Two equal requests are one link, which is what makes a repeated command continue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkSpec {
    /// What it is for.
    pub kind: LinkKind,
    /// Address of the palace that is read, in full.
    pub source: String,
    /// Address of the palace that is written, in full.
    pub target: String,
    /// Collections wanted; all of them when empty.
    pub collections: Vec<String>,
}

/// Names a link in the journal: derived from its spec, so that the same command finds it again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkId(pub String);

impl LinkSpec {
    /// The id of this request; the order of collections does not matter.
    pub fn id(&self) -> LinkId {
        let mut collections = self.collections.clone();
        collections.sort();
        collections.dedup();
        let mut hasher = blake3::Hasher::new();
        for part in [self.kind.to_string(), self.source.clone(), self.target.clone()].iter().chain(&collections) {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        LinkId(hasher.finalize().to_hex()[..12].to_owned())
    }
}

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
