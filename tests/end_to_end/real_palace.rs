use palanquin_tests::{Program, Scratch, dump_of, files_below, fixture, read_lance};
use std::collections::BTreeMap;
use std::path::Path;

/// Every row of the target is the row chromadb's client returns from the source: ids, documents and metadata equal,
/// vectors bit-equal but for rows of the queue's tail, which the client rounds and the queue holds exactly.
pub(crate) fn assert_equal_to_dump(target: &Path) {
    let dump = dump_of(&fixture().join("dump.jsonl"));
    let rows = read_lance(target);
    assert_eq!(rows.len(), dump.len(), "rows");
    let mut rounded: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows {
        let expected = dump.get(&(row.collection.clone(), row.id.clone()));
        let expected = expected.unwrap_or_else(|| panic!("{} is not in the source", row.id));
        assert_eq!(row.document, expected.document, "{}", row.id);
        assert_eq!(row.metadata, expected.metadata, "{}", row.id);
        let vector = row.embedding.unwrap_or_else(|| panic!("{} has no vector", row.id));
        let bits = |vector: &[f32]| vector.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        if bits(&vector) != bits(&expected.embedding) {
            *rounded.entry(row.collection).or_default() += 1;
            let furthest = vector.iter().zip(&expected.embedding).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(furthest <= 1e-7, "{}: {furthest}", row.id);
        }
    }
    let queued = queued(&fixture().join("palace"));
    for (collection, count) in rounded {
        let tail = queued.get(&collection).copied().unwrap_or_default();
        assert!(count <= tail, "{collection}: {count} vectors differ and {tail} rows are in the queue");
    }
}

/// Rows of each collection whose newest vector is in the queue, not yet in the index.
fn queued(palace: &Path) -> BTreeMap<String, usize> {
    let database = rusqlite::Connection::open(palace.join("chroma.sqlite3")).unwrap();
    let mut statement = database
        .prepare(
            "SELECT c.name, count(DISTINCT q.id) FROM embeddings_queue q
             JOIN collections c ON q.topic LIKE '%/' || c.id
             JOIN segments s ON s.collection = c.id AND s.scope = 'VECTOR'
             LEFT JOIN max_seq_id m ON m.segment_id = s.id
             WHERE q.seq_id > coalesce(m.seq_id, 0) GROUP BY c.name",
        )
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as usize))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn a_real_palace_arrives_row_for_row_and_leaves_its_source_untouched() {
    let scratch = Scratch::new();
    let (source, target) = (scratch.palace(), scratch.path("target"));
    let before = files_below(&source);
    let run = Program::migrate(&source, &target, &scratch.path("state")).run();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("copied and verified"), "{}", run.stdout);
    assert!(run.stdout.contains("not compared"), "{}", run.stdout);
    assert_equal_to_dump(&target);
    assert!(files_below(&source) == before, "the source was changed");
}

#[test]
fn a_lance_palace_is_a_source_too_and_its_copy_is_the_same() {
    let scratch = Scratch::new();
    let (source, first, second) = (scratch.palace(), scratch.path("first"), scratch.path("second"));
    for (from, to) in [(&source, &first), (&first, &second)] {
        let run = Program::migrate(from, to, &scratch.path("state")).run();
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    }
    assert_equal_to_dump(&second);
}

#[test]
fn restarting_forgets_an_interrupted_run_and_nothing_else() {
    let scratch = Scratch::new();
    let (source, target, state) = (scratch.palace(), scratch.path("target"), scratch.path("state"));
    let finished = Program::migrate(&source, &target, &state).run();
    assert_eq!(finished.code, Some(0), "{}{}", finished.stdout, finished.stderr);
    let refused = Program::migrate(&source, &target, &state).arg("--restart").run();
    assert_eq!(refused.code, Some(3), "{}{}", refused.stdout, refused.stderr);
    assert_equal_to_dump(&target);

    let (target, state) = (scratch.path("second"), scratch.path("state-2"));
    let (mut child, lines) = Program::migrate(&source, &target, &state).arg("--credit").arg("256KiB").start();
    for line in lines.iter() {
        if line.contains("copying") {
            child.kill().unwrap();
            break;
        }
    }
    child.wait().unwrap();
    let again = Program::migrate(&source, &target, &state).arg("--restart").run();
    assert_eq!(again.code, Some(0), "{}{}", again.stdout, again.stderr);
    assert_equal_to_dump(&target);
}

#[test]
fn only_the_collections_asked_for_are_copied() {
    let scratch = Scratch::new();
    let target = scratch.path("target");
    let migrate = Program::migrate(&scratch.palace(), &target, &scratch.path("state"));
    let run = migrate.arg("--collection").arg("mempalace_closets").run();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("collections other than those asked for"), "{}", run.stdout);
    let rows = read_lance(&target);
    assert_eq!(rows.len(), 40);
    assert!(rows.iter().all(|row| row.collection == "mempalace_closets"));
}

#[test]
fn the_identity_travels_with_the_rows() {
    let scratch = Scratch::new();
    let target = scratch.path("target");
    let run = Program::migrate(&scratch.palace(), &target, &scratch.path("state")).run();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let sidecar = std::fs::read_to_string(target.join("mempalace_embedder.json")).unwrap();
    let sidecar: serde_json::Value = serde_json::from_str(&sidecar).unwrap();
    assert_eq!(sidecar["mempalace_drawers"]["model_name"], "minilm");
}

#[test]
fn a_target_is_replaced_only_when_asked_and_only_by_a_verified_copy() {
    let scratch = Scratch::new();
    let (source, target, state) = (scratch.palace(), scratch.path("target"), scratch.path("state"));
    let first = Program::migrate(&source, &target, &state).arg("--collection").arg("mempalace_closets").run();
    assert_eq!(first.code, Some(0), "{}{}", first.stdout, first.stderr);
    let refused = Program::migrate(&source, &target, &state).run();
    assert_eq!(refused.code, Some(3), "{}{}", refused.stdout, refused.stderr);
    assert!(refused.stdout.contains("--overwrite"), "{}", refused.stdout);
    assert_eq!(read_lance(&target).len(), 40);
    for _ in 0..2 {
        let replaced = Program::migrate(&source, &target, &state).arg("--overwrite").run();
        assert_eq!(replaced.code, Some(0), "{}{}", replaced.stdout, replaced.stderr);
        assert_equal_to_dump(&target);
    }
    let left: Vec<_> =
        std::fs::read_dir(target.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("palanquin-new")), "{left:?}");
}
