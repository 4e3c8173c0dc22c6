//! Filters (§1.4): the where-dialect as a tree, its parser, and the one evaluator every answer is measured by.
//!
//! What the dialect leaves open is settled here: a key that is absent is null; numbers compare by value whatever their
//! type, and `true` is no number; texts compare by their code points; what cannot be compared does not match.

mod evaluate;
mod parse;
#[cfg(test)]
mod tests;

use serde_json::Value;

/// What rows must be like.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Filter {
    /// Every row passes.
    #[default]
    All,
    /// All of them must pass; of none, every row does.
    And(Vec<Filter>),
    /// One of them must pass; of none, no row does.
    Or(Vec<Filter>),
    /// The value of a metadata key must pass; null stands for an absent one.
    Metadata(String, Test),
    /// The document must contain this text; a row without a document does not.
    DocumentContains(String),
}

/// What a metadata value must be like.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// `$eq`, also a bare value.
    Eq(Value),
    /// `$ne`: whatever `$eq` does not match, absent keys included.
    Ne(Value),
    /// `$in`: equal to one of them.
    In(Vec<Value>),
    /// `$nin`: equal to none of them, absent keys included.
    Nin(Vec<Value>),
    /// `$contains`: a text with this part, or a list with this member.
    Contains(Value),
    /// `$gt`.
    Gt(Value),
    /// `$gte`.
    Gte(Value),
    /// `$lt`.
    Lt(Value),
    /// `$lte`.
    Lte(Value),
}

impl Filter {
    /// Both must pass.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, filter) | (filter, Self::All) => filter,
            (one, other) => Self::And(vec![one, other]),
        }
    }

    /// Whether it looks at anything; [`Filter::All`] and an empty `$and` do not.
    pub fn is_all(&self) -> bool {
        match self {
            Self::All => true,
            Self::And(parts) => parts.iter().all(Self::is_all),
            _ => false,
        }
    }

    /// The first optional operator it uses, if any: those need `supports_range_filters`.
    pub fn range_operator(&self) -> Option<&'static str> {
        match self {
            Self::All | Self::DocumentContains(_) => None,
            Self::And(parts) | Self::Or(parts) => parts.iter().find_map(Self::range_operator),
            Self::Metadata(_, test) => match test {
                Test::Gt(_) => Some("$gt"),
                Test::Gte(_) => Some("$gte"),
                Test::Lt(_) => Some("$lt"),
                Test::Lte(_) => Some("$lte"),
                _ => None,
            },
        }
    }

    /// Whether it looks at metadata, which then has to be parsed.
    pub fn reads_metadata(&self) -> bool {
        match self {
            Self::All | Self::DocumentContains(_) => false,
            Self::And(parts) | Self::Or(parts) => parts.iter().any(Self::reads_metadata),
            Self::Metadata(..) => true,
        }
    }

    /// Whether it looks at documents.
    pub fn reads_documents(&self) -> bool {
        match self {
            Self::All | Self::Metadata(..) => false,
            Self::And(parts) | Self::Or(parts) => parts.iter().any(Self::reads_documents),
            Self::DocumentContains(_) => true,
        }
    }
}
