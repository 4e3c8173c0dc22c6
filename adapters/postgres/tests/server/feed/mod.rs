//! The change log on real servers: what comes of what happens to rows, tables, servers and connections.

mod confirmed;
mod cut;
mod needs;
mod rows;
mod tables;
mod tls;

use crate::palace::{backend, rows_of, spec};
use futures::TryStreamExt;
use palanquin_engine::contract::{
    ChangeBatch, Collection, Cursor, Include, OpenMode, OpenOptions, Palace, PalaceRef, Result,
};
use palanquin_engine::rows::{Row, RowBatch};
use palanquin_postgres::PostgresOptions;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The palace, opened for a consumer.
async fn followed_by(options: PostgresOptions, consumer: &str) -> Arc<dyn Palace> {
    let reference = PalaceRef { id: "palace".to_owned(), local_path: None, namespace: None };
    let options_of_open = OpenOptions { consumer: Some(consumer.to_owned()), ..OpenMode::Create.into() };
    backend(options).open(&reference, options_of_open).await.unwrap()
}

/// A consumer no other test has.
fn consumer() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static MADE: AtomicU32 = AtomicU32::new(0);
    format!("t{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed))
}

/// The table of a collection, quoted.
async fn table_of(client: &tokio_postgres::Client, collection: &str) -> String {
    let statement = "SELECT quote_ident(relname) FROM pg_class WHERE relkind = 'r' AND relname LIKE '%' || $1";
    client.query_one(statement, &[&collection]).await.unwrap().get(0)
}

/// A copy of a collection, kept as core keeps one.
struct Copy {
    rows: BTreeMap<String, Value>,
    cursor: Cursor,
    /// Fields of the patches that came, and how many rows.
    patched: Vec<(Include, usize)>,
    batches: usize,
}

impl Copy {
    /// The rows there are, and the place in the feed before they were read.
    async fn of(collection: &dyn Collection) -> Self {
        let cursor = collection.feed_head().await.unwrap().unwrap().cursor;
        let rows = rows_of(collection).await;
        let id = |row: &Value| row["id"].as_str().unwrap().to_owned();
        let rows = rows.into_iter().map(|row| (id(&row), row)).collect();
        Self { rows, cursor, patched: Vec::new(), batches: 0 }
    }

    /// One step of the feed; whether there was anything.
    async fn step(&mut self, source: &dyn Collection, batch_rows: usize) -> Result<bool> {
        let mut moved = false;
        let mut changes = source.changes_since(&self.cursor, batch_rows);
        while let Some(batch) = changes.try_next().await? {
            moved = true;
            self.apply(source, batch, batch_rows).await;
        }
        Ok(moved)
    }

    async fn apply(&mut self, source: &dyn Collection, batch: ChangeBatch, batch_rows: usize) {
        assert!(batch.rows() <= batch_rows, "{} rows in a batch of at most {batch_rows}", batch.rows());
        self.batches += 1;
        if batch.emptied {
            self.rows.clear();
        }
        for id in batch.deletes {
            self.rows.remove(&id);
        }
        for row in batch.upserts.iter().flat_map(RowBatch::rows) {
            self.rows.insert(row.id.to_owned(), value(row));
        }
        for patch in batch.patches {
            self.patched.push((patch.fields, patch.rows.len()));
            for row in patch.rows.rows() {
                self.patch(source, row, patch.fields).await;
            }
        }
        if let Some(cursor) = batch.cursor {
            self.cursor = cursor;
        }
    }

    async fn patch(&mut self, source: &dyn Collection, row: Row<'_>, fields: Include) {
        let Some(there) = self.rows.get_mut(row.id) else {
            let whole = rows_of(source).await.into_iter().find(|there| there["id"] == row.id);
            self.rows.extend(whole.map(|whole| (row.id.to_owned(), whole)));
            return;
        };
        let new = value(row);
        for (known, field) in
            [(fields.documents, "document"), (fields.metadatas, "metadata"), (fields.embeddings, "embedding")]
        {
            if known {
                there[field] = new[field].clone();
            }
        }
    }

    /// Follows until the copy is equal to the collection, which nobody writes to any more.
    async fn catch_up(&mut self, source: &dyn Collection, batch_rows: usize) {
        let wanted = rows_of(source).await;
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            self.step(source, batch_rows).await.unwrap();
            if self.rows.values().eq(wanted.iter()) {
                return;
            }
            if Instant::now() > deadline {
                assert_eq!(self.rows.len(), wanted.len());
                for (copy, wanted) in self.rows.values().zip(&wanted) {
                    assert_eq!(copy, wanted);
                }
            }
        }
    }
}

fn value(row: Row<'_>) -> Value {
    let bits: Vec<u32> = row.embedding.unwrap_or_default().iter().map(|component| component.to_bits()).collect();
    let metadata: Value = serde_json::from_str(row.metadata).unwrap();
    json!({"id": row.id, "document": row.document, "metadata": metadata, "embedding": bits})
}

/// Asks until it holds; what is asked takes a round trip to the server each time.
async fn until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}");
    }
}

/// Text that does not compress.
fn random_text(seed: u64, length: usize) -> String {
    use rand::{Rng, SeedableRng};
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    (0..length).map(|_| char::from(random.sample(rand::distr::Alphanumeric))).collect()
}

/// The drawers of the palace, followed by a new consumer.
async fn drawers(options: PostgresOptions, width: u32) -> (Arc<dyn Palace>, Arc<dyn Collection>) {
    let palace = followed_by(options, &consumer()).await;
    let drawers = palace.create_collection(&spec("mempalace_drawers", width)).await.unwrap();
    (palace, drawers)
}
