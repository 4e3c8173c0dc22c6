//! A writer as Chroma is one, on the tables and files of a fixture, and a target that follows it.

use crate::ChromaBackend;
use crate::read::fixture::{COLLECTION, Fixture, METADATA, Seen, VECTOR, database_of, scan};
use futures::TryStreamExt;
use palanquin_engine::contract::{
    Backend, ChangeBatch, Collection, Cursor, ErrorKind, KeyRange, OpenMode, PalaceRef, Result,
};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, IteratorRandom};
use rand::{Rng, SeedableRng};
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const OTHER: &str = "44444444-4444-4444-4444-444444444444";
const OTHER_METADATA: &str = "55555555-5555-5555-5555-555555555555";
const ADD: u8 = 0;
const UPDATE: u8 = 1;
const UPSERT: u8 = 2;
const DELETE: u8 = 3;

/// A logged operation: number, operation, id, text, vector.
type Logged = (i64, u8, String, Option<String>, Option<f32>);

/// Writes as Chroma does: the log, then the tables, and at times the index, after which the log is purged.
pub(super) struct Writer {
    pub(super) fixture: Fixture,
    /// What the collection holds: text and the vector's first component; the second is 0.
    pub(super) rows: BTreeMap<String, (String, f32)>,
    seq: i64,
    newest: i64,
    behind: Vec<Logged>,
}

impl Writer {
    pub(super) fn new() -> Self {
        let fixture = Fixture::empty();
        Self { fixture, rows: BTreeMap::new(), seq: 0, newest: 0, behind: Vec::new() }
    }

    pub(super) fn upsert(&mut self, id: &str, text: &str, vector: f32) {
        self.log(UPSERT, id, Some(text), Some(vector));
        self.catch_up();
    }

    pub(super) fn delete(&mut self, id: &str) {
        self.log(DELETE, id, None, None);
        self.catch_up();
    }

    /// Logs an operation; the tables stay behind.
    pub(super) fn log(&mut self, operation: u8, id: &str, text: Option<&str>, vector: Option<f32>) {
        self.seq += 1;
        self.newest = self.seq;
        let metadata = text.map(|text| serde_json::json!({ "text": text }).to_string());
        self.fixture.log(self.seq, operation, id, vector.map(|x| [x, 0.0]), metadata.as_deref());
        self.behind.push((self.seq, operation, id.to_owned(), text.map(str::to_owned), vector));
        let row = self.rows.get(id).cloned();
        let of = |row: Option<(String, f32)>| {
            let (old_text, old_vector) = row.unwrap_or_default();
            (text.map_or(old_text, str::to_owned), vector.unwrap_or(old_vector))
        };
        match (operation, row) {
            (ADD, Some(_)) | (UPDATE, None) => {}
            (DELETE, _) => drop(self.rows.remove(id)),
            (_, row) => drop(self.rows.insert(id.to_owned(), of(row))),
        }
    }

    /// Brings the tables up to the log.
    pub(super) fn catch_up(&mut self) {
        let database = &self.fixture.database;
        database.execute_batch("BEGIN").unwrap();
        for (seq, operation, id, text, _) in std::mem::take(&mut self.behind) {
            let sql = "SELECT id FROM embeddings WHERE segment_id = ?1 AND embedding_id = ?2";
            let row: Option<i64> = database.query_row(sql, (METADATA, &id), |row| row.get(0)).optional().unwrap();
            match (operation, row) {
                (ADD, Some(_)) | (UPDATE, None) | (DELETE, None) => {}
                (DELETE, Some(row)) => {
                    database.execute("DELETE FROM embedding_metadata WHERE id = ?1", [row]).unwrap();
                    database.execute("DELETE FROM embeddings WHERE id = ?1", [row]).unwrap();
                }
                (_, row) => {
                    let row = row.unwrap_or_else(|| {
                        let sql = "INSERT INTO embeddings (segment_id, embedding_id, seq_id) VALUES (?1, ?2, 0)";
                        database.execute(sql, (METADATA, &id)).unwrap();
                        database.last_insert_rowid()
                    });
                    database.execute("UPDATE embeddings SET seq_id = ?2 WHERE id = ?1", (row, seq)).unwrap();
                    if let Some(text) = text {
                        let sql =
                            "INSERT OR REPLACE INTO embedding_metadata (id, key, string_value) VALUES (?1, 'text', ?2)";
                        database.execute(sql, (row, text)).unwrap();
                    }
                }
            }
        }
        self.fixture.set_max(METADATA, self.newest);
        database.execute_batch("COMMIT").unwrap();
    }

