//! Chroma beside its own client: upserts into a server, and a directory read beside paging it out of a server and beside a
//! bare loop over the same statements. Prints ratios of this run.
//!
//!     tests/chroma.sh with cargo bench -p palanquin-chroma --bench chroma -- PALACE [ROWS]
//!
//! with a Python that has chromadb in PALANQUIN_TEST_PYTHON. PALACE is a large one (`tests/palaces/palace.py bulk`), ROWS
//! how many are upserted (5 000 unless said).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::panic, reason = "a benchmark")]

use futures::TryStreamExt;
use palanquin_chroma::{ChromaBackend, ChromaServerBackend, ServerOptions};
use palanquin_engine::contract::{
    Backend, ChangeBatch, CollectionSpec, KeyRange, Metric, OpenMode, PalaceRef, ScanOrder, ScanRequest, WriteMode,
};
use palanquin_engine::rows::{Row, RowBatch, RowBatchBuilder};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const DRAWERS: &str = "mempalace_drawers";
const WIDTH: u32 = 384;
/// Sizes of batch the official client is tried with.
const BATCHES: [&str; 4] = ["300", "1000", "2000", "5000"];

fn official(arguments: &[&str]) -> Value {
    let python = std::env::var_os("PALANQUIN_TEST_PYTHON").expect("PALANQUIN_TEST_PYTHON");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/official_client.py");
    let output = Command::new(python).arg(script).args(arguments).env("ANONYMIZED_TELEMETRY", "False").output();
    let output = output.expect("the official client runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("its figures")
}

fn rows(range: std::ops::Range<u32>) -> RowBatch {
    let document = "stone river garden naïve word after word in a chunk of a file ".repeat(5);
    let mut batch = RowBatchBuilder::with_capacity(range.len(), WIDTH);
    for n in range {
        let mut state = u64::from(n) + 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
        };
        let raw: Vec<f32> = (0..WIDTH).map(|_| next() + next() + next()).collect();
        let length = raw.iter().map(|x| x * x).sum::<f32>().sqrt();
        let vector: Vec<f32> = raw.iter().map(|x| x / length).collect();
        let metadata =
            format!(r#"{{"at":"2026-03-01T12:00:00","f":{n}.5,"n":{n},"room":"general","v":2,"wing":"code"}}"#);
        let (id, document) = (format!("row-{n:07}"), format!("{n} {document}"));
        batch.push(Row { id: &id, document: Some(&document), metadata: &metadata, embedding: Some(&vector) }).unwrap();
    }
    batch.finish().unwrap()
}

async fn upserted(server: &str, count: u32, turn: usize) -> f64 {
    let backend = ChromaServerBackend::new(ServerOptions::of(server));
    let reference = PalaceRef { id: "bench-ours".into(), local_path: None, namespace: None };
    let palace = backend.open(&reference, OpenMode::Create.into()).await.unwrap();
    let spec = CollectionSpec {
        name: format!("bench-{turn}-{}", std::process::id()),
        dimension: WIDTH,
        metric: Metric::Cosine,
        identity: None,
        incarnation: turn.to_string(),
        settings: Default::default(),
    };
    let collection = palace.create_collection(&spec).await.unwrap();
    let batches: Vec<RowBatch> = (0..count).step_by(5_000).map(|from| rows(from..(from + 5_000).min(count))).collect();
    let began = Instant::now();
    for batch in batches {
        collection.apply(ChangeBatch::upserts(batch), WriteMode::Append).await.unwrap();
    }
    f64::from(count) / began.elapsed().as_secs_f64()
}

async fn scanned(palace: &Path) -> (u64, f64) {
    let opened = ChromaBackend::new().open(&PalaceRef::local(palace), OpenMode::Read.into()).await.unwrap();
    let collection = opened.collection(DRAWERS).await.unwrap();
    let began = Instant::now();
    let request = ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows: 1_000 };
    let mut batches = collection.scan(request);
    let mut rows = 0;
    while let Some(batch) = batches.try_next().await.unwrap() {
        rows += batch.len() as u64;
    }
    (rows, rows as f64 / began.elapsed().as_secs_f64())
}

