//! How fast rows go to Postgres and come back, beside what the server takes and gives by itself, and a whole migration
//! beside a loop over MemPalace's own backends.
//!
//! Run it with `tests/bench postgres`, which starts the server and makes the palace. Each pair is measured in turn, several
//! times over; what counts are the ratios of one run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a benchmark")]

use bytes::{BufMut, Bytes, BytesMut};
use futures::{SinkExt, StreamExt, TryStreamExt};
use palanquin_actors::{Engine, LinkOptions, PalaceSource, StartLink};
use palanquin_chroma::ChromaBackend;
use palanquin_engine::contract::{
    Backend, ChangeBatch, Collection, CollectionSpec, KeyRange, Metric, OpenMode, PalaceRef, ScanOrder, ScanRequest,
    WriteMode,
};
use palanquin_engine::journal::SqliteJournal;
use palanquin_engine::link::{LinkKind, LinkSpec, Outcome};
use palanquin_engine::rows::{Row, RowBatch, RowBatchBuilder};
use palanquin_postgres::{Dsn, PostgresBackend, PostgresOptions};
use rand::distr::Alphanumeric;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::path::Path;
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

const ROWS: usize = 100_000;
const WIDTH: usize = 384;
/// Rows of a commit, as a migration makes them.
const COMMIT_ROWS: usize = 10_000;
/// Bytes given to the socket at once by the bare COPY.
const CHUNK: usize = 256 << 10;
const ROUNDS: usize = 3;

/// A row as COPY takes it; its time of writing is any.
fn encode(out: &mut BytesMut, row: &Row<'_>, dated: bool) {
    let mut field = |bytes: &[u8]| {
        out.put_i32(bytes.len() as i32);
        out.put_slice(bytes);
    };
    field(row.id.as_bytes());
    field(row.document.unwrap().as_bytes());
    field(&[&[1], row.metadata.as_bytes()].concat());
    let mut vector = ((WIDTH as u32) << 16).to_be_bytes().to_vec();
    vector.extend(row.embedding.unwrap().iter().flat_map(|component| component.to_be_bytes()));
    field(&vector);
    if dated {
        field(&1_i64.to_be_bytes());
    }
}

/// Rows of 500 bytes of text, and the same in the form COPY takes: dated, and not.
struct Prepared {
    batches: Vec<RowBatch>,
    dated: Vec<Bytes>,
    undated: Vec<Bytes>,
}

impl Prepared {
    fn new() -> Self {
        let mut random = StdRng::seed_from_u64(4);
        let (mut batches, mut dated, mut undated) = (Vec::new(), Vec::new(), Vec::new());
        for commit in 0..ROWS / COMMIT_ROWS {
            let mut batch = RowBatchBuilder::with_capacity(COMMIT_ROWS, WIDTH as u32);
            for n in commit * COMMIT_ROWS..(commit + 1) * COMMIT_ROWS {
                let id = format!("drawer_code_general_{n:012}");
                let document: String = (0..500).map(|_| char::from(random.sample(Alphanumeric))).collect();
                let metadata = format!(
                    r#"{{"chunk_index":{},"room":"general","source_file":"/home/u/f{n}.md","wing":"code"}}"#,
                    n % 5
                );
                let vector: Vec<f32> = (0..WIDTH).map(|_| random.random_range(-1.0..1.0)).collect();
                let row = Row { id: &id, document: Some(&document), metadata: &metadata, embedding: Some(&vector) };
                batch.push(row).unwrap();
            }
            let batch = batch.finish().unwrap();
            for (is_dated, form) in [(true, &mut dated), (false, &mut undated)] {
                let mut out = BytesMut::new();
                out.put_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
                for row in batch.rows() {
                    out.put_i16(if is_dated { 5 } else { 4 });
                    encode(&mut out, &row, is_dated);
                }
                out.put_i16(-1);
                form.push(out.freeze());
            }
            batches.push(batch);
        }
        Self { batches, dated, undated }
    }
}

/// The server, spoken to without the adapter.
struct Bare {
    client: Client,
}

impl Bare {
    async fn connect(dsn: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(dsn, NoTls).await.unwrap();
        tokio::spawn(connection);
        Self { client }
    }

    async fn run(&self, statement: &str) {
        self.client.batch_execute(statement).await.unwrap();
    }

    /// A new table as the adapter makes it.
    async fn table(&self, name: &str) {
        self.run(&format!(
            "DROP TABLE IF EXISTS {name}; CREATE TABLE {name} (id text COLLATE \"C\" PRIMARY KEY, document text DEFAULT '', \
             metadata jsonb NOT NULL DEFAULT '{{}}'::jsonb, embedding vector({WIDTH}), updated_at timestamptz) \
             WITH (fillfactor = 70)"
        ))
        .await;
    }

    async fn copy_in(&self, into: &str, rows: &Bytes) {
        let sink = self.client.copy_in(&format!("COPY {into} FROM STDIN (FORMAT binary)")).await.unwrap();
        let mut sink = pin!(sink);
        let mut rest = rows.clone();
        while !rest.is_empty() {
            let chunk = rest.split_to(rest.len().min(CHUNK));
            sink.feed(chunk).await.unwrap();
        }
        sink.finish().await.unwrap();
    }

