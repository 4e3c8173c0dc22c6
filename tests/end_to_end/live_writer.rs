use palanquin_tests::{Program, Scratch, python, read_lance};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

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
