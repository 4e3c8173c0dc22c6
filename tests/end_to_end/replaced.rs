//! Targets in databases and written through a server, replaced by a verified copy, and nothing less.

use crate::kill::kill_at;
use crate::postgres::{migrate, palace};
use palanquin_engine::link::{LinkKind, LinkSpec};
use palanquin_tests::{Program, Scratch, python};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use std::time::Instant;

/// A palace on the Chroma server of the run.
fn on_chroma(name: &str) -> String {
    let server = std::env::var("PALANQUIN_TEST_CHROMA").expect("run the tests with tests/run");
    format!("chroma+{server}?database=replaced-{name}-{}", std::process::id())
}

fn databases(name: &str) -> [String; 2] {
    [palace(name), on_chroma(name)]
}

/// Rows of each collection, counted.
#[track_caller]
fn counted(palace: &str) -> Vec<(String, u64)> {
    let run = Program::with(["inspect", "--exact", "--json"]).arg(palace).run();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let inspection: Value = serde_json::from_str(run.stdout.trim()).unwrap();
    let collections = inspection["inspection"]["collections"].as_array().unwrap();
    collections.iter().map(|one| (one["name"].as_str().unwrap().to_owned(), one["rows"].as_u64().unwrap())).collect()
}

fn only_closets() -> Vec<(String, u64)> {
    vec![("mempalace_closets".to_owned(), 40)]
}

fn everything() -> Vec<(String, u64)> {
    vec![("mempalace_closets".to_owned(), 40), ("mempalace_drawers".to_owned(), 2_412)]
}

/// The closets alone, in a palace that is going to be replaced.
fn closets_in(database: &str, scratch: &Scratch) {
    let old = Program::with(["migrate"]).arg(scratch.path("palace").to_str().unwrap()).arg(database);
    let old = old.arg("--state").arg(scratch.path("another-state").to_str().unwrap());
    assert_eq!(old.arg("--collection").arg("mempalace_closets").run().code, Some(0));
    assert_eq!(counted(database), only_closets());
}

fn overwrite(database: &str, scratch: &Scratch) -> Program {
    let program = Program::with(["migrate"]).arg(scratch.path("palace").to_str().unwrap()).arg(database);
    program.arg("--state").arg(scratch.path("state").to_str().unwrap()).arg("--overwrite")
}

#[test]
fn a_palace_in_a_database_is_replaced_and_its_log_goes_on() {
    for database in databases("replaced") {
        is_replaced(&database);
    }
}

fn is_replaced(database: &str) {
    let scratch = Scratch::new();
    scratch.palace();
    closets_in(database, &scratch);
    let run = overwrite(database, &scratch).run();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert_eq!(counted(database), everything());
    let history = Program::with(["history"]).arg(database).run();
    assert_eq!(history.stdout.matches("  migration\n").count(), 2, "{}", history.stdout);
}

#[test]
fn a_verified_copy_beside_a_palace_in_a_database_is_compared_again_before_it_takes_its_place() {
    for database in databases("staged") {
        is_compared_again(&database);
    }
}

fn is_compared_again(database: &str) {
    let scratch = Scratch::new();
    let source = scratch.palace();
    closets_in(database, &scratch);
    let at = format!("chroma:{}", source.canonicalize().unwrap().display());
    let id = LinkSpec::new(LinkKind::Migrate, at, database).id();
    let staged = migrate(source.to_str().unwrap(), &format!("{database}.palanquin-new-{id}"), &scratch.path("state"));
    assert_eq!(staged.code, Some(0), "{}{}", staged.stdout, staged.stderr);
    let later = python().arg("make").arg(&source).args(["--rows", "40", "--seed", "later"]).status().unwrap();
    assert!(later.success());
    let changed = overwrite(database, &scratch).run();
    assert_eq!(changed.code, Some(5), "{}{}", changed.stdout, changed.stderr);
    assert_eq!(counted(database), only_closets());
    // What is not fit to take its place is emptied, and made anew.
    let again = overwrite(database, &scratch).run();
    assert_eq!(again.code, Some(0), "{}{}", again.stdout, again.stderr);
    assert_eq!(counted(database)[1].1, 2_452);
}

#[test]
fn a_replacement_in_postgres_that_is_killed_leaves_the_old_palace_or_the_new_one() {
    is_killed(5, |_, name| palace(name), is_one_or_the_other);
}

#[test]
fn a_replacement_of_a_chroma_directory_that_is_killed_leaves_the_old_palace_or_the_new_one() {
    is_killed(2, |scratch, name| format!("chroma:{}", scratch.path(name).display()), is_one_or_the_other);
}

fn is_one_or_the_other(there: &Vec<(String, u64)>) -> bool {
    *there == only_closets() || *there == everything()
}

#[test]
fn a_replacement_on_a_chroma_server_that_is_killed_is_finished_by_the_same_command() {
    // Collection by collection: whatever is there has all the rows it had or shall have.
    let whole =
        |(name, rows): &(String, u64)| only_closets().iter().chain(&everything()).any(|(n, r)| n == name && r == rows);
    is_killed(5, |_, name| on_chroma(name), |there| there.iter().all(whole));
}

fn is_killed(kills: u32, palace: impl Fn(&Scratch, &str) -> String, may_hold: impl Fn(&Vec<(String, u64)>) -> bool) {
    const SEED: u64 = 20_260_302;
    println!("seed {SEED}");
    let mut rng = StdRng::seed_from_u64(SEED);
    let scratch = Scratch::new();
    scratch.palace();
    let measured = palace(&scratch, "killed-0");
    closets_in(&measured, &scratch);
    let began = Instant::now();
    assert_eq!(overwrite(&measured, &scratch).run().code, Some(0));
    let mut whole = began.elapsed();
    let mut struck = 0;
    for number in 1..=20 {
        let database = palace(&scratch, &format!("killed-{number}"));
        closets_in(&database, &scratch);
        let late = number % 2 == 0;
        let moment = whole.mul_f64(if late { rng.random_range(0.8..1.0) } else { rng.random_range(0.1..0.8) });
        let began = Instant::now();
        if kill_at(moment, overwrite(&database, &scratch)) {
            struck += 1;
        } else {
            // It was faster than those before it.
            whole = began.elapsed();
        }
        let there = counted(&database);
        assert!(may_hold(&there), "kill {number} at {moment:?}: {there:?}");
        let run = overwrite(&database, &scratch).run();
        assert_eq!(run.code, Some(0), "kill {number} at {moment:?}: {}{}", run.stdout, run.stderr);
        assert_eq!(counted(&database), everything());
        if struck == kills {
            return;
        }
    }
    panic!("only {struck} of 20 kills met a running replacement");
}
