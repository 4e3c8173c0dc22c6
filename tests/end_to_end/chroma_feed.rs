//! The feed of a Chroma directory while the real MemPalace writes to it.

use futures::TryStreamExt;
use palanquin_chroma::ChromaBackend;
use palanquin_engine::contract::{
    Backend, ChangeBatch, Collection, Cursor, KeyRange, OpenMode, PalaceRef, Result, ScanOrder, ScanRequest,
};
use palanquin_engine::rows::{Row, RowBatch};
use palanquin_tests::{DumpedRow, Scratch, dump_of, files_below, python};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

const COLLECTIONS: [&str; 2] = ["mempalace_closets", "mempalace_drawers"];

/// Writes a seeded random history through MemPalace: for each line "N" on its input N operations, then "done". Input
/// at its end, it lets go of the palace.
const WRITER: &str = r#"
import random, sys
# palace.py makes rows; what it does as a command comes after.
exec(open(sys.argv[1] + "/palace.py").read().split("\nparser = ")[0])
path, seed = sys.argv[2], sys.argv[3]
stream = random.Random(seed)
drawers, closets = open_collection(path, DRAWERS), open_collection(path, CLOSETS)
numbers, edition = list(range(300)), 0
row_id = lambda n: drawer(seed, n)[0]

def operation():
    global edition
    edition += 1
    kind = stream.randrange(10)
    some = stream.sample(numbers, stream.randint(1, 40))
    if kind < 4:
        upsert(drawers, [drawer(seed, n, edition) for n in some])
    elif kind == 4:
        drawers.delete(ids=[row_id(n) for n in some])
    elif kind == 5:
        drawers.delete(ids=[row_id(n) for n in some])
        upsert(drawers, [drawer(seed, n, edition) for n in some[: len(some) // 2 + 1]])
    elif kind == 6:
        there = drawers.get(ids=[row_id(n) for n in some]).ids
        if there:
            drawers.update(ids=there, metadatas=[{"room": f"moved-{edition}"}] * len(there))
    elif kind == 7:
        rows = [drawer(seed, n) for n in some]
        there = set(drawers.get(ids=[row[0] for row in rows]).ids)
        rows = [row for row in rows if row[0] not in there]
        if rows:
            ids, documents, metadatas, embeddings = map(list, zip(*rows))
            drawers.add(ids=ids, documents=documents, metadatas=metadatas, embeddings=embeddings)
    else:
        upsert(closets, [closet(f"{seed}/{edition}", stream.randrange(40)) for _ in range(1)])

upsert(drawers, [drawer(seed, n) for n in numbers])
upsert(closets, [closet(seed, n) for n in range(10)])
print("done", flush=True)
for line in sys.stdin:
    for _ in range(int(line)):
        operation()
    print("done", flush=True)
"#;

/// A MemPalace at work, in a process of its own.
struct Writer {
    process: Child,
    orders: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl Writer {
    fn start(palace: &Path, seed: u64) -> Self {
        let mut command = Command::new(python().get_program());
        command.args(["-c", WRITER]).arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("palaces")).arg(palace);
        let mut process = command.arg(seed.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (orders, said) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut writer = Self { process, orders, said };
        writer.wait();
        writer
    }

    fn order(&mut self, operations: usize) {
        writeln!(self.orders, "{operations}").unwrap();
    }

    fn wait(&mut self) {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "done", "the writer failed");
    }

    fn end(mut self) {
        drop(self.orders);
        assert!(self.process.wait().unwrap().success());
    }
}

fn dumped(row: Row<'_>) -> DumpedRow {
    let embedding = row.embedding.unwrap_or_else(|| panic!("{} has no vector", row.id)).to_vec();
    DumpedRow { document: row.document.map(str::to_owned), metadata: row.metadata.to_owned(), embedding }
}

pub(crate) type Rows = BTreeMap<(String, String), DumpedRow>;

/// A target that follows one collection.
struct Mirror {
    name: String,
    source: Arc<dyn Collection>,
    cursor: Cursor,
}

impl Mirror {
    async fn copy(source: Arc<dyn Collection>, name: &str, rows: &mut Rows) -> Self {
        let cursor = source.feed_head().await.unwrap().unwrap().cursor;
        for batch in scan(source.as_ref()).await {
            rows.extend(batch.rows().map(|row| ((name.to_owned(), row.id.to_owned()), dumped(row))));
        }
        Self { name: name.to_owned(), source, cursor }
    }

    /// Applies what changed; rows deleted and written.
    async fn follow(&mut self, rows: &mut Rows) -> Result<(usize, usize)> {
        if self.source.feed_head().await?.is_some_and(|head| head.cursor == self.cursor) {
            return Ok((0, 0));
        }
        let batches: Vec<ChangeBatch> = self.source.changes_since(&self.cursor, 50).try_collect().await?;
        let (mut deleted, mut written) = (0, 0);
        for batch in batches {
            deleted += batch.deletes.len();
            batch.deletes.into_iter().for_each(|id| drop(rows.remove(&(self.name.clone(), id))));
            for row in batch.upserts.iter().flat_map(|batch| batch.rows()) {
                written += 1;
                rows.insert((self.name.clone(), row.id.to_owned()), dumped(row));
            }
            self.cursor = batch.cursor.unwrap_or_else(|| self.cursor.clone());
        }
        Ok((deleted, written))
    }
}

async fn scan(collection: &dyn Collection) -> Vec<RowBatch> {
    let request = ScanRequest { range: KeyRange::ALL, order: ScanOrder::Any, batch_rows: 100 };
    collection.scan(request).try_collect().await.unwrap()
}

async fn open(backend: &ChromaBackend, palace: &Path, name: &str) -> Arc<dyn Collection> {
    let palace = backend.open(&PalaceRef::local(palace), OpenMode::Read.into()).await.unwrap();
    palace.collection(name).await.unwrap()
}

/// Everything the palace holds, read by somebody who has never seen it.
pub(crate) async fn everything(palace: &Path) -> Rows {
    let mut rows = Rows::new();
    for name in COLLECTIONS {
        let collection = open(&ChromaBackend::new(), palace, name).await;
        for batch in scan(collection.as_ref()).await {
            rows.extend(batch.rows().map(|row| ((name.to_owned(), row.id.to_owned()), dumped(row))));
        }
    }
    rows
}

/// Equal but for the last bits of a vector: Chroma rounds it when it moves it from the log to the index.
#[track_caller]
pub(crate) fn assert_equal(found: &Rows, expected: &Rows, when: &str) {
    assert!(found.keys().eq(expected.keys()), "{when}: {} rows instead of {}", found.len(), expected.len());
    for (key, row) in found {
        let expected = &expected[key];
        assert_eq!((&row.document, &row.metadata), (&expected.document, &expected.metadata), "{when}: {key:?}");
        let furthest = row.embedding.iter().zip(&expected.embedding).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(furthest <= 1e-7, "{when}: {key:?} is {furthest} away");
    }
}

/// Follows a MemPalace that writes all the time, comparing whenever it pauses; many flushes and purges happen between
/// two looks, and some in the middle of one.
#[tokio::test]
async fn a_target_follows_a_palace_that_mempalace_writes_to() {
    let seed = std::env::var("PALANQUIN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("seed {seed}");
    let scratch = Scratch::new();
    let palace = scratch.path("palace");
    let mut writer = Writer::start(&palace, seed);
    let mut backend = ChromaBackend::new();
    let (mut rows, mut mirrors) = (Rows::new(), Vec::new());
    // What is written while the copy is made is followed after it.
    writer.order(20);
    for name in COLLECTIONS {
        mirrors.push(Mirror::copy(open(&backend, &palace, name).await, name, &mut rows).await);
    }
    writer.wait();
    let (mut deleted, mut written, mut looks) = (0, 0, 0);
    for checkpoint in 0..6 {
        writer.order(if checkpoint % 2 == 0 { 25 } else { 70 });
        if checkpoint % 2 == 0 {
            // Looks as often as it can while the writer is at work.
            let at_work = std::thread::spawn(move || {
                writer.wait();
                writer
            });
            while !at_work.is_finished() {
                for mirror in &mut mirrors {
                    let (d, w) = mirror.follow(&mut rows).await.unwrap();
                    (deleted, written, looks) = (deleted + d, written + w, looks + 1);
                }
            }
            writer = at_work.join().unwrap();
        } else {
            // Looks once: the log does not reach back by then.
            writer.wait();
        }
        for mirror in &mut mirrors {
            let (d, w) = mirror.follow(&mut rows).await.unwrap();
            (deleted, written) = (deleted + d, written + w);
        }
        assert_equal(&rows, &everything(&palace).await, &format!("seed {seed}, checkpoint {checkpoint}"));
        for mirror in &mut mirrors {
            assert_eq!(mirror.follow(&mut rows).await.unwrap(), (0, 0), "nothing was written meanwhile");
        }
        // Another process takes over while nobody writes.
        backend = ChromaBackend::new();
        for mirror in &mut mirrors {
            mirror.source = open(&backend, &palace, &mirror.name).await;
            assert_eq!(mirror.follow(&mut rows).await.unwrap(), (0, 0));
        }
    }
    println!("{deleted} deletes and {written} rows in {looks} looks");
    assert!(deleted > 0 && written > 0);
    writer.end();

    let before = files_below(&palace);
    for mirror in &mut mirrors {
        mirror.follow(&mut rows).await.unwrap();
    }
    assert_equal(&rows, &everything(&palace).await, "at the end");
    assert!(files_below(&palace) == before, "following changed the palace");
    // What chromadb itself says of it.
    let dump = scratch.path("dump.jsonl");
    assert!(python().arg("dump").arg(&palace).arg(&dump).status().unwrap().success());
    assert_equal(&rows, &dump_of(&dump), "as chromadb has it");
}
