//! Targets in Postgres: replaced in one step, or not at all, and planned for without a trace.

use crate::kill::kill_at;
use crate::postgres::{migrate, palace};
use palanquin_engine::link::{LinkKind, LinkSpec};
use palanquin_tests::{Program, Scratch, files_below, python};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use std::process::Command;
use std::time::Instant;

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
fn a_palace_in_a_database_is_replaced_in_one_step_and_its_log_goes_on() {
    let scratch = Scratch::new();
    let (source, database) = (scratch.palace(), palace("replaced"));
    closets_in(&database, &scratch);
    let run = overwrite(&database, &scratch).run();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert_eq!(counted(&database), everything());
    let history = Program::with(["history"]).arg(&database).run();
    assert_eq!(history.stdout.matches("  migration\n").count(), 2, "{}", history.stdout);
    // The marker would be written into the source.
    let inside = format!("{}&local_path={}", palace("inside"), source.display());
    let run = migrate(source.to_str().unwrap(), &inside, &scratch.path("state"));
    assert_eq!(run.code, Some(2), "{}{}", run.stdout, run.stderr);
}

#[test]
fn a_verified_copy_beside_a_palace_in_a_database_is_compared_again_before_it_takes_its_place() {
    let scratch = Scratch::new();
    let (source, database) = (scratch.palace(), palace("staged"));
    closets_in(&database, &scratch);
    let at = format!("chroma:{}", source.canonicalize().unwrap().display());
    let id = LinkSpec::new(LinkKind::Migrate, at, database.as_str()).id();
    let staged = migrate(source.to_str().unwrap(), &format!("{database}.palanquin-new-{id}"), &scratch.path("state"));
    assert_eq!(staged.code, Some(0), "{}{}", staged.stdout, staged.stderr);
    let later = python().arg("make").arg(&source).args(["--rows", "40", "--seed", "later"]).status().unwrap();
    assert!(later.success());
    let changed = overwrite(&database, &scratch).run();
    assert_eq!(changed.code, Some(5), "{}{}", changed.stdout, changed.stderr);
    assert_eq!(counted(&database), only_closets());
    // What is not fit to take its place is emptied, and made anew.
    let again = overwrite(&database, &scratch).run();
    assert_eq!(again.code, Some(0), "{}{}", again.stdout, again.stderr);
    assert_eq!(counted(&database)[1].1, 2_452);
}

#[test]
fn a_replacement_in_a_database_that_is_killed_leaves_the_old_palace_or_the_new_one() {
    const SEED: u64 = 20_260_302;
    println!("seed {SEED}");
    let mut rng = StdRng::seed_from_u64(SEED);
    let scratch = Scratch::new();
    scratch.palace();
    let measured = palace("killed-0");
    closets_in(&measured, &scratch);
    let began = Instant::now();
    assert_eq!(overwrite(&measured, &scratch).run().code, Some(0));
    let whole = began.elapsed();
    let mut struck = 0;
    for number in 1..=8 {
        let database = palace(&format!("killed-{number}"));
        closets_in(&database, &scratch);
        let late = number % 2 == 0;
        let moment = whole.mul_f64(if late { rng.random_range(0.8..1.0) } else { rng.random_range(0.1..0.8) });
        struck += u32::from(kill_at(moment, overwrite(&database, &scratch)));
        let there = counted(&database);
        assert!(there == only_closets() || there == everything(), "kill {number} at {moment:?}: {there:?}");
        let run = overwrite(&database, &scratch).run();
        assert_eq!(run.code, Some(0), "kill {number} at {moment:?}: {}{}", run.stdout, run.stderr);
        assert_eq!(counted(&database), everything());
    }
    assert!(struck >= 4, "only {struck} of 8 kills met a running replacement");
}

#[test]
fn a_plan_leaves_a_server_as_it_is() {
    let scratch = Scratch::new();
    let server = std::env::var("PALANQUIN_TEST_POSTGRES").unwrap();
    let name = format!("planned_{}", std::process::id());
    let sql = |address: &str, statement: &str| {
        let script = "import psycopg, sys\nwith psycopg.connect(sys.argv[1], autocommit=True) as c:\n \
                      r = c.execute(sys.argv[2])\n print(r.fetchall() if r.description else '')";
        let python = std::env::var("PALANQUIN_TEST_PYTHON").unwrap();
        let output = Command::new(python).args(["-c", script, address, statement]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    sql(&server, &format!("CREATE DATABASE {name}"));
    let database = format!("{}/{name}", server.rsplit_once('/').unwrap().0);
    let picture = || {
        let relations = "SELECT relname, relfilenode, pg_relation_size(oid) FROM pg_class \
                         WHERE relnamespace = 'public'::regnamespace ORDER BY 1";
        sql(&database, relations) + &sql(&database, "SELECT extname FROM pg_extension ORDER BY 1")
    };
    let before = picture();
    let source = scratch.palace();
    let target = format!("{database}?palace=planned");
    let plan = || Program::with(["plan"]).arg(source.to_str().unwrap()).arg(&target).arg("--json").run();
    let run = plan();
    assert!(matches!(run.code, Some(0 | 3)), "{}{}", run.stdout, run.stderr);
    assert_eq!(picture(), before);
    let state = scratch.path("state");
    assert_eq!(migrate(source.to_str().unwrap(), &target, &state).code, Some(0));
    let (before, files) = (picture(), files_below(&source));
    let run = plan();
    assert_eq!(run.code, Some(3), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("it exists and holds mempalace_closets"), "{}", run.stdout);
    assert_eq!(picture(), before);
    assert!(files_below(&source) == files);
}
