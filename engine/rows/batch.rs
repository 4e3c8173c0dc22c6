use arrow_array::builder::{FixedSizeListBuilder, Float32Builder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, BooleanArray, FixedSizeListArray, Float32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use std::sync::Arc;

/// The schema rows travel in: `id` (not null), `document`, `metadata` (canonical JSON text, not null), `embedding`
/// (`dimension` × f32; null for a row that has no vector).
pub fn row_schema(dimension: u32) -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("document", DataType::Utf8, true),
        Field::new("metadata", DataType::Utf8, false),
        Field::new(
            "embedding",
            DataType::FixedSizeList(Arc::new(Field::new("item", DataType::Float32, true)), dimension as i32),
            true,
        ),
    ]))
}

/// A record batch that is not of the row schema.
#[derive(Debug, thiserror::Error)]
#[error("column {column}: {problem}")]
pub struct RowSchemaError {
    column: &'static str,
    problem: String,
}

/// Some rows of one collection, and which of them have a vector that was salvaged.
#[derive(Clone, Debug)]
pub struct RowBatch(RecordBatch, Vec<Salvaged>);

/// A vector that the collection itself had lost, and that was found elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// Which row of the batch has it.
    pub row: usize,
    /// Where it was found, as the store calls that.
    pub origin: Arc<str>,
    /// Whether it is known that nothing was done to the row since that was written. If not, its content may have
    /// changed, and the vector may be of the content before.
    pub is_current: bool,
}

/// One row of a batch, borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its document; none and empty differ.
    pub document: Option<&'a str>,
    /// Its metadata in canonical form.
    pub metadata: &'a str,
    /// Its vector.
    pub embedding: Option<&'a [f32]>,
}

impl RowBatch {
    /// Takes a record batch whose columns are those of [`row_schema`], in order, and whose metadata is canonical.
    ///
    /// # Errors
    /// If a column is missing, of another type, or null where it must not be.
    pub fn try_new(batch: RecordBatch) -> Result<Self, RowSchemaError> {
        let problem = |column, problem: &str| RowSchemaError { column, problem: problem.to_owned() };
        if batch.num_columns() != 4 {
            return Err(problem("*", &format!("{} columns instead of 4", batch.num_columns())));
        }
        for (index, column) in ["id", "document", "metadata"].into_iter().enumerate() {
            if batch.column(index).data_type() != &DataType::Utf8 {
                return Err(problem(column, "is not text"));
            }
            if column != "document" && batch.column(index).null_count() > 0 {
                return Err(problem(column, "has nulls"));
            }
        }
        let Some(vectors) = batch.column(3).as_fixed_size_list_opt() else {
            return Err(problem("embedding", "is not a fixed-size list"));
        };
        if vectors.value_type() != DataType::Float32 {
            return Err(problem("embedding", "does not hold f32"));
        }
        Ok(Self(batch, Vec::new()))
    }

    /// The same rows, of which these have a salvaged vector.
    #[must_use]
    pub fn with_salvaged(self, salvaged: Vec<Salvaged>) -> Self {
        Self(self.0, salvaged)
    }

    /// Rows whose vector was salvaged.
    pub fn salvaged(&self) -> &[Salvaged] {
        &self.1
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.0.num_rows()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Width of the vectors.
    pub fn dimension(&self) -> u32 {
        self.vectors().value_length().unsigned_abs()
    }

    /// Memory it holds, in bytes.
    pub fn bytes(&self) -> usize {
        self.0.get_array_memory_size()
    }

    /// The Arrow batch.
    pub fn as_record_batch(&self) -> &RecordBatch {
        &self.0
    }

    /// Gives the Arrow batch away.
    pub fn into_record_batch(self) -> RecordBatch {
        self.0
    }

    /// The ids, in order.
    pub fn ids(&self) -> &StringArray {
        self.0.column(0).as_string()
    }

    /// Id of the last row.
    pub fn last_id(&self) -> Option<&str> {
        self.len().checked_sub(1).map(|last| self.ids().value(last))
    }

    /// Ids of the rows that have no vector.
    pub fn ids_without_vector(&self) -> Vec<String> {
        let vectors = self.vectors();
        if vectors.null_count() == 0 {
            return Vec::new();
        }
        (0..self.len()).filter(|&i| vectors.is_null(i)).map(|i| self.ids().value(i).to_owned()).collect()
    }

    /// The rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows_from(0)
    }

