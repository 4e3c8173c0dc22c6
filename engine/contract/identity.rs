use serde::{Deserialize, Serialize};
use std::fmt;

/// Which model made the vectors of a collection (§1.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbedderIdentity {
    /// Name of the model as its writer recorded it.
    pub model_name: String,
    /// Width of its vectors; 0 means "not probed".
    #[serde(default)]
    pub dimension: u32,
}

impl EmbedderIdentity {
    /// The model name with MemPalace's aliases resolved: `all-minilm-l6-v2` and `none` are recorded for `minilm`.
    pub fn canonical_model(&self) -> &str {
        match self.model_name.as_str() {
            "all-minilm-l6-v2" | "none" => "minilm",
            name => name,
        }
    }

    /// Compares what a collection has stored with what is current. Either side missing or nameless is
    /// [`IdentityState::Unknown`]; a dimension of 0 matches any.
    pub fn compare(stored: Option<&Self>, current: Option<&Self>) -> IdentityState {
        let (Some(stored), Some(current)) = (stored, current) else { return IdentityState::Unknown };
        let dimensions_differ =
            stored.dimension != 0 && current.dimension != 0 && stored.dimension != current.dimension;
        if dimensions_differ {
            return IdentityState::KnownMismatch;
        }
        if stored.model_name.is_empty() || current.model_name.is_empty() {
            return IdentityState::Unknown;
        }
        if stored.canonical_model() == current.canonical_model() {
            IdentityState::KnownMatch
        } else {
            IdentityState::KnownMismatch
        }
    }
}

impl fmt::Display for EmbedderIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.dimension {
            0 => f.write_str(&self.model_name),
            dimension => write!(f, "{} ({dimension})", self.model_name),
        }
    }
}

/// The three states of an identity check (§1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityState {
    /// Stored and current name the same model.
    KnownMatch,
    /// Both are known and differ.
    KnownMismatch,
    /// Nothing to compare with.
    Unknown,
}

/// How it is known which model made a collection's vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKnownBy {
    /// It is recorded with them.
    Recorded,
    /// The operator said so.
    Operator,
    /// Nobody knows.
    Unknown,
}

impl fmt::Display for IdentityState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KnownMatch => "known_match",
            Self::KnownMismatch => "known_mismatch",
            Self::Unknown => "unknown",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(model: &str, dimension: u32) -> EmbedderIdentity {
        EmbedderIdentity { model_name: model.into(), dimension }
    }

    #[test]
    fn aliases_of_minilm_match_it() {
        for alias in ["all-minilm-l6-v2", "none", "minilm"] {
            let state = EmbedderIdentity::compare(Some(&identity(alias, 0)), Some(&identity("minilm", 384)));
            assert_eq!(state, IdentityState::KnownMatch, "{alias}");
        }
    }

    #[test]
    fn models_of_equal_width_still_differ() {
        let state = EmbedderIdentity::compare(Some(&identity("minilm", 384)), Some(&identity("embeddinggemma", 384)));
        assert_eq!(state, IdentityState::KnownMismatch);
    }

    #[test]
    fn nameless_or_absent_is_unknown_unless_the_dimensions_already_disagree() {
        let nameless = identity("", 384);
        assert_eq!(EmbedderIdentity::compare(None, Some(&nameless)), IdentityState::Unknown);
        assert_eq!(EmbedderIdentity::compare(Some(&nameless), Some(&identity("minilm", 0))), IdentityState::Unknown);
        assert_eq!(
            EmbedderIdentity::compare(Some(&nameless), Some(&identity("minilm", 768))),
            IdentityState::KnownMismatch
        );
    }
}
