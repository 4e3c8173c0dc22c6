use crate::collection::Pinned;
use crate::scan::{canonical_text, check_vectors, id_column, read_failed};
use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, FixedSizeListArray, RecordBatch, StringArray};
use lance::dataset::{ProjectionRequest, TakeBuilder};
use palanquin_engine::contract::{ErrorKind, Include, Metadata, Result};
use std::sync::Arc;

/// Rows taken at a time.
const BATCH_ROWS: usize = 1_000;

/// The rows at these addresses, in that order.
pub(super) async fn take(pinned: &Pinned, addresses: Vec<u64>, columns: &[&str]) -> Result<Vec<RecordBatch>> {
    let failed = |error| pinned.place.store("could not plan the read", error);
    let columns = ProjectionRequest::from_columns(columns, pinned.dataset.schema());
    let plan = Arc::new(columns.into_projection_plan(pinned.dataset.clone()).map_err(failed)?);
    let mut batches = Vec::new();
    for addresses in addresses.chunks(BATCH_ROWS) {
        let dataset = pinned.dataset.clone();
        let take = TakeBuilder::try_new_from_addresses(dataset, addresses.to_vec(), plan.clone()).map_err(failed)?;
        let batch = match take.execute().await {
            Ok(batch) => batch,
            Err(error) => return Err(read_failed(pinned, error).await),
        };
        if batch.num_rows() != addresses.len() {
            let detail = format!("{} rows came back of {}", batch.num_rows(), addresses.len());
            return Err(pinned.place.error(ErrorKind::Corrupt, detail));
        }
        batches.push(batch);
    }
    Ok(batches)
}

/// The fields asked for of some rows, as parallel lists; those that were not are empty.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) ids: Vec<String>,
    pub(super) documents: Vec<Option<String>>,
    pub(super) metadatas: Vec<Metadata>,
    pub(super) embeddings: Vec<Option<Vec<f32>>>,
}

impl Fields {
    pub(super) async fn of(pinned: &Pinned, addresses: Vec<u64>, include: Include) -> Result<Self> {
        let mut columns = vec!["id"];
        columns.extend(include.documents.then_some("document"));
        columns.extend(include.metadatas.then_some("metadata"));
        columns.extend(include.embeddings.then_some("embedding"));
        let mut fields = Self::default();
        for batch in take(pinned, addresses, &columns).await? {
            let ids = id_column(pinned, &batch)?;
            if include.documents {
                let documents = text_column(pinned, &batch, "document")?;
                fields.documents.extend(documents.iter().map(|document| document.map(str::to_owned)));
            }
            if include.metadatas {
                let metadata = text_column(pinned, &batch, "metadata")?;
                for (text, id) in metadata.iter().zip(ids) {
                    let parsed = canonical_text(text).and_then(|text| serde_json::from_str(&text));
                    fields.metadatas.push(parsed.map_err(|error| {
                        let detail = format!("the metadata of row {:?} is no JSON object", id.unwrap_or_default());
                        pinned.place.error(ErrorKind::Corrupt, detail).with_source(error)
                    })?);
                }
            }
            if include.embeddings {
                let vectors = vector_column(pinned, &batch)?;
                fields.embeddings.extend((0..vectors.len()).map(|row| vector(vectors, row).map(<[f32]>::to_vec)));
            }
            fields.ids.extend(ids.iter().flatten().map(str::to_owned));
        }
        Ok(fields)
    }
}

pub(super) fn text_column<'a>(pinned: &Pinned, batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray> {
    let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    column.ok_or_else(|| pinned.place.error(ErrorKind::Internal, format!("a batch came back without column {name}")))
}

/// The vectors of a batch, of which none is there in part.
pub(super) fn vector_column<'a>(pinned: &Pinned, batch: &'a RecordBatch) -> Result<&'a FixedSizeListArray> {
    let column = batch.column_by_name("embedding").and_then(|column| column.as_fixed_size_list_opt());
    let column =
        column.ok_or_else(|| pinned.place.error(ErrorKind::Internal, "a batch came back without its vectors"))?;
    check_vectors(pinned, column, id_column(pinned, batch)?)?;
    Ok(column)
}

pub(super) fn vector(vectors: &FixedSizeListArray, row: usize) -> Option<&[f32]> {
    let width = vectors.value_length() as usize;
    let components = vectors.values().as_primitive_opt::<Float32Type>()?;
    vectors.is_valid(row).then(|| &components.values()[row * width..(row + 1) * width])
}
