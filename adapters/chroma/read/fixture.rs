//! A palace made by hand, for tests: Chroma's tables, segments' files, no Chroma.

use crate::layout::header::tests::header_bytes;
use crate::layout::pickle::tests::chroma_pickle;
use palanquin_engine::contract::{Backend, Collection, KeyRange, OpenMode, PalaceRef, Result, ScanOrder, ScanRequest};
use rusqlite::{Connection, params};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Chroma 1.5.9's tables, as far as they are read, with one empty collection `drawers` of two dimensions, cosine.
const SCHEMA: &str = "
    CREATE TABLE migrations (dir TEXT, version INTEGER, filename TEXT, sql TEXT, hash TEXT, PRIMARY KEY (dir, version));
    INSERT INTO migrations VALUES ('sysdb', 10, '', '', ''), ('metadb', 6, '', '', ''), ('embeddings_queue', 2, '', '', '');
    CREATE TABLE databases (id TEXT PRIMARY KEY, name TEXT NOT NULL, tenant_id TEXT NOT NULL);
    INSERT INTO databases VALUES ('00000000-0000-0000-0000-000000000000', 'default_database', 'default_tenant');
    CREATE TABLE collections (id TEXT PRIMARY KEY, name TEXT NOT NULL, dimension INTEGER, database_id TEXT NOT NULL,
        config_json_str TEXT, schema_str TEXT, UNIQUE (name, database_id));
    CREATE TABLE collection_metadata (collection_id TEXT, key TEXT NOT NULL, str_value TEXT, int_value INTEGER,
        float_value REAL, bool_value INTEGER, PRIMARY KEY (collection_id, key));
    CREATE TABLE segments (id TEXT PRIMARY KEY, type TEXT NOT NULL, scope TEXT NOT NULL, collection TEXT NOT NULL);
    CREATE TABLE embeddings (id INTEGER PRIMARY KEY, segment_id TEXT NOT NULL, embedding_id TEXT NOT NULL,
        seq_id BLOB NOT NULL, created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, UNIQUE (segment_id, embedding_id));
    CREATE TABLE embedding_metadata (id INTEGER, key TEXT NOT NULL, string_value TEXT, int_value INTEGER,
        float_value REAL, bool_value INTEGER, PRIMARY KEY (id, key));
    CREATE TABLE embedding_metadata_array (id INTEGER NOT NULL, key TEXT NOT NULL, string_value TEXT,
        int_value INTEGER, float_value REAL, bool_value INTEGER);
    CREATE TABLE max_seq_id (segment_id TEXT PRIMARY KEY, seq_id);
    CREATE TABLE embeddings_queue (seq_id INTEGER PRIMARY KEY, created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
        operation INTEGER NOT NULL, topic TEXT NOT NULL, id TEXT NOT NULL, vector BLOB, encoding TEXT, metadata TEXT);
    INSERT INTO collections VALUES ('11111111-1111-1111-1111-111111111111', 'drawers', 2,
        '00000000-0000-0000-0000-000000000000', '{}', NULL);
    INSERT INTO collection_metadata (collection_id, key, str_value)
        VALUES ('11111111-1111-1111-1111-111111111111', 'hnsw:space', 'cosine');
    INSERT INTO segments VALUES
        ('22222222-2222-2222-2222-222222222222', '', 'METADATA', '11111111-1111-1111-1111-111111111111'),
        ('33333333-3333-3333-3333-333333333333', '', 'VECTOR', '11111111-1111-1111-1111-111111111111');";

pub(crate) const COLLECTION: &str = "11111111-1111-1111-1111-111111111111";
pub(crate) const METADATA: &str = "22222222-2222-2222-2222-222222222222";
pub(crate) const VECTOR: &str = "33333333-3333-3333-3333-333333333333";

/// A row as it was read: id, document, metadata, vector.
pub(crate) type Seen = (String, Option<String>, String, Option<Vec<f32>>);

/// A palace in a temporary directory.
pub(crate) struct Fixture {
    _folder: tempfile::TempDir,
    pub(crate) path: PathBuf,
    pub(crate) database: Connection,
}

