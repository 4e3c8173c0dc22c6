use super::marks::Marks;
use super::metadata::{DOCUMENT_KEY, document_and_map};
use super::page::{Page, lower, upper};
use super::tail::Operation;
use crate::connection::sqlite;
use palanquin_engine::contract::{Error, ErrorKind, KeyRange, Result};
use palanquin_engine::rows::canonical_metadata;
use rusqlite::{Connection, OptionalExtension};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ops::Bound;

/// A collection whose tables have not caught up with the log: a writer stopped, or is just at it, between the two.
///
/// Of the changes it holds ids, numbers and operations, no content; there are as many as the tables are behind.
pub(crate) struct Behind<'a> {
    /// A connection that holds the shared lock.
    pub(crate) connection: &'a Connection,
    /// Id of the collection.
    pub(crate) collection: &'a str,
    /// Its metadata segment.
    pub(crate) segment: &'a str,
    /// As of the lock.
    pub(crate) marks: Marks,
}

type Changes = BTreeMap<String, Vec<(i64, Operation)>>;

impl Behind<'_> {
    /// Reads the first rows of a range, logged changes applied.
    pub(crate) fn read(&self, page: &mut Page, range: &KeyRange, limit: usize) -> Result<()> {
        page.clear();
        let stored = self.stored(range, limit)?;
        // Rows may follow the last one read; what lies beyond it belongs to a later page.
        let last = stored.last_key_value().filter(|_| stored.len() >= limit).map(|(last, _)| last.clone());
        let upto = last.clone().or_else(|| range.upto.clone());
        let mut changes = self.changes(&KeyRange { after: range.after.clone(), upto })?;
        let unchanged = stored.keys().filter(|id| !changes.contains_key(*id)).cloned().collect::<Vec<_>>();
        changes.extend(unchanged.into_iter().map(|id| (id, Vec::new())));
        let mut done = None;
        for (id, changes) in changes {
            if page.is_full(limit) {
                page.next = done;
                return Ok(());
            }
            self.read_row(page, &id, stored.get(&id).copied(), &changes)?;
            done = Some(id);
        }
        page.next = last;
        Ok(())
    }

    /// Reads the first rows of some ids, ascending and distinct, logged changes applied.
    pub(crate) fn read_ids(&self, page: &mut Page, ids: &[String], limit: usize) -> Result<()> {
        page.clear();
        let changes = self.changes(&KeyRange::ALL)?;
        for (at, id) in ids.iter().enumerate() {
            if page.is_full(limit) {
                page.next = ids[..at].last().cloned();
                return Ok(());
            }
            self.read_row(page, id, self.number(id)?, changes.get(id).map_or(&[], Vec::as_slice))?;
        }
        Ok(())
    }

    /// Those of the ids, in their order, that no row has once logged changes are applied.
    pub(crate) fn absent(&self, ids: &[String]) -> Result<Vec<String>> {
        let changes = if self.marks.behind { self.changes(&KeyRange::ALL)? } else { Changes::new() };
        let mut absent = Vec::new();
        for id in ids {
            let changes = changes.get(id).map_or(&[][..], Vec::as_slice);
            if !is_there(self.number(id)?.is_some(), changes) {
                absent.push(id.clone());
            }
        }
        Ok(absent)
    }

    /// How many rows more, or fewer, the logged changes make.
    pub(crate) fn difference(&self) -> Result<i64> {
        let mut difference = 0;
        for (id, changes) in self.changes(&KeyRange::ALL)? {
            let stored = self.number(&id)?.is_some();
            difference += i64::from(is_there(stored, &changes)) - i64::from(stored);
        }
        Ok(difference)
    }

    /// The greatest id in a range.
    pub(crate) fn last_id(&self, range: &KeyRange) -> Result<Option<String>> {
        let changes = self.changes(range)?;
        let mut below: Option<String> = None;
        loop {
            let bound = below.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let changed = changes.range::<String, _>((Bound::Unbounded, bound)).next_back().map(|(id, _)| id.clone());
            let Some(candidate) = self.last_stored(range, below.as_deref())?.max(changed) else { return Ok(None) };
            let changes = changes.get(&candidate).map_or(&[][..], Vec::as_slice);
            if is_there(self.number(&candidate)?.is_some(), changes) {
                return Ok(Some(candidate));
            }
            below = Some(candidate);
        }
    }

    fn read_row(&self, page: &mut Page, id: &str, number: Option<i64>, changes: &[(i64, Operation)]) -> Result<()> {
        let mut row = match number {
            Some(number) => Some(document_and_map(self.connection, number, self.marks.lists)?),
            None => None,
        };
        for (seq_id, operation) in changes {
            match (operation, &mut row) {
                (Operation::Delete, _) => row = None,
                (Operation::Add, Some(_)) | (Operation::Update, None) => {}
                (Operation::Update | Operation::Upsert, Some((document, map))) => {
                    merge(document, map, self.logged_metadata(*seq_id)?);
                }
                (Operation::Add | Operation::Upsert, None) => {
                    let (mut document, mut map) = (None, Map::new());
                    merge(&mut document, &mut map, self.logged_metadata(*seq_id)?);
                    row = Some((document, map));
                }
            }
        }
        if let Some((document, map)) = row {
            page.push(id, document.as_deref(), &canonical_metadata(&map));
        }
        Ok(())
    }

    fn stored(&self, range: &KeyRange, limit: usize) -> Result<BTreeMap<String, i64>> {
        let sql = "SELECT embedding_id, id FROM embeddings
                   WHERE segment_id = ?1 AND embedding_id >= ?2 AND embedding_id <= ?3 AND (?4 OR embedding_id > ?2)
                   ORDER BY embedding_id LIMIT ?5";
        let mut statement = self.connection.prepare_cached(sql).map_err(sqlite)?;
        let params = (self.segment, lower(range), upper(range), range.after.is_none(), limit as i64);
        let rows = statement.query_map(params, |row| Ok((row.get(0)?, row.get(1)?))).map_err(sqlite)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sqlite)
    }

    fn changes(&self, range: &KeyRange) -> Result<Changes> {
        let sql = "SELECT id, seq_id, operation FROM embeddings_queue
                   WHERE seq_id > ?1 AND substr(topic, -36) = ?2
                     AND id >= ?3 AND id <= ?4 AND (?5 OR id > ?3) ORDER BY seq_id";
        let mut statement = self.connection.prepare_cached(sql).map_err(sqlite)?;
        let after = self.marks.metadata.unwrap_or(i64::MIN);
        let params = (after, self.collection, lower(range), upper(range), range.after.is_none());
        let mut rows = statement.query(params).map_err(sqlite)?;
        let mut changes = Changes::new();
        while let Some(row) = rows.next().map_err(sqlite)? {
            let operation = Operation::of(row.get(2).map_err(sqlite)?)?;
            let change = (row.get(1).map_err(sqlite)?, operation);
            changes.entry(row.get(0).map_err(sqlite)?).or_default().push(change);
        }
        Ok(changes)
    }

    fn number(&self, id: &str) -> Result<Option<i64>> {
        let sql = "SELECT id FROM embeddings WHERE segment_id = ?1 AND embedding_id = ?2";
        let mut statement = self.connection.prepare_cached(sql).map_err(sqlite)?;
        statement.query_row((self.segment, id), |row| row.get(0)).optional().map_err(sqlite)
    }

    fn last_stored(&self, range: &KeyRange, below: Option<&str>) -> Result<Option<String>> {
        let sql = "SELECT embedding_id FROM embeddings
                   WHERE segment_id = ?1 AND embedding_id >= ?2 AND embedding_id <= ?3 AND (?4 OR embedding_id > ?2)
                     AND (?5 IS NULL OR embedding_id < ?5)
                   ORDER BY embedding_id DESC LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql).map_err(sqlite)?;
        let params = (self.segment, lower(range), upper(range), range.after.is_none(), below);
        statement.query_row(params, |row| row.get(0)).optional().map_err(sqlite)
    }

    fn logged_metadata(&self, seq_id: i64) -> Result<Map<String, Value>> {
        let sql = "SELECT metadata FROM embeddings_queue WHERE seq_id = ?1";
        let mut statement = self.connection.prepare_cached(sql).map_err(sqlite)?;
        let text: Option<String> = statement.query_row([seq_id], |row| row.get(0)).map_err(sqlite)?;
        let parsed = text.as_deref().map(serde_json::from_str::<Option<Map<String, Value>>>).transpose();
        let malformed = |error| Error::new(ErrorKind::Corrupt, "metadata in the log is malformed").with_source(error);
        Ok(parsed.map_err(malformed)?.flatten().unwrap_or_default())
    }
}

