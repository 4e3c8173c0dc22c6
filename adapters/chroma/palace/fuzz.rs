//! Damaged files, by the hundred: whatever they hold, nothing panics and no row is made up.

use crate::ChromaBackend;
use crate::read::fixture::{Fixture, METADATA, Seen, VECTOR, scan};
use futures::TryStreamExt;
use palanquin_engine::contract::{Backend, Collection, Cursor, Error, KeyRange, OpenMode, PalaceRef, Purpose, Result};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// A palace with all there can be: rows in the index, in the log, in both, with lists, deleted ones.
fn sound() -> Fixture {
    let fixture = Fixture::flushed();
    let list = "INSERT INTO embedding_metadata_array VALUES (2, 'tags', 'x', NULL, NULL, NULL)";
    fixture.database.execute(list, []).unwrap();
    fixture.log(3, 2, "c", Some([0.0, 3.0]), None);
    for (seq, id) in (4..).zip(["d", "e", "f", "g"]) {
        fixture.add_row(id, &[("chroma:document", "in the log"), ("wing", "w")]);
        fixture.log(seq, 2, id, Some([seq as f32, 0.5]), Some(r#"{"wing":"w","chroma:document":"in the log"}"#));
    }
    fixture.set_max(METADATA, 7);
    fixture.log(8, 3, "e", None, Some("{}"));
    fixture
}

fn files_of(fixture: &Fixture) -> BTreeMap<PathBuf, Vec<u8>> {
    let index = ["header.bin", "data_level0.bin", "length.bin", "index_metadata.pickle"];
    let names = index.iter().map(|name| Path::new(VECTOR).join(name)).chain([PathBuf::from("chroma.sqlite3")]);
    names.map(|name| (name.clone(), std::fs::read(fixture.path.join(name)).unwrap())).collect()
}

fn damage(bytes: &mut Vec<u8>, random: &mut StdRng) {
    for _ in 0..random.random_range(1..6) {
        let len = bytes.len().max(1);
        let at = random.random_range(0..len).min(bytes.len().saturating_sub(1));
        match random.random_range(0..10) {
            0 => bytes.truncate(at),
            1 => bytes.extend(std::iter::repeat_n(random.random::<u8>(), random.random_range(1..5000))),
            2 => bytes.iter_mut().skip(at).take(64).for_each(|byte| *byte = 0),
            3 => bytes.iter_mut().skip(at).take(8).for_each(|byte| *byte = 0xff),
            4 => bytes.iter_mut().skip(at).take(4).for_each(|byte| *byte = random.random()),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = if random.random() { random.random() } else { *byte ^ (1 << random.random_range(0..8)) };
                }
            }
        }
    }
}

async fn open(backend: ChromaBackend, path: &Path) -> Result<std::sync::Arc<dyn Collection>> {
    for check in backend.preflight(&PalaceRef::local(path), Purpose::Source).await {
        assert!(!check.found.contains("broken off"), "a panic in preflight");
    }
    let palace = backend.open(&PalaceRef::local(path), OpenMode::Read.into()).await?;
    let health = palace.health().await;
    assert!(!health.reason.unwrap_or_default().contains("broken off"), "a panic in health");
    check(palace.maintenance_state().await.map(drop));
    check(palace.collections().await.map(drop));
    palace.collection("drawers").await
}

/// An error is as good as an answer, unless it is that of a panic.
#[track_caller]
fn check<T>(result: Result<T>) -> Option<T> {
    let panicked = |error: &Error| error.to_string().contains("broken off");
    result.inspect_err(|error| assert!(!panicked(error), "a panic: {error}")).ok()
}

/// Everything that can be asked of the palace.
async fn ask(backend: ChromaBackend, path: &Path) -> Option<Vec<Seen>> {
    let collection = check(open(backend, path).await)?;
    check(collection.count().await);
    check(collection.cut(2).await);
    check(collection.last_id(&KeyRange::ALL).await);
    if let Some(Some(head)) = check(collection.feed_head().await) {
        let parts: Vec<&str> = head.cursor.0.split(':').collect();
        let old = Cursor(format!("1:{}:{}:3:0:0:-", parts[1], parts[2]));
        check(collection.changes_since(&old, 2).try_collect::<Vec<_>>().await);
    }
    let rows = check(scan(collection.as_ref(), KeyRange::ALL, 3).await)?;
    assert!(rows.windows(2).all(|pair| pair[0].0 < pair[1].0), "ids out of order or twice");
    Some(rows)
}

/// The first seed and how many.
fn seeds(usual: u64) -> (u64, u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    (number("PALANQUIN_SEED").unwrap_or(1), number("PALANQUIN_CASES").unwrap_or(usual))
}

/// Writes a file, so long ago that nobody can be writing it.
fn write_old(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
}

