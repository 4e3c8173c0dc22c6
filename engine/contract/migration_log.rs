use super::{EmbedderIdentity, ModelKnownBy};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What a finished migration leaves in its target (§8.3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MigrationRecord {
    /// The link that made the copy.
    pub link: String,
    /// Backend of the source.
    pub source_backend: String,
    /// Address of the source, without secrets.
    pub source: String,
    /// Backend of the target.
    pub target_backend: String,
    /// Rows the target held when they were compared.
    pub rows: u64,
    /// The source exports, the target passes vectors through, the models agree (§8), and the comparison found no
    /// difference.
    pub lossless: bool,
    /// Whether both ends were found equal, row for row.
    pub verified: bool,
    /// Whether the target embedded the documents anew, in place of the vectors that were copied.
    #[serde(default)]
    pub re_embedded: bool,
    /// Flags that overrode a refusal.
    pub flags: Vec<String>,
    /// One entry per collection copied.
    pub collections: Vec<RecordedCollection>,
}

/// One collection of a migration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedCollection {
    /// Its name.
    pub name: String,
    /// Rows the target held when they were compared.
    pub rows: u64,
    /// Model recorded at the source; none recorded is `null`.
    pub source_model: Option<EmbedderIdentity>,
    /// Model recorded at the target.
    pub target_model: Option<EmbedderIdentity>,
    /// How it is known which model that is; records of earlier versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_known_by: Option<ModelKnownBy>,
    /// Which copy of that name it is.
    pub incarnation: Option<String>,
}

/// An entry of a palace's migration log (§1.5, §8.3). What other programs or later versions wrote is kept as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogEntry {
    /// What happened: `migration`, `repair`, `retry`, `model_swap`, `embedder_set`, or what others call theirs.
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

    /// The record of a migration (§8.3) that stands alone in a file, where we keep a log: another program's. Its fields are
    /// kept as they are.
    pub fn of_lone_record(file: &Map<String, Value>) -> Option<Self> {
        let told =
            ["source_backend", "row_count", "lossless"].into_iter().filter(|key| file.contains_key(*key)).count();
        if told < 2 {
            return None;
        }
        let mut details = file.clone();
        details.retain(|key, _| !matches!(key.as_str(), "log" | "schema" | "timestamp"));
        let at = file.get("timestamp").map(|at| at.as_str().map_or_else(|| at.to_string(), str::to_owned));
        Some(Self { kind: "migration".to_owned(), at: at.unwrap_or_default(), details })
    }

    /// A migration into this palace has finished.
    pub fn migration(record: &MigrationRecord) -> Self {
        Self::new("migration", json!(record))
    }

    /// Rows that had come to differ were copied from the source again, or removed. Of a repair that did not come to its end
    /// it says so; some rows more than it tells may have been written then.
    pub fn repair(source: &str, copied: u64, removed: u64, finished: bool) -> Self {
        let mut entry = Self::new("repair", json!({"source": source, "copied": copied, "removed": removed}));
        if !finished {
            entry.details.insert("finished".to_owned(), json!(false));
        }
        entry
    }

    /// Rows the target had refused were written after all, some of them converted.
    pub fn retry(source: &str, copied: u64, converted: u64) -> Self {
        Self::new("retry", json!({"source": source, "copied": copied, "converted": converted}))
    }

    /// The record in an entry of that kind.
    pub fn as_migration(&self) -> Option<MigrationRecord> {
        let of_migration = self.kind == "migration";
        of_migration.then(|| serde_json::from_value(Value::Object(self.details.clone())).ok()).flatten()
    }

    /// Whether it records the very copy that `record` is of.
    pub fn is_of(&self, record: &MigrationRecord) -> bool {
        self.as_migration().is_some_and(|known| {
            known.link == record.link && known.verified == record.verified && known.collections == record.collections
        })
    }

    /// Whether both record the same, whenever.
    pub fn is_the_same_as(&self, other: &Self) -> bool {
        self.kind == other.kind && self.details == other.details
    }

    fn new(kind: &str, details: Value) -> Self {
        let details = if let Value::Object(details) = details { details } else { Map::new() };
        Self { kind: kind.to_owned(), at: Timestamp::now().to_string(), details }
    }
}
