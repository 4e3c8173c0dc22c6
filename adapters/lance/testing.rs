//! What the tests of several modules share.

use crate::LanceBackend;
use crate::durability::FileSync;
use arrow_array::{Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use futures::TryStreamExt;
use palanquin_engine::contract::{
    Backend, ChangeBatch, Collection, CollectionSpec, ErrorKind, KeyRange, Metric, OpenMode, Palace, PalaceRef, Result,
    ScanOrder, ScanRequest,
};
use palanquin_engine::rows::{Row, RowBatch, RowBatchBuilder};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Remembers what was synced.
#[derive(Default)]
pub(crate) struct Recorder {
    paths: Mutex<Vec<PathBuf>>,
    /// How many more succeed before one fails.
    succeed: Mutex<Option<usize>>,
}

impl Recorder {
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.paths.lock().unwrap().clone()
    }

    pub(crate) fn take(&self) -> Vec<PathBuf> {
        std::mem::take(&mut self.paths.lock().unwrap())
    }

    pub(crate) fn fail_next(&self) {
        self.fail_after(0);
    }

    pub(crate) fn fail_after(&self, succeed: usize) {
        *self.succeed.lock().unwrap() = Some(succeed);
    }

    fn record(&self, path: &Path) -> io::Result<()> {
        let mut succeed = self.succeed.lock().unwrap();
        *succeed = match *succeed {
            Some(0) => {
                *succeed = None;
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            left => left.map(|left| left - 1),
        };
        assert!(path.exists(), "{path:?}");
        self.paths.lock().unwrap().push(path.to_owned());
        Ok(())
    }
}

impl FileSync for Recorder {
    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.record(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.record(path)
    }
}

/// A palace in a directory of its own.
pub(crate) struct TestPalace {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) palace: Arc<dyn Palace>,
}

impl TestPalace {
    pub(crate) async fn new() -> Self {
        Self::with(LanceBackend::new()).await
    }

    pub(crate) async fn with(backend: LanceBackend) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let palace = backend.open(&PalaceRef::local(directory.path()), OpenMode::Create.into()).await.unwrap();
        Self { directory, palace }
    }

    /// The palace as another process would open it.
    pub(crate) async fn again(&self) -> Arc<dyn Palace> {
        LanceBackend::new().open(&PalaceRef::local(self.directory.path()), OpenMode::Write.into()).await.unwrap()
    }

    /// The same, with leave to make the palace if it is not one any more.
    pub(crate) async fn again_to_create(&self) -> Arc<dyn Palace> {
        LanceBackend::new().open(&PalaceRef::local(self.directory.path()), OpenMode::Create.into()).await.unwrap()
    }

    pub(crate) async fn collection(&self) -> Arc<dyn Collection> {
        self.palace.create_collection(&spec("c", DIMENSION)).await.unwrap()
    }

    /// The table behind a collection, for what the contract has no word for.
    pub(crate) async fn table(&self, name: &str) -> lancedb::Table {
        self.connection().await.open_table(name).execute().await.unwrap()
    }

    /// A table in our columns made by someone else: ids may be null or repeated, metadata is in any form.
    pub(crate) async fn foreign_table(&self, name: &str, ids: StringArray, metadata: StringArray) {
        let vectors = DataType::FixedSizeList(Arc::new(Field::new("element", DataType::Float32, true)), 2);
        let schema = Arc::new(Schema::new(vec![
            Field::new("embedding", vectors.clone(), true),
            Field::new("metadata", DataType::Utf8, true),
            Field::new("id", DataType::Utf8, true),
            Field::new("document", DataType::Utf8, true),
        ]));
        let columns: Vec<Arc<dyn Array>> = vec![
            arrow_array::new_null_array(&vectors, ids.len()),
            Arc::new(metadata),
            Arc::new(ids.clone()),
            Arc::new(ids),
        ];
        let batch = RecordBatch::try_new(schema, columns).unwrap();
        self.connection().await.create_table(name, batch).execute().await.unwrap();
    }

    pub(crate) async fn connection(&self) -> lancedb::Connection {
        lancedb::connect(self.directory.path().to_str().unwrap()).execute().await.unwrap()
    }
}