fn is_there(stored: bool, changes: &[(i64, Operation)]) -> bool {
    changes.iter().fold(stored, |there, (_, operation)| match operation {
        Operation::Add | Operation::Upsert => true,
        Operation::Update => there,
        Operation::Delete => false,
    })
}

/// Chroma merges: keys not named stay, null removes one, a document without a new one stays.
fn merge(document: &mut Option<String>, map: &mut Map<String, Value>, changed: Map<String, Value>) {
    for (key, value) in changed {
        match value {
            Value::String(text) if key == DOCUMENT_KEY => *document = Some(text),
            _ if key == DOCUMENT_KEY => {}
            Value::Null => drop(map.remove(&key)),
            value => drop(map.insert(key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn logged_metadata_is_merged_as_chroma_does() {
        let (mut document, mut map) = (Some("old".to_owned()), Map::new());
        let mut apply = |changed: Value| {
            merge(&mut document, &mut map, changed.as_object().unwrap().clone());
            (document.clone(), Value::from(map.clone()))
        };
        assert_eq!(apply(json!({"a": 1, "b": 2.0})), (Some("old".into()), json!({"a": 1, "b": 2.0})));
        assert_eq!(apply(json!({"a": null, "chroma:document": null})), (Some("old".into()), json!({"b": 2.0})));
        assert_eq!(apply(json!({"chroma:document": ""})), (Some(String::new()), json!({"b": 2.0})));
    }
}
