//! `verify` on every pair of backends: what a target has come to differ in is found to the row, and repaired.

use crate::postgres::sql;
use futures::TryStreamExt;
use palanquin_engine::contract::{
    Backend, ChangeBatch, Collection, KeyRange, OpenMode, PalaceRef, ScanOrder, ScanRequest, WriteMode,
};
use palanquin_engine::rows::{Row, RowBatch, RowBatchBuilder};
use palanquin_lance::LanceBackend;
use palanquin_postgres::{Dsn, PostgresBackend, PostgresOptions};
use palanquin_tests::{Finished, Program, Scratch, files_below, python};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

const DRAWERS: &str = "mempalace_drawers";

/// A palace that can be written to by its backend, beside the program.
struct Writable {
    address: String,
    backend: Arc<dyn Backend>,
    palace: PalaceRef,
    /// Whether its store lets an id stand twice.
    takes_duplicates: bool,
}

fn lance(path: &Path) -> Writable {
    let backend = Arc::new(LanceBackend::new());
    let address = format!("lance:{}", path.display());
    Writable { address, backend, palace: PalaceRef::local(path), takes_duplicates: true }
}

fn postgres(name: &str) -> Writable {
    let server = std::env::var("PALANQUIN_TEST_POSTGRES").expect("run the tests with tests/run");
    let name = format!("{name}-{}", std::process::id());
    let backend = Arc::new(PostgresBackend::new(PostgresOptions::of(Dsn::parse(&server).unwrap())));
    let palace = PalaceRef { id: name.clone(), local_path: None, namespace: None };
    Writable { address: format!("{server}?palace={name}"), backend, palace, takes_duplicates: false }
}

fn migrate(source: &str, target: &str, scratch: &Scratch) {
    let state = scratch.path("state");
    let run = Program::with(["migrate"]).arg(source).arg(target).arg("--state").arg(state.to_str().unwrap()).run();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}

fn verify(source: &str, target: &str, scratch: &Scratch, more: &[&str]) -> Finished {
    let state = scratch.path("state");
    let program = Program::with(["verify"]).arg(target).arg("--against").arg(source);
    let program = program.arg("--state").arg(state.to_str().unwrap());
    more.iter().fold(program, |program, argument| program.arg(argument)).run()
}

/// The result line of a run with `--json`.
fn result(run: &Finished) -> Value {
    let lines = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut results = lines.filter(|line| line["kind"] == "verification");
    results.next().unwrap_or_else(|| panic!("no result: {}{}", run.stdout, run.stderr))
}

/// Damages the target at seeded places; the differences there are then, by id.
fn damage(target: &Writable, seed: u64) -> BTreeMap<String, Value> {
    println!("seed {seed}");
    let mut stream = StdRng::seed_from_u64(seed);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let palace = target.backend.open(&target.palace, OpenMode::Write.into()).await.unwrap();
        let collection = palace.collection(DRAWERS).await.unwrap();
        let scan = ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows: 1_000 };
        let batches: Vec<RowBatch> = collection.scan(scan).try_collect().await.unwrap();
        let all: Vec<Row<'_>> = batches.iter().flat_map(RowBatch::rows).collect();
        let picked: Vec<Row<'_>> = all.choose_multiple(&mut stream, 12).copied().collect();
        let mut expected = BTreeMap::new();
        let mut expect = |kind: &str, id: &str, field: Option<&str>| {
            let mut difference = serde_json::json!({"kind": kind, "id": id});
            if let Some(field) = field {
                difference["fields"] = serde_json::json!([field]);
            }
            expected.insert(id.to_owned(), difference);
        };
        let mut upserts = RowBatchBuilder::with_capacity(12, batches[0].dimension());
        let mut deletes = Vec::new();
        for (place, row) in picked.iter().enumerate() {
            let mut vector = row.embedding.unwrap().to_vec();
            match place % 4 {
                0 => {
                    deletes.push(row.id.to_owned());
                    expect("missing", row.id, None);
                }
                1 => {
                    let document = format!("{} changed", row.document.unwrap_or_default());
                    upserts.push(Row { document: Some(&document), ..*row }).unwrap();
                    expect("different", row.id, Some("document"));
                }
                2 => {
                    upserts.push(Row { metadata: r#"{"changed":true}"#, ..*row }).unwrap();
                    expect("different", row.id, Some("metadata"));
                }
                _ => {
                    // Of the fraction, and far from the tolerance of a source that rounds.
                    let component = stream.random_range(0..vector.len());
                    vector[component] = f32::from_bits(vector[component].to_bits() ^ (1 << 12));
                    upserts.push(Row { embedding: Some(&vector), ..*row }).unwrap();
                    expect("different", row.id, Some("embedding"));
                }
            }
        }
        for (n, row) in picked.iter().take(3).enumerate() {
            let id = format!("drawer_extra_{n}_{seed}");
            upserts.push(Row { id: &id, ..*row }).unwrap();
            expect("extra", &id, None);
        }
        let upserts = Some(upserts.finish().unwrap());
        let batch = ChangeBatch { upserts, deletes, ..ChangeBatch::default() };
        collection.apply(batch, WriteMode::Upsert).await.unwrap();
        if target.takes_duplicates {
            let twin = all.iter().find(|row| !expected.contains_key(row.id)).unwrap();
            append(collection.as_ref(), *twin).await;
            let duplicate = serde_json::json!({"kind": "duplicate", "id": twin.id, "source": 1, "target": 2});
            expected.insert(twin.id.to_owned(), duplicate);
        }
        expected
    })
}

