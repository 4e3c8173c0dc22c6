//! Maintenance (§7.3): each advertised kind does what its name says, shows it, and harms nothing.

use crate::rows::{Written, assert_holds, batch, ids_of, numbered, scanned};
use crate::world::{DRAWERS, WIDTH, World};
use palanquin_engine::contract::{
    Collection, MaintenanceKind, MaintenanceResult, MaintenanceState, MaintenanceStatus, OpenMode, Palace, Progress,
    Selection, kind,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};

/// A palace that has been written to in many small batches, replaced and deleted from, and what its drawers hold.
async fn worn(world: &World, kind: &str) -> (Arc<dyn Palace>, Vec<Written>) {
    let palace = world.palace("palace").await;
    let drawers = palace.create_collection(&world.spec(DRAWERS, WIDTH)).await.unwrap();
    for start in (0..400).step_by(50) {
        drawers.upsert(batch(&numbered(start..start + 50, WIDTH), WIDTH)).await.unwrap();
    }
    let replaced: Vec<Written> = numbered(0..200, WIDTH).into_iter().map(|row| row.document("replaced")).collect();
    for rows in replaced.chunks(50) {
        drawers.upsert(batch(rows, WIDTH)).await.unwrap();
    }
    drawers.delete(&Selection::ids(ids_of(&numbered(300..400, WIDTH)))).await.unwrap();
    world.store().make_work_for(kind, &world.reference("palace")).await;
    let rows = scanned(drawers.as_ref()).await;
    assert_eq!(rows.len(), 300, "making work for {kind} changes no row");
    (palace, rows)
}

async fn run(palace: &dyn Palace, kind: &str) -> MaintenanceResult {
    let result = palace.run_maintenance(kind, &Progress::unheard()).await;
    let result = result.unwrap_or_else(|error| panic!("{kind}: {error}"));
    assert_eq!(result.kind, kind, "it says which kind ran");
    result
}

async fn state(palace: &dyn Palace) -> MaintenanceState {
    palace.maintenance_state().await.expect("the state")
}

fn kinds(world: &World) -> &'static [MaintenanceKind] {
    let kinds = world.descriptor().maintenance_kinds;
    if kinds.is_empty() {
        println!("not advertised: any maintenance kind");
    }
    kinds
}

pub(crate) async fn the_state_can_be_asked_at_any_time_and_changes_nothing(world: &World) {
    let palace = world.palace("palace").await;
    state(palace.as_ref()).await;
    let drawers = palace.create_collection(&world.spec(DRAWERS, WIDTH)).await.unwrap();
    state(palace.as_ref()).await;
    let rows = numbered(0..20, WIDTH);
    drawers.upsert(batch(&rows, WIDTH)).await.unwrap();
    let (once, twice) = (state(palace.as_ref()).await, state(palace.as_ref()).await);
    assert_eq!(once.keys().collect::<Vec<_>>(), twice.keys().collect::<Vec<_>>(), "by the same terms");
    let reading = world.open("palace", OpenMode::Read).await.unwrap();
    assert_eq!(
        state(reading.as_ref()).await.keys().collect::<Vec<_>>(),
        once.keys().collect::<Vec<_>>(),
        "to one who only reads, too"
    );
    assert_holds(world, drawers.as_ref(), &rows, "after asking").await;
}

pub(crate) async fn each_kind_leaves_the_rows_as_they_are(world: &World) {
    for kind in kinds(world) {
        let (palace, rows) = worn(world, kind.name).await;
        for time in ["once", "twice"] {
            let result = run(palace.as_ref(), kind.name).await;
            assert_ne!(result.status, MaintenanceStatus::AlreadyRunning, "nobody else runs {}", kind.name);
            let when = format!("after {} {time}", kind.name);
            let drawers = palace.collection(DRAWERS).await.unwrap();
            assert_holds(world, drawers.as_ref(), &rows, &when).await;
            assert_holds(world, world.drawers_elsewhere("palace").await.as_ref(), &rows, &when).await;
        }
        let drawers = palace.collection(DRAWERS).await.unwrap();
        drawers.upsert(batch(&numbered(400..410, WIDTH), WIDTH)).await.expect("it can be written as before");
        assert_eq!(drawers.count().await.unwrap(), 310);
        drawers.delete(&Selection::ids(ids_of(&numbered(400..410, WIDTH)))).await.unwrap();
    }
}

