//! A mirror from Postgres into Lance by the log, under a steady load: how far the target is behind, whether that grows, and
//! what it takes in memory.
//!
//! The writer is a process of its own. It also counts in one row of the source, every 50 ms; another process looks at
//! that row in the target ten times a second: every count up to the one found there has arrived. So the memory told is
//! that of the mirror alone. Run it with `tests/bench`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a benchmark")]

use palanquin_actors::{Engine, LinkOptions, PalaceSource, StartLink};
use palanquin_engine::contract::{
    Backend, ChangeBatch, Collection, CollectionSpec, GetRequest, Metric, OpenMode, PalaceRef, RowUpdates, Selection,
    WriteMode,
};
use palanquin_engine::journal::SqliteJournal;
use palanquin_engine::link::{LinkKind, LinkSpec};
use palanquin_engine::rows::{Row, RowBatch, RowBatchBuilder};
use palanquin_lance::LanceBackend;
use palanquin_postgres::{Dsn, PostgresBackend, PostgresOptions};
use rand::distr::Alphanumeric;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;

const ROWS: usize = 20_000;
const WIDTH: u32 = 384;
const SECONDS: u64 = 60;
/// Per second, in transactions of twenty.
const CHANGES: u64 = 2_000;
const IN_ONE: u64 = 20;
const DRAWERS: &str = "mempalace_drawers";
const COUNTER: &str = "counter";

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// Resident memory of this process, in MiB.
fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|text| text.trim().trim_end_matches(" kB").parse::<f64>().ok()).map_or(f64::NAN, |kib| kib / 1024.0)
}

fn backend(server: &str) -> Arc<dyn Backend> {
    Arc::new(PostgresBackend::new(PostgresOptions::of(Dsn::parse(server).unwrap())))
}

fn reference(name: &str) -> PalaceRef {
    PalaceRef { id: name.to_owned(), local_path: None, namespace: None }
}

fn id(n: usize) -> String {
    format!("row-{n:07}")
}

