use super::counts::Counts;
use super::figures::{Figures, REACHABLE};
use crate::catalog::{self, Entry};
use crate::connection::{DATABASE, Database, sqlite};
use crate::layout::index::header_of;
use crate::layout::quarantine;
use crate::writer_lock;
use palanquin_engine::contract::{MaintenanceState, Result};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The directory's condition in Chroma's terms.
pub(super) fn state(database: &Database, connection: &Connection, counts: &mut Counts) -> Result<MaintenanceState> {
    let queue = queue_by_collection(connection)?;
    let mut collections = serde_json::Map::new();
    for entry in catalog::entries(connection)? {
        let queued = queue.get(&entry.id).copied().unwrap_or_default();
        let name = entry.name.clone();
        collections.insert(name, of_collection(database, connection, entry, queued, counts)?);
    }
    let holder = std::env::home_dir().and_then(|home| writer_lock::holder(&home, database.folder()));
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(sqlite);
    let size = |file: &str| std::fs::metadata(database.folder().join(file)).ok().map(|meta| meta.len());
    Ok(BTreeMap::from([
        ("collections".to_owned(), Value::Object(collections)),
        ("queue_rows".to_owned(), json!(queue.values().map(|queued| queued.rows).sum::<u64>())),
        ("sqlite_bytes".to_owned(), json!(size(DATABASE))),
        ("sqlite_free_bytes".to_owned(), json!(pragma("freelist_count")? * pragma("page_size")?)),
        ("writer_lock_holder".to_owned(), json!(holder.map(|holder| holder.to_string()))),
        ("journal_bytes".to_owned(), json!(size(&format!("{DATABASE}-journal")))),
        ("quarantines".to_owned(), quarantines(database)),
    ]))
}

/// Indexes that MemPalace set aside, by their folders.
fn quarantines(database: &Database) -> Value {
    let found = quarantine::quarantines(database.folder()).unwrap_or_default();
    let described = found.into_iter().map(|aside| {
        let elements = header_of(&aside.folder).ok().flatten().map(|header| header.elements);
        (aside.name.clone(), json!({ "bytes": aside.bytes(), "elements": elements }))
    });
    Value::Object(described.collect())
}

#[derive(Clone, Copy, Default)]
struct Queued {
    rows: u64,
    newest: Option<i64>,
}

/// By collection id.
fn queue_by_collection(connection: &Connection) -> Result<BTreeMap<String, Queued>> {
    let sql = "SELECT substr(topic, -36), count(*), max(seq_id) FROM embeddings_queue GROUP BY 1";
    let mut statement = connection.prepare_cached(sql).map_err(sqlite)?;
    let queued = statement.query_map([], |row| Ok((row.get(0)?, Queued { rows: row.get(1)?, newest: row.get(2)? })));
    queued.map_err(sqlite)?.collect::<rusqlite::Result<_>>().map_err(sqlite)
}

fn of_collection(
    database: &Database,
    connection: &Connection,
    entry: Entry,
    queued: Queued,
    counts: &mut Counts,
) -> Result<Value> {
    let mut state = json!({
        "dimension": entry.dimension,
        "metric": entry.metric,
        "queue_rows": queued.rows,
        "queue_newest_seq_id": queued.newest,
        "sync_threshold": entry.sync_threshold,
        "sync_threshold_is_reachable": entry.sync_threshold <= REACHABLE,
    });
    let Ok(segments) = entry.segments() else { return Ok(state) };
    let figures = Figures::read(database, connection, &entry, &segments, counts)?;
    if let Value::Object(map) = &mut state {
        map.extend(figures.state().map(|(key, value)| (key.to_owned(), value)));
    }
    Ok(state)
}
