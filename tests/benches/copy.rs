//! How fast and how large a copy from a Chroma directory into Lance is, beside what its two ends can do alone.
//!
//! Each measurement is a process of its own, so that its peak memory is its own. Run it with `tests/bench`, which makes the
//! palaces. Figures are ratios of one run on one machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a benchmark")]

use arrow_array::RecordBatchIterator;
use futures::TryStreamExt;
use palanquin_actors::{Engine, LinkOptions, PalaceSource, StartLink};
use palanquin_chroma::ChromaBackend;
use palanquin_engine::contract::{Backend, KeyRange, OpenMode, PalaceRef, ScanOrder, ScanRequest};
use palanquin_engine::journal::SqliteJournal;
use palanquin_engine::link::{LinkKind, LinkSpec, Outcome};
use palanquin_engine::rows::RowBatch;
use palanquin_lance::LanceBackend;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Rows of a commit of the raw append, as Palanquin commits them.
const COMMIT_ROWS: usize = 10_000;

/// What one process measured.
#[derive(Debug, Deserialize, Serialize)]
struct Measured {
    rows: u64,
    seconds: f64,
    peak_mib: f64,
}

impl Measured {
    fn of(rows: u64, elapsed: Duration) -> Self {
        Self { rows, seconds: elapsed.as_secs_f64(), peak_mib: peak_mib() }
    }

    fn rate(&self) -> f64 {
        self.rows as f64 / self.seconds
    }
}

/// Peak resident memory of this process.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|text| text.trim().trim_end_matches(" kB").parse::<f64>().ok()).map_or(f64::NAN, |kib| kib / 1024.0)
}

/// Reads every row, as the copy does, and drops it.
async fn read(source: &Path) -> Measured {
    let began = Instant::now();
    let mut rows = 0;
    each_batch(source, |batch| rows += batch.len() as u64).await;
    Measured::of(rows, began.elapsed())
}

async fn each_batch(source: &Path, mut take: impl FnMut(RowBatch)) {
    let palace = ChromaBackend::new().open(&PalaceRef::local(source), OpenMode::Read.into()).await.unwrap();
    let batch_rows = LinkOptions::default().batch_rows;
    for info in palace.collections().await.unwrap() {
        let collection = palace.collection(&info.name).await.unwrap();
        let mut scan = collection.scan(ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows });
        while let Some(batch) = scan.try_next().await.unwrap() {
            take(batch);
        }
    }
}

/// Appends the same rows through LanceDB itself, from memory, without syncing anything.
async fn append(source: &Path, target: &Path) -> Measured {
    let mut batches = Vec::new();
    each_batch(source, |batch| batches.push(batch)).await;
    let mut commits = Vec::new();
    for chunk in batches.chunks(COMMIT_ROWS / LinkOptions::default().batch_rows) {
        commits.push(RowBatch::concat(chunk).unwrap().into_record_batch());
    }
    drop(batches);
    let rows = commits.iter().map(|commit| commit.num_rows() as u64).sum();
    let began = Instant::now();
    let connection = lancedb::connect(target.to_str().unwrap()).execute().await.unwrap();
    let schema = commits[0].schema();
    let table = connection.create_empty_table("raw", Arc::clone(&schema)).execute().await.unwrap();
    for commit in commits {
        let reader: Box<dyn arrow_array::RecordBatchReader + Send> =
            Box::new(RecordBatchIterator::new([Ok(commit)], Arc::clone(&schema)));
        table.add(reader).execute().await.unwrap();
    }
    Measured::of(rows, began.elapsed())
}

/// Copies with the engine, up to the moment the last row is durable (`verified`: until both ends are compared).
fn copy(runtime: &Arc<Runtime>, source: &Path, target: &Path, verified: bool) -> Measured {
    let state = tempfile::tempdir().unwrap();
    let journal = Arc::new(SqliteJournal::open(state.path()).unwrap());
    let mut engine = Engine::start(journal, Arc::clone(runtime)).unwrap();
    let end = |address: String, path: &Path, backend: Arc<dyn Backend>| PalaceSource {
        address,
        palace: PalaceRef::local(path),
        backend,
    };
    let (from, to) = (format!("chroma:{}", source.display()), format!("lance:{}", target.display()));
    let spec = LinkSpec::new(LinkKind::Migrate, from.as_str(), to.as_str());
    let (source, target) =
        (end(from, source, Arc::new(ChromaBackend::new())), end(to, target, Arc::new(LanceBackend::new())));
    let began = Instant::now();
    // From 100 000 rows on the target would get a vector index: Lance's own work, and memory.
    let options = LinkOptions { maintain: false, ..LinkOptions::default() };
    engine.start_link(StartLink { spec, source, target, options, replaces: None, lock: None }).unwrap();
    let mut board = engine.board();
    let rows = runtime.block_on(async {
        let copied = board.wait_for(|snapshot| {
            snapshot
                .links
                .first()
                .is_some_and(|link| link.partitions_total > 0 && link.partitions_done == link.partitions_total)
        });
        copied.await.unwrap().links[0].rows_done
    });
    let mut elapsed = began.elapsed();
    if verified {
        let end = runtime.block_on(engine.next_end()).unwrap();
        assert_eq!(end.outcome, Outcome::Verified);
        elapsed = began.elapsed();
    }
    let measured = Measured::of(rows, elapsed);
    engine.shut_down();
    measured
}

/// Runs one measurement in a process of its own.
fn measure(what: &str, source: &Path) -> Measured {
    let target = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["measure", what])
        .arg(source)
        .arg(target.path().join("target"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    let measured: Measured = serde_json::from_slice(&output.stdout).unwrap();
    println!(
        "{what:<22} {:>9} rows  {:>7.2} s  {:>9.0} rows/s  peak {:>6.0} MiB",
        measured.rows,
        measured.seconds,
        measured.rate(),
        measured.peak_mib
    );
    measured
}

fn main() {
    palanquin_allocator::give_memory_back();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [measure, what, source, target] = &arguments[..]
        && measure == "measure"
    {
        let runtime = Arc::new(Runtime::new().unwrap());
        let (source, target) = (PathBuf::from(source), PathBuf::from(target));
        let measured = match what.as_str() {
            "reader alone" => runtime.block_on(read(&source)),
            "raw Lance append" => runtime.block_on(append(&source, &target)),
            "copy" => copy(&runtime, &source, &target, false),
            _ => copy(&runtime, &source, &target, true),
        };
        println!("{}", serde_json::to_string(&measured).unwrap());
        return;
    }
    let palaces: Vec<PathBuf> = arguments.iter().map(PathBuf::from).collect();
    let Some(first) = palaces.first() else {
        println!("no palace given: run tests/bench");
        return;
    };
    let (reader, append) = (measure("reader alone", first), measure("raw Lance append", first));
    let copied = measure("copy", first);
    let whole = measure("copy and verification", first);
    let ceiling = reader.rate().min(append.rate());
    println!("copy / slower of the two ceilings: {:.2}", copied.rate() / ceiling);
    println!("copy and verification / the same:  {:.2}", whole.rate() / ceiling);
    for larger in &palaces[1..] {
        let large = measure("copy and verification", larger);
        println!("peak memory, {} rows / {} rows: {:.2}", large.rows, whole.rows, large.peak_mib / whole.peak_mib);
        let more = (large.peak_mib - whole.peak_mib) * 1024.0 * 1024.0 / (large.rows - whole.rows) as f64;
        println!("memory per further row: {more:.0} bytes");
    }
}
