use palanquin_tests::{Program, Scratch, python, read_lance};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

#[test]
fn a_palace_is_copied_while_mempalace_writes_to_it() {
    let scratch = Scratch::new();
    let source = scratch.palace();
    let mut writer = python()
        .args(["write"])
        .arg(&source)
        .args(["--rows", "2500", "--seconds", "20"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert_eq!(said.next().as_deref(), Some("ready"));
    let mut copies = 0;
    while writer.try_wait().unwrap().is_none() {
        let target = scratch.path(&format!("target-{copies}"));
        let run = Program::migrate(&source, &target, &scratch.path("state")).run();
        // Rows that changed between the copy and the comparison are differences, and are said to be.
        assert!(matches!(run.code, Some(0 | 5)), "{}{}", run.stdout, run.stderr);
        let rows = read_lance(&target);
        assert!(rows.len() >= 2_400 && rows.iter().all(|row| row.embedding.is_some()), "{} rows", rows.len());
        copies += 1;
    }
    let rounds = said.next().unwrap_or_default();
    assert!(rounds.starts_with("rounds "), "the writer failed: {rounds}");
    assert!(copies > 0);
    let settled = scratch.path("settled");
    let run = Program::migrate(&source, &settled, &scratch.path("state")).run();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}

/// What MemPalace's writers may be made to wait.
const LONGEST_WAIT: Duration = Duration::from_millis(250);

#[test]
fn mempalace_writes_on_while_it_is_followed_and_never_waits_long_for_us() {
    let scratch = Scratch::new();
    let (source, target) = (scratch.palace(), scratch.path("target"));
    let mirror = Program::with(["mirror", "--plain"]).arg(source.to_str().unwrap());
    let mirror = mirror.arg(&format!("lance:{}", target.display())).arg("--state");
    let mirror = mirror.arg(scratch.path("state").to_str().unwrap());
    let (mut mirror, lines) =
        mirror.env("PALANQUIN_LOG", Path::new("warn,palanquin_chroma::read::session=trace")).start();
    let live = lines.iter().take_while(|line| !line.contains("-> live")).count();
    assert!(live > 0);
    let mut writer = python();
    writer.args(["write"]).arg(&source).args(["--rows", "2500", "--seconds", "15"]);
    let written = writer.output().unwrap();
    let said = String::from_utf8_lossy(&written.stdout).into_owned();
    assert!(written.status.success() && said.contains("rounds "), "the writer failed: {said}");
    kill_process(Pid::from_child(&mirror), Signal::INT).unwrap();
    // Ends with what had been written by then in the target.
    assert!(mirror.wait().unwrap().code().is_some());
    let log = std::fs::read_to_string(scratch.path("state").join("palanquin.log")).unwrap();
    let held = log.lines().filter_map(|line| line.split_once("lock was held micros=")?.1.parse::<u64>().ok());
    let held: Vec<u64> = held.collect();
    let longest = Duration::from_micros(held.iter().copied().max().unwrap_or(0));
    println!("locks: {}, the longest held for {longest:?}; {said}", held.len());
    assert!(held.len() > 15 && longest < LONGEST_WAIT, "held for {longest:?}");
}