#[tokio::test]
async fn damaged_files_are_read_or_refused_and_never_make_up_a_row() {
    let (first, cases) = seeds(400);
    println!("seeds {first}..{}", first + cases);
    let fixture = sound();
    let expected: BTreeMap<String, Seen> =
        ask(ChromaBackend::new(), &fixture.path).await.unwrap().into_iter().map(|row| (row.0.clone(), row)).collect();
    assert_eq!(expected.keys().map(String::as_str).collect::<String>(), "abcdfg");
    let files = files_of(&fixture);
    let names: Vec<&PathBuf> = files.keys().collect();
    let (mut read, mut refused) = (0, 0);
    for seed in first..first + cases {
        let mut random = StdRng::seed_from_u64(seed);
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(VECTOR)).unwrap();
        let database = names[names.len() - 1];
        let damaged = if random.random_bool(0.4) { database } else { *names.choose(&mut random).unwrap() };
        for (name, bytes) in &files {
            let mut bytes = bytes.clone();
            if name == damaged {
                damage(&mut bytes, &mut random);
            }
            write_old(&folder.path().join(name), &bytes);
        }
        let begun = Instant::now();
        let rows = ask(ChromaBackend::new(), folder.path()).await;
        assert!(begun.elapsed() < Duration::from_secs(30), "seed {seed}: {:?}", begun.elapsed());
        // Damage to stored values cannot be told from values; to what leads to them it can.
        let leads = damaged.ends_with("header.bin") || damaged.ends_with("index_metadata.pickle");
        for row in rows.iter().flatten().filter(|_| leads) {
            let expected = &expected[&row.0];
            assert!((&row.1, &row.2) == (&expected.1, &expected.2), "seed {seed}: {row:?}");
            assert!(row.3.is_none() || row.3 == expected.3, "seed {seed}: {row:?} instead of {expected:?}");
        }
        *(if rows.is_some() { &mut read } else { &mut refused }) += 1;
    }
    println!("{read} read, {refused} refused");
    assert!(read > 0 && refused > 0);
}

/// One file is damaged, in the index or in one that was set aside: by those who salvage every row is read, whole or
/// without a vector, unless it is the database that is damaged.
#[tokio::test]
async fn salvaging_from_damaged_files_gives_every_row_and_never_makes_up_a_vector() {
    let (first, cases) = seeds(300);
    println!("seeds {first}..{}", first + cases);
    let fixture = sound();
    let expected: BTreeMap<String, Seen> =
        ask(ChromaBackend::new(), &fixture.path).await.unwrap().into_iter().map(|row| (row.0.clone(), row)).collect();
    let files = files_of(&fixture);
    let index: Vec<&PathBuf> = files.keys().filter(|name| name.starts_with(VECTOR)).collect();
    let aside = format!("{VECTOR}.corrupt-20260101-000000");
    let (mut whole, mut lacking) = (0, 0);
    for seed in first..first + cases {
        let mut random = StdRng::seed_from_u64(seed);
        let folder = tempfile::tempdir().unwrap();
        let damaged = *index.choose(&mut random).unwrap();
        // Both indexes were sound copies of one another; the segment's own may be gone altogether.
        let (own_is_damaged, own_is_gone) = (random.random_bool(0.4), random.random_bool(0.5));
        for home in [VECTOR, &aside] {
            std::fs::create_dir(folder.path().join(home)).unwrap();
        }
        for (name, bytes) in &files {
            let Ok(file) = name.strip_prefix(VECTOR) else {
                write_old(&folder.path().join(name), bytes);
                continue;
            };
            let mut broken = bytes.clone();
            if name == damaged {
                damage(&mut broken, &mut random);
            }
            let (own, other) = if own_is_damaged { (&broken, bytes) } else { (bytes, &broken) };
            if !own_is_gone {
                write_old(&folder.path().join(name), own);
            }
            write_old(&folder.path().join(&aside).join(file), other);
        }
        let rows = ask(ChromaBackend::salvaging(), folder.path()).await.unwrap_or_else(|| panic!("seed {seed}"));
        assert!(rows.iter().map(|row| &row.0).eq(expected.keys()), "seed {seed}: {rows:?}");
        let leads = damaged.ends_with("header.bin") || damaged.ends_with("index_metadata.pickle");
        for row in rows {
            let expected = &expected[&row.0];
            assert!((&row.1, &row.2) == (&expected.1, &expected.2), "seed {seed}: {row:?}");
            let is_true = row.3.is_none() || row.3 == expected.3 || !leads;
            assert!(is_true, "seed {seed}: {row:?} instead of {expected:?}");
            *(if row.3.is_some() { &mut whole } else { &mut lacking }) += 1;
        }
    }
    println!("{whole} rows with a vector, {lacking} without");
    assert!(whole > lacking && lacking > 0);
}
