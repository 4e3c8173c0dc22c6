use super::{Error, ErrorKind, GetResult, Metadata, Result};
use crate::rows::{Row, RowBatch, RowBatchBuilder, canonical_metadata};

/// Rows as parallel lists, the way callers of the RFC's `add` and `upsert` have them.
#[derive(Clone, Debug, Default)]
pub struct RowLists {
    /// Ids.
    pub ids: Vec<String>,
    /// Documents; without the list no row has one.
    pub documents: Option<Vec<Option<String>>>,
    /// Metadata; without the list every row has none.
    pub metadatas: Option<Vec<Metadata>>,
    /// Vectors; without the list no row has one.
    pub embeddings: Option<Vec<Option<Vec<f32>>>>,
}

impl From<GetResult> for RowLists {
    /// Rows as they were got with [`Include::ALL`](super::Include::ALL).
    fn from(found: GetResult) -> Self {
        Self {
            ids: found.ids,
            documents: Some(found.documents),
            metadatas: Some(found.metadatas),
            embeddings: found.embeddings,
        }
    }
}

impl RowLists {
    /// The rows as a batch for a collection of that width.
    ///
    /// # Errors
    /// `InvalidRequest` if the lists differ in length; `DimensionMismatch` if a vector is of another width.
    pub fn into_batch(self, dimension: u32) -> Result<RowBatch> {
        let rows = self.ids.len();
        check_length("documents", self.documents.as_ref().map(Vec::len), rows)?;
        check_length("metadatas", self.metadatas.as_ref().map(Vec::len), rows)?;
        check_length("embeddings", self.embeddings.as_ref().map(Vec::len), rows)?;
        let mut batch = RowBatchBuilder::with_capacity(rows, dimension);
        for (i, id) in self.ids.iter().enumerate() {
            let metadata = self.metadatas.as_ref().map_or_else(|| "{}".to_owned(), |list| canonical_metadata(&list[i]));
            let row = Row {
                id,
                document: self.documents.as_ref().and_then(|list| list[i].as_deref()),
                metadata: &metadata,
                embedding: self.embeddings.as_ref().and_then(|list| list[i].as_deref()),
            };
            batch.push(row).map_err(|error| Error::new(ErrorKind::DimensionMismatch, error.to_string()))?;
        }
        batch.finish().map_err(|error| Error::new(ErrorKind::Internal, "rows made from lists").with_source(error))
    }
}

/// New values for some fields of rows that are there (§1). At least one field is given.
#[derive(Clone, Debug, PartialEq)]
pub struct RowUpdates {
    ids: Vec<String>,
    documents: Option<Vec<Option<String>>>,
    metadatas: Option<Vec<Metadata>>,
    embeddings: Option<Vec<Vec<f32>>>,
}

impl RowUpdates {
    /// Takes the fields to be replaced. Of an id given twice the last values count.
    ///
    /// # Errors
    /// `InvalidRequest` if no field is given or the lists differ in length.
    pub fn try_new(
        ids: Vec<String>,
        documents: Option<Vec<Option<String>>>,
        metadatas: Option<Vec<Metadata>>,
        embeddings: Option<Vec<Vec<f32>>>,
    ) -> Result<Self> {
        if documents.is_none() && metadatas.is_none() && embeddings.is_none() {
            let detail = "an update needs at least one of documents, metadatas and embeddings";
            return Err(Error::new(ErrorKind::InvalidRequest, detail));
        }
        check_length("documents", documents.as_ref().map(Vec::len), ids.len())?;
        check_length("metadatas", metadatas.as_ref().map(Vec::len), ids.len())?;
        check_length("embeddings", embeddings.as_ref().map(Vec::len), ids.len())?;
        Ok(Self { ids, documents, metadatas, embeddings })
    }

    /// The ids.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// New documents, one per id, if documents are to be replaced.
    pub fn documents(&self) -> Option<&[Option<String>]> {
        self.documents.as_deref()
    }

    /// Metadata to be merged into that of each row, if any.
    pub fn metadatas(&self) -> Option<&[Metadata]> {
        self.metadatas.as_deref()
    }

    /// New vectors, one per id, if vectors are to be replaced.
    pub fn embeddings(&self) -> Option<&[Vec<f32>]> {
        self.embeddings.as_deref()
    }

    /// The rows `there` with the new values in them; ids that are not among `there` are passed over.
    ///
    /// # Errors
    /// `DimensionMismatch` for a vector of another width; `Corrupt` if a stored row's metadata is no JSON object.
    pub fn merged_into(&self, there: &RowBatch) -> Result<RowBatch> {
        let last: std::collections::HashMap<&str, usize> =
            self.ids.iter().enumerate().map(|(i, id)| (id.as_str(), i)).collect();
        let mut batch = RowBatchBuilder::with_capacity(there.len(), there.dimension());
        for row in there.rows() {
            let Some(&i) = last.get(row.id) else { continue };
            let metadata = match &self.metadatas {
                Some(new) => merged_metadata(row.metadata, &new[i])?,
                None => row.metadata.to_owned(),
            };
            let merged = Row {
                id: row.id,
                document: self.documents.as_ref().map_or(row.document, |new| new[i].as_deref()),
                metadata: &metadata,
                embedding: self.embeddings.as_ref().map_or(row.embedding, |new| Some(&new[i])),
            };
            batch.push(merged).map_err(|error| Error::new(ErrorKind::DimensionMismatch, error.to_string()))?;
        }
        batch.finish().map_err(|error| Error::new(ErrorKind::Internal, "updated rows").with_source(error))
    }
}

/// `new` merged into stored metadata, as canonical text: a key given as null is removed.
fn merged_metadata(stored: &str, new: &Metadata) -> Result<String> {
    let mut merged: Metadata = serde_json::from_str(stored)
        .map_err(|error| Error::new(ErrorKind::Corrupt, "stored metadata is no JSON object").with_source(error))?;
    for (key, value) in new {
        if value.is_null() {
            merged.remove(key);
        } else {
            merged.insert(key.clone(), value.clone());
        }
    }
    Ok(canonical_metadata(&merged))
}

fn check_length(list: &str, length: Option<usize>, rows: usize) -> Result<()> {
    match length {
        Some(length) if length != rows => {
            let detail = format!("{rows} ids, and {length} {list}");
            Err(Error::new(ErrorKind::InvalidRequest, detail))
        }
        _ => Ok(()),
    }
}