pub(crate) const DIMENSION: u32 = 4;

pub(crate) fn spec(name: &str, dimension: u32) -> CollectionSpec {
    CollectionSpec {
        name: name.into(),
        dimension,
        metric: Metric::Cosine,
        identity: None,
        incarnation: uuid::Uuid::new_v4().to_string(),
        settings: Default::default(),
    }
}

/// One row, owned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Owned {
    pub(crate) id: String,
    pub(crate) document: Option<String>,
    pub(crate) metadata: String,
    pub(crate) embedding: Option<Vec<f32>>,
}

impl Owned {
    pub(crate) fn of(row: Row<'_>) -> Self {
        Self {
            id: row.id.into(),
            document: row.document.map(Into::into),
            metadata: row.metadata.into(),
            embedding: row.embedding.map(Into::into),
        }
    }
}

/// A row whose every field follows from its id and a number.
pub(crate) fn row(id: impl Into<String>, n: i64) -> Owned {
    let id = id.into();
    Owned {
        document: (n % 5 != 1).then(|| format!("document {n} of {id}")),
        metadata: if n % 7 == 2 { "{}".into() } else { format!(r#"{{"n":{n}}}"#) },
        embedding: (n % 6 != 3).then(|| vec![n as f32, -0.0, 0.5, 1e-40]),
        id,
    }
}

pub(crate) fn rows(rows: &[Owned]) -> RowBatch {
    let width = rows.iter().find_map(|row| row.embedding.as_ref()).map_or(DIMENSION, |vector| vector.len() as u32);
    let mut builder = RowBatchBuilder::with_capacity(rows.len(), width);
    for row in rows {
        let row = Row {
            id: &row.id,
            document: row.document.as_deref(),
            metadata: &row.metadata,
            embedding: row.embedding.as_deref(),
        };
        builder.push(row).unwrap();
    }
    builder.finish().unwrap()
}

pub(crate) fn upserts(of: &[Owned]) -> ChangeBatch {
    ChangeBatch::upserts(rows(of))
}

pub(crate) fn changes(of: &[Owned], deletes: &[&str]) -> ChangeBatch {
    let upserts = (!of.is_empty()).then(|| rows(of));
    ChangeBatch { upserts, deletes: deletes.iter().map(|id| (*id).to_owned()).collect(), ..ChangeBatch::default() }
}

pub(crate) async fn scan(collection: &dyn Collection, range: KeyRange, order: ScanOrder, batch: usize) -> Vec<Owned> {
    try_scan(collection, range, order, batch).await.unwrap()
}

pub(crate) async fn try_scan(
    collection: &dyn Collection,
    range: KeyRange,
    order: ScanOrder,
    batch_rows: usize,
) -> Result<Vec<Owned>> {
    let batches: Vec<RowBatch> = collection.scan(ScanRequest { range, order, batch_rows }).try_collect().await?;
    assert!(batches.iter().all(|batch| !batch.is_empty() && batch.len() <= batch_rows));
    Ok(batches.iter().flat_map(|batch| batch.rows().map(Owned::of).collect::<Vec<_>>()).collect())
}

pub(crate) async fn contents(collection: &dyn Collection) -> BTreeMap<String, Owned> {
    let rows = scan(collection, KeyRange::ALL, ScanOrder::Any, 1000).await;
    let count = rows.len();
    let contents: BTreeMap<_, _> = rows.into_iter().map(|row| (row.id.clone(), row)).collect();
    assert_eq!(contents.len(), count, "an id is there twice");
    contents
}

pub(crate) fn kind<T>(result: Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("it should have failed"),
        Err(error) => error.kind(),
    }
}

/// Every file and directory below a path.
pub(crate) fn tree(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        found.push(path.clone());
        if path.is_dir() {
            found.extend(tree(&path));
        }
    }
    found.sort();
    found
}
