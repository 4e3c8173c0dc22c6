//! What following and checking a large palace costs, in a process of its own:
//! `PALANQUIN_MEASURED_PALACE=… cargo test -p palanquin-chroma --release cost -- --ignored --nocapture`.

use crate::ChromaBackend;
use futures::TryStreamExt;
use palanquin_engine::contract::{Backend, KeyRange, OpenMode, PalaceRef, ScanOrder, ScanRequest};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Processor time of all threads of this process that are there now.
fn processor() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let times = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok());
    Duration::from_nanos(times.map(|times| times.split(' ').next().unwrap().parse::<u64>().unwrap()).sum())
}

/// Commits to the palace's database as fast as it can until told to stop; the longest that one commit took.
fn longest_commit(database: PathBuf, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<(u32, Duration)> {
    std::thread::spawn(move || {
        let connection = Connection::open(database).unwrap();
        connection.busy_timeout(Duration::from_secs(30)).unwrap();
        connection.execute_batch("PRAGMA synchronous = OFF; CREATE TABLE IF NOT EXISTS measured (n)").unwrap();
        let (mut commits, mut longest) = (0, Duration::ZERO);
        while !stop.load(Ordering::Relaxed) {
            let began = Instant::now();
            connection.execute("INSERT INTO measured VALUES (1)", []).unwrap();
            longest = longest.max(began.elapsed());
            commits += 1;
            std::thread::sleep(Duration::from_millis(5));
        }
        connection.execute_batch("DROP TABLE measured").unwrap();
        (commits, longest)
    })
}

#[tokio::test]
#[ignore = "a measurement, not a check"]
async fn cost_of_following_and_checking_a_large_palace() {
    let folder = PathBuf::from(std::env::var_os("PALANQUIN_MEASURED_PALACE").unwrap());
    let palace = ChromaBackend::new().open(&PalaceRef::local(&folder), OpenMode::Read.into()).await.unwrap();
    let name = palace.collections().await.unwrap().into_iter().max_by_key(|info| info.rows).unwrap().name;
    let collection = palace.collection(&name).await.unwrap();
    println!("{name}: {} rows", collection.count().await.unwrap());
    let began = Instant::now();
    collection.feed_head().await.unwrap();
    println!("first look at the feed: {:?}", began.elapsed());
    let (before, polls) = (processor(), 500);
    for _ in 0..polls {
        collection.feed_head().await.unwrap();
    }
    println!("a look at an unchanged feed: {:?} of the processor", (processor() - before) / polls);
    for which in ["first", "second"] {
        let began = Instant::now();
        let request = ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows: 10 };
        collection.scan(request).try_next().await.unwrap();
        println!("{which} page, of ten rows: {:?}", began.elapsed());
    }
    for (what, quiet) in [("quiet", true), ("written to", false)] {
        let stop = Arc::new(AtomicBool::new(quiet));
        let writer = longest_commit(folder.join("chroma.sqlite3"), Arc::clone(&stop));
        for _ in 0..5 {
            let began = Instant::now();
            palace.health().await;
            let health = began.elapsed();
            let began = Instant::now();
            collection.count().await.unwrap();
            println!("{what}: health {health:?}, count {:?}", began.elapsed());
        }
        stop.store(true, Ordering::Relaxed);
        let (commits, longest) = writer.join().unwrap();
        println!("{what}: {commits} commits, the longest {longest:?}");
    }
}
