//! Reads of a Chroma directory while its vector files are written over and over: each is what some operation has left, none a
//! mixture.

use futures::TryStreamExt;
use palanquin_chroma::ChromaBackend;
use palanquin_engine::contract::{Backend, Collection, KeyRange, OpenMode, PalaceRef, ScanOrder, ScanRequest};
use palanquin_engine::rows::RowBatch;
use palanquin_tests::{Scratch, old_chromadb, python};
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

const READS: usize = 300;

/// A row: the operations its document, its metadata and its vector are of.
type Row = (u32, u32, u32);
type State = BTreeMap<u32, Row>;

/// What `flush_loop.py` does in its operation `k`.
fn operate(state: &mut State, k: u32) {
    let touched: Vec<u32> = (0..10).map(|j| (k * 7 + j * 3) % 150).collect();
    for n in touched.iter().take(if k.is_multiple_of(5) { 6 } else { 10 }) {
        match k % 5 {
            0 => {
                state.remove(n);
            }
            1 => {
                state.entry(*n).and_modify(|row| row.1 = k);
            }
            _ => {
                state.insert(*n, (k, k, k));
            }
        }
    }
}

async fn open(palace: &Path) -> Arc<dyn Collection> {
    let palace = ChromaBackend::new().open(&PalaceRef::local(palace), OpenMode::Read.into()).await.unwrap();
    palace.collection("rows").await.unwrap()
}

async fn read(collection: &dyn Collection) -> State {
    let request = ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows: 1_000 };
    let batches: Vec<RowBatch> = collection.scan(request).try_collect().await.unwrap();
    let row = |row: palanquin_engine::rows::Row<'_>| {
        let n: u32 = row.id.strip_prefix("row-").unwrap().parse().unwrap();
        let metadata: serde_json::Value = serde_json::from_str(row.metadata).unwrap();
        let Some(&[of, k, 0.5, -1.0]) = row.embedding else { panic!("{}: {:?}", row.id, row.embedding) };
        assert_eq!(of, n as f32, "{} has the vector of another row", row.id);
        (n, (row.document.unwrap().parse().unwrap(), metadata["k"].as_u64().unwrap() as u32, k as u32))
    };
    batches.iter().flat_map(|batch| batch.rows().map(row).collect::<Vec<_>>()).collect()
}

async fn assert_each_read_is_what_an_operation_left(python: Command) {
    let scratch = Scratch::new();
    let palace = scratch.path("flushed");
    let mut writer = Command::new(python.get_program());
    writer.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("palaces/flush_loop.py")).arg(&palace);
    let mut writer = writer.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut said = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert_eq!(said.next().as_deref(), Some("ready"));
    let kept = open(&palace).await;
    let mut reads = Vec::new();
    while reads.len() < READS {
        reads.push(read(kept.as_ref()).await);
        reads.push(read(open(&palace).await.as_ref()).await);
        assert!(writer.try_wait().unwrap().is_none(), "the writer failed");
    }
    drop(writer.stdin.take());
    let operations: u32 = said.next().unwrap().strip_prefix("operations ").unwrap().parse().unwrap();
    assert!(writer.wait().unwrap().success());
    let mut states: HashMap<State, u32> = HashMap::new();
    let mut state = State::new();
    for k in 1..=operations {
        operate(&mut state, k);
        states.entry(state.clone()).or_insert(k);
    }
    let seen: Vec<u32> = reads
        .iter()
        .enumerate()
        .map(|(number, read)| *states.get(read).unwrap_or_else(|| panic!("read {number} is of no operation: {read:?}")))
        .collect();
    assert!(seen.is_sorted(), "a later read was of an earlier operation: {seen:?}");
    let distinct = seen.iter().collect::<std::collections::BTreeSet<_>>().len();
    println!("{operations} operations, {} reads of {distinct} states", seen.len());
    assert!(distinct > READS / 10, "only {distinct} states were seen");
    assert_eq!(read(kept.as_ref()).await, state);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_while_chroma_writes_its_vectors_is_what_one_operation_left() {
    assert_each_read_is_what_an_operation_left(python()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_while_chroma_0_6_writes_its_vectors_is_what_one_operation_left() {
    assert_each_read_is_what_an_operation_left(old_chromadb()).await;
}
