//! What a migration is refused for, what overrides it, and what is left in the target's log (§8).

use palanquin_tests::{Finished, Program, Scratch, files_below, python, read_lance};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

const REFUSED: i32 = 3;

/// Copies from a source that the whole mount namespace sees read-only, its parent included.
const FROM_A_READ_ONLY_MOUNT: &str = r#"
mount --bind "$2" "$2" && mount -o remount,ro,bind "$2" || exit 99
touch "$2/probe" 2>/dev/null && exit 98
"$1" migrate "$2" "lance:$3" --state "$4"
"#;

fn history(palace: &Path) -> Vec<Value> {
    let run = Program::with(["history"]).arg(&palace.to_string_lossy()).arg("--json").run();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let entry = |line: &str| serde_json::from_str::<Value>(line).unwrap()["entry"].clone();
    run.stdout.lines().map(entry).collect()
}

fn kinds(log: &[Value]) -> Vec<&str> {
    log.iter().filter_map(|entry| entry["kind"].as_str()).collect()
}

#[track_caller]
fn assert_code(run: &Finished, code: i32) {
    assert_eq!(run.code, Some(code), "{}{}", run.stdout, run.stderr);
}

#[test]
fn another_model_is_refused_writes_nothing_and_is_recorded_when_it_is_forced() {
    let scratch = Scratch::new();
    let (source, target, state) = (scratch.palace(), scratch.path("target"), scratch.path("state"));
    let before = files_below(&source);
    let migrate = |arguments: &[&str]| {
        let program = Program::migrate(&source, &target, &state);
        arguments.iter().fold(program, |program, argument| program.arg(argument)).run()
    };
    let refused = migrate(&["--model", "embeddinggemma"]);
    assert_code(&refused, REFUSED);
    assert!(refused.stdout.contains("--force-model-swap"), "{}", refused.stdout);
    assert!(!target.exists() && files_below(&source) == before);
    let toml = scratch.path("config.toml");
    std::fs::write(&toml, "[embedder]\nmodel = \"embeddinggemma\"\n").unwrap();
    let by_file = migrate(&["--config", toml.to_str().unwrap()]);
    assert_code(&by_file, REFUSED);
    assert!(!target.exists());
    assert_code(&migrate(&["--model", "embeddinggemma", "--force-model-swap"]), 0);
    let log = history(&target);
    assert_eq!(kinds(&log), ["model_swap", "model_swap", "migration"]);
    assert_eq!((&log[2]["lossless"], &log[2]["flags"][0]), (&true.into(), &"--force-model-swap".into()));
    assert_eq!(log[2]["collections"][0]["source_model"]["model_name"], "minilm");
    assert_eq!(log[2]["collections"][0]["target_model"]["model_name"], "embeddinggemma");
    assert!(files_below(&source) == before, "the source was changed");
}

#[test]
fn replacing_a_palace_of_another_model_needs_the_force_too_and_keeps_its_log() {
    let scratch = Scratch::new();
    let (source, target, state) = (scratch.palace(), scratch.path("target"), scratch.path("state"));
    assert_code(&Program::migrate(&source, &target, &state).run(), 0);
    let swap = Program::with(["palace", "set-embedder", "--model", "embeddinggemma", "--force"]);
    assert_code(&swap.arg(&target.to_string_lossy()).run(), 0);
    let before = files_below(&target);
    let overwrite = || Program::migrate(&source, &target, &state).arg("--overwrite");
    assert_code(&overwrite().run(), REFUSED);
    assert!(files_below(&target) == before, "a refusal changed the target");
    assert_code(&overwrite().arg("--force-model-swap").run(), 0);
    let log = history(&target);
    let swaps = ["model_swap", "model_swap"];
    assert_eq!(kinds(&log), [&["migration"][..], &swaps, &swaps, &["migration"]].concat());
    assert_eq!(log[5]["flags"], serde_json::json!(["--overwrite", "--force-model-swap"]));
}

