use crate::contract::{
    Collection, Error, ErrorKind, GetRequest, GetResult, Include, KeyRange, Result, RowStream, ScanOrder, ScanRequest,
    Selection,
};
use crate::rows::{Row, RowBatch, RowBatchBuilder, canonical_metadata};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Rows that are asked for by name; of more, the collection is read along.
const NAMED: usize = 2_000;
/// Rows asked for at once.
const AT_ONCE: usize = 250;

/// The rows of these ids that are there, ascending by id. However many they are, a batch of them is held.
pub(super) fn rows_of(collection: &Arc<dyn Collection>, ids: &Arc<BTreeSet<String>>, batch_rows: usize) -> RowStream {
    let collection = Arc::clone(collection);
    if ids.len() > NAMED { along(&collection, Arc::clone(ids), batch_rows) } else { named(collection, ids) }
}

fn named(collection: Arc<dyn Collection>, ids: &BTreeSet<String>) -> RowStream {
    let ids: Vec<String> = ids.iter().cloned().collect();
    let requests: Vec<GetRequest> = ids
        .chunks(AT_ONCE)
        .map(|ids| GetRequest { include: Include::ALL, ..GetRequest::of(Selection::ids(ids)) })
        .collect();
    let begun = async move {
        let width = collection.info().await?.dimension.unwrap_or(0);
        let read = move |request: GetRequest| {
            let collection = Arc::clone(&collection);
            async move { batch_of(&collection.get(&request).await?, width) }
        };
        Ok::<_, Error>(stream::iter(requests).then(read))
    };
    stream::once(begun).try_flatten().boxed()
}

fn along(collection: &Arc<dyn Collection>, ids: Arc<BTreeSet<String>>, batch_rows: usize) -> RowStream {
    let range = KeyRange { after: None, upto: ids.last().cloned() };
    let all = collection.scan(ScanRequest { range, order: ScanOrder::ById, batch_rows });
    all.and_then(move |batch| {
        let picked = rows(batch.dimension(), batch.rows().filter(|row| ids.contains(row.id)));
        std::future::ready(picked)
    })
    .boxed()
}

fn batch_of(result: &GetResult, width: u32) -> Result<RowBatch> {
    let vectors = result.embeddings.as_deref().unwrap_or_default();
    let metadatas: Vec<String> = result.metadatas.iter().map(canonical_metadata).collect();
    let row = |(i, id)| Row {
        id,
        document: result.documents.get(i).and_then(Option::as_deref),
        metadata: metadatas.get(i).map_or("{}", String::as_str),
        embedding: vectors.get(i).and_then(Option::as_deref),
    };
    rows(width, result.ids.iter().map(String::as_str).enumerate().map(row))
}

fn rows<'a>(dimension: u32, rows: impl Iterator<Item = Row<'a>>) -> Result<RowBatch> {
    let failed = |error| Error::new(ErrorKind::Corrupt, "rows that were read again").with_source(error);
    let mut batch = RowBatchBuilder::with_capacity(AT_ONCE, dimension);
    for row in rows {
        batch.push(row).map_err(failed)?;
    }
    batch.finish().map_err(failed)
}
