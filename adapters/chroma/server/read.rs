use super::client::{MOST_IDS, Record, Wanted};
use super::collection::Shared;
use futures::{StreamExt, TryStreamExt, stream};
use palanquin_engine::contract::{
    Error, ErrorKind, Filter, GetRequest, GetResult, KeyRange, Partition, Result, RowStream, ScanRequest,
};
use palanquin_engine::rows::{Row, RowBatch, RowBatchBuilder, canonical_metadata};
use std::collections::HashMap;
use std::sync::Arc;

/// About how large an answer may become, in bytes.
const ANSWER_BYTES: usize = 12 << 20;
/// What a row's texts are reckoned at.
const TEXT_BYTES: usize = 2 << 10;
/// What a component's digits take at most.
const COMPONENT_BYTES: usize = 13;
/// More rows in an answer make reading no faster.
const ROWS: usize = 4_000;

/// Rows of a width to ask for at once.
pub(super) fn rows_at_once(width: Option<u32>) -> usize {
    (ANSWER_BYTES / (width.unwrap_or(0) as usize * COMPONENT_BYTES + TEXT_BYTES)).clamp(1, ROWS.min(MOST_IDS))
}

/// The ids of a range, ascending.
pub(super) async fn listed(of: &Shared, range: &KeyRange) -> Result<Vec<String>> {
    let mut ids = of.palace.client.ids(&of.place).await?;
    ids.retain(|id| range.contains(id));
    ids.sort_unstable();
    Ok(ids)
}

pub(super) async fn cut(of: &Shared, rows_per_partition: u64) -> Result<Vec<Partition>> {
    let ids = listed(of, &KeyRange::ALL).await?;
    let each = usize::try_from(rows_per_partition.max(1)).unwrap_or(usize::MAX);
    let mut partitions = Vec::new();
    let mut after: Option<String> = None;
    let mut chunks = ids.chunks(each).peekable();
    while let Some(chunk) = chunks.next() {
        let upto = chunks.peek().and(chunk.last()).cloned();
        partitions.push(Partition { range: KeyRange { after, upto: upto.clone() }, rows: chunk.len() as u64 });
        after = upto;
    }
    if partitions.is_empty() {
        partitions.push(Partition { range: KeyRange::ALL, rows: 0 });
    }
    Ok(partitions)
}

/// Rows in order of their ids: listed when the scan begins, read by lists of ids. What is deleted meanwhile is not seen.
/// Of rows that do not pass the filter only texts are read; a batch of them alone is empty.
pub(super) fn scan(of: Arc<Shared>, request: ScanRequest, filter: Filter) -> RowStream {
    let ScanRequest { range, batch_rows, .. } = request;
    let listing = async move {
        let begun = async {
            let ids = listed(&of, &range).await?;
            let width = if ids.is_empty() { None } else { of.width().await? };
            Ok((ids, width))
        };
        let (ids, width) = begun.await.map_err(|error| of.named(error))?;
        let rows = rows_at_once(width).min(batch_rows.max(1));
        let state = (of, ids.into_iter(), width, filter);
        Ok::<_, Error>(stream::try_unfold(state, move |(of, mut ids, width, filter)| async move {
            let next: Vec<String> = ids.by_ref().take(rows).collect();
            if next.is_empty() {
                return Ok(None);
            }
            let read = async { batch_of(&of, &passing(&of, next, &filter).await?, width).await };
            let batch = read.await.map_err(|error| of.named(error))?;
            Ok(Some((batch, (of, ids, width, filter))))
        }))
    };
    stream::once(listing).try_flatten().boxed()
}

/// The ids whose rows pass by their texts.
async fn passing(of: &Shared, ids: Vec<String>, filter: &Filter) -> Result<Vec<String>> {
    if filter.is_all() {
        return Ok(ids);
    }
    let named: Vec<&str> = ids.iter().map(String::as_str).collect();
    let rows = of.palace.client.rows(&of.place, &named, Wanted::TEXTS).await?.into_iter().map(without_mark);
    Ok(rows.filter(|row| filter.passes(row.document.as_deref(), &row.metadata)).map(|row| row.id).collect())
}

async fn batch_of(of: &Shared, ids: &[String], width: Option<u32>) -> Result<RowBatch> {
    let wanted: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut rows = whole(of, &wanted).await?;
    rows.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    let found =
        || rows.iter().find_map(|row| row.embedding.as_ref()).and_then(|vector| u32::try_from(vector.len()).ok());
    batch(&rows, width.or_else(found).unwrap_or(0))
}

