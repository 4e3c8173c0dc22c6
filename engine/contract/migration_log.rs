use super::EmbedderIdentity;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// An entry of a palace's migration log (§1.5, §8.3). What other programs or later versions wrote is kept as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogEntry {
    /// What happened: `model_swap`, `embedder_set`, or what others call theirs.
    pub kind: String,
    /// When, in RFC 3339.
    pub at: String,
    /// The rest, by kind.
    #[serde(flatten)]
    pub details: Map<String, Value>,
}

impl LogEntry {
    /// A collection was opened with another model than it was made for, by the operator's force.
    pub fn model_swap(collection: &str, from: &EmbedderIdentity, to: &EmbedderIdentity) -> Self {
        Self::new("model_swap", json!({"collection": collection, "from": from, "to": to}))
    }

    /// The operator said which model a collection was made with.
    pub fn embedder_set(collection: &str, from: Option<&EmbedderIdentity>, to: &EmbedderIdentity) -> Self {
        Self::new("embedder_set", json!({"collection": collection, "from": from, "to": to}))
    }

    fn new(kind: &str, details: Value) -> Self {
        let details = if let Value::Object(details) = details { details } else { Map::new() };
        Self { kind: kind.to_owned(), at: Timestamp::now().to_string(), details }
    }
}