    /// COPY into a new table, a transaction for each commit.
    async fn load(&self, prepared: &Prepared) -> Duration {
        self.table("bare").await;
        self.run("CHECKPOINT").await;
        let began = Instant::now();
        for rows in &prepared.dated {
            self.run("BEGIN").await;
            self.copy_in("bare (id, document, metadata, embedding, updated_at)", rows).await;
            self.run("COMMIT").await;
        }
        began.elapsed()
    }

    /// COPY into a temporary table and from there into the table, a transaction for each commit.
    async fn merge(&self, prepared: &Prepared) -> Duration {
        self.table("bare").await;
        self.run(&format!(
            "CREATE TEMPORARY TABLE IF NOT EXISTS staging (id text, document text, metadata jsonb, embedding vector({WIDTH})) \
             ON COMMIT DELETE ROWS; CHECKPOINT"
        ))
        .await;
        let began = Instant::now();
        for rows in &prepared.undated {
            self.run("BEGIN").await;
            self.copy_in("staging (id, document, metadata, embedding)", rows).await;
            self.run(
                "INSERT INTO bare (id, document, metadata, embedding, updated_at) \
                 SELECT id, document, metadata, embedding, clock_timestamp() FROM staging \
                 ON CONFLICT (id) DO UPDATE SET document = excluded.document, metadata = excluded.metadata, \
                   embedding = excluded.embedding, updated_at = excluded.updated_at; COMMIT",
            )
            .await;
        }
        began.elapsed()
    }

    /// COPY out of a table; the bytes are dropped.
    async fn read(&self, table: &str) -> Duration {
        let began = Instant::now();
        let statement =
            format!("COPY (SELECT id, document, metadata, embedding FROM {table}) TO STDOUT (FORMAT binary)");
        let mut rows = pin!(self.client.copy_out(&statement).await.unwrap());
        let mut bytes = 0;
        while let Some(chunk) = rows.next().await {
            bytes += chunk.unwrap().len();
        }
        assert!(bytes > ROWS * WIDTH * 4);
        began.elapsed()
    }
}

fn spec() -> CollectionSpec {
    CollectionSpec {
        name: "mempalace_drawers".into(),
        dimension: WIDTH as u32,
        metric: Metric::Cosine,
        identity: None,
        incarnation: "benchmark".into(),
        settings: Default::default(),
    }
}

fn on(dsn: &str) -> Arc<dyn Backend> {
    Arc::new(PostgresBackend::new(PostgresOptions::of(Dsn::parse(dsn).unwrap())))
}

fn reference(id: &str) -> PalaceRef {
    PalaceRef { id: id.into(), local_path: None, namespace: None }
}

async fn collection(dsn: &str, id: &str) -> Arc<dyn Collection> {
    let palace = on(dsn).open(&reference(id), OpenMode::Create.into()).await.unwrap();
    palace.create_collection(&spec()).await.unwrap()
}

async fn write(collection: &dyn Collection, prepared: &Prepared, mode: WriteMode) -> Duration {
    let began = Instant::now();
    for rows in &prepared.batches {
        collection.apply(ChangeBatch::upserts(rows.clone()), mode).await.unwrap();
    }
    began.elapsed()
}

async fn scan(collection: &dyn Collection) -> Duration {
    let began = Instant::now();
    let batch_rows = LinkOptions::default().batch_rows;
    let mut rows = collection.scan(ScanRequest { range: KeyRange::ALL, order: ScanOrder::Any, batch_rows });
    let mut read = 0;
    while let Some(batch) = rows.try_next().await.unwrap() {
        read += batch.len();
    }
    assert_eq!(read, ROWS);
    began.elapsed()
}

/// Tells one pair of measurements, round by round.
fn tell(what: &str, ours: &[Duration], bare: &[Duration]) {
    let rate = |time: &Duration| format!("{:>7.0}", ROWS as f64 / time.as_secs_f64());
    let rates = |times: &[Duration]| times.iter().map(rate).collect::<Vec<_>>().join(" ");
    let mut ratios: Vec<f64> =
        ours.iter().zip(bare).map(|(ours, bare)| bare.as_secs_f64() / ours.as_secs_f64()).collect();
    println!("{what}: ours {} rows/s, bare {} rows/s", rates(ours), rates(bare));
    ratios.sort_by(f64::total_cmp);
    println!("{what}: {} of bare (median of {ratios:.2?})", format_args!("{:.2}", ratios[ratios.len() / 2]));
}