    /// Writes the index and purges the log, but for the newest operation.
    pub(super) fn flush(&mut self) {
        self.catch_up();
        if self.newest == 0 {
            return;
        }
        let elements: Vec<_> =
            self.rows.iter().zip(1..).map(|((id, (_, x)), label)| (id.as_str(), label, [1.0, 0.0], *x)).collect();
        self.fixture.write_index(&elements);
        self.fixture.set_max(VECTOR, self.newest);
        let sql = "DELETE FROM embeddings_queue WHERE seq_id < ?1 AND topic LIKE '%' || ?2";
        self.fixture.database.execute(sql, (self.newest, COLLECTION)).unwrap();
    }

    /// An operation on another collection, which may be purged at once.
    pub(super) fn write_elsewhere(&mut self, id: &str, purged: bool) {
        self.seq += 1;
        let database = &self.fixture.database;
        let sql = "INSERT INTO embeddings (segment_id, embedding_id, seq_id) VALUES (?1, ?2, ?3)
                   ON CONFLICT DO UPDATE SET seq_id = excluded.seq_id";
        database.execute(sql, params![OTHER_METADATA, id, self.seq]).unwrap();
        let sql = "INSERT INTO embeddings_queue (seq_id, operation, topic, id) VALUES (?1, 2, 'persistent://default/default/' || ?2, ?3)";
        database.execute(sql, params![self.seq, OTHER, id]).unwrap();
        if purged {
            let sql = "DELETE FROM embeddings_queue WHERE seq_id < ?1 AND topic LIKE '%' || ?2";
            database.execute(sql, params![self.seq, OTHER]).unwrap();
        }
    }

    /// What a reader must see.
    pub(super) fn expected(&self) -> BTreeMap<String, Seen> {
        let row = |(id, (text, x)): (&String, &(String, f32))| {
            let metadata = serde_json::json!({ "text": text }).to_string();
            (id.clone(), (id.clone(), None, metadata, Some(vec![*x, 0.0])))
        };
        self.rows.iter().map(row).collect()
    }

    /// One random operation, or some that belong together.
    pub(super) fn step(&mut self, random: &mut StdRng) {
        let id = format!("id-{:03}", random.random_range(0..60));
        let text = random.random::<u16>().to_string();
        let vector = f32::from(random.random_range(1..1000u16));
        match random.random_range(0..100) {
            0..30 => self.upsert(&id, &text, vector),
            30..40 => self.log(ADD, &id, Some(&text), Some(vector)),
            40..50 => self.log(UPDATE, &id, Some(&text), None),
            50..55 => self.log(UPDATE, &id, None, Some(vector)),
            55..75 => self.log(DELETE, &id, None, None),
            75..80 => {
                self.delete(&id);
                self.upsert(&id, &text, vector);
            }
            80..88 => self.write_elsewhere(&id, random.random()),
            88..94 => self.flush(),
            _ => self.catch_up(),
        }
        if random.random_bool(0.8) {
            self.catch_up();
        }
    }
}

/// Opens the collection as a new process would, or as this one if `backend` is known.
pub(super) async fn open(backend: &ChromaBackend, path: &Path) -> Arc<dyn Collection> {
    let palace = backend.open(&PalaceRef::local(path), OpenMode::Read.into()).await.unwrap();
    palace.collection("drawers").await.unwrap()
}

/// A target: a copy, and how far it is.
pub(super) struct Mirror {
    pub(super) source: Arc<dyn Collection>,
    pub(super) cursor: Cursor,
    pub(super) rows: BTreeMap<String, Seen>,
    /// Whether another process took the cursor.
    pub(super) taken_over: bool,
}

impl Mirror {
    /// Takes the feed's head, then copies; `between` may write meanwhile.
    pub(super) async fn copy(source: Arc<dyn Collection>, between: impl FnOnce()) -> Self {
        let cursor = source.feed_head().await.unwrap().unwrap().cursor;
        between();
        let rows = scan(source.as_ref(), KeyRange::ALL, 7).await.unwrap();
        let rows = rows.into_iter().map(|row| (row.0.clone(), row)).collect();
        Self { source, cursor, rows, taken_over: false }
    }

