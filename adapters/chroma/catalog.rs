//! Which collections a palace has: their segments, width and metric, as Chroma's system tables tell.

use crate::beside::is_beside;
use crate::connection::sqlite;
use crate::server::{DIMENSION, INCARNATION};
use crate::settings;
use palanquin_engine::contract::{Error, ErrorKind, Metric, Result};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::{Map, Value};
use uuid::Uuid;

/// Widest vectors that are read.
const MAX_DIMENSION: u32 = 65_536;
/// Chroma's own threshold, where none is recorded.
const SYNC_THRESHOLD: u64 = 1000;

/// A collection as the system tables have it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) name: String,
    /// Its id: another one when it is dropped and made again.
    pub(crate) id: String,
    /// As we recorded it when we made it; `None` for one that others made.
    pub(crate) incarnation: Option<String>,
    /// Width of its vectors; `None` until the first write.
    pub(crate) dimension: Option<u32>,
    /// Its metric; Chroma's default where none is recorded.
    pub(crate) metric: Option<Metric>,
    /// Where its ids, documents and metadata are.
    pub(crate) metadata_segment: Option<String>,
    /// Where its vectors are.
    pub(crate) vector_segment: Option<String>,
    /// After how many operations its index is written.
    pub(crate) sync_threshold: u64,
    /// Its settings, as [`settings`] has them.
    pub(crate) settings: Map<String, Value>,
}

/// The segments of a collection, both there.
#[derive(Clone, Debug)]
pub(crate) struct Segments {
    /// Where ids, documents and metadata are.
    pub(crate) metadata: String,
    /// Where vectors are.
    pub(crate) vector: String,
    /// Folder name of the vector segment.
    pub(crate) vector_folder: Uuid,
}

impl Entry {
    /// Its segments, without which it cannot be read.
    pub(crate) fn segments(&self) -> Result<Segments> {
        let missing = |scope| Error::new(ErrorKind::Corrupt, format!("the collection has no {scope} segment"));
        let metadata = self.metadata_segment.clone().ok_or_else(|| missing("metadata"))?;
        let vector = self.vector_segment.clone().ok_or_else(|| missing("vector"))?;
        let malformed =
            |error| Error::new(ErrorKind::Corrupt, "the vector segment's id is malformed").with_source(error);
        let vector_folder = Uuid::parse_str(&vector).map_err(malformed)?;
        Ok(Segments { metadata, vector, vector_folder })
    }
}

/// The collection in which a server's palace keeps its migration log; it is in no list of a palace's collections.
pub(crate) const MIGRATION_LOG: &str = "palanquin_migration_log";

/// Every collection MemPalace can see, those of the default tenant's default database, but for the migration log
/// and what waits to take a palace's place.
pub(crate) fn entries(connection: &Connection) -> Result<Vec<Entry>> {
    let [configuration, schema] =
        ["config_json_str", "schema_str"].map(|column| column_or_null(connection, "collections", column));
    let sql = format!(
        "SELECT c.name, c.id, c.dimension,
                (SELECT str_value FROM collection_metadata WHERE collection_id = c.id AND key = 'hnsw:space'),
                {}, {},
                (SELECT id FROM segments WHERE collection = c.id AND scope = 'METADATA'),
                (SELECT id FROM segments WHERE collection = c.id AND scope = 'VECTOR'),
                (SELECT int_value FROM collection_metadata WHERE collection_id = c.id AND key = 'hnsw:sync_threshold'),
                (SELECT str_value FROM collection_metadata WHERE collection_id = c.id AND key = '{INCARNATION}'),
                (SELECT int_value FROM collection_metadata WHERE collection_id = c.id AND key = '{DIMENSION}')
         FROM collections c JOIN databases d ON d.id = c.database_id
         WHERE d.name = 'default_database' AND d.tenant_id = 'default_tenant' AND c.name <> '{MIGRATION_LOG}'
         ORDER BY c.name",
        schema?, configuration?
    );
    let mut statement = connection.prepare(&sql).map_err(sqlite)?;
    let mut rows = statement.query([]).map_err(sqlite)?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next().map_err(sqlite)? {
        let mut entry = entry(row)?;
        if is_beside(&entry.name) {
            continue;
        }
        let text = |at: usize| row.get::<_, Option<String>>(at).map_err(sqlite);
        let configuration = index_configuration(text(4)?.as_deref(), text(5)?.as_deref());
        entry.settings = settings::of(&metadata(connection, &entry.id)?, configuration.as_ref());
        entries.push(entry);
    }
    Ok(entries)
}