async fn append(collection: &dyn Collection, row: Row<'_>) {
    let mut twin = RowBatchBuilder::with_capacity(1, row.embedding.unwrap().len() as u32);
    twin.push(row).unwrap();
    collection.apply(ChangeBatch::upserts(twin.finish().unwrap()), WriteMode::Append).await.unwrap();
}

/// The copy is equal; damaged, it differs in just these rows; repaired, it is equal again.
fn assert_damage_is_found_and_repaired(source: &str, target: &Writable, scratch: &Scratch, seed: u64) {
    let equal = verify(source, &target.address, scratch, &["--json"]);
    assert_eq!(equal.code, Some(0), "{}{}", equal.stdout, equal.stderr);
    let report = result(&equal);
    assert_eq!(report["conclusion"], "equal");
    let drawers = |result: &Value| {
        let collections = result["report"]["collections"].as_array().unwrap();
        collections.iter().find(|collection| collection["name"] == DRAWERS).unwrap().clone()
    };
    let same = drawers(&report);
    assert_eq!((&same["equal"], &same["source_digest"]), (&2_412.into(), &same["target_digest"]), "{same}");
    assert_eq!((&same["vectors"]["compared"], &same["vectors"]["exact"]), (&2_412.into(), &2_412.into()), "{same}");

    let expected = damage(target, seed);
    let found = verify(source, &target.address, scratch, &["--json"]);
    assert_eq!(found.code, Some(5), "{}{}", found.stdout, found.stderr);
    let damaged = drawers(&result(&found));
    let differences: Vec<Value> = damaged["differences"].as_array().unwrap().clone();
    assert_eq!(differences, expected.into_values().collect::<Vec<_>>());
    assert_ne!(damaged["source_digest"], damaged["target_digest"]);

    let repaired = verify(source, &target.address, scratch, &["--repair", "--json"]);
    assert_eq!(repaired.code, Some(5), "{}{}", repaired.stdout, repaired.stderr);
    let copied = 12 + u64::from(target.takes_duplicates);
    let done = result(&repaired)["repaired"].clone();
    assert_eq!(done, serde_json::json!({"copied": copied, "removed": 0, "left": 3}));
    let again = verify(source, &target.address, scratch, &["--repair", "--delete-extra"]);
    assert_eq!(again.code, Some(0), "{}{}", again.stdout, again.stderr);
    assert!(again.stdout.contains("0 rows copied again, 3 removed"), "{}", again.stdout);
    let history = Program::with(["history"]).arg(&target.address).arg("--json").run();
    let log: Vec<Value> = history.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let repairs: Vec<&Value> =
        log.iter().map(|line| &line["entry"]).filter(|entry| entry["kind"] == "repair").collect();
    let [.., first, second] = &repairs[..] else { panic!("{}", history.stdout) };
    assert_eq!((&first["copied"], &first["removed"]), (&copied.into(), &0.into()), "{first}");
    assert_eq!((&second["copied"], &second["removed"]), (&0.into(), &3.into()), "{second}");
    let whole = verify(source, &target.address, scratch, &["--json"]);
    assert_eq!(whole.code, Some(0), "{}{}", whole.stdout, whole.stderr);
    assert_eq!(drawers(&result(&whole))["source_digest"], same["source_digest"]);
}