/// Rows as they travel.
pub(super) fn batch(rows: &[Record], width: u32) -> Result<RowBatch> {
    let corrupt = |error| Error::new(ErrorKind::Corrupt, "the server answers rows of another shape").with_source(error);
    let mut batch = RowBatchBuilder::with_capacity(rows.len(), width);
    for row in rows {
        let metadata = canonical_metadata(&row.metadata);
        let (document, embedding) = (row.document.as_deref(), row.embedding.as_deref());
        batch.push(Row { id: &row.id, document, metadata: &metadata, embedding }).map_err(corrupt)?;
    }
    batch.finish().map_err(corrupt)
}

/// How often rows that another writer keeps changing are read again.
const ATTEMPTS: usize = 50;

/// The rows of these ids, each as it was at one moment. The server reads texts and vectors one after the other, so that a
/// row may change in between: texts that are the same before and after the vectors were read belong to them.
async fn whole(of: &Shared, ids: &[&str]) -> Result<Vec<Record>> {
    let client = &of.palace.client;
    let mut settled = Vec::with_capacity(ids.len());
    let mut read = client.rows(&of.place, ids, Wanted::ALL).await?;
    for _ in 0..ATTEMPTS {
        let unsure: Vec<&str> = read.iter().map(|row| row.id.as_str()).collect();
        let after = client.rows(&of.place, &unsure, Wanted::TEXTS).await?;
        let after: HashMap<&str, &Record> = after.iter().map(|row| (row.id.as_str(), row)).collect();
        let mut changed = Vec::new();
        for row in std::mem::take(&mut read) {
            match after.get(row.id.as_str()) {
                Some(after) if after.has_texts_of(&row) => settled.push(row),
                Some(_) => changed.push(row.id),
                // Deleted meanwhile.
                None => {}
            }
        }
        if changed.is_empty() {
            return Ok(settled);
        }
        let changed: Vec<&str> = changed.iter().map(String::as_str).collect();
        read = client.rows(&of.place, &changed, Wanted::ALL).await?;
    }
    Err(Error::new(ErrorKind::Busy, "another writer changes the same rows all the while"))
}

/// The rows of these ids, by id; absent ones are left out.
pub(super) async fn by_id(of: &Shared, ids: &[&str], wanted: Wanted) -> Result<HashMap<String, Record>> {
    let at_once = if wanted.vectors { rows_at_once(of.width().await?) } else { ROWS };
    let mut found = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(at_once) {
        let rows = of.palace.client.rows(&of.place, ids, wanted).await?;
        found.extend(rows.into_iter().map(|row| (row.id.clone(), row)));
    }
    Ok(found)
}

/// The rows that were named and pass the filter, in the order of their names.
pub(super) async fn named(of: &Shared, request: &GetRequest, ids: &[&str]) -> Result<GetResult> {
    let (include, filter) = (request.include, &request.selection.filter);
    let texts = include.documents || include.metadatas || filter.reads_documents() || filter.reads_metadata();
    // An empty id names no row, and a server refuses it.
    let ids: Vec<&str> = ids.iter().copied().filter(|id| !id.is_empty()).collect();
    let mut found = HashMap::with_capacity(ids.len());
    let at_once = if include.embeddings { rows_at_once(of.width().await?) } else { ROWS };
    let client = &of.palace.client;
    for ids in ids.chunks(at_once) {
        let wanted = Wanted { texts, vectors: include.embeddings };
        let rows =
            if wanted == Wanted::ALL { whole(of, ids).await? } else { client.rows(&of.place, ids, wanted).await? };
        found.extend(rows.into_iter().map(|row| (row.id.clone(), row)));
    }
    let mut result = GetResult { embeddings: include.embeddings.then(Vec::new), ..GetResult::default() };
    let rows = ids.iter().filter_map(|id| found.remove(*id)).map(without_mark);
    let passing = rows.filter(|row| filter.passes(row.document.as_deref(), &row.metadata));
    for row in passing.skip(request.offset).take(request.limit.unwrap_or(usize::MAX)) {
        result.ids.push(row.id);
        if include.documents {
            result.documents.push(row.document);
        }
        if include.metadatas {
            result.metadatas.push(row.metadata);
        }
        if let Some(embeddings) = &mut result.embeddings {
            embeddings.push(row.embedding);
        }
    }
    Ok(result)
}

/// MemPalace's mark for no metadata is none.
fn without_mark(mut row: Record) -> Record {
    if canonical_metadata(&row.metadata) == "{}" {
        row.metadata.clear();
    }
    row
}
