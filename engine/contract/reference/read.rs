use super::BATCH_ROWS;
use crate::contract::{
    ChangeBatch, Collection, GetRequest, GetResult, Include, KeyRange, Metadata, Result, ScanOrder, ScanRequest,
    Selection, WriteMode,
};
use crate::rows::Row;
use futures::TryStreamExt;
use std::collections::HashMap;

/// Ids removed at a time.
const DELETE_ROWS: usize = 10_000;

/// What [`Collection::get`] answers of what a scan gives.
///
/// # Errors
/// Those of the scan; `Corrupt` for a row whose metadata is no JSON object.
pub async fn get<C: Collection + ?Sized>(collection: &C, request: &GetRequest) -> Result<GetResult> {
    let selection = &request.selection;
    let Some(ids) = selection.distinct_ids() else { return get_all(collection, request).await };
    let wanted: HashMap<&str, usize> = ids.iter().enumerate().map(|(place, id)| (*id, place)).collect();
    let mut found = Vec::new();
    if let (Some(least), Some(greatest)) = (ids.iter().min(), ids.iter().max()) {
        // One scan, so that rows that are changed together are not seen in part.
        let range = KeyRange { after: just_before(least), upto: Some((*greatest).to_owned()) };
        let mut batches = collection.scan(ScanRequest { range, order: ScanOrder::Any, batch_rows: BATCH_ROWS });
        while let Some(batch) = batches.try_next().await? {
            for row in batch.rows() {
                if let Some(place) = wanted.get(row.id)
                    && selection.filter.matches(row)?
                {
                    found.push((*place, Fields::of(row)));
                }
            }
        }
    }
    found.sort_by_key(|(place, _)| *place);
    let mut result = empty(request.include);
    for (_, fields) in found.into_iter().skip(request.offset).take(request.limit.unwrap_or(usize::MAX)) {
        fields.into_result(&mut result, request.include);
    }
    Ok(result)
}

/// An id less than this one, with few ids between them: its last character is one less, and the greatest there is follows.
fn just_before(id: &str) -> Option<String> {
    let last = id.chars().next_back()?;
    let mut before = id[..id.len() - last.len_utf8()].to_owned();
    if let Some(less) = ('\0'..last).next_back() {
        before.push(less);
        before.push(char::MAX);
    } else if before.is_empty() {
        return None;
    }
    Some(before)
}

async fn get_all<C: Collection + ?Sized>(collection: &C, request: &GetRequest) -> Result<GetResult> {
    let mut result = empty(request.include);
    let (mut passed_over, limit) = (0, request.limit.unwrap_or(usize::MAX));
    let order = ScanOrder::ById;
    let scan = ScanRequest { range: KeyRange::ALL, order, batch_rows: BATCH_ROWS };
    let mut batches = collection.scan_passing(scan, &request.selection.filter);
    while result.ids.len() < limit
        && let Some(batch) = batches.try_next().await?
    {
        for row in batch.rows() {
            if result.ids.len() == limit {
                break;
            }
            if request.selection.filter.matches(row)? {
                if passed_over < request.offset {
                    passed_over += 1;
                } else {
                    Fields::of(row).into_result(&mut result, request.include);
                }
            }
        }
    }
    Ok(result)
}

pub(in crate::contract) async fn delete<C: Collection + ?Sized>(collection: &C, selection: &Selection) -> Result<u64> {
    let request = GetRequest { include: Include::IDS, ..GetRequest::of(selection.clone()) };
    let ids = collection.get(&request).await?.ids;
    let mut deleted = 0;
    for ids in ids.chunks(DELETE_ROWS) {
        let batch = ChangeBatch { deletes: ids.to_vec(), ..ChangeBatch::default() };
        deleted += collection.apply(batch, WriteMode::Upsert).await?.deleted;
    }
    Ok(deleted)
}

fn empty(include: Include) -> GetResult {
    GetResult { embeddings: include.embeddings.then(Vec::new), ..GetResult::default() }
}

/// A row, owned.
pub(super) struct Fields {
    pub(super) id: String,
    pub(super) document: Option<String>,
    pub(super) metadata: String,
    pub(super) embedding: Option<Vec<f32>>,
}

impl Fields {
    pub(super) fn of(row: Row<'_>) -> Self {
        Self {
            id: row.id.to_owned(),
            document: row.document.map(str::to_owned),
            metadata: row.metadata.to_owned(),
            embedding: row.embedding.map(<[f32]>::to_vec),
        }
    }

    /// Its metadata; what no longer parses has been refused by the filter or was never read as JSON.
    pub(super) fn metadata(&self) -> Metadata {
        serde_json::from_str(&self.metadata).unwrap_or_default()
    }

    fn into_result(self, result: &mut GetResult, include: Include) {
        if include.metadatas {
            result.metadatas.push(self.metadata());
        }
        if include.documents {
            result.documents.push(self.document);
        }
        if let Some(embeddings) = &mut result.embeddings {
            embeddings.push(self.embedding);
        }
        result.ids.push(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_just_before_an_id_is_less_and_near() {
        for id in ["a", "abc", "drawer_1", "é", "🙂", "a\0", "\u{e000}", "ab\u{1}"] {
            let before = just_before(id).unwrap();
            assert!(before.as_str() < id, "{id:?}: {before:?}");
            assert!(!id.starts_with("drawer") || before.as_str() > "drawer_0", "{before:?}");
        }
        assert_eq!((just_before(""), just_before("\0")), (None, None));
    }
}
