use crate::link::SetAside;
use crate::rows::{Row, RowBatch, RowBatchBuilder, RowSchemaError};

/// A row the target refused, kept whole, as the source had it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Which, and why.
    pub about: SetAside,
    /// When it was set aside, milliseconds since the epoch.
    pub at_ms: i64,
    /// Its document.
    pub document: Option<String>,
    /// Its metadata in canonical form.
    pub metadata: String,
    /// Its vector.
    pub embedding: Option<Vec<f32>>,
}

/// A dead letter without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptLetter {
    /// Which, and why.
    pub about: SetAside,
    /// When it was set aside, milliseconds since the epoch.
    pub at_ms: i64,
    /// Bytes of its document, metadata and vector.
    pub bytes: u64,
}

impl DeadLetter {
    /// The row of an account.
    pub fn of(row: Row<'_>, about: SetAside, at_ms: i64) -> Self {
        Self {
            about,
            at_ms,
            document: row.document.map(str::to_owned),
            metadata: row.metadata.to_owned(),
            embedding: row.embedding.map(<[f32]>::to_vec),
        }
    }

    /// The row.
    pub fn row(&self) -> Row<'_> {
        let (document, embedding) = (self.document.as_deref(), self.embedding.as_deref());
        Row { id: &self.about.id, document, metadata: &self.metadata, embedding }
    }

    /// The row as a batch for a collection of that width.
    ///
    /// # Errors
    /// If its vector is of another width.
    pub fn to_batch(&self, dimension: u32) -> Result<RowBatch, RowSchemaError> {
        let mut batch = RowBatchBuilder::with_capacity(1, dimension);
        batch.push(self.row())?;
        batch.finish()
    }
}
