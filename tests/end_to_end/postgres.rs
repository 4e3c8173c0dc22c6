//! Palaces in Postgres, from the command line.

use crate::real_palace::assert_equal_to_dump;
use palanquin_tests::{Finished, Program, Scratch, files_below};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// A palace of its own in the test server's database.
pub(crate) fn palace(name: &str) -> String {
    let server = std::env::var("PALANQUIN_TEST_POSTGRES").expect("run the tests with tests/run");
    format!("{server}?palace={name}-{}", std::process::id())
}

/// What a statement says at the database of that address.
pub(crate) fn sql(address: &str, statement: &str) -> String {
    let script = "import psycopg, sys\nwith psycopg.connect(sys.argv[1], autocommit=True) as c:\n \
                  r = c.execute(sys.argv[2])\n print(r.fetchall() if r.description else '')";
    let python = std::env::var("PALANQUIN_TEST_PYTHON").expect("run the tests with tests/run");
    let output = Command::new(python).args(["-c", script, address, statement]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn migrate(source: &str, target: &str, state: &Path) -> Finished {
    Program::with(["migrate"]).arg(source).arg(target).arg("--state").arg(state.to_str().unwrap()).run()
}

#[test]
fn a_real_palace_goes_to_postgres_and_comes_back_row_for_row() {
    let scratch = Scratch::new();
    let (database, state) = (palace("there-and-back"), scratch.path("state"));
    let there = migrate(scratch.palace().to_str().unwrap(), &database, &state);
    assert_eq!(there.code, Some(0), "{}{}", there.stdout, there.stderr);
    let again = migrate(scratch.path("palace").to_str().unwrap(), &database, &state);
    assert_eq!(again.code, Some(3), "{}{}", again.stdout, again.stderr);
    let back = scratch.path("back");
    let returned = migrate(&database, &format!("lance:{}", back.display()), &state);
    assert_eq!(returned.code, Some(0), "{}{}", returned.stdout, returned.stderr);
    assert_equal_to_dump(&back);

    let found = Program::with(["inspect"]).arg(&database).arg("--exact").arg("--model").arg("minilm").run();
    assert_eq!(found.code, Some(0), "{}{}", found.stdout, found.stderr);
    assert!(found.stdout.contains("2,412 rows"), "{}", found.stdout);
    assert!(found.stdout.contains("minilm (384) (known_match)"), "{}", found.stdout);
    let analyzed = Program::with(["maintain"]).arg(&database).arg("analyze").run();
    assert_eq!(analyzed.code, Some(0), "{}{}", analyzed.stdout, analyzed.stderr);
    let history = Program::with(["history"]).arg(&database).run();
    assert!(history.stdout.contains("migration") && history.stdout.contains("lossless"), "{}", history.stdout);
}

/// Holds a transaction open that has written to the palace's drawers, until its input ends; then tells, of the database,
/// the statements of maintenance that are still at work (after so many seconds' patience with them) and the indexes that
/// were left invalid.
const AN_OLDER_TRANSACTION: &str = r#"
import psycopg, sys, time
dsn = sys.argv[1].split("?")[0]
held, watching = psycopg.connect(dsn), psycopg.connect(dsn, autocommit=True)
prefix = held.execute("SELECT prefix FROM palanquin_palaces WHERE palace = %s", [sys.argv[2]]).fetchone()[0]
held.execute(f'DELETE FROM "{prefix}_mempalace_drawers" WHERE false')
print("held", flush=True)
sys.stdin.read()
work = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query ~ '^(CREATE INDEX|REINDEX|VACUUM)' AND query LIKE %s"
at_work = lambda: watching.execute(work, [f"%{prefix}%"]).fetchone()[0]
until = time.monotonic() + float(sys.argv[3])
while time.monotonic() < until and at_work():
    pass
print(at_work())
left = "SELECT count(*) FROM pg_index WHERE NOT indisvalid AND indexrelid::regclass::text LIKE %s"
print(watching.execute(left, [f"%{prefix}%"]).fetchone()[0])
"#;

/// Begins to build the index of a palace and ends the program by a signal while the build waits for somebody else's
/// transaction, which goes on. Returns how the program ended and what it said, once no build is left on the server.
fn build_ended_by(signal: Signal, database: &str, patience: &str) -> (Option<i32>, String) {
    let scratch = Scratch::new();
    let state = scratch.path("state");
    // The copy itself would build the index.
    let copy = Program::with(["migrate", "--no-maintenance"]).arg(scratch.palace().to_str().unwrap()).arg(database);
    let there = copy.arg("--state").arg(state.to_str().unwrap()).run();
    assert_eq!(there.code, Some(0), "{}{}", there.stdout, there.stderr);
    let id = database.split_once("palace=").unwrap().1;
    let python = std::env::var("PALANQUIN_TEST_MEMPALACE").expect("run the tests with tests/run");
    let mut holder = Command::new(python);
    holder.args(["-c", AN_OLDER_TRANSACTION, database, id, patience]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = holder.spawn().unwrap();
    let mut told = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert_eq!(told.next().unwrap().unwrap(), "held");

    let mut maintain = Command::new(Program::path());
    maintain.args(["maintain", database, "reindex"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = maintain.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let before: Vec<String> = lines.take_while(|line| !line.contains("waiting for writers")).collect();
    kill_process(Pid::from_child(&child), signal).unwrap();
    let ended = child.wait_with_output().unwrap();
    let said = format!("{before:?} {}", String::from_utf8(ended.stderr).unwrap());

    // The other transaction goes on; nothing waits for it any more.
    drop(holder.stdin.take());
    assert_eq!(told.next().unwrap().unwrap(), "0", "no build is left running");
    assert_eq!(told.next().unwrap().unwrap(), "1");
    assert!(holder.wait().unwrap().success());
    let again = Program::with(["maintain"]).arg(database).arg("reindex").run();
    assert_eq!(again.code, Some(0), "{}{}", again.stdout, again.stderr);
    let inspected = Program::with(["inspect"]).arg(database).run();
    assert!(!inspected.stdout.contains("invalid_index"), "{}", inspected.stdout);
    (ended.status.code(), said)
}

#[test]
fn maintenance_that_is_interrupted_ends_on_the_server_and_says_what_it_left() {
    let (code, said) = build_ended_by(Signal::INT, &palace("interrupted"), "0");
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("nothing of it runs any more"), "{said}");
    assert!(said.contains("invalid index") && said.contains("hnsw_idx"), "it names what it left: {said}");
}

#[test]
fn maintenance_whose_program_is_killed_ends_on_the_server_by_itself() {
    let (code, said) = build_ended_by(Signal::KILL, &palace("killed-build"), "60");
    assert_eq!(code, None, "{said}");
}

#[test]
fn a_password_is_neither_shown_nor_kept() {
    let scratch = Scratch::new();
    let (source, state) = (scratch.palace(), scratch.path("state"));
    let database = palace("secret").replace("postgres@", "postgres:s3cr3t@");
    let run = migrate(source.to_str().unwrap(), &database, &state);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let inspected = Program::with(["inspect"]).arg(&database).arg("--json").run();
    for said in [&run.stdout, &run.stderr, &inspected.stdout, &inspected.stderr] {
        assert!(!said.contains("s3cr3t"), "{said}");
    }
    for (file, content) in files_below(&state) {
        assert!(!content.windows(6).any(|part| part == b"s3cr3t"), "{} holds the password", file.display());
    }
}

#[test]
fn a_server_that_is_not_there_is_told_from_a_palace_that_is_not() {
    let nobody = Program::with(["inspect", "postgres://postgres@127.0.0.1:1/none?palace=p"]).run();
    assert_eq!(nobody.code, Some(1), "{}{}", nobody.stdout, nobody.stderr);
    let nothing = Program::with(["inspect"]).arg(&palace("nothing")).run();
    assert_eq!(nothing.code, Some(2), "{}{}", nothing.stdout, nothing.stderr);
    let unnamed = Program::with(["inspect", "postgres://postgres@127.0.0.1:1/none"]).run();
    assert_eq!(unnamed.code, Some(2), "{}{}", unnamed.stdout, unnamed.stderr);
}
