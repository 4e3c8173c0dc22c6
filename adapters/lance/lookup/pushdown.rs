use super::fields::text_column;
use crate::collection::Pinned;
use crate::scan::canonical_text;
use arrow_array::cast::AsArray;
use arrow_array::{Array, BooleanArray, StringArray};
use arrow_schema::DataType;
use lancedb::datafusion::common::DataFusionError;
use lancedb::datafusion::logical_expr::{ColumnarValue, Expr, Volatility, create_udf};
use lancedb::datafusion::prelude::{col, lit};
use palanquin_engine::contract::{Error, ErrorKind, Filter, Metadata, Result};
use std::borrow::Cow;
use std::sync::Arc;

/// The rows of these ids. An expression and not SQL: an id may hold anything.
pub(crate) fn any_of<'a>(ids: impl IntoIterator<Item = &'a str>) -> Expr {
    col("id").in_list(ids.into_iter().map(lit).collect(), false)
}

/// The filter as an expression over the columns it looks at; `None` if every row passes.
pub(crate) fn of_filter(filter: &Filter) -> Option<Expr> {
    if filter.is_all() {
        return None;
    }
    let columns = columns_of(filter);
    if columns.is_empty() {
        return Some(lit(filter.passes(None, &Metadata::new())));
    }
    let arguments = vec![DataType::Utf8; columns.len()];
    let filter = filter.clone();
    let evaluate = move |values: &[ColumnarValue]| evaluate(&filter, values);
    let name = "palanquin_matches";
    let function = create_udf(name, arguments, DataType::Boolean, Volatility::Immutable, Arc::new(evaluate));
    Some(function.call(columns.into_iter().map(col).collect()))
}

/// The columns a filter reads, in the order it is given them.
fn columns_of(filter: &Filter) -> Vec<&'static str> {
    let columns = [(filter.reads_metadata(), "metadata"), (filter.reads_documents(), "document")];
    columns.into_iter().filter_map(|(is_read, column)| is_read.then_some(column)).collect()
}

fn evaluate(filter: &Filter, values: &[ColumnarValue]) -> Result<ColumnarValue, DataFusionError> {
    let columns = ColumnarValue::values_to_arrays(values)?;
    let mut texts = columns.iter().map(|column| {
        let column = column.as_string_opt::<i32>();
        column.ok_or_else(|| DataFusionError::Internal("a column to filter by is not text".to_owned()))
    });
    let metadata = if filter.reads_metadata() { texts.next().transpose()? } else { None };
    let documents = if filter.reads_documents() { texts.next().transpose()? } else { None };
    let rows = columns.first().map_or(0, |column| column.len());
    Ok(ColumnarValue::Array(Arc::new(passing(filter, rows, metadata, documents)?)))
}

/// Which of some rows pass; the columns that the filter reads are given.
fn passing(
    filter: &Filter,
    rows: usize,
    metadata: Option<&StringArray>,
    documents: Option<&StringArray>,
) -> Result<BooleanArray, DataFusionError> {
    (0..rows)
        .map(|row| {
            let document = documents.and_then(|documents| text(documents, row));
            match metadata {
                Some(metadata) => Ok(Some(filter.passes(document, &parsed(text(metadata, row))?))),
                None => Ok(Some(filter.passes(document, &Metadata::new()))),
            }
        })
        .collect()
}

/// Those of these addresses whose rows pass the filter, in the same order. No vector is read.
pub(crate) async fn addresses_passing(pinned: &Pinned, filter: &Filter, addresses: Vec<u64>) -> Result<Vec<u64>> {
    let failed = |error| pinned.place.store("could not look at the rows", error);
    let columns = columns_of(filter);
    if columns.is_empty() {
        return Ok(if filter.passes(None, &Metadata::new()) { addresses } else { Vec::new() });
    }
    let mut left = Vec::new();
    let mut those = addresses.iter();
    for batch in super::fields::take(pinned, addresses.clone(), &columns).await? {
        let metadata = filter.reads_metadata().then(|| text_column(pinned, &batch, "metadata")).transpose()?;
        let documents = filter.reads_documents().then(|| text_column(pinned, &batch, "document")).transpose()?;
        let passes = passing(filter, batch.num_rows(), metadata, documents).map_err(failed)?;
        left.extend(passes.iter().zip(&mut those).filter_map(|(passes, address)| passes?.then_some(*address)));
    }
    Ok(left)
}

fn text(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

/// What a scan of the row would show, in tables made by others too.
fn parsed(text: Option<&str>) -> Result<Metadata, DataFusionError> {
    let canonical = canonical_text(text);
    let parsed = canonical.and_then(|text: Cow<'_, str>| serde_json::from_str(&text));
    parsed.map_err(|error| {
        let error = Error::new(ErrorKind::Corrupt, "stored metadata is no JSON object").with_source(error);
        DataFusionError::External(Box::new(error))
    })
}