fn rows(random: &mut StdRng, ids: impl IntoIterator<Item = String>) -> RowBatch {
    let mut batch = RowBatchBuilder::with_capacity(1_000, WIDTH);
    for id in ids {
        // A length at which the server keeps the vector beside it out of line.
        let document: String = (0..500).map(|_| char::from(random.sample(Alphanumeric))).collect();
        let vector: Vec<f32> = (0..WIDTH).map(|_| random.random()).collect();
        let row = Row { id: &id, document: Some(&document), metadata: r#"{"n":0}"#, embedding: Some(&vector) };
        batch.push(row).unwrap();
    }
    batch.finish().unwrap()
}

async fn drawers(server: &str, name: &str) -> Arc<dyn Collection> {
    let palace = backend(server).open(&reference(name), OpenMode::Create.into()).await.unwrap();
    let (metric, incarnation) = (Metric::Cosine, "benchmark".to_owned());
    let spec = CollectionSpec {
        name: DRAWERS.to_owned(),
        dimension: WIDTH,
        metric,
        identity: None,
        incarnation,
        settings: Default::default(),
    };
    palace.create_collection(&spec).await.unwrap()
}

/// Touches the metadata of most rows, makes a few and removes as many, at the rate asked for; tells each count and when
/// it was committed.
async fn write(server: &str, name: &str) {
    let drawers = drawers(server, name).await;
    let counter = counter_of(server, name).await;
    let began = Instant::now();
    let counting = tokio::spawn(async move {
        let mut n = 0_u64;
        while began.elapsed() < Duration::from_secs(SECONDS) {
            n += 1;
            let metadata = json!({"n": n}).as_object().unwrap().clone();
            let update = RowUpdates::try_new(vec![COUNTER.to_owned()], None, Some(vec![metadata]), None).unwrap();
            counter.update(update).await.unwrap();
            println!("committed {n} {}", now_ms());
            tokio::time::sleep_until((began + Duration::from_millis(50) * n as u32).into()).await;
        }
    });
    let mut random = StdRng::seed_from_u64(1);
    let (mut made, mut changes, mut batches) = (ROWS, 0, 0_u32);
    while began.elapsed() < Duration::from_secs(SECONDS) {
        batches += 1;
        let mut touched: Vec<String> =
            (0..IN_ONE - 2).map(|_| id(random.random_range(made - ROWS + 100..made))).collect();
        touched.sort();
        touched.dedup();
        let metadatas = touched.iter().map(|_| json!({"n": batches}).as_object().unwrap().clone()).collect();
        changes += drawers.update(RowUpdates::try_new(touched, None, Some(metadatas), None).unwrap()).await.unwrap();
        let new = rows(&mut random, [id(made)]);
        let batch = ChangeBatch { deletes: vec![id(made - ROWS)], ..ChangeBatch::upserts(new) };
        let applied = drawers.apply(batch, WriteMode::Upsert).await.unwrap();
        changes += applied.upserted + applied.deleted;
        made += 1;
        let due = Duration::from_secs_f64(f64::from(batches) * IN_ONE as f64 / CHANGES as f64);
        tokio::time::sleep_until((began + due).into()).await;
    }
    counting.await.unwrap();
    println!("written {changes} {}", began.elapsed().as_millis());
}

async fn counter_of(server: &str, name: &str) -> Arc<dyn Collection> {
    let palace = backend(server).open(&reference(name), OpenMode::Write.into()).await.unwrap();
    palace.collection(DRAWERS).await.unwrap()
}

/// What the other processes tell: pairs of a count and a time, and the writer's last word.
#[derive(Clone, Default)]
struct Told {
    /// Counts in order, each with when it was committed.
    committed: Vec<(u64, u64)>,
    /// What was found in the target, and when.
    found: Vec<(u64, u64)>,
    /// Changes, and the milliseconds they took.
    written: Option<(u64, u64)>,
}

/// Runs this program again for another part, and hears what it tells.
fn start(part: &str, arguments: [&str; 2], told: &Arc<Mutex<Told>>) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(part).args(arguments).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (heard, out) = (Arc::clone(told), child.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            let mut heard = heard.lock().unwrap();
            let mut words = line.split(' ');
            let (kind, mut number) = (words.next().unwrap(), || words.next().unwrap().parse::<u64>().unwrap());
            let pair = (number(), number());
            match kind {
                "committed" => heard.committed.push(pair),
                "found" => heard.found.push(pair),
                _ => heard.written = Some(pair),
            }
        }
    });
    child
}

