//! Rows for these tests, and a collection to put them into.

use futures::TryStreamExt;
use palanquin_chroma::{ChromaServerBackend, ServerOptions};
use palanquin_engine::contract::{
    ChangeBatch, Collection, CollectionSpec, KeyRange, Metric, OpenMode, Palace, PalaceRef, ScanOrder, ScanRequest,
    enforce,
};
use palanquin_engine::rows::{Row, RowBatch, RowBatchBuilder, canonical_metadata};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) const DRAWERS: &str = "mempalace_drawers";
pub(crate) const WIDTH: u32 = 8;

pub(crate) fn spec(name: &str, incarnation: &str) -> CollectionSpec {
    let (name, incarnation) = (name.to_owned(), incarnation.to_owned());
    CollectionSpec {
        name,
        dimension: WIDTH,
        metric: Metric::Cosine,
        identity: None,
        incarnation,
        settings: Default::default(),
    }
}

pub(crate) async fn palace(options: ServerOptions) -> Arc<dyn Palace> {
    let reference = PalaceRef { id: "palace".into(), local_path: None, namespace: None };
    let backend = enforce(Arc::new(ChromaServerBackend::new(options)));
    backend.open(&reference, OpenMode::Create.into()).await.unwrap()
}

pub(crate) async fn drawers(options: ServerOptions) -> Arc<dyn Collection> {
    palace(options).await.create_collection(&spec(DRAWERS, "first")).await.unwrap()
}

pub(crate) fn numbered(range: std::ops::Range<u32>) -> Vec<Value> {
    let row = |n: u32| json!({"id": format!("row-{n:07}"), "document": format!("document {n}"), "metadata": {"n": n}});
    range.map(row).collect()
}

pub(crate) fn vector_of(id: &str) -> Vec<f32> {
    let seed = id.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    (0..WIDTH).map(|at| ((seed.wrapping_add(at * 7919) % 1000) as f32 + 1.0) / 1000.0).collect()
}

pub(crate) fn rows(rows: &[Value]) -> RowBatch {
    let mut batch = RowBatchBuilder::with_capacity(rows.len(), WIDTH);
    for row in rows {
        let metadata = canonical_metadata(row["metadata"].as_object().unwrap());
        let (id, document) = (row["id"].as_str().unwrap(), row["document"].as_str());
        batch.push(Row { id, document, metadata: &metadata, embedding: Some(&vector_of(id)) }).unwrap();
    }
    batch.finish().unwrap()
}

pub(crate) fn batch(given: &[Value]) -> ChangeBatch {
    ChangeBatch::upserts(rows(given))
}

/// Every row in order of ids; each has the vector its id stands for.
pub(crate) async fn rows_of(collection: &dyn Collection) -> Vec<Value> {
    let request = ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows: 1_000 };
    let batches: Vec<RowBatch> = collection.scan(request).try_collect().await.unwrap();
    let row = |row: Row<'_>| {
        let near = |(there, wanted): (&f32, f32)| (there - wanted).abs() <= 4.0 * f32::EPSILON * wanted.abs();
        assert!(row.embedding.unwrap().iter().zip(vector_of(row.id)).all(near), "{}", row.id);
        let metadata: Value = serde_json::from_str(row.metadata).unwrap();
        json!({"id": row.id, "document": row.document, "metadata": metadata})
    };
    batches.iter().flat_map(|batch| batch.rows().map(row).collect::<Vec<_>>()).collect()
}
