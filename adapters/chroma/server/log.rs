//! The palace's migration log (§1.5, §8.3): rows of a collection of its own, for a database has no place for it. An entry
//! is one row's document, and is added by a single request that does nothing the second time.

use super::client::{MOST_IDS, Place, Wanted, Write};
use super::palace::Addressed;
pub(super) use crate::catalog::MIGRATION_LOG as COLLECTION;
use palanquin_engine::contract::{Error, ErrorKind, LogEntry, Result};
use serde_json::{Map, json};

/// What orders the entries.
const NUMBER: &str = "number";

/// The entries, oldest first; what others put there that is no entry is passed over.
pub(super) async fn read(palace: &Addressed) -> Result<Vec<LogEntry>> {
    let rows = rows(palace).await?.into_iter();
    let mut entries: Vec<(u64, String, LogEntry)> =
        rows.filter_map(|(number, id, text)| Some((number, id, serde_json::from_str(&text).ok()?))).collect();
    entries.sort_by(|one, other| (one.0, &one.2.at, &one.1).cmp(&(other.0, &other.2.at, &other.1)));
    Ok(entries.into_iter().map(|(.., entry)| entry).collect())
}

/// Number, id and text of each row of the log, by number.
async fn rows(palace: &Addressed) -> Result<Vec<(u64, String, String)>> {
    let Some(described) = palace.find(COLLECTION).await? else { return Ok(Vec::new()) };
    let place = palace.place(&described);
    let ids = palace.client.ids(&place).await?;
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut rows = Vec::new();
    for ids in ids.chunks(MOST_IDS) {
        for row in palace.client.rows(&place, ids, Wanted::TEXTS).await? {
            let number = row.metadata.get(NUMBER).and_then(serde_json::Value::as_u64).unwrap_or(0);
            rows.extend(row.document.map(|text| (number, row.id, text)));
        }
    }
    rows.sort();
    Ok(rows)
}

pub(super) async fn append(palace: &Addressed, entry: &LogEntry) -> Result<()> {
    let place = open(palace).await?;
    let number = palace.client.count(&place).await?;
    let text = serde_json::to_string(entry)
        .map_err(|error| Error::new(ErrorKind::Internal, "an entry of the migration log").with_source(error))?;
    palace.client.upsert(&place, &[row(&uuid::Uuid::new_v4().to_string(), &text, number)]).await
}

/// Adds the entries of one palace to another's; those that are there already are there once.
pub(super) async fn hand_over(from: &Addressed, to: &Addressed) -> Result<()> {
    let rows = rows(from).await?;
    if rows.is_empty() {
        return Ok(());
    }
    let place = open(to).await?;
    let before = to.client.count(&place).await?;
    let rows: Vec<_> = rows.iter().zip(before..).map(|((_, id, text), number)| row(id, text, number)).collect();
    to.client.upsert(&place, &rows).await
}

/// The log's collection, made if it is not there.
pub(super) async fn open(palace: &Addressed) -> Result<Place> {
    if let Some(described) = palace.find(COLLECTION).await? {
        return Ok(palace.place(&described));
    }
    let metadata = Map::from_iter([("hnsw:space".to_owned(), json!("l2"))]);
    let made = match palace.make(COLLECTION, &metadata).await? {
        Some(made) => Some(made),
        None => palace.find(COLLECTION).await?,
    };
    let again = || Error::new(ErrorKind::Busy, "the migration log was made and dropped again just now");
    made.map(|described| palace.place(&described)).ok_or_else(again)
}

fn row<'a>(id: &'a str, text: &'a str, number: u64) -> Write<'a> {
    let metadata = Some(json!({NUMBER: number}).to_string());
    Write { id, embedding: Some(&[0.0]), document: Some(text), metadata }
}