/// Looks at the counter's row in the target until nobody listens.
async fn look(target: &Path) {
    loop {
        let palace = LanceBackend::new().open(&PalaceRef::local(target), OpenMode::Read.into()).await.unwrap();
        let drawers = palace.collection(DRAWERS).await.unwrap();
        let found = drawers.get(&GetRequest::of(Selection::ids([COUNTER]))).await.unwrap();
        let count = found.metadatas.first().and_then(|metadata| metadata["n"].as_u64()).unwrap_or(0);
        if writeln!(std::io::stdout(), "found {count} {}", now_ms()).is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn percentile(sorted: &[u64], share: f64) -> u64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

fn main() {
    palanquin_allocator::give_memory_back();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = Arc::new(Runtime::new().unwrap());
    match &arguments[..] {
        [part, server, name] if part == "write" => return runtime.block_on(write(server, name)),
        [part, target, _] if part == "look" => return runtime.block_on(look(Path::new(target))),
        _ => {}
    }
    let Ok(server) = std::env::var("PALANQUIN_TEST_POSTGRES") else {
        return println!("no server given: run tests/bench");
    };
    let name = format!("capture-{}", std::process::id());
    runtime.block_on(async {
        let (drawers, mut random) = (drawers(&server, &name).await, StdRng::seed_from_u64(0));
        for first in (0..ROWS).step_by(5_000) {
            let batch = rows(&mut random, (first..first + 5_000).map(id));
            drawers.apply(ChangeBatch::upserts(batch), WriteMode::Append).await.unwrap();
        }
        let counter = rows(&mut random, [COUNTER.to_owned()]);
        drawers.apply(ChangeBatch::upserts(counter), WriteMode::Append).await.unwrap();
    });

    let scratch = tempfile::tempdir().unwrap();
    let target = scratch.path().join("target");
    let journal = Arc::new(SqliteJournal::open(scratch.path()).unwrap());
    let engine = Engine::start(journal, Arc::clone(&runtime)).unwrap();
    let spec =
        LinkSpec::new(LinkKind::Mirror, format!("{server}?palace={name}"), format!("lance:{}", target.display()));
    let source = PalaceSource { address: spec.source.clone(), palace: reference(&name), backend: backend(&server) };
    let to = PalaceSource {
        address: spec.target.clone(),
        palace: PalaceRef::local(&target),
        backend: Arc::new(LanceBackend::new()),
    };
    let link = spec.id();
    engine
        .start_link(StartLink { spec, source, target: to, options: LinkOptions::default(), replaces: None, lock: None })
        .unwrap();
    let mut board = engine.board();
    runtime.block_on(async {
        let live = |link: &palanquin_actors::board::LinkView| link.lag.as_ref().is_some_and(|lag| lag.rows == 0);
        board.wait_for(|snapshot| snapshot.links.first().is_some_and(|link| live(link))).await.unwrap();
    });

    let told = Arc::new(Mutex::new(Told::default()));
    let mut looker = start("look", [target.to_str().unwrap(), ""], &told);
    let mut writer = start("write", [&server, &name], &told);
    let began = Instant::now();
    let mut memory = Vec::new();
    let heard = loop {
        memory.push((began.elapsed().as_secs(), resident_mib()));
        let heard = told.lock().unwrap().clone();
        let arrived = heard.found.last().map_or(0, |(count, _)| *count);
        if heard.written.is_some() && arrived >= heard.committed.len() as u64 || began.elapsed().as_secs() > SECONDS * 3
        {
            break heard;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    writer.wait().unwrap();
    looker.kill().unwrap();
    looker.wait().unwrap();
    let first = heard.committed[0].1;
    // Each count arrived when it, or a later one, was found first.
    let arrivals = heard.committed.iter().filter_map(|(count, at)| {
        let place = heard.found.partition_point(|(found, _)| found < count);
        let (_, found_at) = heard.found.get(place)?;
        Some((at.saturating_sub(first) / 1_000, found_at.saturating_sub(*at)))
    });
    let lags: Vec<(u64, u64)> = arrivals.collect();
    let (changes, millis) = heard.written.unwrap();
    let applied = board.borrow().link(&link).map_or(0, |link| link.changes_applied);
    println!(
        "written: {changes} changes in {:.1} s, {:.0}/s; applied: {applied}",
        millis as f64 / 1e3,
        changes as f64 / millis as f64 * 1e3
    );
    let of = |from: u64, to: u64| {
        let mut some: Vec<u64> = lags.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, lag)| *lag).collect();
        some.sort_unstable();
        some
    };
    let all = of(0, u64::MAX);
    println!(
        "lag: p50 {} ms, p99 {} ms, greatest {} ms",
        percentile(&all, 0.5),
        percentile(&all, 0.99),
        percentile(&all, 1.0)
    );
    for (from, to) in [(0, 20), (20, 40), (40, 60)] {
        let some = of(from, to);
        println!("  second {from:>2} to {to}: p50 {} ms, p99 {} ms", percentile(&some, 0.5), percentile(&some, 0.99));
    }
    let at =
        |second: u64| memory.iter().find(|(at, _)| *at >= second).or(memory.last()).map_or(f64::NAN, |(_, mib)| *mib);
    println!("memory: {:.0} MiB after 10 s, {:.0} MiB after 30 s, {:.0} MiB after 60 s", at(10), at(30), at(59));
    engine.shut_down();
    runtime.block_on(backend(&server).release(&reference(&name), &link.0)).unwrap();
}
