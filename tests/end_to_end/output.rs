use palanquin_tests::{Program, Scratch};
use serde_json::Value;

#[test]
fn every_json_line_carries_its_schema_and_the_last_is_the_result() {
    let scratch = Scratch::new();
    let run = Program::migrate(&scratch.palace(), &scratch.path("target"), &scratch.path("state")).arg("--json").run();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let lines: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(lines.iter().all(|line| line["schema"] == 1), "{}", run.stdout);
    let kinds: Vec<&str> = lines.iter().filter_map(|line| line["kind"].as_str()).collect();
    for kind in ["event", "progress", "palace"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    let result = lines.last().unwrap();
    assert_eq!((result["kind"].as_str(), result["exit_code"].as_i64()), (Some("result"), Some(0)));
    assert_eq!(result["report"]["collections"][0]["differences"], Value::Array(vec![]));
}

#[test]
fn a_refusal_is_json_too_when_json_is_asked_for() {
    let scratch = Scratch::new();
    let nowhere = scratch.path("nowhere");
    let run = Program::migrate(&nowhere, &scratch.path("target"), &scratch.path("state")).arg("--json").run();
    assert_eq!(run.code, Some(2));
    let last: Value = serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["exit_code"], 2);
}

#[test]
fn the_log_holds_no_row_content_and_no_warning_of_a_good_copy() {
    let scratch = Scratch::new();
    let state = scratch.path("state");
    let run = Program::migrate(&scratch.palace(), &scratch.path("target"), &state).run();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let log = std::fs::read_to_string(state.join("palanquin.log")).unwrap();
    assert!(log.contains("copying"), "{log}");
    for unwanted in ["WARN", "ERROR", "drawer_", "naïve"] {
        assert!(!log.contains(unwanted), "{unwanted}: {log}");
    }
}

#[test]
fn the_state_directory_is_the_users_alone() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    let state = scratch.path("state");
    Program::migrate(&scratch.path("nowhere"), &scratch.path("target"), &state).run();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&state), mode(&state.join("journal.sqlite3"))), (0o700, 0o600));
}

#[test]
fn help_shows_the_exit_codes() {
    let run = Program::with(["migrate", "--help"]).run();
    assert_eq!(run.code, Some(0));
    assert!(run.stdout.contains("130  interrupted"), "{}", run.stdout);
}
