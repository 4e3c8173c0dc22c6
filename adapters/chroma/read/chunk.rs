use super::metadata::{DOCUMENT_KEY, document_and_map, text, write_key, write_scalar};
use super::page::{Page, RowText};
use crate::connection::sqlite;
use palanquin_engine::contract::Result;
use palanquin_engine::rows::canonical_metadata;
use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator as _;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Rows};
use std::ops::Range;

/// Rows in a chunk at most.
const MAX_ROWS: usize = 64;
/// Canonical text of the mark MemPalace sets where there is no metadata.
const REPAIRED_EMPTY: &[u8] = br#"{"_repaired_empty_meta":true}"#;

/// A few rows under way into a page.
///
/// The index gives their keys in order, yet each value would cost a search of its own. A row's values were written one
/// after another, though: so the keys come first, with the numbers of their values, then the values in the order of
/// their numbers, a run at a time; the rows are put together last. What is written is what
/// [`canonical_metadata`] makes of a map, without the map.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    rows: Vec<OpenRow>,
    cells: Vec<Cell>,
    /// Of the cells, by number.
    order: Vec<usize>,
    keys: Vec<u8>,
    values: Vec<u8>,
}

#[derive(Debug)]
struct OpenRow {
    number: i64,
    id: Range<usize>,
    cells: Range<usize>,
}

/// One value of one row's metadata.
#[derive(Debug)]
struct Cell {
    number: i64,
    key: Range<usize>,
    is_document: bool,
    value: Option<Range<usize>>,
}

impl Chunk {
    /// Steps to the first row; `false` if there is none.
    pub(super) fn begin(&mut self, keys: &mut Rows<'_>) -> Result<bool> {
        Ok(keys.next().map_err(sqlite)?.is_some())
    }

    /// Takes up to `limit` rows with their keys, beginning with the one `keys` is at; `false` if they were the last.
    pub(super) fn take_keys(&mut self, keys: &mut Rows<'_>, limit: usize) -> Result<bool> {
        self.rows.clear();
        self.cells.clear();
        self.keys.clear();
        self.values.clear();
        let mut current = keys.get();
        while let Some(row) = current {
            let number: i64 = row.get(0).map_err(sqlite)?;
            if self.rows.last().is_none_or(|open| open.number != number) {
                if self.rows.len() >= limit.min(MAX_ROWS) {
                    return Ok(true);
                }
                let id = push(&mut self.keys, bytes(row.get_ref(1).map_err(sqlite)?)?);
                self.rows.push(OpenRow { number, id, cells: self.cells.len()..self.cells.len() });
            }
            let key = row.get_ref(3).map_err(sqlite)?;
            if key != ValueRef::Null {
                let key = bytes(key)?;
                let is_document = key == DOCUMENT_KEY.as_bytes();
                let number = row.get(2).map_err(sqlite)?;
                self.cells.push(Cell { number, key: push(&mut self.keys, key), is_document, value: None });
            }
            if let Some(open) = self.rows.last_mut() {
                open.cells.end = self.cells.len();
            }
            current = keys.next().map_err(sqlite)?;
        }
        Ok(false)
    }

    /// Fetches the values, each run of successive numbers at once.
    pub(super) fn take_values(&mut self, connection: &Connection) -> Result<()> {
        let sql = "SELECT rowid, string_value, int_value, float_value, bool_value FROM embedding_metadata
                   WHERE rowid BETWEEN ?1 AND ?2 ORDER BY rowid";
        let mut statement = connection.prepare_cached(sql).map_err(sqlite)?;
        self.order.clear();
        self.order.extend(0..self.cells.len());
        self.order.sort_unstable_by_key(|at| self.cells[*at].number);
        let mut order = self.order.as_slice();
        while let Some(&first) = order.first() {
            let from = self.cells[first].number;
            let successive = |(at, cell): &(usize, &usize)| self.cells[**cell].number - from == *at as i64;
            let (run, rest) = order.split_at(order.iter().enumerate().take_while(successive).count());
            order = rest;
            let mut run = run.iter();
            let mut rows = statement.query((from, from + run.len() as i64 - 1)).map_err(sqlite)?;
            while let (Some(row), Some(at)) = (rows.next().map_err(sqlite)?, run.next()) {
                let cell = &mut self.cells[*at];
                let start = self.values.len();
                let found = if cell.is_document {
                    let document = row.get_ref(1).map_err(sqlite)?;
                    document != ValueRef::Null && {
                        self.values.extend_from_slice(bytes(document)?);
                        true
                    }
                } else {
                    write_scalar(row, 1, &mut self.values)?
                };
                cell.value = found.then_some(start..self.values.len());
            }
        }
        Ok(())
    }