pub(crate) async fn each_kind_runs_where_there_is_work_and_shows_it(world: &World) {
    for kind in kinds(world) {
        let (palace, _) = worn(world, kind.name).await;
        let reference = world.reference("palace");
        let left_before = world.store().work_left(kind.name, &reference).await;
        let before = state(palace.as_ref()).await;
        let result = run(palace.as_ref(), kind.name).await;
        let after = state(palace.as_ref()).await;
        assert!(
            result.status == MaintenanceStatus::Ran,
            "{}: {:?} {:?}. There was work for it; where ordinary writing makes none, Store::make_work_for does",
            kind.name,
            result.status,
            result.stats
        );
        assert!(!result.stats.is_empty(), "{}: it ran, and its stats say nothing", kind.name);
        if [kind::ANALYZE, kind::COMPACT, kind::REINDEX].contains(&kind.name) {
            assert_ne!(before, after, "{}: it says it ran, and the state is what it was", kind.name);
        }
        match (left_before, world.store().work_left(kind.name, &reference).await) {
            (Some(before), Some(after)) => assert!(after < before, "{}: {before} to do, {after} after", kind.name),
            _ => println!("{}: seen by its own state alone; Store::work_left would say more", kind.name),
        }
    }
}

pub(crate) async fn a_kind_with_nothing_to_do_says_so_or_runs(world: &World) {
    for kind in kinds(world) {
        let palace = world.palace(&format!("empty for {}", kind.name)).await;
        for filled in [false, true] {
            if filled {
                palace.create_collection(&world.spec(DRAWERS, WIDTH)).await.unwrap();
            }
            let result = run(palace.as_ref(), kind.name).await;
            let fine = matches!(result.status, MaintenanceStatus::Ran | MaintenanceStatus::Noop);
            assert!(fine, "{}: {:?}", kind.name, result.status);
        }
    }
}

/// A listener that holds the run at its first step until it is let go.
struct Hold {
    progress: Progress,
    held: tokio::sync::oneshot::Receiver<()>,
    release: mpsc::Sender<()>,
}

impl Hold {
    fn new() -> Self {
        let (tell, held) = tokio::sync::oneshot::channel();
        let (release, wait) = mpsc::channel::<()>();
        let first = Mutex::new(Some((tell, wait)));
        let progress = Progress::to(move |_| {
            let taken = first.lock().unwrap().take();
            if let Some((tell, wait)) = taken {
                tell.send(()).ok();
                // Ends too when the test that would let it go has failed.
                wait.recv().ok();
            }
        });
        Self { progress, held, release }
    }
}

pub(crate) async fn a_second_run_of_a_kind_is_told_that_one_is_under_way(world: &World) {
    for kind in kinds(world) {
        let (palace, rows) = worn(world, kind.name).await;
        let (hold, name) = (Hold::new(), kind.name);
        let (progress, first) = (hold.progress, Arc::clone(&palace));
        // A thread of its own, for the listener blocks.
        let runtime = tokio::runtime::Handle::current();
        let first = std::thread::spawn(move || runtime.block_on(first.run_maintenance(name, &progress)));
        let held = hold.held.await;
        assert!(held.is_ok(), "{name} did its work and told no progress, so nobody can see that it is under way");
        let others = [palace, world.palace("palace").await, world.palace_elsewhere("palace").await];
        for (at, other) in others.iter().enumerate() {
            let told = Arc::new(AtomicBool::new(false));
            let hears = Arc::clone(&told);
            let progress = Progress::to(move |_| hears.store(true, Ordering::Release));
            let second = other.run_maintenance(name, &progress).await.unwrap();
            assert_eq!(second.status, MaintenanceStatus::AlreadyRunning, "{name}, handle {at}: {:?}", second.stats);
            assert_eq!(second.kind, name);
            assert!(!told.load(Ordering::Acquire), "{name}: the second run did something");
        }
        let neighbour = world.palace("neighbour").await;
        neighbour.create_collection(&world.spec(DRAWERS, WIDTH)).await.unwrap();
        let there = run(neighbour.as_ref(), name).await;
        assert_ne!(there.status, MaintenanceStatus::AlreadyRunning, "{name}: of another palace");
        hold.release.send(()).expect("the first run waits");
        let first = tokio::task::spawn_blocking(|| first.join().expect("the first run")).await.unwrap().unwrap();
        assert_eq!(first.status, MaintenanceStatus::Ran, "{name}: the first run goes on to its end");
        let again = run(others[2].as_ref(), name).await;
        assert_ne!(again.status, MaintenanceStatus::AlreadyRunning, "{name}: the first run has ended");
        assert_holds(world, world.drawers().await.as_ref(), &rows, name).await;
    }
}

