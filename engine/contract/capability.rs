use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

/// The capability tokens core reads (§2).
pub mod token {
    /// Given vectors are accepted.
    pub const EMBEDDINGS_IN: &str = "supports_embeddings_in";
    /// Given vectors are stored as they are and never re-embedded (§1.5).
    pub const EMBEDDINGS_PASSTHROUGH: &str = "supports_embeddings_passthrough";
    /// Stored vectors can be read back.
    pub const EMBEDDINGS_OUT: &str = "supports_embeddings_out";
    /// Every row can be read with document, metadata and vector (§8).
    pub const MIGRATION_EXPORT: &str = "supports_migration_export";
    /// `changes_since` works (§6).
    pub const CHANGE_FEED: &str = "supports_change_feed";
    /// The palace is a directory on this machine.
    pub const LOCAL_MODE: &str = "local_mode";
}

/// The set of tokens a backend advertises. Open: third parties may add their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Capabilities(BTreeSet<Cow<'static, str>>);

impl Capabilities {
    /// The set of exactly these tokens.
    pub fn of(tokens: impl IntoIterator<Item = &'static str>) -> Self {
        Self(tokens.into_iter().map(Cow::Borrowed).collect())
    }

    /// Whether the token is advertised.
    pub fn has(&self, token: &str) -> bool {
        self.0.contains(token)
    }

    /// The tokens in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

/// How changes of a palace can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaptureLevel {
    /// Every change, in order, from the store's own log.
    Log,
    /// The difference between two versions.
    Version,
    /// Comparison of row digests at an interval, by the operator's explicit choice.
    Scan,
}

impl fmt::Display for CaptureLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Log => "log",
            Self::Version => "version",
            Self::Scan => "scan",
        })
    }
}

/// How faithfully a store gives back the vectors it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fidelity {
    /// Bit for bit.
    Exact,
    /// Within one unit in the last place of each component.
    Ulp,
}
