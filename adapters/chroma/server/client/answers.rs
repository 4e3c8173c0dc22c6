use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A collection, as the server describes it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Described {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Width of its vectors; null until the first write.
    #[serde(default)]
    pub(crate) dimension: Option<u32>,
    #[serde(default)]
    pub(crate) metadata: Option<Map<String, Value>>,
    #[serde(default, rename = "configuration_json")]
    pub(crate) configuration: Value,
}

/// Which fields of rows are wanted; ids always come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) texts: bool,
    pub(crate) vectors: bool,
}

impl Wanted {
    pub(crate) const IDS: Self = Self { texts: false, vectors: false };
    pub(crate) const TEXTS: Self = Self { texts: true, vectors: false };
    pub(crate) const ALL: Self = Self { texts: true, vectors: true };

    pub(super) fn names(self) -> Vec<&'static str> {
        let mut names = Vec::new();
        if self.texts {
            names.extend(["documents", "metadatas"]);
        }
        if self.vectors {
            names.push("embeddings");
        }
        names
    }
}

/// Rows as parallel lists; a field that was not wanted is null.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Records {
    pub(crate) ids: Vec<String>,
    #[serde(default)]
    documents: Option<Vec<Option<String>>>,
    #[serde(default)]
    metadatas: Option<Vec<Option<Map<String, Value>>>>,
    #[serde(default)]
    embeddings: Option<Vec<Option<Vec<f32>>>>,
}

/// One row of [`Records`].
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) document: Option<String>,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) embedding: Option<Vec<f32>>,
}

impl Record {
    /// Whether document and metadata are those of the other.
    pub(crate) fn has_texts_of(&self, other: &Self) -> bool {
        self.document == other.document && self.metadata == other.metadata
    }
}

impl Records {
    /// Row by row.
    pub(crate) fn into_rows(self) -> impl Iterator<Item = Record> {
        let mut documents = self.documents.unwrap_or_default().into_iter();
        let mut metadatas = self.metadatas.unwrap_or_default().into_iter();
        let mut embeddings = self.embeddings.unwrap_or_default().into_iter();
        self.ids.into_iter().map(move |id| Record {
            id,
            document: documents.next().flatten(),
            metadata: metadatas.next().flatten().unwrap_or_default(),
            embedding: embeddings.next().flatten(),
        })
    }
}

/// What the server says it takes.
#[derive(Debug, Deserialize)]
pub(super) struct PreFlight {
    pub(super) max_batch_size: usize,
    #[serde(default)]
    pub(super) supports_base64_encoding: bool,
}

#[derive(Serialize)]
pub(super) struct Get<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ids: Option<&'a [&'a str]>,
    pub(super) include: Vec<&'static str>,
}

#[derive(Serialize)]
pub(super) struct Delete<'a> {
    pub(super) ids: &'a [&'a str],
}

#[derive(Serialize)]
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
}

#[derive(Serialize)]
pub(super) struct NewCollection<'a> {
    pub(super) name: &'a str,
    pub(super) metadata: &'a Map<String, Value>,
}

#[derive(Serialize)]
pub(super) struct NewName<'a> {
    pub(super) new_name: &'a str,
}

#[derive(Serialize)]
pub(super) struct NewMetadata<'a> {
    pub(super) new_metadata: &'a Map<String, Value>,
}
