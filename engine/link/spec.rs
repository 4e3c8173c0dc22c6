use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkSpec {
    /// What it is for.
    pub kind: LinkKind,
    /// Address of the palace that is read, in full.
    pub source: String,
    /// Address of the palace that is written, in full.
    pub target: String,
    /// Collections wanted, by their names in the source; all of them when empty.
    pub collections: Vec<String>,
    /// Only rows that pass this filter (§1.4) are wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// Names collections get in the target, by their names in the source.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub renames: BTreeMap<String, String>,
    /// A mirror that learns of changes by comparing every row (capture level `scan`) waits so long between two rounds,
    /// in milliseconds; `None` follows the source's own feed. It is no part of the request's identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan_every_ms: Option<u64>,
    /// What the operator has allowed by name. It is no part of the request's identity: allowing something goes on with
    /// the same link.
    #[serde(default, skip_serializing_if = "Overrides::are_none")]
    pub overrides: Overrides,
    /// The operator's word on which model made the source's vectors (§1.5); like what is allowed, no part of the
    /// request's identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The model of the configuration's embedder, which whoever opens the target searches with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedder: Option<String>,
}

/// What the operator has allowed by name (§8); written into the record of the migration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overrides {
    /// The target may exist and is replaced.
    pub overwrite: bool,
    /// The target may embed the documents anew.
    pub accept_re_embed: bool,
    /// The target may be of another model.
    pub force_model_swap: bool,
}

impl Overrides {
    fn are_none(&self) -> bool {
        *self == Self::default()
    }

    /// The flags, as they are given on the command line.
    pub fn flags(&self) -> Vec<String> {
        let flags = [
            (self.overwrite, "--overwrite"),
            (self.accept_re_embed, "--accept-re-embed"),
            (self.force_model_swap, "--force-model-swap"),
        ];
        flags.into_iter().filter(|(given, _)| *given).map(|(_, flag)| flag.to_owned()).collect()
    }
}

/// Names a link in the journal: derived from its spec, so that the same command finds it again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkId(pub String);

impl LinkSpec {
    /// Every row of every collection, under the names they have.
    pub fn new(kind: LinkKind, source: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            kind,
            source: source.into(),
            target: target.into(),
            collections: Vec::new(),
            filter: None,
            renames: BTreeMap::new(),
            scan_every_ms: None,
            overrides: Overrides::default(),
            model: None,
            embedder: None,
        }
    }

    /// Whether all of the source is wanted: a part of it can never be called a lossless migration of the palace.
    pub fn is_of_the_whole_palace(&self) -> bool {
        self.collections.is_empty() && self.filter.is_none()
    }

    /// The wait between two rounds of a mirror that compares.
    pub fn scan_every(&self) -> Option<Duration> {
        self.scan_every_ms.map(Duration::from_millis)
    }

    /// The name a collection of the source has in the target.
    pub fn target_name<'a>(&'a self, collection: &'a str) -> &'a str {
        self.renames.get(collection).map_or(collection, String::as_str)
    }

    /// The id of this request; the order of collections does not matter.
    pub fn id(&self) -> LinkId {
        let mut collections = self.collections.clone();
        collections.sort();
        collections.dedup();
        let mut parts = vec![self.kind.to_string(), self.source.clone(), self.target.clone()];
        parts.extend(collections);
        parts.extend(self.renames.iter().map(|(from, to)| format!("{from} => {to}")));
        parts.extend(self.filter.as_ref().map(|filter| format!("where {filter}")));
        let mut hasher = blake3::Hasher::new();
        for part in parts {
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
