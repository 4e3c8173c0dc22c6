//! Palaces for these tests: rows as JSON, vectors by the bits of their components.

use futures::TryStreamExt;
use palanquin_engine::contract::{
    Backend, ChangeBatch, Collection, CollectionSpec, KeyRange, Metric, OpenMode, Palace, PalaceRef, ScanOrder,
    ScanRequest, enforce,
};
use palanquin_engine::rows::{Row, RowBatch, RowBatchBuilder, canonical_metadata};
use palanquin_postgres::{PostgresBackend, PostgresOptions};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) fn backend(options: PostgresOptions) -> Arc<dyn Backend> {
    enforce(Arc::new(PostgresBackend::new(options)))
}

pub(crate) fn spec(name: &str, dimension: u32) -> CollectionSpec {
    let incarnation = format!("of-{name}");
    CollectionSpec {
        name: name.to_owned(),
        dimension,
        metric: Metric::Cosine,
        identity: None,
        incarnation,
        settings: Default::default(),
    }
}

pub(crate) async fn palace(options: PostgresOptions, id: &str) -> Arc<dyn Palace> {
    let reference = PalaceRef { id: id.to_owned(), local_path: None, namespace: None };
    backend(options).open(&reference, OpenMode::Create.into()).await.unwrap()
}

pub(crate) async fn drawers(options: PostgresOptions, dimension: u32) -> Arc<dyn Collection> {
    drawers_of(palace(options, "palace").await.as_ref(), dimension).await
}

pub(crate) async fn drawers_of(palace: &dyn Palace, dimension: u32) -> Arc<dyn Collection> {
    palace.create_collection(&spec("mempalace_drawers", dimension)).await.unwrap()
}

pub(crate) fn numbered(range: std::ops::Range<u32>, width: usize) -> Vec<Value> {
    let row = |n: u32| {
        let vector: Vec<u32> = (0..width).map(|i| ((n * 31 + i as u32) as f32 * 0.01).to_bits()).collect();
        json!({"id": format!("row-{n:07}"), "document": format!("document {n}"), "metadata": {"n": n}, "embedding": vector})
    };
    range.map(row).collect()
}

pub(crate) fn rows(rows: &[Value]) -> RowBatch {
    let vector = |row: &Value| -> Vec<f32> {
        let bits = row["embedding"].as_array().unwrap().iter();
        bits.map(|bits| f32::from_bits(u32::try_from(bits.as_u64().unwrap()).unwrap())).collect()
    };
    let width = rows.first().map_or(0, |row| row["embedding"].as_array().unwrap().len());
    let mut batch = RowBatchBuilder::with_capacity(rows.len(), width as u32);
    for row in rows {
        let metadata = canonical_metadata(row["metadata"].as_object().unwrap());
        let (id, document) = (row["id"].as_str().unwrap(), row["document"].as_str());
        batch.push(Row { id, document, metadata: &metadata, embedding: Some(&vector(row)) }).unwrap();
    }
    batch.finish().unwrap()
}

pub(crate) fn batch(given: &[Value]) -> ChangeBatch {
    ChangeBatch::upserts(rows(given))
}

pub(crate) async fn rows_of(collection: &dyn Collection) -> Vec<Value> {
    let request = ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows: 1_000 };
    let batches: Vec<RowBatch> = collection.scan(request).try_collect().await.unwrap();
    let row = |row: Row<'_>| {
        let bits: Vec<u32> = row.embedding.unwrap_or_default().iter().map(|component| component.to_bits()).collect();
        let metadata: Value = serde_json::from_str(row.metadata).unwrap();
        json!({"id": row.id, "document": row.document, "metadata": metadata, "embedding": bits})
    };
    batches.iter().flat_map(|batch| batch.rows().map(row).collect::<Vec<_>>()).collect()
}