/// Every row's id, keys and values by the statements the reader uses, and the vector files read once.
fn bare_loop(palace: &Path) -> f64 {
    let began = Instant::now();
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = rusqlite::Connection::open_with_flags(palace.join("chroma.sqlite3"), flags).unwrap();
    let segment: String =
        database.query_row("SELECT id FROM segments WHERE scope = 'METADATA'", [], |row| row.get(0)).unwrap();
    let mut keys = database
        .prepare(
            "SELECT e.id, e.embedding_id, m.rowid, m.key FROM embeddings e LEFT JOIN embedding_metadata m ON m.id = e.id
             WHERE e.segment_id = ?1 ORDER BY e.embedding_id, m.key",
        )
        .unwrap();
    let mut values = database
        .prepare(
            "SELECT rowid, string_value, int_value, float_value, bool_value FROM embedding_metadata
             WHERE rowid BETWEEN ?1 AND ?2 ORDER BY rowid",
        )
        .unwrap();
    let mut keys = keys.query([segment]).unwrap();
    let (mut rows, mut bytes, mut current, mut run) = (0_u64, 0, None, (i64::MAX, 0));
    let mut take = |run: (i64, i64)| {
        let mut found = values.query([run.0, run.1]).unwrap();
        let mut bytes = 0;
        while let Some(value) = found.next().unwrap() {
            bytes += value.get_ref(1).unwrap().as_bytes_or_null().unwrap().map_or(8, <[u8]>::len);
        }
        bytes
    };
    while let Some(key) = keys.next().unwrap() {
        let id: i64 = key.get(0).unwrap();
        if current != Some(id) {
            if current.is_some() {
                bytes += take(run);
            }
            (current, run) = (Some(id), (i64::MAX, 0));
            rows += 1;
        }
        let value: i64 = key.get(2).unwrap();
        run = (run.0.min(value), run.1.max(value));
        bytes += key.get_ref(1).unwrap().as_bytes().unwrap().len() + key.get_ref(3).unwrap().as_bytes().unwrap().len();
    }
    bytes += take(run);
    for entry in std::fs::read_dir(palace).unwrap() {
        let folder = entry.unwrap().path();
        for file in folder.is_dir().then(|| std::fs::read_dir(&folder).unwrap()).into_iter().flatten() {
            bytes += std::fs::read(file.unwrap().path()).unwrap().len();
        }
    }
    assert!(bytes > 0);
    rows as f64 / began.elapsed().as_secs_f64()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = std::env::var("PALANQUIN_TEST_CHROMA").expect("run it with tests/chroma.sh with");
    let count: u32 = arguments.get(1).map_or(5_000, |rows| rows.parse().expect("a number of rows"));
    let (mut ours, mut theirs) = (0.0_f64, 0.0_f64);
    for (turn, batch) in BATCHES.into_iter().enumerate() {
        let rates = official(&["upsert", &server, &count.to_string(), batch]);
        let their = rates[batch].as_f64().unwrap();
        let our = runtime.block_on(upserted(&server, count, turn));
        println!("upsert of {count} rows: official client by {batch} {their:.0} rows/s, ours {our:.0} rows/s");
        (ours, theirs) = (ours.max(our), theirs.max(their));
    }
    println!("ours / the official client's best: {:.2}", ours / theirs);
    let Some(palace) = arguments.first().map(Path::new) else { return println!("no palace given to read") };
    let (rows, rate) = runtime.block_on(scanned(palace));
    let bare = bare_loop(palace);
    let (again, second) = runtime.block_on(scanned(palace));
    assert_eq!(rows, again);
    let rate = rate.max(second);
    println!("directory of {rows} rows: read {rate:.0} rows/s, bare loop {bare:.0} rows/s: {:.2}", rate / bare);
    if let Ok(paged) = std::env::var("PALANQUIN_BENCH_PAGED") {
        let paged = official(&["page", &paged, DRAWERS, "2000"]);
        let their = paged["rate"].as_f64().unwrap();
        println!("paged out of chroma run by the official client {their:.0} rows/s: {:.1} times", rate / their);
    }
}
