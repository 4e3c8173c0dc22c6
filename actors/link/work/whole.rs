use super::{Desk, Pair};
use palanquin_engine::contract::{Error, ErrorKind, GetRequest, Include, Result, RowLists, Selection};
use palanquin_engine::rows::RowBatch;

/// The rows as the source has them now; those that are gone by now are left out, for the feed tells of that too.
pub(super) async fn rows(desk: &Desk, pair: &Pair, ids: &[String]) -> Result<Option<RowBatch>> {
    if ids.is_empty() {
        return Ok(None);
    }
    let at_source = |error: Error| error.in_palace(&desk.setup.source.address).in_collection(&pair.name);
    let request = GetRequest { include: Include::ALL, ..GetRequest::of(Selection::ids(ids)) };
    let found = pair.source.get(&request).await.map_err(at_source)?;
    if found.ids.is_empty() {
        return Ok(None);
    }
    let width = match found.embeddings.iter().flatten().flatten().next() {
        Some(vector) => u32::try_from(vector.len()).unwrap_or(u32::MAX),
        None => pair.target.info().await?.dimension.unwrap_or(0),
    };
    RowLists::from(found).into_batch(width).map(Some).map_err(at_source)
}

/// The rows of both.
pub(super) fn together(one: Option<RowBatch>, other: Option<RowBatch>) -> Result<Option<RowBatch>> {
    let rows: Vec<RowBatch> = one.into_iter().chain(other).collect();
    if rows.is_empty() {
        return Ok(None);
    }
    let failed = |error| Error::new(ErrorKind::Internal, "changes do not fit together").with_source(error);
    RowBatch::concat(&rows).map(Some).map_err(failed)
}
