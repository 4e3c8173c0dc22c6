use crate::LanceBackend;
use crate::testing::{Owned, kind, row, rows, scan, spec, tree, try_scan};
use arrow_array::builder::{FixedSizeListBuilder, Float32Builder};
use arrow_array::{ArrayRef, Float32Array, Int32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use futures::TryStreamExt;
use palanquin_engine::contract::{
    Backend, Condition, Cursor, ErrorKind, Filter, GetRequest, KeyRange, OpenMode, Palace, PalaceRef, QueryRequest,
    Result, ScanOrder, Selection,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

const WIDTH: i32 = 8;
const MODEL: &str = "sentence-transformers/all-MiniLM-L6-v2";

/// The metadata columns of mempalace-code 1.16, in its order.
const COLUMNS: [(&str, DataType); 30] = [
    ("wing", DataType::Utf8),
    ("room", DataType::Utf8),
    ("source_file", DataType::Utf8),
    ("chunk_index", DataType::Int32),
    ("added_by", DataType::Utf8),
    ("filed_at", DataType::Utf8),
    ("hall", DataType::Utf8),
    ("topic", DataType::Utf8),
    ("type", DataType::Utf8),
    ("agent", DataType::Utf8),
    ("date", DataType::Utf8),
    ("ingest_mode", DataType::Utf8),
    ("extract_mode", DataType::Utf8),
    ("compression_ratio", DataType::Float32),
    ("original_tokens", DataType::Int32),
    ("language", DataType::Utf8),
    ("symbol_name", DataType::Utf8),
    ("symbol_type", DataType::Utf8),
    ("heading", DataType::Utf8),
    ("heading_level", DataType::Int32),
    ("heading_path", DataType::Utf8),
    ("doc_section_type", DataType::Utf8),
    ("contains_mermaid", DataType::Int32),
    ("contains_code", DataType::Int32),
    ("contains_table", DataType::Int32),
    ("source_hash", DataType::Utf8),
    ("extractor_version", DataType::Utf8),
    ("chunker_strategy", DataType::Utf8),
    ("line_start", DataType::Int32),
    ("line_end", DataType::Int32),
];

/// A drawer as mempalace-code stores it: what is not given is "", 0 or 0.0.
struct Drawer {
    id: Option<&'static str>,
    text: Option<&'static str>,
    vector: Option<Vec<f32>>,
    given: Value,
}

fn drawers() -> Vec<Drawer> {
    let first = json!({"wing": "w", "room": "r", "source_file": "a.rs", "chunk_index": 0, "added_by": "me",
        "filed_at": "2026-01-01", "language": "rust", "line_start": 1, "line_end": 40, "compression_ratio": 0.5});
    vec![
        Drawer { id: Some("b"), text: Some("fn main"), vector: Some(vec![0.5; 8]), given: first },
        Drawer { id: Some("a"), text: Some(""), vector: None, given: json!({"wing": "w", "chunk_index": 3}) },
        Drawer { id: Some("c"), text: None, vector: Some(vec![1.0; 8]), given: json!({"contains_code": 1}) },
    ]
}

fn batch(drawers: &[Drawer], model: Option<&str>) -> RecordBatch {
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let mut vectors = FixedSizeListBuilder::new(Float32Builder::new(), WIDTH).with_field(item.clone());
    for drawer in drawers {
        match &drawer.vector {
            Some(vector) => vectors.values().append_slice(vector),
            None => vectors.values().append_nulls(WIDTH as usize),
        }
        vectors.append(drawer.vector.is_some());
    }
    let of_model = model.map(|model| ("mempalace.embed_model".to_owned(), model.to_owned()));
    let mut fields = vec![
        Field::new("id", DataType::Utf8, true),
        Field::new("text", DataType::Utf8, true),
        Field::new("vector", DataType::FixedSizeList(item, WIDTH), true)
            .with_metadata(of_model.into_iter().collect::<HashMap<_, _>>()),
    ];
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(drawers.iter().map(|drawer| drawer.id).collect::<StringArray>()),
        Arc::new(drawers.iter().map(|drawer| drawer.text).collect::<StringArray>()),
        Arc::new(vectors.finish()),
    ];
    for (name, of) in COLUMNS {
        let given = drawers.iter().map(|drawer| &drawer.given[name]);
        columns.push(match of {
            DataType::Utf8 => Arc::new(given.map(|value| Some(value.as_str().unwrap_or(""))).collect::<StringArray>()),
            DataType::Int32 => {
                Arc::new(Int32Array::from_iter_values(given.map(|value| value.as_i64().unwrap_or(0) as i32)))
            }
            _ => Arc::new(Float32Array::from_iter_values(given.map(|value| value.as_f64().unwrap_or(0.0) as f32))),
        });
        fields.push(Field::new(name, of, true));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

async fn written(drawers: &[Drawer], model: Option<&str>) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let tables = directory.path().join("lance");
    let connection = lancedb::connect(tables.to_str().unwrap()).execute().await.unwrap();
    connection.create_table("mempalace_drawers", batch(drawers, model)).execute().await.unwrap();
    directory
}

async fn open(path: &Path, mode: OpenMode) -> Result<Arc<dyn Palace>> {
    LanceBackend::new().open(&PalaceRef::local(path), mode.into()).await
}

#[tokio::test]
async fn its_drawers_are_rows_with_the_metadata_they_were_given() {
    let directory = written(&drawers(), Some(MODEL)).await;
    assert!(LanceBackend::new().detect(directory.path()));
    let before = tree(directory.path());
    let palace = open(directory.path(), OpenMode::Read).await.unwrap();
    let info = palace.collections().await.unwrap().remove(0);
    assert_eq!((info.name.as_str(), info.rows, info.dimension), ("mempalace_drawers", 3, Some(8)));
    let identity = info.identity.unwrap();
    assert_eq!((identity.model_name.as_str(), identity.dimension), (MODEL, 8));

    let collection = palace.collection("mempalace_drawers").await.unwrap();
    let always = r#""added_by":"","chunk_index":3,"filed_at":"","room":"","source_file":"","wing":"w""#;
    let expected = [
        Owned { id: "a".into(), document: Some(String::new()), metadata: format!("{{{always}}}"), embedding: None },
        Owned {
            id: "b".into(),
            document: Some("fn main".into()),
            metadata: r#"{"added_by":"me","chunk_index":0,"compression_ratio":0.5,"filed_at":"2026-01-01","language":"rust","line_end":40,"line_start":1,"room":"r","source_file":"a.rs","wing":"w"}"#.into(),
            embedding: Some(vec![0.5; 8]),
        },
        Owned {
            id: "c".into(),
            document: None,
            metadata: r#"{"added_by":"","chunk_index":0,"contains_code":1,"filed_at":"","room":"","source_file":"","wing":""}"#.into(),
            embedding: Some(vec![1.0; 8]),
        },
    ];
    assert_eq!(scan(collection.as_ref(), KeyRange::ALL, ScanOrder::ById, 2).await, expected);
    let mut any = scan(collection.as_ref(), KeyRange::ALL, ScanOrder::Any, 2).await;
    any.sort_by(|one, other| one.id.cmp(&other.id));
    assert_eq!(any, expected);
    assert_eq!(collection.cut(1).await.unwrap().iter().map(|partition| partition.rows).sum::<u64>(), 3);
    assert_eq!(collection.last_id(&KeyRange::ALL).await.unwrap().as_deref(), Some("c"));

    let rust = Selection::filter(Filter::parse(&json!({"language": "rust", "chunk_index": {"$lt": 1}})).unwrap());
    assert_eq!(collection.get(&GetRequest::of(rust)).await.unwrap().ids, ["b"]);
    assert_eq!(collection.query(&QueryRequest::of(vec![vec![1.0; 8]], 1)).await.unwrap().ids, [["c"]]);
    assert_eq!(palace.maintenance_state().await.unwrap()["mempalace_drawers"]["rows"], 3);
    assert_eq!(tree(directory.path()), before, "nothing is written");
}

#[tokio::test]
async fn it_is_only_read_and_says_what_that_leaves_out() {
    let directory = written(&drawers(), None).await;
    for mode in [OpenMode::Write, OpenMode::Create] {
        assert_eq!(kind(open(directory.path(), mode).await), ErrorKind::UnsupportedCapability);
    }
    let palace = open(directory.path(), OpenMode::Read).await.unwrap();
    let collection = palace.collection("mempalace_drawers").await.unwrap();
    assert_eq!(collection.info().await.unwrap().identity, None);
    assert_eq!(kind(collection.upsert(rows(&[row("x", 0)])).await), ErrorKind::UnsupportedCapability);
    assert_eq!(kind(collection.delete(&Selection::ids(["a"])).await), ErrorKind::UnsupportedCapability);
    assert_eq!(kind(palace.create_collection(&spec("c", 4)).await), ErrorKind::UnsupportedCapability);
    assert_eq!(kind(palace.collection("../lance/mempalace_drawers").await), ErrorKind::CollectionNotInitialized);
    assert_eq!(collection.feed_head().await.unwrap(), None);
    let followed = collection.changes_since(&Cursor("x:1".into()), 10).try_collect::<Vec<_>>().await;
    assert_eq!(kind(followed), ErrorKind::UnsupportedCapability);
    let health = palace.health().await;
    assert_eq!(health.condition, Condition::Healthy);
    let names: Vec<&str> = health.findings.iter().map(|finding| finding.name.as_str()).collect();
    assert_eq!(names, ["mempalace_code", "no_change_feed"]);
}

#[tokio::test]
async fn its_versions_cannot_be_pruned_while_one_of_them_is_read() {
    let directory = written(&drawers(), Some(MODEL)).await;
    let palace = open(directory.path(), OpenMode::Read).await.unwrap();
    let collection = palace.collection("mempalace_drawers").await.unwrap();
    let pruner = File::open(directory.path()).unwrap();
    let request =
        palanquin_engine::contract::ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows: 1 };
    let mut reading = collection.scan(request);
    assert!(reading.try_next().await.unwrap().is_some());
    assert!(matches!(pruner.try_lock(), Err(std::fs::TryLockError::WouldBlock)));
    drop(reading);
    pruner.try_lock().unwrap();
}

#[tokio::test]
async fn a_drawer_without_an_id_is_damage_and_another_shape_is_refused() {
    let mut nameless = drawers();
    nameless[1].id = None;
    let directory = written(&nameless, None).await;
    let palace = open(directory.path(), OpenMode::Read).await.unwrap();
    let collection = palace.collection("mempalace_drawers").await.unwrap();
    for order in [ScanOrder::Any, ScanOrder::ById] {
        assert_eq!(kind(try_scan(collection.as_ref(), KeyRange::ALL, order, 10).await), ErrorKind::Corrupt);
    }
    let tables = directory.path().join("lance");
    let connection = lancedb::connect(tables.to_str().unwrap()).execute().await.unwrap();
    let other = arrow_array::record_batch!(("id", Utf8, ["a"]), ("text", Utf8, ["x"])).unwrap();
    connection.create_table("other", other).execute().await.unwrap();
    assert_eq!(kind(palace.collection("other").await), ErrorKind::UnsupportedFormat);
    assert_eq!(palace.health().await.condition, Condition::Degraded);
}