    /// Puts the rows together at the end of a page.
    pub(super) fn finish(&mut self, page: &mut Page, connection: &Connection, lists: bool) -> Result<()> {
        for row in &self.rows {
            if lists && has_lists(connection, row.number)? {
                let (document, map) = document_and_map(connection, row.number, true)?;
                page.push(text(&self.keys[row.id.clone()])?, document.as_deref(), &canonical_metadata(&map));
                continue;
            }
            let id = page.write(&self.keys[row.id.clone()]);
            let cells = &self.cells[row.cells.clone()];
            let document = cells.iter().find(|cell| cell.is_document).and_then(|cell| cell.value.clone());
            let document = document.map(|document| page.write(&self.values[document]));
            let start = page.text.len();
            page.text.push(b'{');
            for cell in cells.iter().filter(|cell| !cell.is_document) {
                let Some(value) = cell.value.clone() else { continue };
                if page.text.len() > start + 1 {
                    page.text.push(b',');
                }
                write_key(&self.keys[cell.key.clone()], &mut page.text)?;
                page.text.push(b':');
                page.text.extend_from_slice(&self.values[value]);
            }
            page.text.push(b'}');
            if &page.text[start..] == REPAIRED_EMPTY {
                page.text.truncate(start);
                page.text.extend_from_slice(b"{}");
            }
            page.rows.push(RowText { id, document, metadata: start..page.text.len() });
        }
        Ok(())
    }
}

fn bytes(value: ValueRef<'_>) -> Result<&[u8]> {
    value.as_bytes().map_err(|error| sqlite(error.into()))
}

fn push(out: &mut Vec<u8>, bytes: &[u8]) -> Range<usize> {
    let start = out.len();
    out.extend_from_slice(bytes);
    start..out.len()
}

fn has_lists(connection: &Connection, row: i64) -> Result<bool> {
    let sql = "SELECT 1 FROM embedding_metadata_array WHERE id = ?1 LIMIT 1";
    connection.prepare_cached(sql).and_then(|mut found| found.exists([row])).map_err(sqlite)
}

#[cfg(test)]
mod tests {
    use super::*;
    use palanquin_engine::contract::KeyRange;
    use proptest::prelude::*;
    use proptest::test_runner::FileFailurePersistence;
    use serde_json::{Map, Value};

    const TABLES: &str = "
        CREATE TABLE embeddings (id INTEGER PRIMARY KEY, segment_id TEXT, embedding_id TEXT, UNIQUE (segment_id, embedding_id));
        CREATE TABLE embedding_metadata (id INTEGER, key TEXT, string_value TEXT, int_value INTEGER, float_value REAL,
            bool_value INTEGER, PRIMARY KEY (id, key));";

    fn scalar() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            // SQLite has neither NaN nor a negative zero.
            any::<f64>().prop_filter("a number", |f| !f.is_nan()).prop_map(|f| Value::from(f + 0.0)),
            any::<String>().prop_map(Value::from),
        ]
    }

    fn insert(database: &Connection, row: i64, key: &str, value: &Value) {
        let sql = "INSERT INTO embedding_metadata VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let float = value.as_f64().filter(|_| value.is_f64());
        database.execute(sql, (row, key, value.as_str(), value.as_i64(), float, value.as_bool())).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 48,
            failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
            ..ProptestConfig::default()
        })]

        #[test]
        fn what_is_written_is_the_canonical_form(
            rows in proptest::collection::vec(proptest::collection::hash_map(any::<String>(), scalar(), 0..8), 0..90),
            limit in 1usize..100,
        ) {
            let database = Connection::open_in_memory().unwrap();
            database.execute_batch(TABLES).unwrap();
            let mut expected: Vec<String> = Vec::new();
            // Value by value across the rows, so that no row's values have successive numbers.
            for (row, entries) in rows.iter().enumerate() {
                database.execute("INSERT INTO embeddings VALUES (?1, 's', ?2)", (row, format!("{row:03}"))).unwrap();
                let map: Map<String, Value> = entries.iter().filter(|(_, value)| !value.is_null())
                    .map(|(key, value)| (key.clone(), value.clone())).collect();
                expected.push(canonical_metadata(&map));
            }
            for at in 0..8 {
                for (row, entries) in rows.iter().enumerate() {
                    if let Some((key, value)) = entries.iter().nth(at) {
                        insert(&database, row as i64, key, value);
                    }
                }
            }
            let (mut page, mut range, mut found) = (Page::default(), KeyRange::ALL, Vec::new());
            loop {
                page.read(&database, "s", &range, limit, false).unwrap();
                prop_assert!(page.rows.len() <= limit);
                found.extend(page.rows.iter().map(|row| text(&page.text[row.metadata.clone()]).unwrap().to_owned()));
                let Some(next) = page.next.take() else { break };
                range.after = Some(next);
            }
            prop_assert_eq!(found, expected);
        }
    }
}
