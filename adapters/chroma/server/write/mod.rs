//! Changes on their way to a server: [`admit`] says what it can hold, [`plan()`] what differs from what is there, this
//! module sends that and nothing else, and looks whether another writer came in between.

mod admit;
mod cosine;
mod plan;

use super::client::{Record, Wanted, Write};
use super::collection::Shared;
use super::read;
use admit::Admitted;
pub(crate) use admit::refusal;
use palanquin_engine::contract::{Applied, ChangeBatch, Error, ErrorKind, Patch, Result, RowUpdates, WriteMode};
use palanquin_engine::rows::{Row, RowBatch, RowBatchBuilder};
use plan::{Planned, Step, plan};
use std::collections::{HashMap, HashSet};

/// Rows compared with what is there at a time; their vectors are held in memory twice.
const COMPARED: usize = 4_000;
/// How often rows are written again that another writer has mixed with its own.
const ROUNDS: usize = 8;

/// Applies a batch: deletes, upserts, patches. The server has committed all of it when this returns.
pub(super) async fn apply(of: &Shared, batch: ChangeBatch, mode: WriteMode) -> Result<Applied> {
    let upserts = batch.upserts.filter(|rows| !rows.is_empty());
    let rows = match &upserts {
        Some(rows) => admitted(of, rows).await?,
        None => Vec::new(),
    };
    let mut applied = Applied { deleted: delete(of, &batch.deletes, &rows).await?, ..Applied::default() };
    applied.upserted = rows.len() as u64;
    match mode {
        WriteMode::Append => append(of, &rows).await?,
        WriteMode::Upsert => replace(of, &rows).await?,
    }
    for patch in &batch.patches {
        applied.upserted += apply_patch(of, patch).await?;
    }
    Ok(applied)
}

/// New values for some fields of rows that are there; how many there were.
pub(super) async fn update(of: &Shared, updates: &RowUpdates) -> Result<u64> {
    let mut seen = HashSet::new();
    let ids: Vec<&str> = updates.ids().iter().map(String::as_str).collect();
    let ids: Vec<&str> = ids.into_iter().filter(|id| !id.is_empty() && seen.insert(*id)).collect();
    let mut updated = 0;
    for ids in ids.chunks(COMPARED) {
        let Some(there) = stored(of, ids).await? else { continue };
        let merged = updates.merged_into(&there)?;
        let rows = admitted(of, &merged).await?;
        updated += rows.len() as u64;
        replace(of, &rows).await?;
    }
    Ok(updated)
}

/// The rows of a batch, each fit to be sent and each id once.
async fn admitted<'a>(of: &Shared, rows: &'a RowBatch) -> Result<Vec<Admitted<'a>>> {
    match of.width().await? {
        Some(width) if width != rows.dimension() => {
            let detail = format!("vectors of {} for a collection of {width}", rows.dimension());
            return Err(Error::new(ErrorKind::DimensionMismatch, detail));
        }
        _ => {}
    }
    let mut last: HashMap<&str, usize> = HashMap::with_capacity(rows.len());
    let mut admitted: Vec<Admitted<'a>> = Vec::with_capacity(rows.len());
    for row in rows.rows() {
        let row = admit::admit(row, of.metric)?;
        match last.get(row.id) {
            Some(&at) => admitted[at] = row,
            None => {
                last.insert(row.id, admitted.len());
                admitted.push(row);
            }
        }
    }
    Ok(admitted)
}