impl Fixture {
    /// With the one collection, empty.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("palace");
        std::fs::create_dir(&path).unwrap();
        let database = Connection::open(path.join("chroma.sqlite3")).unwrap();
        database.execute_batch("PRAGMA synchronous = OFF").unwrap();
        database.execute_batch(SCHEMA).unwrap();
        Self { _folder: folder, path, database }
    }

    /// With rows `a`, `b` and `c` that were flushed; `b` has label 1 in slot 2, `c` label 2 in slot 1.
    pub(crate) fn flushed() -> Self {
        let fixture = Self::empty();
        for id in ["a", "b", "c"] {
            fixture.add_row(id, &[("chroma:document", &id.to_uppercase()), ("wing", "w")]);
        }
        fixture.set_max(METADATA, 3);
        fixture.set_max(VECTOR, 3);
        fixture.write_index(&[("a", 3, [1.0, 0.0], 2.0), ("c", 2, [0.0, 1.0], 3.0), ("b", 1, [0.6, 0.8], 5.0)]);
        fixture
    }

    pub(crate) fn segment(&self) -> PathBuf {
        self.path.join(VECTOR)
    }

    /// Writes the index's files: slot by slot an id, its label, its direction and its norm.
    pub(crate) fn write_index(&self, elements: &[(&str, u32, [f32; 2], f32)]) {
        std::fs::create_dir_all(self.segment()).unwrap();
        let (mut data, mut length) = (Vec::new(), Vec::new());
        for (_, label, vector, norm) in elements {
            data.extend([0; 132]);
            data.extend(vector.iter().flat_map(|component| component.to_le_bytes()));
            data.extend(u64::from(*label).to_le_bytes());
            length.extend(norm.to_le_bytes());
        }
        let ids: Vec<(&str, u32)> = elements.iter().map(|(id, label, ..)| (*id, *label)).collect();
        self.write("header.bin", &header_bytes(2, 100, elements.len() as u64));
        self.write("data_level0.bin", &data);
        self.write("length.bin", &length);
        self.write("link_lists.bin", &vec![0; 4 * elements.len()]);
        self.write("index_metadata.pickle", &chroma_pickle(&ids));
    }

    /// Writes a file of the segment, so long ago that it cannot be half done.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.segment().join(name);
        std::fs::write(&path, bytes).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    }

    pub(crate) fn add_row(&self, id: &str, metadata: &[(&str, &str)]) {
        let sql = "INSERT INTO embeddings (segment_id, embedding_id, seq_id) VALUES (?1, ?2, 1)";
        self.database.execute(sql, params![METADATA, id]).unwrap();
        let row = self.database.last_insert_rowid();
        for (key, value) in metadata {
            let sql = "INSERT INTO embedding_metadata (id, key, string_value) VALUES (?1, ?2, ?3)";
            self.database.execute(sql, params![row, key, value]).unwrap();
        }
    }

    pub(crate) fn set_max(&self, segment: &str, seq_id: i64) {
        let sql = "INSERT OR REPLACE INTO max_seq_id VALUES (?1, ?2)";
        self.database.execute(sql, params![segment, seq_id]).unwrap();
    }

    pub(crate) fn log(&self, seq_id: i64, operation: u8, id: &str, vector: Option<[f32; 2]>, metadata: Option<&str>) {
        let topic = format!("persistent://default/default/{COLLECTION}");
        let vector = vector.map(|v| v.iter().flat_map(|component| component.to_le_bytes()).collect::<Vec<u8>>());
        let sql = "INSERT INTO embeddings_queue (seq_id, operation, topic, id, vector, encoding, metadata)
                   VALUES (?1, ?2, ?3, ?4, ?5, 'FLOAT32', ?6)";
        self.database.execute(sql, params![seq_id, operation, topic, id, vector, metadata]).unwrap();
    }

    pub(crate) async fn open(&self) -> Result<Arc<dyn Collection>> {
        let palace = crate::ChromaBackend::new().open(&PalaceRef::local(&self.path), OpenMode::Read.into()).await?;
        palace.collection("drawers").await
    }

    /// Sets the index aside, as MemPalace does: a new one is begun and not yet written.
    pub(crate) fn quarantine(&self, name: &str) -> PathBuf {
        let aside = self.path.join(format!("{VECTOR}.{name}"));
        std::fs::rename(self.segment(), &aside).unwrap();
        std::fs::create_dir(self.segment()).unwrap();
        self.write("header.bin", &header_bytes(2, 100, 0));
        aside
    }

    /// Every row, in pages of `rows`.
    pub(crate) async fn scan(&self, rows: usize) -> Result<Vec<Seen>> {
        scan(self.open().await?.as_ref(), KeyRange::ALL, rows).await
    }
}

/// Every row of a range, in pages of `rows`.
pub(crate) async fn scan(collection: &dyn Collection, range: KeyRange, rows: usize) -> Result<Vec<Seen>> {
    use futures::TryStreamExt;
    let request = ScanRequest { range, order: ScanOrder::Any, batch_rows: rows };
    let batches: Vec<_> = collection.scan(request).try_collect().await?;
    assert!(batches.iter().all(|batch| (1..=rows).contains(&batch.len())));
    let rows = batches.iter().flat_map(|batch| batch.rows());
    let seen = rows.map(|row| {
        let vector = row.embedding.map(<[f32]>::to_vec);
        (row.id.to_owned(), row.document.map(str::to_owned), row.metadata.to_owned(), vector)
    });
    Ok(seen.collect())
}

/// The path of a palace's database.
pub(crate) fn database_of(palace: &Path) -> PathBuf {
    palace.join("chroma.sqlite3")
}
