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
    /// `estimated_count` is cheaper than `count`.
    pub const ESTIMATED_COUNT: &str = "supports_estimated_count";
    /// `update` is one atomic round trip (§1).
    pub const UPDATE: &str = "supports_update";
    /// Filters on metadata work (§1.4).
    pub const METADATA_FILTERS: &str = "supports_metadata_filters";
    /// `$gt`, `$gte`, `$lt` and `$lte` work (§1.4).
    pub const RANGE_FILTERS: &str = "supports_range_filters";
    /// `$contains` is answered by an index (§1.4).
    pub const CONTAINS_FAST: &str = "supports_contains_fast";
    /// The store keeps secondary indexes.
    pub const SERVER_SIDE_INDEXES: &str = "supports_server_side_indexes";
    /// Every row can be read with document, metadata and vector (§8).
    pub const MIGRATION_EXPORT: &str = "supports_migration_export";
    /// `changes_since` works (§6).
    pub const CHANGE_FEED: &str = "supports_change_feed";
    /// A change feed, and upserts that are idempotent under conflict (§6).
    pub const SYNC: &str = "supports_sync";
    /// Palaces live in a service that must be running.
    pub const REQUIRES_EXTERNAL_SERVICE: &str = "requires_external_service";
    /// The palace is a directory on this machine.
    pub const LOCAL_MODE: &str = "local_mode";
    /// The palace is on a server.
    pub const SERVER_MODE: &str = "server_mode";
    /// The store embeds documents by itself (§1.5).
    pub const SERVER_EMBEDDER: &str = "server_embedder";
    /// Rows of one namespace are never seen through another (§2.2).
    pub const NAMESPACE_ISOLATION: &str = "supports_namespace_isolation";

    /// All of the above.
    pub const KNOWN: [&str; 17] = [
        EMBEDDINGS_IN,
        EMBEDDINGS_PASSTHROUGH,
        EMBEDDINGS_OUT,
        ESTIMATED_COUNT,
        UPDATE,
        METADATA_FILTERS,
        RANGE_FILTERS,
        CONTAINS_FAST,
        SERVER_SIDE_INDEXES,
        MIGRATION_EXPORT,
        CHANGE_FEED,
        SYNC,
        REQUIRES_EXTERNAL_SERVICE,
        LOCAL_MODE,
        SERVER_MODE,
        SERVER_EMBEDDER,
        NAMESPACE_ISOLATION,
    ];
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