/// Removes the rows of these ids that are not to be upserted; how many there were.
async fn delete(of: &Shared, ids: &[String], but: &[Admitted<'_>]) -> Result<u64> {
    let kept: HashSet<&str> = but.iter().map(|row| row.id).collect();
    let mut seen = HashSet::new();
    let mut gone: Vec<&str> = ids.iter().map(String::as_str).collect();
    gone.retain(|id| !id.is_empty() && !kept.contains(id) && seen.insert(*id));
    // A server counts the ids it was given.
    let there = read::by_id(of, &gone, Wanted::IDS).await?;
    let there: Vec<&str> = there.keys().map(String::as_str).collect();
    of.palace.client.delete(&of.place, &there).await?;
    Ok(there.len() as u64)
}

/// Writes rows of which the caller vouches that none is there.
async fn append(of: &Shared, rows: &[Admitted<'_>]) -> Result<()> {
    let fresh: Vec<Write<'_>> = rows.iter().map(Admitted::fresh).collect();
    of.palace.client.upsert(&of.place, &fresh).await
}

/// Writes rows over whatever is there: of each what differs.
async fn replace(of: &Shared, rows: &[Admitted<'_>]) -> Result<()> {
    for rows in rows.chunks(COMPARED) {
        let ids: Vec<&str> = rows.iter().map(|row| row.id).collect();
        let there = read::by_id(of, &ids, Wanted::ALL).await?;
        let mut steps: Vec<Planned<'_, '_>> = rows.iter().map(|row| plan(row, there.get(row.id), of.metric)).collect();
        drop(there);
        for round in 0.. {
            steps.retain(|planned| planned.step != Step::Nothing);
            if steps.is_empty() {
                break;
            }
            if round == ROUNDS {
                let detail = "another writer changes the same rows all the while";
                return Err(Error::new(ErrorKind::Busy, detail));
            }
            send(of, &steps).await?;
            steps = mixed(of, steps).await?;
        }
    }
    Ok(())
}

async fn send(of: &Shared, steps: &[Planned<'_, '_>]) -> Result<()> {
    let client = &of.palace.client;
    let again: Vec<&str> =
        steps.iter().filter(|planned| planned.step == Step::Again).map(|planned| planned.row.id).collect();
    client.delete(&of.place, &again).await?;
    let with_vector = |planned: &&Planned<'_, '_>| planned.step != Step::Texts;
    let whole: Vec<Write<'_>> = steps.iter().filter(with_vector).map(Planned::write).collect();
    client.upsert(&of.place, &whole).await?;
    let texts: Vec<Write<'_>> = steps.iter().filter(|planned| !with_vector(planned)).map(Planned::write).collect();
    client.update_texts(&of.place, &texts).await
}

/// What was written is read back: a server merges what two writers send, so that a row may have become half of each. Those
/// are planned anew; a row that another writer has replaced since is left to it.
async fn mixed<'r, 'a>(of: &Shared, steps: Vec<Planned<'r, 'a>>) -> Result<Vec<Planned<'r, 'a>>> {
    // A vector that was sent is another's only together with that one's texts.
    let (texts, whole): (Vec<_>, Vec<_>) = steps.into_iter().partition(|planned| planned.step == Step::Texts);
    let mut again = Vec::new();
    for (steps, wanted) in [(texts, Wanted::ALL), (whole, Wanted::TEXTS)] {
        let ids: Vec<&str> = steps.iter().map(|planned| planned.row.id).collect();
        let there = read::by_id(of, &ids, wanted).await?;
        for Planned { row, .. } in steps {
            if there.get(row.id).is_some_and(|now| plan::is_mixed(row, now, of.metric)) {
                again.push(row);
            }
        }
    }
    let ids: Vec<&str> = again.iter().map(|row| row.id).collect();
    let there = read::by_id(of, &ids, Wanted::ALL).await?;
    Ok(again.into_iter().map(|row| plan(row, there.get(row.id), of.metric)).collect())
}

/// Whole fields of rows that are there; how many were.
async fn apply_patch(of: &Shared, patch: &Patch) -> Result<u64> {
    let ids: Vec<&str> = patch.rows.ids().iter().flatten().collect();
    let by_id: HashMap<&str, Row<'_>> = patch.rows.rows().map(|row| (row.id, row)).collect();
    let mut patched = 0;
    for ids in ids.chunks(COMPARED) {
        let Some(there) = stored(of, ids).await? else { continue };
        let mut batch = RowBatchBuilder::with_capacity(there.len(), there.dimension());
        for row in there.rows() {
            let Some(new) = by_id.get(row.id) else { continue };
            let row = Row {
                id: row.id,
                document: if patch.fields.documents { new.document } else { row.document },
                metadata: if patch.fields.metadatas { new.metadata } else { row.metadata },
                embedding: if patch.fields.embeddings { new.embedding } else { row.embedding },
            };
            batch.push(row).map_err(|error| Error::new(ErrorKind::DimensionMismatch, error.to_string()))?;
        }
        let batch = batch.finish();
        let batch = batch.map_err(|error| Error::new(ErrorKind::Internal, "patched rows").with_source(error))?;
        let rows = admitted(of, &batch).await?;
        patched += rows.len() as u64;
        replace(of, &rows).await?;
    }
    Ok(patched)
}

/// The rows of these ids as they are; `None` if none is there.
async fn stored(of: &Shared, ids: &[&str]) -> Result<Option<RowBatch>> {
    let there = read::by_id(of, ids, Wanted::ALL).await?;
    if there.is_empty() {
        return Ok(None);
    }
    let rows: Vec<Record> = there.into_values().collect();
    let width = rows.iter().find_map(|row| row.embedding.as_ref()).map_or(0, Vec::len);
    read::batch(&rows, u32::try_from(width).unwrap_or(0)).map(Some)
}
