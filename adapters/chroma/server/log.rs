//! The palace's migration log (§1.5, §8.3): rows of a collection of its own, for a database has no place for it. An entry
//! is one row's document, and is added by a single request that does nothing the second time.

use super::client::{MOST_IDS, Wanted, Write};
use super::palace::Addressed;
pub(super) use crate::catalog::MIGRATION_LOG as COLLECTION;
use palanquin_engine::contract::{Error, ErrorKind, LogEntry, Result};
use serde_json::{Map, json};

/// What orders the entries.
const NUMBER: &str = "number";

/// The entries, oldest first; what others put there that is no entry is passed over.
pub(super) async fn read(palace: &Addressed) -> Result<Vec<LogEntry>> {
    let Some(described) = palace.find(COLLECTION).await? else { return Ok(Vec::new()) };
    let place = palace.place(&described);
    let ids = palace.client.ids(&place).await?;
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut entries = Vec::new();
    for ids in ids.chunks(MOST_IDS) {
        for row in palace.client.rows(&place, ids, Wanted::TEXTS).await? {
            let entry = row.document.as_deref().and_then(|text| serde_json::from_str::<LogEntry>(text).ok());
            let number = row.metadata.get(NUMBER).and_then(serde_json::Value::as_u64).unwrap_or(0);
            entries.extend(entry.map(|entry| (number, row.id, entry)));
        }
    }
    entries.sort_by(|one, other| (one.0, &one.2.at, &one.1).cmp(&(other.0, &other.2.at, &other.1)));
    Ok(entries.into_iter().map(|(.., entry)| entry).collect())
}

pub(super) async fn append(palace: &Addressed, entry: &LogEntry) -> Result<()> {
    let client = &palace.client;
    let described = match palace.find(COLLECTION).await? {
        Some(described) => described,
        None => {
            let metadata = Map::from_iter([("hnsw:space".to_owned(), json!("l2"))]);
            match client.make_collection(&palace.database, COLLECTION, &metadata).await? {
                Some(made) => made,
                None => palace.find(COLLECTION).await?.ok_or_else(|| {
                    Error::new(ErrorKind::Busy, "the migration log was made and dropped again just now")
                })?,
            }
        }
    };
    let place = palace.place(&described);
    let number = client.count(&place).await?;
    let text = serde_json::to_string(entry)
        .map_err(|error| Error::new(ErrorKind::Internal, "an entry of the migration log").with_source(error))?;
    let row = Write {
        id: &uuid::Uuid::new_v4().to_string(),
        embedding: Some(&[0.0]),
        document: Some(&text),
        metadata: Some(json!({NUMBER: number}).to_string()),
    };
    client.upsert(&place, &[row]).await
}
