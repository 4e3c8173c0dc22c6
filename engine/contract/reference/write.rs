use super::BATCH_ROWS;
use crate::contract::{
    ChangeBatch, Collection, Error, ErrorKind, GetRequest, Include, KeyRange, Result, RowUpdates, ScanOrder,
    ScanRequest, Selection, WriteMode,
};
use crate::rows::{RowBatch, RowBatchBuilder};
use futures::TryStreamExt;
use std::collections::HashSet;

pub(in crate::contract) async fn add<C: Collection + ?Sized>(collection: &C, rows: RowBatch) -> Result<()> {
    let ids: Vec<&str> = rows.ids().iter().flatten().collect();
    if ids.is_empty() {
        return Ok(());
    }
    let distinct: HashSet<&str> = ids.iter().copied().collect();
    if distinct.len() < ids.len() {
        let detail = format!("of {} rows to add, {} ids come twice", ids.len(), ids.len() - distinct.len());
        return Err(Error::new(ErrorKind::IdExists, detail));
    }
    let request = GetRequest { include: Include::IDS, ..GetRequest::of(Selection::ids(ids)) };
    let there = collection.get(&request).await?.ids.len();
    if there > 0 {
        let detail = format!("{there} of the rows to add are there already");
        return Err(Error::new(ErrorKind::IdExists, detail));
    }
    collection.apply(ChangeBatch::upserts(rows), WriteMode::Upsert).await.map(drop)
}

pub(in crate::contract) async fn update<C: Collection + ?Sized>(collection: &C, updates: RowUpdates) -> Result<u64> {
    let wanted: HashSet<&str> = updates.ids().iter().map(String::as_str).collect();
    let Some(greatest) = wanted.iter().max() else { return Ok(0) };
    let range = KeyRange { after: None, upto: Some((*greatest).to_owned()) };
    let mut batches = collection.scan(ScanRequest { range, order: ScanOrder::Any, batch_rows: BATCH_ROWS });
    let mut there: Option<RowBatchBuilder> = None;
    while let Some(batch) = batches.try_next().await? {
        let there = there.get_or_insert_with(|| RowBatchBuilder::with_capacity(wanted.len(), batch.dimension()));
        for row in batch.rows().filter(|row| wanted.contains(row.id)) {
            there.push(row).map_err(|error| Error::new(ErrorKind::Corrupt, "a stored row").with_source(error))?;
        }
    }
    let Some(there) = there else { return Ok(0) };
    let there = there.finish().map_err(|error| Error::new(ErrorKind::Internal, "stored rows").with_source(error))?;
    if there.is_empty() {
        return Ok(0);
    }
    let merged = updates.merged_into(&there)?;
    Ok(collection.apply(ChangeBatch::upserts(merged), WriteMode::Upsert).await?.upserted)
}