pub(crate) async fn a_run_that_is_dropped_leaves_the_palace_whole_and_free(world: &World) {
    for kind in kinds(world) {
        let (palace, rows) = worn(world, kind.name).await;
        let polled = {
            let progress = Progress::unheard();
            let mut running = std::pin::pin!(palace.run_maintenance(kind.name, &progress));
            // Polled a few times, then dropped where it stands.
            let mut polls = 0;
            loop {
                let once = std::future::poll_fn(|context| std::task::Poll::Ready(running.as_mut().poll(context)));
                if once.await.is_ready() || polls == 3 {
                    break polls;
                }
                polls += 1;
                tokio::task::yield_now().await;
            }
        };
        println!("{}: dropped after {polled} polls", kind.name);
        assert_holds(world, world.drawers_elsewhere("palace").await.as_ref(), &rows, kind.name).await;
        let other = world.palace_elsewhere("palace").await;
        let mut tries = 0;
        while run(other.as_ref(), kind.name).await.status == MaintenanceStatus::AlreadyRunning {
            // Work that had been handed to the store may go on there for a while, not for ever.
            tries += 1;
            assert!(tries < 100_000, "{}: the dropped run is said to be under way for ever", kind.name);
            tokio::task::yield_now().await;
        }
        assert_holds(world, other.collection(DRAWERS).await.unwrap().as_ref(), &rows, kind.name).await;
    }
}

async fn keep_reading(drawers: Arc<dyn Collection>, done: Arc<AtomicBool>) -> usize {
    let mut scans = 0;
    while !done.load(Ordering::Acquire) || scans == 0 {
        let rows = scanned(drawers.as_ref()).await;
        assert!(rows.len() >= 300, "a reader misses rows: {}", rows.len());
        scans += 1;
        tokio::task::yield_now().await;
    }
    scans
}

pub(crate) async fn a_kind_runs_beside_readers_and_writers(world: &World) {
    for kind in kinds(world) {
        let (palace, rows) = worn(world, kind.name).await;
        let done = Arc::new(AtomicBool::new(false));
        let reader = tokio::spawn(keep_reading(world.drawers_elsewhere("palace").await, Arc::clone(&done)));
        let writing = world.drawers_elsewhere("palace").await;
        let writer = tokio::spawn(async move {
            for n in 0..20 {
                let row = numbered(1_000 + n..1_001 + n, WIDTH);
                writing.upsert(batch(&row, WIDTH)).await.expect("a write beside maintenance");
            }
        });
        for _ in 0..3 {
            run(palace.as_ref(), kind.name).await;
        }
        writer.await.expect("the writer");
        done.store(true, Ordering::Release);
        assert!(reader.await.expect("the reader") > 0);
        let wanted: Vec<Written> = rows.into_iter().chain(numbered(1_000..1_020, WIDTH)).collect();
        assert_holds(world, world.drawers_elsewhere("palace").await.as_ref(), &wanted, kind.name).await;
        let gone = ids_of(&wanted[300..]);
        world.drawers().await.delete(&Selection::ids(gone)).await.unwrap();
    }
}