#[test]
fn a_read_only_source_is_copied_and_its_files_stay_byte_for_byte() {
    let scratch = Scratch::new();
    let (source, target, state) = (scratch.palace(), scratch.path("target"), scratch.path("state"));
    let before = files_below(&source);
    let mut mounted = Command::new("unshare");
    mounted.args(["--mount", "--map-root-user", "sh", "-c", FROM_A_READ_ONLY_MOUNT, "sh"]);
    let output =
        mounted.arg(Program::path()).arg(&source).arg(&target).arg(&state).stdin(Stdio::null()).output().unwrap();
    if output.status.code() == Some(99) || output.status.code() == Some(1) && output.stdout.is_empty() {
        println!("no mount namespace here: permissions stand in for the read-only mount");
        let set = |mode: &str| Command::new("chmod").args(["-R", mode]).arg(&source).status().unwrap();
        assert!(set("a-w").success());
        let run = Program::migrate(&source, &target, &state).run();
        assert!(set("u+w").success());
        assert_code(&run, 0);
    } else {
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    }
    assert_eq!(read_lance(&target).len(), 2_452);
    assert!(files_below(&source) == before, "the source was changed");
}

#[test]
fn a_palace_of_odd_collections_keeps_widths_metrics_and_empty_documents() {
    let scratch = Scratch::new();
    let (source, target, state) = (scratch.path("odd"), scratch.path("target"), scratch.path("state"));
    let made = python().arg("odd").arg(&source).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let run = Program::migrate(&source, &target, &state).run();
    assert_code(&run, 0);
    let inspected = Program::with(["inspect", "--json"]).arg(&target.to_string_lossy()).run();
    let inspection: Value = serde_json::from_str(inspected.stdout.trim()).unwrap();
    let collections = inspection["inspection"]["collections"].as_array().unwrap();
    let found: Vec<_> = collections
        .iter()
        .map(|one| {
            let name = one["name"].as_str().unwrap();
            (name, one["rows"].as_u64().unwrap(), one["dimension"].as_u64().unwrap(), one["metric"].as_str().unwrap())
        })
        .collect();
    assert_eq!(found, [("by_cosine", 1, 3, "cosine"), ("by_l2", 30, 5, "l2")]);
    assert!(run.stdout.contains("collection empty: it is empty and has no vector width yet"), "{}", run.stdout);
    let rows = read_lance(&target);
    assert!(rows.iter().filter(|row| row.collection == "by_l2").all(|row| row.document.as_deref() == Some("")));

    let nothing = scratch.path("nothing");
    let made = python().arg("odd").arg(&nothing).arg("--rows").arg("0").output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let run = Program::migrate(&nothing, &scratch.path("of-nothing"), &state).run();
    assert_code(&run, 0);
    assert!(run.stdout.contains("collection empty"), "{}", run.stdout);
}

#[test]
fn the_target_gets_its_indexes_unless_they_are_not_wanted() {
    let scratch = Scratch::new();
    let (source, state) = (scratch.palace(), scratch.path("state"));
    for (name, arguments, wanted) in [("with", &[][..], 1), ("without", &["--no-maintenance"], 0)] {
        let target = scratch.path(name);
        let program = Program::migrate(&source, &target, &state);
        let run = arguments.iter().fold(program, |program, argument| program.arg(argument)).run();
        assert_code(&run, 0);
        assert_eq!(run.stdout.contains("verifying -> maintaining"), wanted == 1, "{}", run.stdout);
        let inspected = Program::with(["inspect", "--json"]).arg(&target.to_string_lossy()).run();
        let inspection: Value = serde_json::from_str(inspected.stdout.trim()).unwrap();
        let state = &inspection["inspection"]["maintenance_state"]["mempalace_drawers"];
        assert_eq!(state["indices"].as_array().unwrap().len(), wanted, "{state}");
    }
}