/// A collection's own metadata.
fn metadata(connection: &Connection, collection: &str) -> Result<Map<String, Value>> {
    let bools = column_or_null(connection, "collection_metadata", "bool_value")?;
    let sql = format!(
        "SELECT key, str_value, int_value, float_value, {bools} FROM collection_metadata WHERE collection_id = ?1"
    );
    let mut statement = connection.prepare_cached(&sql).map_err(sqlite)?;
    let mut rows = statement.query([collection]).map_err(sqlite)?;
    let mut metadata = Map::new();
    while let Some(row) = rows.next().map_err(sqlite)? {
        let value = match row.get::<_, Option<bool>>(4).map_err(sqlite)? {
            Some(flag) => Value::from(flag),
            None => match (row.get_ref(1), row.get_ref(2), row.get_ref(3)) {
                (Ok(ValueRef::Text(text)), ..) => Value::from(String::from_utf8_lossy(text)),
                (_, Ok(ValueRef::Integer(number)), _) => Value::from(number),
                (.., Ok(ValueRef::Real(number))) => Value::from(number),
                _ => continue,
            },
        };
        metadata.insert(row.get(0).map_err(sqlite)?, value);
    }
    Ok(metadata)
}

/// The documents of the migration log that a server has left, as they were added.
pub(crate) fn logged_by_server(connection: &Connection) -> Result<Vec<String>> {
    let sql = "SELECT m.string_value FROM collections c JOIN databases d ON d.id = c.database_id
               JOIN segments s ON s.collection = c.id AND s.scope = 'METADATA'
               JOIN embeddings e ON e.segment_id = s.id
               JOIN embedding_metadata m ON m.id = e.id AND m.key = 'chroma:document'
               WHERE d.name = 'default_database' AND d.tenant_id = 'default_tenant' AND c.name = ?1
                 AND m.string_value IS NOT NULL ORDER BY e.id";
    let mut statement = connection.prepare(sql).map_err(sqlite)?;
    let documents = statement.query_map([MIGRATION_LOG], |row| row.get(0)).map_err(sqlite)?;
    documents.collect::<rusqlite::Result<_>>().map_err(sqlite)
}

/// How many collections are in databases that MemPalace does not look into.
pub(crate) fn entries_elsewhere(connection: &Connection) -> Result<u64> {
    let sql = "SELECT count(*) FROM collections c JOIN databases d ON d.id = c.database_id
               WHERE d.name <> 'default_database' OR d.tenant_id <> 'default_tenant'";
    connection.query_row(sql, [], |row| row.get(0)).map_err(sqlite)
}

/// The width of a collection now; `None` if it was dropped.
pub(crate) fn dimension(connection: &Connection, id: &str) -> Result<Option<Option<u32>>> {
    let mut statement = connection.prepare_cached("SELECT dimension FROM collections WHERE id = ?1").map_err(sqlite)?;
    let found = statement.query_row([id], |row| row.get::<_, Option<i64>>(0)).optional().map_err(sqlite)?;
    found.map(checked_dimension).transpose()
}

/// Whether the database has a table.
pub(crate) fn has_table(connection: &Connection, table: &str) -> Result<bool> {
    let sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1";
    connection.prepare_cached(sql).and_then(|mut found| found.exists([table])).map_err(sqlite)
}

