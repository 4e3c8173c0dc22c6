use super::pushdown::{any_of, of_filter};
use crate::collection::Pinned;
use crate::layout::COLUMNS;
use crate::scan::{self, row_batch};
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use futures::TryStreamExt;
use lance::dataset::scanner::{DatasetRecordBatchStream, Scanner};
use lancedb::datafusion::logical_expr::Expr;
use palanquin_engine::contract::{ErrorKind, Result, Selection};
use palanquin_engine::rows::RowBatch;
use std::collections::{HashMap, HashSet};

/// Ids that are looked up as a list within the scan. Of more, every id is read and looked at here.
const LISTED_IDS: usize = 20_000;

/// The addresses of the rows of a selection in the order they are told in (ids that were named in the order of their
/// names, others ascending), `limit` of them after `offset`.
pub(super) async fn addresses(
    pinned: &Pinned,
    selection: &Selection,
    offset: usize,
    limit: Option<usize>,
) -> Result<Vec<u64>> {
    let limit = limit.unwrap_or(usize::MAX);
    let window = |addresses: Vec<u64>| addresses.into_iter().skip(offset).take(limit).collect();
    let Some(ids) = selection.distinct_ids() else {
        let mut found: Vec<(String, u64)> = Vec::new();
        each(pinned, of_filter(&selection.filter), |id, address| found.push((id.to_owned(), address))).await?;
        found.sort_unstable();
        return Ok(window(found.into_iter().map(|(_, address)| address).collect()));
    };
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let listed = (ids.len() <= LISTED_IDS).then(|| any_of(ids.iter().copied()));
    let places: HashMap<&str, usize> = ids.iter().enumerate().map(|(place, id)| (*id, place)).collect();
    let mut found: Vec<(usize, u64)> = Vec::new();
    let wanted = both(listed, of_filter(&selection.filter));
    each(pinned, wanted, |id, address| found.extend(places.get(id).map(|place| (*place, address)))).await?;
    found.sort_unstable();
    Ok(window(found.into_iter().map(|(_, address)| address).collect()))
}

/// How many rows a selection has.
pub(crate) async fn count(pinned: &Pinned, selection: &Selection) -> Result<usize> {
    addresses(pinned, selection, 0, None).await.map(|addresses| addresses.len())
}

/// Whether there is any such row.
pub(crate) async fn is_any(pinned: &Pinned, wanted: Option<Expr>) -> Result<bool> {
    let failed = |error| pinned.place.store("could not look for the rows", error);
    let mut scanner = id_scanner(pinned, wanted)?;
    scanner.limit(Some(1), None).map_err(failed)?;
    let mut batches = scanner.try_into_stream().await.map_err(failed)?;
    while let Some(batch) = next(pinned, &mut batches).await? {
        if batch.num_rows() > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The rows of these ids, whole, in no particular order; those that are there.
///
/// # Errors
/// `Corrupt` if an id is there twice, which is possible in tables made by others.
pub(crate) async fn by_ids(pinned: &Pinned, ids: &[String]) -> Result<Option<RowBatch>> {
    let selection = Selection::ids(ids);
    let addresses = addresses(pinned, &selection, 0, None).await?;
    if addresses.is_empty() {
        return Ok(None);
    }
    let mut batches = Vec::new();
    for batch in super::fields::take(pinned, addresses, &COLUMNS).await? {
        batches.push(row_batch(pinned, &batch)?);
    }
    let failed = |error| pinned.place.store("could not put the rows together", error);
    let rows = RowBatch::concat(&batches).map_err(failed)?;
    let distinct = rows.ids().iter().collect::<HashSet<_>>().len();
    if distinct < rows.len() {
        let detail = format!("{} rows share an id with another", rows.len() - distinct);
        return Err(pinned.place.error(ErrorKind::Corrupt, detail));
    }
    Ok(Some(rows))
}

fn both(one: Option<Expr>, other: Option<Expr>) -> Option<Expr> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.and(other)),
        (one, other) => one.or(other),
    }
}

/// Meets every id that passes, with the address of its row.
async fn each(pinned: &Pinned, wanted: Option<Expr>, mut meet: impl FnMut(&str, u64)) -> Result<()> {
    let mut scanner = id_scanner(pinned, wanted)?;
    scanner.with_row_address();
    let batches = scanner.try_into_stream().await;
    let mut batches = batches.map_err(|error| pinned.place.store("could not look for the rows", error))?;
    while let Some(batch) = next(pinned, &mut batches).await? {
        let column = batch.column_by_name("_rowaddr").and_then(|column| column.as_primitive_opt::<UInt64Type>());
        let Some(addresses) = column else {
            return Err(pinned.place.error(ErrorKind::Internal, "a batch came back without row addresses"));
        };
        let ids = scan::id_column(pinned, &batch)?;
        ids.iter().flatten().zip(addresses.values()).for_each(|(id, address)| meet(id, *address));
    }
    Ok(())
}

async fn next(pinned: &Pinned, batches: &mut DatasetRecordBatchStream) -> Result<Option<arrow_array::RecordBatch>> {
    match batches.try_next().await {
        Ok(batch) => Ok(batch),
        Err(error) => Err(scan::read_failed(pinned, error).await),
    }
}

/// Unlike a copy, a lookup may use the index on the ids, for which it is there; rows it does not know yet Lance looks
/// at one by one.
fn id_scanner(pinned: &Pinned, wanted: Option<Expr>) -> Result<Scanner> {
    let mut scanner = scan::scanner(pinned);
    scanner.use_scalar_index(true);
    scanner.project(&["id"]).map_err(|error| pinned.place.store("could not look for the rows", error))?;
    if let Some(wanted) = wanted {
        scanner.filter_expr(wanted);
    }
    Ok(scanner)
}
