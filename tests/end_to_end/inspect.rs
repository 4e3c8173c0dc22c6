//! What operators ask of a palace without copying it: `inspect`, `maintain`, `palace set-embedder`, `backends`.

use palanquin_tests::{Finished, Program, Scratch, files_below, fixture, read_lance};
use serde_json::Value;
use std::path::Path;

#[track_caller]
fn json(run: &Finished) -> Value {
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    serde_json::from_str(run.stdout.trim()).expect("one JSON object")
}

fn run(arguments: &[&str], path: &Path) -> Finished {
    let mut program = Program::with([arguments[0]]).arg(&path.to_string_lossy());
    for argument in &arguments[1..] {
        program = program.arg(argument);
    }
    program.run()
}

/// A Lance copy of the real palace.
fn lance_copy(scratch: &Scratch) -> std::path::PathBuf {
    let target = scratch.path("lance");
    let source = fixture().join("palace");
    let run = Program::migrate(&source, &target, &scratch.path("state")).run();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    target
}

#[test]
fn a_real_palace_is_told_apart_and_left_as_it_is() {
    let scratch = Scratch::new();
    let palace = scratch.palace();
    let before = files_below(&palace);
    let found = json(&run(&["inspect", "--json", "--exact", "--model", "embeddinggemma"], &palace));
    assert!(files_below(&palace) == before, "inspecting changed the palace");
    let inspection = &found["inspection"];
    assert_eq!((&inspection["backend"], &inspection["selected_by"]), (&"chroma".into(), &"detection".into()));
    assert_eq!(inspection["health"]["condition"], "healthy");
    let closets = &inspection["collections"][0];
    assert_eq!((&closets["name"], &closets["rows"]), (&"mempalace_closets".into(), &40.into()));
    assert_eq!(closets["identity"]["model_name"], "minilm");
    // Of equal width, and another model.
    assert_eq!(closets["identity_state"], "known_mismatch");
}

#[test]
fn a_page_for_people_holds_the_same_facts() {
    let scratch = Scratch::new();
    let page = run(&["inspect"], &lance_copy(&scratch));
    assert_eq!(page.code, Some(0), "{}", page.stderr);
    for part in ["lance (detected from what lies on disk)", "healthy", "mempalace_drawers", "model minilm", "fragments"]
    {
        assert!(page.stdout.contains(part), "{part:?} is not in {}", page.stdout);
    }
}

#[test]
fn a_backend_that_is_named_is_not_guessed() {
    let scratch = Scratch::new();
    let palace = lance_copy(&scratch);
    let as_chroma = run(&["inspect", "--backend", "chroma"], &palace);
    assert_eq!(as_chroma.code, Some(2), "{}", as_chroma.stdout);
    let unknown = run(&["inspect", "--backend", "qdrant"], &palace);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("there is no backend \"qdrant\""), "{}", unknown.stderr);
    let by_environment =
        Program::with(["inspect"]).arg(&palace.to_string_lossy()).env("MEMPALACE_BACKEND", Path::new("chroma"));
    assert_eq!(by_environment.run().code, Some(2));
}

#[test]
fn a_path_without_a_palace_is_refused_and_nothing_is_made() {
    let scratch = Scratch::new();
    for command in [&["inspect"][..], &["maintain", "compact"], &["palace"]] {
        let nowhere = scratch.path("nowhere");
        let run = match command {
            ["palace"] => {
                Program::with(["palace", "set-embedder"]).arg(&nowhere.to_string_lossy()).arg("--model").arg("m").run()
            }
            _ => run(command, &nowhere),
        };
        assert!(matches!(run.code, Some(2 | 3)), "{command:?}: {:?} {}", run.code, run.stderr);
        assert!(!nowhere.exists());
    }
}

#[test]
fn compacting_and_pruning_report_what_they_did_and_keep_every_row() {
    let scratch = Scratch::new();
    let palace = lance_copy(&scratch);
    let before = read_lance(&palace);
    for kind in ["compact", "reindex", "prune"] {
        let run = run(&["maintain", kind, "--json"], &palace);
        assert_eq!(run.code, Some(0), "{kind}: {}{}", run.stdout, run.stderr);
        let last: Value = serde_json::from_str(run.stdout.lines().last().expect("a line")).expect("JSON");
        assert_eq!(last["kind"], "maintenance", "{}", run.stdout);
        assert_eq!(last["result"]["kind"], kind);
        assert!(matches!(last["result"]["status"].as_str(), Some("ran" | "noop")), "{last}");
    }
    assert_eq!(read_lance(&palace), before);
}

#[test]
fn a_kind_that_is_not_advertised_is_refused_by_name() {
    let scratch = Scratch::new();
    let palace = lance_copy(&scratch);
    let run = run(&["maintain", "polish"], &palace);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("no maintenance kind \"polish\"; it has: "), "{}", run.stderr);
}

#[test]
fn a_model_said_by_hand_is_recorded_and_logged_and_another_needs_force() {
    let scratch = Scratch::new();
    let palace = lance_copy(&scratch);
    let set = |arguments: &[&str]| {
        let mut program = Program::with(["palace", "set-embedder"]).arg(&palace.to_string_lossy());
        for argument in arguments {
            program = program.arg(argument);
        }
        program.run()
    };
    assert_eq!(set(&["--model", "minilm"]).code, Some(0));
    let refused = set(&["--model", "embeddinggemma"]);
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    let wrong_width = set(&["--model", "embeddinggemma", "--dimension", "768", "--force"]);
    assert_eq!(wrong_width.code, Some(3), "{}", wrong_width.stderr);
    assert_eq!(set(&["--model", "embeddinggemma", "--force"]).code, Some(0));
    let found = json(&run(&["inspect", "--json", "--model", "embeddinggemma"], &palace));
    for collection in found["inspection"]["collections"].as_array().expect("collections") {
        assert_eq!(collection["identity_state"], "known_match", "{collection}");
    }
    let log = found["inspection"]["migration_log"].as_array().expect("a log");
    assert!(
        log.iter().any(|entry| entry["kind"] == "model_swap" && entry["to"]["model_name"] == "embeddinggemma"),
        "{log:?}"
    );
}

#[test]
fn backends_are_listed_with_what_they_can_do() {
    let run = Program::with(["backends", "--json"]).run();
    assert_eq!(run.code, Some(0));
    let names: Vec<String> = run
        .stdout
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).expect("JSON")["backend"]["name"].as_str().expect("a name").to_owned()
        })
        .collect();
    assert_eq!(names, ["chroma", "chroma_server", "lance", "postgres"]);
}
