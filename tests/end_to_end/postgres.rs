//! Palaces in Postgres, from the command line.

use crate::real_palace::assert_equal_to_dump;
use palanquin_tests::{Finished, Program, Scratch, files_below};
use std::path::Path;

/// A palace of its own in the test server's database.
pub(crate) fn palace(name: &str) -> String {
    let server = std::env::var("PALANQUIN_TEST_POSTGRES").expect("run the tests with tests/run");
    format!("{server}?palace={name}-{}", std::process::id())
}

fn migrate(source: &str, target: &str, state: &Path) -> Finished {
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
    assert!(found.stdout.contains("minilm (known_match)"), "{}", found.stdout);
    let analyzed = Program::with(["maintain"]).arg(&database).arg("analyze").run();
    assert_eq!(analyzed.code, Some(0), "{}{}", analyzed.stdout, analyzed.stderr);
    let history = Program::with(["history"]).arg(&database).run();
    assert!(history.stdout.contains("migration") && history.stdout.contains("lossless"), "{}", history.stdout);
}

#[test]
fn a_target_in_a_database_is_not_replaced_as_if_it_were_a_directory() {
    let scratch = Scratch::new();
    let (source, state) = (scratch.palace(), scratch.path("state"));
    let run = Program::with(["migrate"]).arg(source.to_str().unwrap()).arg(&palace("whole")).arg("--overwrite");
    let run = run.arg("--state").arg(state.to_str().unwrap()).run();
    assert_eq!(run.code, Some(3), "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("--overwrite replaces a directory"), "{}", run.stderr);
    // The marker would be written into the source.
    let inside = format!("{}&local_path={}", palace("inside"), source.display());
    let run = migrate(source.to_str().unwrap(), &inside, &state);
    assert_eq!(run.code, Some(2), "{}{}", run.stdout, run.stderr);
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
