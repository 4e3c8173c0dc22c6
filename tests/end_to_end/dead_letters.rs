//! Rows a target refuses or cannot hold as they are, from the command line, on a real server.

use crate::postgres::palace;
use palanquin_engine::contract::Backend;
use palanquin_engine::contract::{ChangeBatch, CollectionSpec, Metric, OpenMode, PalaceRef, WriteMode};
use palanquin_engine::rows::{Row, RowBatchBuilder, canonical_metadata};
use palanquin_lance::LanceBackend;
use palanquin_tests::{Finished, Program, Scratch};
use serde_json::{Value, json};
use std::path::Path;

const SECRET: &str = "what nobody else may read";

/// A palace with rows that Postgres holds, one it holds converted, and two it cannot hold.
fn source(path: &Path) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let palace = LanceBackend::new().open(&PalaceRef::local(path), OpenMode::Create.into()).await.unwrap();
        let spec = CollectionSpec {
            name: "mempalace_drawers".into(),
            dimension: 4,
            metric: Metric::Cosine,
            identity: None,
            incarnation: "made for the test".into(),
            settings: Default::default(),
        };
        let collection = palace.create_collection(&spec).await.unwrap();
        let mut rows = RowBatchBuilder::with_capacity(300, 4);
        let sound = [0.5, -0.25, 1.0, 0.0];
        for i in 0..300 {
            let (id, metadata) = (format!("row-{i:03}"), canonical_metadata(json!({"n": i}).as_object().unwrap()));
            rows.push(Row { id: &id, document: Some("d"), metadata: &metadata, embedding: Some(&sound) }).unwrap();
        }
        let awkward = [
            Row { id: "nul\0id", document: Some(SECRET), metadata: "{}", embedding: Some(&sound) },
            Row { id: "nul-text", document: Some("a\0b"), metadata: r#"{"k":"\u0000"}"#, embedding: Some(&sound) },
            Row { id: "row-100-nan", document: Some(SECRET), metadata: "{}", embedding: Some(&[f32::NAN; 4]) },
            Row { id: "without", document: Some("no vector"), metadata: "{}", embedding: None },
        ];
        awkward.into_iter().for_each(|row| rows.push(row).unwrap());
        let rows = ChangeBatch::upserts(rows.finish().unwrap());
        collection.apply(rows, WriteMode::Append).await.unwrap();
    });
}

fn migrate(source: &Path, target: &str, state: &Path, more: &[&str]) -> Finished {
    let mut program = Program::with(["migrate"]).arg(&format!("lance:{}", source.display())).arg(target).arg("--json");
    program = program.arg("--state").arg(state.to_str().unwrap());
    more.iter().fold(program, |program, argument| program.arg(argument)).run()
}

fn letters<const N: usize>(command: [&str; N], state: &Path) -> Finished {
    let program = Program::with(["dead-letters"]).arg(command[0]).arg("--state").arg(state.to_str().unwrap());
    command[1..].iter().fold(program, |program, argument| program.arg(argument)).run()
}

/// The lines of one kind.
fn lines(run: &Finished, kind: &str) -> Vec<Value> {
    let lines = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["kind"] == kind).collect()
}

#[test]
fn rows_a_server_refuses_are_set_aside_shown_retried_and_discarded_and_their_content_stays_private() {
    let scratch = Scratch::new();
    let (from, state) = (scratch.path("source"), scratch.path("state"));
    source(&from);
    let target = palace("dead-letters");

    let halted = migrate(&from, &target, &state, &[]);
    assert_eq!(halted.code, Some(6), "{}{}", halted.stdout, halted.stderr);
    let continued = migrate(&from, &target, &state, &["--max-dead-letters", "2"]);
    assert_eq!(continued.code, Some(5), "{}{}", continued.stdout, continued.stderr);
    let result = &lines(&continued, "result")[0];
    assert_eq!(result["rows"], 302);
    let ids: Vec<&str> =
        result["dead_letters"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["nul\0id", "row-100-nan"]);
    assert_eq!(
        (&result["conversions"][0]["count"], &result["conversions"][0]["ids"]),
        (&json!(1), &json!(["nul-text"]))
    );
    let differences = result["report"]["collections"][0]["differences"].as_array().unwrap();
    assert_eq!(differences.len(), 2, "the converted row and the one without a vector are equal: {differences:?}");

    let listed = letters(["list", "--json"], &state);
    let listed = lines(&listed, "kept_letter");
    assert_eq!(listed.len(), 2);
    let link = listed[0]["link"].as_str().unwrap().to_owned();
    let shown = letters(["show", &link, "mempalace_drawers", "row-100-nan", "--json"], &state);
    assert_eq!(lines(&shown, "dead_letter")[0]["document"], SECRET);
    let as_listed = letters(["show", &link, "mempalace_drawers", r"nul\0id", "--json"], &state);
    assert_eq!(
        lines(&as_listed, "dead_letter")[0]["about"]["id"],
        "nul\0id",
        "{}{}",
        as_listed.stdout,
        as_listed.stderr
    );
    let retried = letters(["retry", &link], &state);
    assert_eq!(retried.code, Some(6), "{}{}", retried.stdout, retried.stderr);
    assert!(retried.stdout.contains("0 rows arrived"), "{}", retried.stdout);
    let everywhere = [&halted, &continued, &letters(["list"], &state), &retried];
    for said in everywhere {
        assert!(!said.stdout.contains(SECRET) && !said.stderr.contains(SECRET), "{}{}", said.stdout, said.stderr);
    }
    let log = std::fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path());
    for file in log.filter(|path| path.extension().is_some_and(|extension| extension == "log")) {
        assert!(!String::from_utf8_lossy(&std::fs::read(&file).unwrap()).contains(SECRET), "{}", file.display());
    }

    assert_eq!(letters(["discard", &link], &state).code, Some(2), "all only when asked for");
    assert_eq!(letters(["discard", &link, "--id", "row-100-nan"], &state).code, Some(0));
    assert_eq!(lines(&letters(["list", "--json"], &state), "kept_letter").len(), 1);
    assert_eq!(letters(["discard", &link, "--all"], &state).code, Some(0));
    assert!(letters(["list"], &state).stdout.contains("there are no dead letters"));
}

