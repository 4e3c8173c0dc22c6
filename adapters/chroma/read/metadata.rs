use crate::connection::sqlite;
use palanquin_engine::contract::{Error, ErrorKind, Result};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use serde_json::{Map, Value};

/// The key a document is kept under.
pub(crate) const DOCUMENT_KEY: &str = "chroma:document";
/// Writes the first of the four value columns from `column` on that is not null, as canonical JSON; `false` if all are.
pub(crate) fn write_scalar(row: &Row<'_>, column: usize, out: &mut Vec<u8>) -> Result<bool> {
    for (at, kind) in Kind::COLUMNS.into_iter().enumerate() {
        let value = row.get_ref(column + at).map_err(sqlite)?;
        if value == ValueRef::Null {
            continue;
        }
        let written = match kind.scalar(value)? {
            Scalar::Text(text) => serde_json::to_writer(out, text),
            Scalar::Int(int) => serde_json::to_writer(out, &int),
            Scalar::Float(float) => serde_json::to_writer(out, &float),
            Scalar::Bool(bool) => serde_json::to_writer(out, &bool),
        };
        return written.map(|()| true).map_err(unwritable);
    }
    Ok(false)
}

/// Writes a key as JSON.
pub(crate) fn write_key(key: &[u8], out: &mut Vec<u8>) -> Result<()> {
    serde_json::to_writer(out, text(key)?).map_err(unwritable)
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
    /// In the order of the columns.
    const COLUMNS: [Self; 4] = [Self::Text, Self::Int, Self::Float, Self::Bool];

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
        for (at, kind) in Kind::COLUMNS.into_iter().enumerate() {
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