async fn beside_the_server(dsn: &str) {
    let prepared = Prepared::new();
    println!("{ROWS} rows of {} bytes each", prepared.dated.iter().map(Bytes::len).sum::<usize>() / ROWS);
    let bare = Bare::connect(dsn).await;
    bare.run("CREATE EXTENSION IF NOT EXISTS vector").await;
    let [mut load, mut bare_load, mut merge, mut bare_merge, mut read, mut bare_read] = [const { Vec::new() }; 6];
    for round in 0..ROUNDS {
        // The one that goes first has the colder start.
        let id = format!("load-{round}");
        let ours = collection(dsn, &id).await;
        for is_ours in [round % 2 == 0, round % 2 == 1] {
            if is_ours {
                bare.run("CHECKPOINT").await;
                load.push(write(ours.as_ref(), &prepared, WriteMode::Append).await);
            } else {
                bare_load.push(bare.load(&prepared).await);
            }
        }
        bare.run("VACUUM ANALYZE").await;
        for is_ours in [round % 2 == 0, round % 2 == 1] {
            if is_ours {
                read.push(scan(ours.as_ref()).await);
            } else {
                bare_read.push(bare.read("bare").await);
            }
        }
        let merged = collection(dsn, &format!("merge-{round}")).await;
        for is_ours in [round % 2 == 0, round % 2 == 1] {
            if is_ours {
                bare.run("CHECKPOINT").await;
                merge.push(write(merged.as_ref(), &prepared, WriteMode::Upsert).await);
            } else {
                bare_merge.push(bare.merge(&prepared).await);
            }
        }
        let palaces = "SELECT string_agg(format('DROP TABLE %I', relname), '; ') FROM pg_class \
                       WHERE relkind = 'r' AND relname LIKE 'mempalace%'";
        let drop: String = bare.client.query_one(palaces, &[]).await.unwrap().get(0);
        bare.run(&drop).await;
        bare.run("TRUNCATE palanquin_collections, palanquin_palaces").await;
    }
    tell("load into a new table", &load, &bare_load);
    tell("merge into a table", &merge, &bare_merge);
    tell("scan", &read, &bare_read);
}

/// Migrates a Chroma directory, up to the moment the last row is durable, and until both ends are compared.
fn migrate(runtime: &Arc<Runtime>, source: &Path, dsn: &str, id: &str) -> (u64, Duration, Duration) {
    let state = tempfile::tempdir().unwrap();
    let journal = Arc::new(SqliteJournal::open(state.path()).unwrap());
    let mut engine = Engine::start(journal, Arc::clone(runtime)).unwrap();
    let from = format!("chroma:{}", source.display());
    let spec = LinkSpec::new(LinkKind::Migrate, from.as_str(), id);
    let source =
        PalaceSource { address: from, palace: PalaceRef::local(source), backend: Arc::new(ChromaBackend::new()) };
    let target = PalaceSource { address: id.into(), palace: reference(id), backend: on(dsn) };
    let began = Instant::now();
    // Building a vector index takes longer than everything else, and is the server's work.
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
    let copied = began.elapsed();
    let end = runtime.block_on(engine.next_end()).unwrap();
    assert_eq!(end.outcome, Outcome::Verified);
    let verified = began.elapsed();
    engine.shut_down();
    (rows, copied, verified)
}

/// The loop over MemPalace's own backends, for so many rows: rows and seconds.
fn loop_over_backends(source: &Path, dsn: &str, rows: usize) -> (u64, f64) {
    let python = std::env::var("PALANQUIN_TEST_PYTHON").expect("run it with tests/bench");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/benches/loop_over_backends.py");
    let mut command = Command::new(python);
    command.arg(script).arg(source).arg(rows.to_string()).env("MEMPALACE_PGVECTOR_DSN", dsn);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let mut words = said.split_whitespace();
    (words.next().unwrap().parse().unwrap(), words.next().unwrap().parse().unwrap())
}

fn main() {
    let Ok(dsn) = std::env::var("PALANQUIN_TEST_POSTGRES") else {
        return println!("no server: run tests/bench postgres");
    };
    let runtime = Arc::new(Runtime::new().unwrap());
    let load = || std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load of the machine: {}", load().trim());
    runtime.block_on(beside_the_server(&dsn));
    if let Some(palace) = std::env::args().skip(1).find(|argument| argument != "--bench") {
        let (rows, seconds) = loop_over_backends(Path::new(&palace), &dsn, ROWS);
        let looped = rows as f64 / seconds;
        println!("loop over MemPalace's backends: {rows} rows, {looped:.0} rows/s");
        let (mut copies, mut whole) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let (rows, copied, verified) = migrate(&runtime, Path::new(&palace), &dsn, &format!("migrated-{round}"));
            let rate = |time: Duration| rows as f64 / time.as_secs_f64();
            println!(
                "Chroma to Postgres: {rows} rows, copied {:.0} rows/s, with verification {:.0}",
                rate(copied),
                rate(verified)
            );
            copies.push(rate(copied) / looped);
            whole.push(rate(verified) / looped);
        }
        copies.sort_by(f64::total_cmp);
        whole.sort_by(f64::total_cmp);
        println!("copied / loop: {:.1} (median of {copies:.1?})", copies[ROUNDS / 2]);
        println!("with verification / loop: {:.1} (median of {whole:.1?})", whole[ROUNDS / 2]);
    }
    println!("load of the machine: {}", load().trim());
}