#[test]
fn a_damaged_copy_of_a_chroma_palace_in_lance_and_a_copy_of_that_are_found_out_and_repaired() {
    let scratch = Scratch::new();
    let source = scratch.palace();
    let (first, second) = (lance(&scratch.path("first")), lance(&scratch.path("second")));
    let before = files_below(&source);
    migrate(source.to_str().unwrap(), &first.address, &scratch);
    migrate(&first.address, &second.address, &scratch);
    assert_damage_is_found_and_repaired(&first.address, &second, &scratch, 1);
    let copy = files_below(&scratch.path("first"));
    assert_damage_is_found_and_repaired(&first.address, &second, &scratch, 2);
    assert!(files_below(&scratch.path("first")) == copy, "the source was changed");
    assert_damage_is_found_and_repaired(source.to_str().unwrap(), &first, &scratch, 3);
    assert!(files_below(&source) == before, "the source was changed");
}

#[test]
fn a_damaged_copy_in_postgres_and_a_damaged_copy_of_it_are_found_out_and_repaired() {
    let scratch = Scratch::new();
    let source = scratch.palace();
    let (database, back) = (postgres("verified"), lance(&scratch.path("back")));
    migrate(source.to_str().unwrap(), &database.address, &scratch);
    migrate(&database.address, &back.address, &scratch);
    assert_damage_is_found_and_repaired(&database.address, &back, &scratch, 4);
    assert_damage_is_found_and_repaired(source.to_str().unwrap(), &database, &scratch, 5);
}

#[test]
fn a_repair_that_fails_in_the_middle_is_in_the_history_as_what_it_did() {
    let scratch = Scratch::new();
    let (source, database) = (scratch.palace(), postgres("halfway"));
    migrate(source.to_str().unwrap(), &database.address, &scratch);
    let server = std::env::var("PALANQUIN_TEST_POSTGRES").unwrap();
    let hash = format!("SELECT left(encode(sha256('{}'), 'hex'), 16)", database.palace.id);
    let prefix = format!("mempalace_{}", sql(&server, &hash).split('\'').nth(1).unwrap());
    let (closets, drawers) = (format!("{prefix}_mempalace_closets"), format!("{prefix}_mempalace_drawers"));
    for table in [&closets, &drawers] {
        sql(&server, &format!("DELETE FROM \"{table}\" WHERE ctid IN (SELECT ctid FROM \"{table}\" LIMIT 7)"));
    }
    // Of the two collections, the first one is repaired.
    let refusal = "CREATE FUNCTION halfway() RETURNS trigger LANGUAGE plpgsql AS \
                   $$ BEGIN RAISE insufficient_privilege; END $$";
    sql(&server, refusal);
    sql(&server, &format!("CREATE TRIGGER halfway BEFORE INSERT ON \"{drawers}\" EXECUTE FUNCTION halfway()"));
    let failed = verify(source.to_str().unwrap(), &database.address, &scratch, &["--repair"]);
    assert!(!matches!(failed.code, Some(0 | 5)), "{}{}", failed.stdout, failed.stderr);
    let repairs = || {
        let history = Program::with(["history"]).arg(&database.address).arg("--json").run();
        let log = history.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["entry"].clone());
        log.filter(|entry| entry["kind"] == "repair").collect::<Vec<_>>()
    };
    let [first] = &repairs()[..] else { panic!("{:?}", repairs()) };
    assert_eq!((&first["copied"], &first["finished"]), (&7.into(), &false.into()), "{first}");
    sql(&server, &format!("DROP TRIGGER halfway ON \"{drawers}\""));
    let again = verify(source.to_str().unwrap(), &database.address, &scratch, &["--repair"]);
    assert_eq!(again.code, Some(0), "{}{}", again.stdout, again.stderr);
    let [_, second] = &repairs()[..] else { panic!("{:?}", repairs()) };
    assert_eq!((&second["copied"], second.get("finished")), (&7.into(), None), "{second}");
}