    /// One of the rows; `None` beyond the last.
    pub fn row(&self, index: usize) -> Option<Row<'_>> {
        self.rows_from(index).next()
    }

    fn rows_from(&self, first: usize) -> impl Iterator<Item = Row<'_>> {
        let (ids, documents) = (self.ids(), self.0.column(1).as_string::<i32>());
        let (metadatas, vectors) = (self.0.column(2).as_string::<i32>(), self.vectors());
        let components: &Float32Array = vectors.values().as_primitive::<Float32Type>();
        let width = vectors.value_length() as usize;
        (first..self.len()).map(move |i| Row {
            id: ids.value(i),
            document: documents.is_valid(i).then(|| documents.value(i)),
            metadata: metadatas.value(i),
            embedding: vectors.is_valid(i).then(|| &components.values()[i * width..(i + 1) * width]),
        })
    }

    /// The rows of several batches in one; a single batch is not copied.
    ///
    /// # Errors
    /// If there is no batch, or the widths of their vectors differ.
    pub fn concat(batches: &[Self]) -> Result<Self, RowSchemaError> {
        match batches {
            [] => Err(RowSchemaError { column: "*", problem: "no batch".to_owned() }),
            [one] => Ok(one.clone()),
            [first, ..] => {
                let joined = concat_batches(&first.0.schema(), batches.iter().map(|batch| &batch.0))
                    .map_err(|error| RowSchemaError { column: "*", problem: error.to_string() })?;
                let (mut salvaged, mut before) = (Vec::new(), 0);
                for batch in batches {
                    salvaged.extend(batch.1.iter().cloned().map(|one| Salvaged { row: before + one.row, ..one }));
                    before += batch.len();
                }
                Ok(Self(joined, salvaged))
            }
        }
    }

    /// `length` rows from `offset`, without copying.
    pub fn slice(&self, offset: usize, length: usize) -> Self {
        let within = self.1.iter().filter(|one| (offset..offset + length).contains(&one.row));
        let salvaged = within.map(|one| Salvaged { row: one.row - offset, ..one.clone() }).collect();
        Self(self.0.slice(offset, length), salvaged)
    }

    /// The rows for which `keep`, one per row, says so.
    ///
    /// # Errors
    /// If there are not as many answers as rows.
    pub fn kept(&self, keep: Vec<bool>) -> Result<Self, RowSchemaError> {
        let mut salvaged = Vec::new();
        for one in self.1.iter().filter(|one| keep.get(one.row) == Some(&true)) {
            let row = keep[..one.row].iter().filter(|kept| **kept).count();
            salvaged.push(Salvaged { row, ..one.clone() });
        }
        filter_record_batch(&self.0, &BooleanArray::from(keep))
            .map(|rows| Self(rows, salvaged))
            .map_err(|error| RowSchemaError { column: "*", problem: error.to_string() })
    }

    fn vectors(&self) -> &FixedSizeListArray {
        self.0.column(3).as_fixed_size_list()
    }
}

/// Fills a [`RowBatch`] row by row.
#[derive(Debug)]
pub struct RowBatchBuilder {
    dimension: u32,
    ids: StringBuilder,
    documents: StringBuilder,
    metadatas: StringBuilder,
    vectors: FixedSizeListBuilder<Float32Builder>,
}

impl RowBatchBuilder {
    /// For about `rows` rows with vectors of `dimension`.
    pub fn with_capacity(rows: usize, dimension: u32) -> Self {
        Self {
            dimension,
            ids: StringBuilder::with_capacity(rows, rows * 48),
            documents: StringBuilder::with_capacity(rows, rows * 512),
            metadatas: StringBuilder::with_capacity(rows, rows * 384),
            vectors: FixedSizeListBuilder::with_capacity(
                Float32Builder::with_capacity(rows * dimension as usize),
                dimension as i32,
                rows,
            ),
        }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// If the vector is not of the batch's width; the row is then not added.
    pub fn push(&mut self, row: Row<'_>) -> Result<(), RowSchemaError> {
        if let Some(embedding) = row.embedding
            && embedding.len() != self.dimension as usize
        {
            let problem = format!("a vector of {} components instead of {}", embedding.len(), self.dimension);
            return Err(RowSchemaError { column: "embedding", problem });
        }
        self.ids.append_value(row.id);
        self.documents.append_option(row.document);
        self.metadatas.append_value(row.metadata);
        match row.embedding {
            Some(embedding) => self.vectors.values().append_slice(embedding),
            None => self.vectors.values().append_nulls(self.dimension as usize),
        }
        self.vectors.append(row.embedding.is_some());
        Ok(())
    }

    /// The rows so far, as a batch.
    ///
    /// # Errors
    /// Never for rows taken by [`push`](Self::push).
    pub fn finish(mut self) -> Result<RowBatch, RowSchemaError> {
        let batch = RecordBatch::try_new(
            row_schema(self.dimension),
            vec![
                Arc::new(self.ids.finish()),
                Arc::new(self.documents.finish()),
                Arc::new(self.metadatas.finish()),
                Arc::new(self.vectors.finish()),
            ],
        );
        let batch = batch.map_err(|error| RowSchemaError { column: "*", problem: error.to_string() })?;
        RowBatch::try_new(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_salvaged_stays_with_its_row() {
        let batch = |ids: [&str; 2], row: usize| {
            let mut batch = RowBatchBuilder::with_capacity(2, 1);
            for id in ids {
                batch.push(Row { id, document: None, metadata: "{}", embedding: Some(&[1.0]) }).unwrap();
            }
            let salvaged = Salvaged { row, origin: "aside".into(), is_current: false };
            batch.finish().unwrap().with_salvaged(vec![salvaged])
        };
        let joined = RowBatch::concat(&[batch(["a", "b"], 1), batch(["c", "d"], 0)]).unwrap();
        let rows = |batch: &RowBatch| batch.salvaged().iter().map(|one| one.row).collect::<Vec<_>>();
        assert_eq!(rows(&joined), [1, 2]);
        assert_eq!((rows(&joined.slice(2, 2)), rows(&joined.slice(0, 1))), (vec![0], vec![]));
    }
}
