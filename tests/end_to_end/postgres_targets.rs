//! Targets in Postgres, planned for without a trace.

use crate::postgres::{migrate, palace, sql};
use palanquin_tests::{Program, Scratch, files_below};

#[test]
fn a_plan_leaves_a_server_as_it_is() {
    let scratch = Scratch::new();
    let server = std::env::var("PALANQUIN_TEST_POSTGRES").unwrap();
    let name = format!("planned_{}", std::process::id());
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

#[test]
fn a_marker_is_not_written_into_the_source() {
    let scratch = Scratch::new();
    let source = scratch.palace();
    let inside = format!("{}&local_path={}", palace("inside"), source.display());
    let run = migrate(source.to_str().unwrap(), &inside, &scratch.path("state"));
    assert_eq!(run.code, Some(2), "{}{}", run.stdout, run.stderr);
}