#[test]
fn the_words_of_the_specification_a_sample_and_searches() {
    let scratch = Scratch::new();
    let (source, target) = (scratch.palace(), scratch.path("target"));
    migrate(source.to_str().unwrap(), &format!("lance:{}", target.display()), &scratch);
    let program = || {
        let program = Program::with(["verify", "--palace"]).arg(target.to_str().unwrap());
        program.arg("--against").arg(source.to_str().unwrap()).arg("--source-backend").arg("chroma")
    };
    let run = program().arg("--sample").arg("50").arg("--seed").arg("7").run();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.starts_with("verify: equal in the sample\n"), "{}", run.stdout);
    assert!(run.stdout.contains("50 sampled (seed 7), 50 equal"), "{}", run.stdout);
    assert!(run.stdout.contains("not compared  rows beside the sample"), "{}", run.stdout);
    assert!(run.stdout.contains("cosine of 0.999"), "{}", run.stdout);

    let searched = program().arg("--search").arg("10").arg("--seed").arg("7").arg("--json").run();
    assert_eq!(searched.code, Some(0), "{}{}", searched.stdout, searched.stderr);
    let search = result(&searched)["report"]["search"].clone();
    let drawers = search["collections"].as_array().unwrap().iter().find(|of| of["name"] == DRAWERS).unwrap();
    assert_eq!((&drawers["overlap"], &drawers["probes"], &drawers["hits"]), (&1.0.into(), &20.into(), &10.into()));
    assert_eq!(drawers["source_is_approximate"], false, "{drawers}");
    assert_eq!(drawers["target_is_approximate"], false, "{drawers}");
    assert!(search["target_state"][DRAWERS]["rows"] == 2_412, "{search}");

    let unknown = program().arg("--collection").arg("nothing").run();
    assert_eq!(unknown.code, Some(2), "{}{}", unknown.stdout, unknown.stderr);
    let other = Program::with(["verify"]).arg(target.to_str().unwrap()).arg("--against").arg("lance:/nowhere").run();
    assert_eq!(other.code, Some(2), "{}{}", other.stdout, other.stderr);
}

#[test]
fn collections_are_paired_by_their_names_or_as_it_is_said_and_what_has_no_counterpart_is_told() {
    let scratch = Scratch::new();
    let (source, target) = (scratch.palace(), scratch.path("target"));
    let address = format!("lance:{}", target.display());
    let closets =
        Program::migrate(&source, &target, &scratch.path("state")).arg("--collection").arg("mempalace_closets");
    assert_eq!(closets.run().code, Some(0));
    let source = source.to_str().unwrap();
    let all = verify(source, &address, &scratch, &[]);
    assert_eq!(all.code, Some(5), "{}{}", all.stdout, all.stderr);
    assert!(all.stdout.contains("mempalace_drawers: the target lacks this collection"), "{}", all.stdout);
    let asked = verify(source, &address, &scratch, &["--collection", "mempalace_closets"]);
    assert_eq!(asked.code, Some(0), "{}{}", asked.stdout, asked.stderr);
    assert!(asked.stdout.contains("not compared  collections other than those asked for"), "{}", asked.stdout);
    let renamed = verify(
        source,
        &address,
        &scratch,
        &["--rename-collection", "mempalace_drawers=mempalace_closets", "--collection", "mempalace_drawers", "--json"],
    );
    assert_eq!(renamed.code, Some(5), "{}{}", renamed.stdout, renamed.stderr);
    let found = result(&renamed)["report"]["collections"][0].clone();
    assert_eq!(found["target_name"], "mempalace_closets");
    assert_eq!(found["counts"], serde_json::json!({"missing": 2_412, "extra": 40, "different": 0, "duplicate": 0}));
}

#[test]
fn a_palace_that_mempalace_writes_to_is_never_called_equal_to_what_it_was_and_repair_catches_up_with_it() {
    let scratch = Scratch::new();
    let source = scratch.palace();
    let target = format!("lance:{}", scratch.path("target").display());
    migrate(source.to_str().unwrap(), &target, &scratch);
    let mut writer = python();
    writer.arg("write").arg(&source).args(["--rows", "2500", "--seconds", "6"]).stdout(Stdio::piped());
    let mut writer = writer.spawn().unwrap();
    let mut said = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert_eq!(said.next().as_deref(), Some("ready"));
    let mut looks = 0;
    while writer.try_wait().unwrap().is_none() {
        let run = verify(source.to_str().unwrap(), &target, &scratch, &[]);
        assert!(matches!(run.code, Some(4 | 5)), "{}{}", run.stdout, run.stderr);
        looks += 1;
    }
    assert!(looks > 0 && said.next().unwrap_or_default().starts_with("rounds "));
    let repaired = verify(source.to_str().unwrap(), &target, &scratch, &["--repair", "--delete-extra"]);
    assert_eq!(repaired.code, Some(0), "{}{}", repaired.stdout, repaired.stderr);
    let run = verify(source.to_str().unwrap(), &target, &scratch, &[]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}
