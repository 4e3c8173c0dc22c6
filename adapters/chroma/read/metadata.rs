use crate::connection::sqlite;
use palanquin_engine::contract::{Error, ErrorKind, Result};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use serde_json::{Map, Value};

/// The key a document is kept under.
pub(crate) const DOCUMENT_KEY: &str = "chroma:document";
/// Canonical text of the mark MemPalace sets where there is no metadata.
const REPAIRED_EMPTY: &[u8] = br#"{"_repaired_empty_meta":true}"#;

/// Writes canonical metadata as rows of `embedding_metadata` come in, sorted by key.
///
/// What [`canonical_metadata`](palanquin_engine::rows::canonical_metadata) makes of a map, without the map.
#[derive(Debug)]
pub(crate) struct CanonicalWriter {
    start: usize,
}

impl CanonicalWriter {
    /// Begins an object at the end of `out`.
    pub(crate) fn begin(out: &mut Vec<u8>) -> Self {
        let start = out.len();
        out.push(b'{');
        Self { start }
    }

    /// Adds a key with the first of the four value columns from `column` on that is not null, if any.
    pub(crate) fn entry(&self, key: &str, row: &Row<'_>, column: usize, out: &mut Vec<u8>) -> Result<()> {
        for (at, kind) in [Kind::Text, Kind::Int, Kind::Float, Kind::Bool].into_iter().enumerate() {
            let value = row.get_ref(column + at).map_err(sqlite)?;
            if value == ValueRef::Null {
                continue;
            }
            if out.len() > self.start + 1 {
                out.push(b',');
            }
            let value = kind.scalar(value)?;
            serde_json::to_writer(&mut *out, key).map_err(unwritable)?;
            out.push(b':');
            let written = match value {
                Scalar::Text(text) => serde_json::to_writer(out, text),
                Scalar::Int(int) => serde_json::to_writer(out, &int),
                Scalar::Float(float) => serde_json::to_writer(out, &float),
                Scalar::Bool(bool) => serde_json::to_writer(out, &bool),
            };
            return written.map_err(unwritable);
        }
        Ok(())
    }

    /// Ends the object.
    pub(crate) fn finish(self, out: &mut Vec<u8>) {
        out.push(b'}');
        if &out[self.start..] == REPAIRED_EMPTY {
            out.truncate(self.start);
            out.extend_from_slice(b"{}");
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Int,
    Float,
    Bool,
}

enum Scalar<'a> {
    Text(&'a str),
    Int(i64),
    Float(f64),
    Bool(bool),
}

impl Kind {
    fn scalar(self, value: ValueRef<'_>) -> Result<Scalar<'_>> {
        match (self, value) {
            (Self::Text, ValueRef::Text(bytes)) => text(bytes).map(Scalar::Text),
            (Self::Int, ValueRef::Integer(int)) => Ok(Scalar::Int(int)),
            (Self::Float, ValueRef::Real(float)) => Ok(Scalar::Float(float)),
            (Self::Bool, ValueRef::Integer(int)) => Ok(Scalar::Bool(int != 0)),
            _ => Err(Error::new(ErrorKind::Corrupt, "a metadata value is not of its column's type")),
        }
    }
}

/// Checks that some stored text is UTF-8.
pub(crate) fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::Corrupt, "a stored text is not UTF-8"))
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, "a metadata value cannot be written as JSON").with_source(error)
}

/// A row's document and metadata as values: for rows with lists, and for those the log has changes of.
pub(crate) fn document_and_map(
    connection: &Connection,
    row: i64,
    lists: bool,
) -> Result<(Option<String>, Map<String, Value>)> {
    let mut map = Map::new();
    let sql = "SELECT key, string_value, int_value, float_value, bool_value FROM embedding_metadata WHERE id = ?1";
    each_value(connection, sql, row, |key, value| drop(map.insert(key, value)))?;
    if lists {
        let sql = "SELECT key, string_value, int_value, float_value, bool_value FROM embedding_metadata_array
                   WHERE id = ?1 ORDER BY rowid";
        let mut listed: Map<String, Value> = Map::new();
        each_value(connection, sql, row, |key, value| {
            if let Value::Array(items) = listed.entry(key).or_insert_with(|| Value::Array(Vec::new())) {
                items.push(value);
            }
        })?;
        map.extend(listed);
    }
    let document = match map.remove(DOCUMENT_KEY) {
        Some(Value::String(document)) => Some(document),
        _ => None,
    };
    Ok((document, map))
}

fn each_value(connection: &Connection, sql: &str, row: i64, mut each: impl FnMut(String, Value)) -> Result<()> {
    let mut statement = connection.prepare_cached(sql).map_err(sqlite)?;
    let mut rows = statement.query([row]).map_err(sqlite)?;
    while let Some(row) = rows.next().map_err(sqlite)? {
        let key: String = row.get(0).map_err(sqlite)?;
        for (at, kind) in [Kind::Text, Kind::Int, Kind::Float, Kind::Bool].into_iter().enumerate() {
            let value = row.get_ref(1 + at).map_err(sqlite)?;
            if value == ValueRef::Null {
                continue;
            }
            let value = match kind.scalar(value)? {
                Scalar::Text(text) => Value::from(text),
                Scalar::Int(int) => Value::from(int),
                Scalar::Float(float) => Value::from(float),
                Scalar::Bool(bool) => Value::from(bool),
            };
            each(key, value);
            break;
        }
    }
    Ok(())
}
