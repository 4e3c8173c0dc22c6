//! `mirror --capture scan`: a source is followed by reading all of it at an interval.

use palanquin_tests::{Program, ReadRow, Scratch, python, read_lance};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PATIENCE: Duration = Duration::from_secs(120);

fn mirror(source: &str, target: &Path, state: &Path, scan: bool) -> (Child, Receiver<String>) {
    let mut program = Program::with(["mirror"]).arg(source).arg(&format!("lance:{}", target.display()));
    if scan {
        program = program.arg("--capture").arg("scan").arg("--interval").arg("1s");
    }
    program.arg("--state").arg(state.to_str().unwrap()).arg("--json").start()
}

/// Reads the mirror's lines until its link is as wanted.
fn wait_until(lines: &Receiver<String>, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let line = lines.recv_timeout(PATIENCE).expect("the mirror goes on");
        let line: Value = serde_json::from_str(&line).unwrap();
        if line["kind"] == "progress" && wanted(&line["link"]) {
            return line["link"].clone();
        }
    }
}

fn end(mut mirror: Child) {
    let pid = rustix::process::Pid::from_child(&mirror);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(mirror.wait().unwrap().code(), Some(130));
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

fn by_id(target: &Path) -> Vec<ReadRow> {
    let mut rows = read_lance(target);
    rows.sort_by(|one, other| (&one.collection, &one.id).cmp(&(&other.collection, &other.id)));
    rows
}

/// The real MemPalace writes to a palace; one mirror follows that by its feed, a second follows the first by comparison
/// and is killed again and again.
#[test]
fn a_mirror_that_compares_ends_equal_however_often_it_was_killed() {
    let scratch = Scratch::new();
    let (palace, first, second) = (scratch.palace(), scratch.path("first"), scratch.path("second"));
    let state = scratch.path("state");
    let (following, followed) = mirror(palace.to_str().unwrap(), &first, &state, false);
    let link = wait_until(&followed, |link| !link["lag"].is_null());
    assert_eq!(link["capture"]["level"], "log", "{link}");
    let source = format!("lance:{}", first.display());
    let mut writer = python()
        .arg("write")
        .arg(&palace)
        .args(["--rows", "2500", "--seconds", "12"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut kills = 0;
    while writer.try_wait().unwrap().is_none() {
        let (mut comparing, lines) = mirror(&source, &second, &state, true);
        if kills % 2 == 0 {
            wait_until(&lines, |link| !link["capture"]["last_round"].is_null());
        } else {
            lines.recv_timeout(PATIENCE).expect("the mirror begins");
        }
        comparing.kill().unwrap();
        comparing.wait().unwrap();
        kills += 1;
    }
    assert!(kills > 1, "{kills} kills");
    let written = now_ms();
    wait_until(&followed, |link| {
        link["lag"]["rows"] == 0 && link["lag"]["measured_at_ms"].as_i64().is_some_and(|at| at > written + 1_000)
    });
    end(following);
    let quiet = now_ms();
    let (comparing, lines) = mirror(&source, &second, &state, true);
    let link = wait_until(&lines, |link| {
        let round = &link["capture"]["last_round"];
        round["began_at_ms"].as_i64().is_some_and(|at| at > quiet) && round["changes"] == 0
    });
    assert_eq!((&link["capture"]["level"], &link["capture"]["interval_ms"]), (&"scan".into(), &1_000.into()));
    end(comparing);
    assert_eq!(by_id(&second), by_id(&first));
}

#[test]
fn an_interval_needs_the_level_it_is_for() {
    let scratch = Scratch::new();
    let palace = scratch.palace();
    let run =
        Program::with(["mirror"]).arg(palace.to_str().unwrap()).arg("lance:/nowhere/x").arg("--interval").arg("5s");
    let run = run.run();
    assert_eq!(run.code, Some(2), "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("--capture"), "{}", run.stderr);
}

/// What a source that has no feed, or none this operator may use, is followed by.
#[test]
fn a_postgres_palace_is_followed_by_comparison_when_that_is_asked_for() {
    let scratch = Scratch::new();
    let server = std::env::var("PALANQUIN_TEST_POSTGRES").expect("run the tests with tests/run");
    let source = format!("{server}?palace=scan-{}", std::process::id());
    let made = Program::with(["migrate"]).arg(scratch.palace().to_str().unwrap()).arg(&source);
    let made = made.arg("--state").arg(scratch.path("state").to_str().unwrap()).run();
    assert_eq!(made.code, Some(0), "{}{}", made.stdout, made.stderr);
    let target = scratch.path("mirror");
    let (comparing, lines) = mirror(&source, &target, &scratch.path("state"), true);
    let link = wait_until(&lines, |link| !link["capture"]["last_round"].is_null());
    assert_eq!(link["capture"]["last_round"]["changes"], 0, "{link}");
    let rows = link["capture"]["last_round"]["rows"].as_u64().unwrap();
    end(comparing);
    assert_eq!(read_lance(&target).len() as u64, rows);
    // The level a link was begun with is kept.
    let run = Program::with(["mirror"]).arg(&source).arg(&format!("lance:{}", target.display()));
    let run = run.arg("--state").arg(scratch.path("state").to_str().unwrap()).run();
    assert_ne!(run.code, Some(0), "{}", run.stdout);
    assert!(run.stdout.contains("--capture scan"), "{}", run.stdout);
}
