//! `mirror` and `freeze` on a palace that the real MemPalace writes to.

use palanquin_tests::{Program, ReadRow, Scratch, copy_folder, python, read_lance};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PATIENCE: Duration = Duration::from_secs(120);

fn mirror(source: &Path, target: &Path, state: &Path) -> (Child, Receiver<String>) {
    let program = Program::with(["mirror"]).arg(source.to_str().unwrap()).arg(&format!("lance:{}", target.display()));
    program.arg("--state").arg(state.to_str().unwrap()).arg("--json").start()
}

/// Reads the mirror's lines until one of its links is as wanted.
fn wait_until(lines: &Receiver<String>, mut wanted: impl FnMut(&Value) -> bool) {
    loop {
        let line = lines.recv_timeout(PATIENCE).expect("the mirror goes on");
        let line: Value = serde_json::from_str(&line).unwrap();
        if line["kind"] == "progress" && wanted(&line["link"]) {
            return;
        }
    }
}

fn end(mut mirror: Child) {
    let pid = rustix::process::Pid::from_child(&mirror);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(mirror.wait().unwrap().code(), Some(130));
}

fn by_id(mut rows: Vec<ReadRow>) -> Vec<ReadRow> {
    rows.sort_by(|one, other| (&one.collection, &one.id).cmp(&(&other.collection, &other.id)));
    rows
}

#[test]
fn a_live_palace_is_followed_to_the_last_change_across_an_interruption() {
    let scratch = Scratch::new();
    let (source, target, state) = (scratch.palace(), scratch.path("mirror"), scratch.path("state"));
    let write = || {
        let mut command = python();
        command.arg("write").arg(&source).args(["--rows", "300", "--seconds", "5"]).stdout(Stdio::null());
        assert!(command.status().unwrap().success(), "the writer failed");
    };
    let (following, lines) = mirror(&source, &target, &state);
    wait_until(&lines, |link| !link["lag"].is_null());
    write();
    end(following);
    // What was written while nobody followed is not missed.
    write();
    let written = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let (following, lines) = mirror(&source, &target, &state);
    wait_until(&lines, |link| {
        link["lag"]["rows"] == 0 && link["lag"]["measured_at_ms"].as_i64().is_some_and(|at| at > written + 1_000)
    });
    end(following);

    let copy = scratch.path("copy");
    let run = Program::migrate(&source, &copy, &state).run();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let (followed, copied) = (by_id(read_lance(&target)), by_id(read_lance(&copy)));
    assert_eq!(followed.len(), copied.len());
    for (followed, copied) in followed.into_iter().zip(copied) {
        let vectors = followed.embedding.iter().flatten().zip(copied.embedding.iter().flatten());
        // Chroma rounds a vector when it moves from its queue into its index.
        assert!(vectors.map(|(one, other)| (one - other).abs()).all(|apart| apart <= 1e-6), "{}", copied.id);
        assert_eq!(ReadRow { embedding: None, ..followed }, ReadRow { embedding: None, ..copied });
    }
}

#[test]
fn a_palace_that_was_replaced_by_a_restored_backup_is_compared_as_a_whole_and_followed_on() {
    let scratch = Scratch::new();
    let (source, target, state) = (scratch.palace(), scratch.path("mirror"), scratch.path("state"));
    let backup = scratch.path("backup");
    copy_folder(&source, &backup);
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let caught_up = |lines: &Receiver<String>, since: i64| {
        wait_until(lines, |link| {
            link["lag"]["rows"] == 0 && link["lag"]["measured_at_ms"].as_i64().is_some_and(|at| at > since)
        });
    };
    let (following, lines) = mirror(&source, &target, &state);
    caught_up(&lines, 0);
    let later =
        python().arg("make").arg(&source).args(["--rows", "40", "--seed", "later"]).stdout(Stdio::null()).status();
    assert!(later.unwrap().success(), "the writer failed");
    caught_up(&lines, now() + 1_000);
    assert_eq!(read_lance(&target).len(), 2_492);
    std::fs::rename(&source, scratch.path("spoilt")).unwrap();
    std::fs::rename(&backup, &source).unwrap();
    // Told as what it is, and made good: rows that only the spoilt palace had are gone.
    // Forty rows came and forty went.
    wait_until(&lines, |link| link["changes_applied"] == 80 && link["lag"]["rows"] == 0);
    end(following);
    assert_eq!(read_lance(&target).len(), 2_452);
}

#[test]
fn only_a_chroma_directory_can_be_frozen() {
    let scratch = Scratch::new();
    let run = Program::with(["freeze"]).arg(&format!("lance:{}", scratch.path("palace").display())).run();
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    let nothing = Program::with(["freeze"]).arg(scratch.path("nothing").to_str().unwrap()).run();
    assert_eq!(nothing.code, Some(2), "{}", nothing.stderr);
}
