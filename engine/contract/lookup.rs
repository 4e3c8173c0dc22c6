use super::{Error, ErrorKind, Filter, Result};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Metadata of one row.
pub type Metadata = Map<String, Value>;

/// Which fields a result carries. Ids always come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Include {
    /// Documents.
    pub documents: bool,
    /// Metadata.
    pub metadatas: bool,
    /// Distances; of a query only.
    pub distances: bool,
    /// Vectors.
    pub embeddings: bool,
}

impl Include {
    /// Ids alone.
    pub const IDS: Self = Self { documents: false, metadatas: false, distances: false, embeddings: false };
    /// What comes unless told otherwise: everything but the vectors.
    pub const USUAL: Self = Self { documents: true, metadatas: true, distances: true, embeddings: false };
    /// Everything.
    pub const ALL: Self = Self { embeddings: true, ..Self::USUAL };

    /// From the names the RFC uses.
    ///
    /// # Errors
    /// `InvalidRequest` for any other name.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut include = Self::IDS;
        for name in names {
            match name {
                "documents" => include.documents = true,
                "metadatas" => include.metadatas = true,
                "distances" => include.distances = true,
                "embeddings" => include.embeddings = true,
                other => {
                    let detail =
                        format!("include names {other:?}; there are: documents, metadatas, distances, embeddings");
                    return Err(Error::new(ErrorKind::InvalidRequest, detail));
                }
            }
        }
        Ok(include)
    }
}

/// Some rows: those of the ids, if any are named, that pass the filter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// The ids; `None` for every id.
    pub ids: Option<Vec<String>>,
    /// What the rows must be like.
    pub filter: Filter,
}

impl Selection {
    /// The rows of these ids.
    pub fn ids(ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { ids: Some(ids.into_iter().map(Into::into).collect()), filter: Filter::All }
    }

    /// The rows that pass the filter.
    pub fn filter(filter: Filter) -> Self {
        Self { ids: None, filter }
    }

    /// The named ids, each once, in the order they were first named.
    pub fn distinct_ids(&self) -> Option<Vec<&str>> {
        let mut seen = HashSet::new();
        let ids = self.ids.as_deref()?;
        Some(ids.iter().map(String::as_str).filter(|id| seen.insert(*id)).collect())
    }
}

/// What to read.
#[derive(Clone, Debug, PartialEq)]
pub struct GetRequest {
    /// Which rows.
    pub selection: Selection,
    /// At most so many, after the offset.
    pub limit: Option<usize>,
    /// So many of the selected rows are passed over first.
    pub offset: usize,
    /// Which fields.
    pub include: Include,
}

impl GetRequest {
    /// All of a selection with the usual fields.
    pub fn of(selection: Selection) -> Self {
        Self { selection, limit: None, offset: 0, include: Include::USUAL }
    }
}

/// Rows, as parallel lists. A field that was not included is empty; `embeddings` is then `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GetResult {
    /// Ids.
    pub ids: Vec<String>,
    /// Documents.
    pub documents: Vec<Option<String>>,
    /// Metadata.
    pub metadatas: Vec<Metadata>,
    /// Vectors, if they were asked for.
    pub embeddings: Option<Vec<Option<Vec<f32>>>>,
}

/// What to search for.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryRequest {
    /// One or more vectors, each answered on its own.
    pub embeddings: Vec<Vec<f32>>,
    /// At most so many hits for each.
    pub results: usize,
    /// What a hit must be like.
    pub filter: Filter,
    /// Which fields.
    pub include: Include,
}

impl QueryRequest {
    /// The nearest `results` rows to each vector, with the usual fields.
    pub fn of(embeddings: Vec<Vec<f32>>, results: usize) -> Self {
        Self { embeddings, results, filter: Filter::All, include: Include::USUAL }
    }
}

/// Hits. The outer lists have one entry per vector of the query, also where nothing was found or the field was not
/// included; only `embeddings` is `None` unless asked for (§1).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryResult {
    /// Ids, nearest first.
    pub ids: Vec<Vec<String>>,
    /// Documents.
    pub documents: Vec<Vec<Option<String>>>,
    /// Metadata.
    pub metadatas: Vec<Vec<Metadata>>,
    /// Distances by the collection's metric; lower is closer.
    pub distances: Vec<Vec<f32>>,
    /// Vectors, if they were asked for.
    pub embeddings: Option<Vec<Vec<Option<Vec<f32>>>>>,
}
