use super::canonical::is_obviously_canonical;
use crate::collection::Pinned;
use crate::layout::COLUMNS;
use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, FixedSizeListArray, RecordBatch, StringArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{ArrowError, DataType};
use palanquin_engine::contract::{ErrorKind, Result};
use palanquin_engine::rows::{RowBatch, canonical_metadata_text, row_schema};
use std::borrow::Cow;
use std::sync::Arc;

/// Makes rows of what the table returned: columns in order, metadata in canonical form.
pub(crate) fn row_batch(pinned: &Pinned, batch: &RecordBatch) -> Result<RowBatch> {
    let place = &pinned.place;
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(COLUMNS.len());
    for name in COLUMNS {
        let Some(column) = batch.column_by_name(name) else {
            return Err(place.error(ErrorKind::Internal, format!("a batch came back without column {name}")));
        };
        columns.push(column.clone());
    }
    let ids = super::id_column(pinned, batch)?;
    let (Some(metadata), Some(vectors)) = (columns[2].as_string_opt::<i32>(), columns[3].as_fixed_size_list_opt())
    else {
        return Err(place.error(ErrorKind::Internal, "a batch came back with other types than the table has"));
    };
    check_vectors(pinned, vectors, ids)?;
    if let Some(canonical) =
        canonical_column(metadata, ids).map_err(|detail| place.error(ErrorKind::Corrupt, detail))?
    {
        columns[2] = Arc::new(canonical);
    }
    let batch = with_row_schema(columns, pinned.layout.dimension)
        .map_err(|error| place.store("could not take the rows", error))?;
    RowBatch::try_new(batch).map_err(|error| place.store("could not take the rows", error))
}

/// That no vector is there in part.
pub(crate) fn check_vectors(pinned: &Pinned, vectors: &FixedSizeListArray, ids: &StringArray) -> Result<()> {
    match row_with_a_gap(vectors) {
        Some(row) => {
            let detail = format!("the vector of row {:?} has components that are null", ids.value(row));
            Err(pinned.place.error(ErrorKind::Corrupt, detail))
        }
        None => Ok(()),
    }
}

/// Metadata in canonical form, whatever form it is stored in.
pub(crate) fn canonical_text(text: Option<&str>) -> Result<Cow<'_, str>, serde_json::Error> {
    match text {
        Some(text) if is_obviously_canonical(text) => Ok(Cow::Borrowed(text)),
        text => canonical_metadata_text(text).map(Cow::Owned),
    }
}

/// The same rows under the schema rows travel in: names of inner fields and remarks of the table's schema dropped.
pub(crate) fn to_row_schema(batch: &RecordBatch, dimension: u32) -> Result<RecordBatch, ArrowError> {
    with_row_schema(batch.columns().to_vec(), dimension)
}

fn with_row_schema(mut columns: Vec<ArrayRef>, dimension: u32) -> Result<RecordBatch, ArrowError> {
    let schema = row_schema(dimension);
    if let Some(vectors) = columns.get(3).and_then(|column| column.as_fixed_size_list_opt())
        && let DataType::FixedSizeList(item, width) = schema.field(3).data_type()
    {
        let (_, _, values, nulls) = vectors.clone().into_parts();
        columns[3] = Arc::new(FixedSizeListArray::try_new(item.clone(), *width, values, nulls)?);
    }
    RecordBatch::try_new(schema, columns)
}

/// A row whose vector is there but not all of it.
fn row_with_a_gap(vectors: &FixedSizeListArray) -> Option<usize> {
    let gaps: &NullBuffer = vectors.values().nulls().filter(|nulls| nulls.null_count() > 0)?;
    let width = vectors.value_length() as usize;
    (0..vectors.len()).find(|&row| vectors.is_valid(row) && gaps.slice(row * width, width).null_count() > 0)
}

/// `None` if every text is in canonical form already.
fn canonical_column(metadata: &StringArray, ids: &StringArray) -> Result<Option<StringArray>, String> {
    let obvious = |row: usize| metadata.is_valid(row) && is_obviously_canonical(metadata.value(row));
    let Some(first) = (0..metadata.len()).find(|&row| !obvious(row)) else { return Ok(None) };
    let mut canonical = StringBuilder::with_capacity(metadata.len(), metadata.value_data().len());
    for row in 0..metadata.len() {
        let text = metadata.is_valid(row).then(|| metadata.value(row));
        match text {
            Some(text) if row < first || (row > first && is_obviously_canonical(text)) => canonical.append_value(text),
            _ => {
                let text = canonical_metadata_text(text)
                    .map_err(|error| format!("the metadata of row {:?} is no JSON object: {error}", ids.value(row)))?;
                canonical.append_value(text);
            }
        }
    }
    Ok(Some(canonical.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_brought_into_canonical_form_and_left_alone_if_it_is() {
        let ids = StringArray::from(vec!["a", "b", "c", "d"]);
        let canonical = StringArray::from(vec!["{}", r#"{"a":1}"#, r#"{"a":"x"}"#, "{}"]);
        assert_eq!(canonical_column(&canonical, &ids).unwrap(), None);
        let mixed = StringArray::from(vec![Some(r#"{"a":1}"#), None, Some(r#"{"b":1, "a":2.0}"#), Some("")]);
        let expected = StringArray::from(vec![r#"{"a":1}"#, "{}", r#"{"a":2.0,"b":1}"#, "{}"]);
        assert_eq!(canonical_column(&mixed, &ids).unwrap(), Some(expected));
        let broken = StringArray::from(vec!["{}", "{}", "[1]", "{}"]);
        assert!(canonical_column(&broken, &ids).unwrap_err().contains(r#"row "c""#));
    }
}
