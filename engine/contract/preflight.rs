use serde::{Deserialize, Serialize};

/// What a palace is about to be used for, as far as its backend has to prepare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// To be read once.
    Source,
    /// To be read, and then followed.
    Followed,
    /// To be written; it need not be there yet.
    Target,
}

/// How a preflight check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Nothing in the way.
    Passes,
    /// The work would go on; the operator should know.
    Warns,
    /// The work would be refused, or would halt.
    Fails,
}

/// One preflight check: what was looked at, what was found, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Stable name, such as `permissions`.
    pub name: String,
    /// How it stands.
    pub standing: Standing,
    /// What was found, in a sentence with its figures.
    pub found: String,
    /// What to do about it; `None` where nothing is to be done.
    pub fix: Option<String>,
}

impl Check {
    /// Nothing in the way.
    pub fn passes(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self { name: name.into(), standing: Standing::Passes, found: found.into(), fix: None }
    }

    /// The work would go on; the operator should know.
    pub fn warns(name: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name: name.into(), standing: Standing::Warns, found: found.into(), fix: Some(fix.into()) }
    }

    /// The work would be refused, or would halt.
    pub fn fails(name: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name: name.into(), standing: Standing::Fails, found: found.into(), fix: Some(fix.into()) }
    }
}