fn column_or_null(connection: &Connection, table: &str, column: &'static str) -> Result<&'static str> {
    let sql = "SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2";
    let found = connection.prepare(sql).and_then(|mut found| found.exists([table, column])).map_err(sqlite)?;
    Ok(if found { column } else { "NULL" })
}

fn entry(row: &Row<'_>) -> Result<Entry> {
    let text = |at: usize| row.get::<_, Option<String>>(at).map_err(sqlite);
    let recorded = match text(3)? {
        Some(space) => Some(space),
        None => text(4)?.as_deref().and_then(space_of_schema).or(text(5)?.as_deref().and_then(space_of_configuration)),
    };
    Ok(Entry {
        name: row.get(0).map_err(sqlite)?,
        id: row.get(1).map_err(sqlite)?,
        incarnation: text(9)?,
        dimension: checked_dimension(row.get::<_, Option<i64>>(2).map_err(sqlite)?.or(row.get(10).map_err(sqlite)?))?,
        metric: recorded.as_deref().map_or(Some(Metric::L2), Metric::from_name),
        metadata_segment: text(6)?,
        vector_segment: text(7)?,
        sync_threshold: match row.get::<_, Option<i64>>(8).map_err(sqlite)? {
            Some(threshold) => u64::try_from(threshold).unwrap_or(SYNC_THRESHOLD),
            None => threshold_of(text(4)?.as_deref(), text(5)?.as_deref()).unwrap_or(SYNC_THRESHOLD),
        },
        settings: Map::new(),
    })
}

fn checked_dimension(dimension: Option<i64>) -> Result<Option<u32>> {
    let Some(dimension) = dimension else { return Ok(None) };
    let narrow = u32::try_from(dimension).ok().filter(|width| (1..=MAX_DIMENSION).contains(width));
    let refused = || Error::new(ErrorKind::Corrupt, format!("the collection has vectors of {dimension} components"));
    narrow.map(Some).ok_or_else(refused)
}

/// Where the schema of Chroma 1.x has what concerns vectors.
const IN_SCHEMA: &str = "/keys/#embedding/float_list/vector_index/config";

/// The metric in the schema of Chroma 1.x.
fn space_of_schema(text: &str) -> Option<String> {
    let schema: Value = serde_json::from_str(text).ok()?;
    schema.pointer(IN_SCHEMA)?.get("space")?.as_str().map(str::to_owned)
}

/// The settings of the index in the schema, else in the configuration.
fn index_configuration(schema: Option<&str>, configuration: Option<&str>) -> Option<Value> {
    let parsed = |text: Option<&str>| serde_json::from_str::<Value>(text?).ok();
    let in_schema = || parsed(schema)?.pointer(IN_SCHEMA)?.get("hnsw").cloned();
    let in_configuration = || {
        let configuration = parsed(configuration)?;
        ["hnsw", "hnsw_configuration"].iter().find_map(|part| configuration.get(part)).cloned()
    };
    in_schema().or_else(in_configuration)
}

fn threshold_of(schema: Option<&str>, configuration: Option<&str>) -> Option<u64> {
    index_configuration(schema, configuration)?.get("sync_threshold")?.as_u64()
}

/// The metric in the configuration of Chroma 0.6 and early 1.x.
fn space_of_configuration(text: &str) -> Option<String> {
    let configuration: Value = serde_json::from_str(text).ok()?;
    ["hnsw", "hnsw_configuration"]
        .iter()
        .find_map(|part| configuration.get(part)?.get("space")?.as_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metric_is_found_wherever_a_version_keeps_it() {
        let schema = r##"{"keys":{"#embedding":{"float_list":{"vector_index":{"config":{"space":"cosine"}}}}}}"##;
        assert_eq!(space_of_schema(schema).as_deref(), Some("cosine"));
        assert_eq!(space_of_configuration(r#"{"hnsw_configuration":{"space":"ip"}}"#).as_deref(), Some("ip"));
        assert_eq!(space_of_configuration(r#"{"hnsw":{"space":"l2"}}"#).as_deref(), Some("l2"));
        for text in ["", "{}", "[]", "nonsense", r#"{"hnsw":3}"#] {
            assert_eq!((space_of_schema(text), space_of_configuration(text)), (None, None), "{text}");
        }
    }

    #[test]
    fn the_threshold_is_found_wherever_a_version_keeps_it() {
        let schema =
            r##"{"keys":{"#embedding":{"float_list":{"vector_index":{"config":{"hnsw":{"sync_threshold":7}}}}}}}"##;
        assert_eq!(threshold_of(Some(schema), None), Some(7));
        assert_eq!(threshold_of(Some("{}"), Some(r#"{"hnsw_configuration":{"sync_threshold":8}}"#)), Some(8));
        assert_eq!(threshold_of(None, Some("nonsense")), None);
    }

    #[test]
    fn an_absurd_dimension_is_refused() {
        for dimension in [-1, 0, 65_537, i64::MAX] {
            assert_eq!(checked_dimension(Some(dimension)).unwrap_err().kind(), ErrorKind::Corrupt, "{dimension}");
        }
        assert_eq!(checked_dimension(Some(384)).unwrap(), Some(384));
    }
}