    /// Applies what has changed; how many batches that were.
    pub(super) async fn follow(&mut self, batch_rows: usize) -> Result<usize> {
        let batches: Vec<ChangeBatch> = self.source.changes_since(&self.cursor, batch_rows).try_collect().await?;
        for (at, batch) in batches.iter().enumerate() {
            assert!(batch.rows() <= batch_rows, "{} rows in a batch of {batch_rows}", batch.rows());
            assert_eq!(batch.cursor.is_some(), at + 1 == batches.len(), "the cursor comes with the last batch");
            batch.deletes.iter().for_each(|id| drop(self.rows.remove(id)));
            for row in batch.upserts.iter().flat_map(|batch| batch.rows()) {
                assert!(!batch.deletes.iter().any(|id| id == row.id), "{} is deleted and written", row.id);
                let vector = row.embedding.map(<[f32]>::to_vec);
                let seen = (row.id.to_owned(), row.document.map(str::to_owned), row.metadata.to_owned(), vector);
                self.rows.insert(row.id.to_owned(), seen);
            }
            if let Some(cursor) = &batch.cursor {
                self.cursor = cursor.clone();
            }
        }
        Ok(batches.len())
    }
}

/// Several targets follow a random history, each at its own pace; processes end and new ones take over.
async fn follow_a_history(seed: u64) -> (usize, usize) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut writer = Writer::new();
    for _ in 0..random.random_range(1..60) {
        writer.step(&mut random);
    }
    writer.upsert("first", "", 1.0);
    let path = writer.fixture.path.clone();
    let mut backend = ChromaBackend::new();
    let mut mirrors = Vec::new();
    let (mut followed, mut expired) = (0, 0);
    for round in 0..60 {
        for _ in 0..random.random_range(0..12) {
            writer.step(&mut random);
        }
        if mirrors.len() < 3 {
            let copied = Mirror::copy(open(&backend, &path).await, || {
                (0..random.random_range(0..20)).for_each(|_| writer.step(&mut random));
            });
            mirrors.push(copied.await);
        }
        if random.random_bool(0.1) {
            backend = ChromaBackend::new();
            for mirror in &mut mirrors {
                mirror.source = open(&backend, &path).await;
                mirror.taken_over = true;
            }
        }
        let batch_rows = *[1, 2, 5, 1000].choose(&mut random).unwrap();
        let at = (0..mirrors.len()).choose(&mut random).unwrap();
        match mirrors[at].follow(batch_rows).await {
            Ok(_) => {
                followed += 1;
                mirrors[at].taken_over = false;
                assert_eq!(mirrors[at].rows, writer.expected(), "seed {seed}, round {round}, target {at}");
                assert_eq!(mirrors[at].source.feed_head().await.unwrap().unwrap().cursor, mirrors[at].cursor);
                assert_eq!(mirrors[at].follow(batch_rows).await.unwrap(), 0, "seed {seed}: nothing has changed");
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::CursorExpired, "seed {seed}: {error}");
                assert!(mirrors[at].taken_over, "seed {seed}, round {round}: a cursor of this process expired");
                assert!(error.to_string().contains("full comparison needed"), "{error}");
                mirrors.remove(at);
                expired += 1;
            }
        }
    }
    (followed, expired)
}

#[tokio::test]
async fn a_target_that_follows_a_random_history_equals_the_source_at_every_checkpoint() {
    let first = std::env::var("PALANQUIN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let (mut followed, mut expired) = (0, 0);
    for seed in first..first + 10 {
        println!("seed {seed}");
        let (f, e) = follow_a_history(seed).await;
        (followed, expired) = (followed + f, expired + e);
    }
    println!("{followed} checkpoints, {expired} cursors expired");
    assert!(followed > expired && expired > 0);
}

#[tokio::test]
async fn following_leaves_the_palace_as_it_was() {
    let mut writer = Writer::new();
    (0..50).for_each(|i| writer.upsert(&format!("{i}"), "t", 1.0));
    writer.flush();
    writer.delete("7");
    let files = |path: &Path| -> BTreeMap<_, _> {
        let entries = std::fs::read_dir(path).unwrap().chain(std::fs::read_dir(path.join(VECTOR)).unwrap());
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.map(|path| (path.clone(), path.is_file().then(|| std::fs::read(&path).unwrap()))).collect()
    };
    let before = files(&writer.fixture.path);
    let backend = ChromaBackend::new();
    let mut mirror = Mirror::copy(open(&backend, &writer.fixture.path).await, || {}).await;
    mirror.follow(10).await.unwrap();
    assert!(files(&writer.fixture.path) == before);
    assert!(database_of(&writer.fixture.path).exists());
}