#[test]
fn a_plan_names_what_the_target_could_not_hold_and_calls_nothing_lossless_that_would_be_converted() {
    let scratch = Scratch::new();
    let from = scratch.path("source");
    source(&from);
    let plan = |target: &str| {
        let run = Program::with(["plan"]).arg(&format!("lance:{}", from.display())).arg(target).arg("--json").run();
        assert_eq!(run.code, Some(3), "{}{}", run.stdout, run.stderr);
        let plan: Value = serde_json::from_str(run.stdout.trim()).unwrap();
        let check = plan["plan"]["checks"].as_array().unwrap().iter().find(|check| check["name"] == "fits").cloned();
        (plan["plan"].clone(), check.unwrap())
    };
    let (postgres, fits) = plan(&palace("planned"));
    assert_eq!((&postgres["lossless"], &postgres["refused_probed_rows"]), (&json!(false), &json!(2)), "{postgres}");
    assert_eq!(postgres["conversions"][0]["probed_rows"], 1, "{postgres}");
    assert_eq!(fits["standing"], "fails");
    let (chroma, fits) = plan(&format!("chroma:{}", scratch.path("chroma").display()));
    assert_eq!((&chroma["lossless"], &chroma["refused_probed_rows"]), (&json!(false), &json!(2)), "{chroma}");
    assert!(fits["found"].as_str().unwrap().contains("NaN"), "{fits}");
}

#[test]
fn what_a_strict_copy_set_aside_arrives_converted_when_it_is_retried() {
    let scratch = Scratch::new();
    let (from, state) = (scratch.path("source"), scratch.path("state"));
    source(&from);
    let target = palace("strict");
    let strict = migrate(&from, &target, &state, &["--strict", "--max-dead-letters", "9"]);
    assert_eq!(strict.code, Some(5), "{}{}", strict.stdout, strict.stderr);
    let listed = lines(&letters(["list", "--json"], &state), "kept_letter");
    assert_eq!(listed.len(), 3);
    let link = listed[0]["link"].as_str().unwrap().to_owned();
    let still = letters(["retry", &link, "--strict", "--id", "nul-text"], &state);
    assert_eq!(still.code, Some(6), "{}{}", still.stdout, still.stderr);
    let retried = letters(["retry", &link, "--id", "nul-text"], &state);
    assert_eq!(retried.code, Some(0), "{}{}", retried.stdout, retried.stderr);
    assert!(retried.stdout.contains("1 row arrived, 1 converted"), "{}", retried.stdout);
    let history = Program::with(["history"]).arg(&target).run();
    assert!(history.stdout.contains("  retry\n"), "{}", history.stdout);
    assert_eq!(lines(&letters(["list", "--json"], &state), "kept_letter").len(), 2);

    let differing = |flags: &[&str]| {
        let mut verify = Program::with(["verify"]).arg(&target).arg("--against");
        verify = verify.arg(&format!("lance:{}", from.display())).arg("--json");
        let verified = flags.iter().fold(verify, |verify, flag| verify.arg(flag)).run();
        assert_eq!(verified.code, Some(5), "{}{}", verified.stdout, verified.stderr);
        let result: serde_json::Value = serde_json::from_str(verified.stdout.lines().last().unwrap()).unwrap();
        let differences = result["report"]["collections"][0]["differences"].as_array().unwrap();
        differences.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(differing(&[]), ["nul\0id", "row-100-nan"], "what was converted counts as copied");
    assert_eq!(differing(&["--strict"]), ["nul\0id", "nul-text", "row-100-nan"]);
}

#[test]
fn a_filtered_and_renamed_copy_holds_its_share_and_says_that_it_is_one() {
    let scratch = Scratch::new();
    let (palace, target, state) = (scratch.palace(), scratch.path("target"), scratch.path("state"));
    let copy = || Program::migrate(&palace, &target, &state);
    let clash = copy().arg("--rename-collection").arg("mempalace_closets=mempalace_drawers").run();
    assert_eq!(clash.code, Some(2), "{}{}", clash.stdout, clash.stderr);
    assert!(!target.exists(), "nothing was written");
    let unknown = copy().arg("--where").arg(r#"{"n": {"$almost": 1}}"#).run();
    assert_eq!(unknown.code, Some(2), "{}{}", unknown.stdout, unknown.stderr);
    let renamed = copy().arg("--collection").arg("mempalace_closets");
    let renamed = renamed.arg("--rename-collection").arg("mempalace_closets=cupboards").run();
    assert_eq!(renamed.code, Some(0), "{}{}", renamed.stdout, renamed.stderr);
    let rows = palanquin_tests::read_lance(&target);
    assert!(rows.len() == 40 && rows.iter().all(|row| row.collection == "cupboards"));
    let planned = Program::with(["plan"]).arg(palace.to_str().unwrap()).arg("lance:elsewhere").arg("--json");
    let planned = planned.arg("--collection").arg("mempalace_closets").run();
    assert!(planned.stdout.contains("only a part of the palace was asked for"), "{}", planned.stdout);
}
