//! Palaces by the names of a configuration file, and the file itself when it is no good.

use palanquin_tests::{Finished, Program, Scratch, files_below, fixture, read_lance};
use serde_json::Value;
use std::path::{Path, PathBuf};

const BAD_INPUT: i32 = 2;

/// Writes a configuration and returns its path.
fn written(scratch: &Scratch, name: &str, text: &str) -> PathBuf {
    let path = scratch.path(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn with(configuration: &Path, arguments: &[&str]) -> Program {
    let program = Program::with(["--config"]).arg(&configuration.to_string_lossy());
    arguments.iter().fold(program, |program, argument| program.arg(argument))
}

#[track_caller]
fn ok(run: &Finished) -> &Finished {
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    run
}

#[test]
fn a_palace_is_called_by_its_name_in_every_command() {
    let scratch = Scratch::new();
    let (state, copy) = (scratch.path("state"), scratch.path("copy"));
    scratch.palace();
    let text = "[palaces.work]\nbackend = \"chroma\"\nlocal_path = \"palace\"\n\
                [palaces.copy]\nbackend = \"lance\"\nlocal_path = \"copy\"\n";
    let toml = written(&scratch, "config.toml", text);
    let migrated = with(&toml, &["migrate", "work", "copy", "--state"]).arg(&state.to_string_lossy()).run();
    ok(&migrated);
    assert_eq!(read_lance(&copy).len(), 2_452);
    let inspected = with(&toml, &["inspect", "work", "--json"]).run();
    let inspection: Value = serde_json::from_str(ok(&inspected).stdout.trim()).unwrap();
    assert_eq!(inspection["inspection"]["selected_by"], "configuration");
    for arguments in
        [&["history", "copy"][..], &["maintain", "copy", "compact"], &["plan", "work", "lance:/tmp/no-such-place"]]
    {
        ok(&with(&toml, arguments).run());
    }
    // The RFC's own shape says the same.
    let json = written(&scratch, "config.json", r#"{"palaces": {"copy": {"backend": "lance", "local_path": "copy"}}}"#);
    ok(&with(&json, &["history", "copy"]).run());
    let by_environment = Program::with(["history", "copy"]).env("PALANQUIN_CONFIG", &json);
    ok(&by_environment.run());
}

#[test]
fn a_name_wins_over_a_path_of_the_same_spelling_and_says_so() {
    let scratch = Scratch::new();
    let toml = written(&scratch, "config.toml", "[palaces.tmp]\nbackend = \"lance\"\nlocal_path = \"nowhere\"\n");
    let run = with(&toml, &["inspect", "tmp"]).here(Path::new("/")).run();
    assert_eq!(run.code, Some(BAD_INPUT), "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("write ./tmp for /tmp"), "{}", run.stderr);
    assert!(run.stderr.contains("nowhere"), "{}", run.stderr);
}

#[test]
fn the_configured_backend_comes_before_the_environment_and_after_the_command_line() {
    let scratch = Scratch::new();
    let text =
        format!("[palaces.work]\nbackend = \"chroma\"\nlocal_path = \"{}\"\n", fixture().join("palace").display());
    let toml = written(&scratch, "config.toml", &text);
    ok(&with(&toml, &["inspect", "work"]).env("MEMPALACE_BACKEND", Path::new("lance")).run());
    let explicit = with(&toml, &["inspect", "work", "--backend", "lance"]).run();
    assert_eq!(explicit.code, Some(BAD_INPUT), "{}", explicit.stdout);
}

#[test]
fn a_file_that_is_no_good_is_refused_by_its_entry_and_nothing_is_written() {
    let scratch = Scratch::new();
    let before = files_below(&scratch.path(""));
    for (text, says) in [
        ("[palaces.work]\nbackend = chroma", "line 2"),
        ("[palaces.work]\nbackend = \"qdrant\"\nlocal_path = \"p\"", "palaces.work.backend"),
        ("[backends.pg]\ntype = \"postgres\"\npassword = \"s3cret\"", "backends.pg.password"),
        ("[backends.pg]\ntype = \"postgres\"\ndsn = \"postgresql://a:s3cret@h/d\"", "MEMPALACE_POSTGRES_DSN"),
    ] {
        let toml = written(&scratch, "config.toml", text);
        let run = with(&toml, &["migrate", "work", "lance:/tmp/never-made"]).run();
        assert_eq!(run.code, Some(BAD_INPUT), "{text}: {}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains("config.toml") && run.stderr.contains(says), "{text}: {}", run.stderr);
        assert!(!run.stderr.contains("s3cret"), "{}", run.stderr);
        std::fs::remove_file(toml).unwrap();
    }
    let missing = with(&scratch.path("missing.toml"), &["inspect", "work"]).run();
    assert_eq!(missing.code, Some(BAD_INPUT), "{}{}", missing.stdout, missing.stderr);
    assert!(files_below(&scratch.path("")) == before);
}

#[test]
fn every_palace_is_migrated_and_a_broken_one_keeps_no_other_from_its_turn() {
    let scratch = Scratch::new();
    scratch.palace();
    let closets = scratch.path("closets");
    ok(&Program::migrate(&scratch.path("palace"), &closets, &scratch.path("state"))
        .arg("--collection")
        .arg("mempalace_closets")
        .run());
    std::fs::create_dir(scratch.path("broken")).unwrap();
    std::fs::write(scratch.path("broken/chroma.sqlite3"), "this is no database, but it is long enough to be one")
        .unwrap();
    let text = "[palaces.a_broken]\nbackend = \"chroma\"\nlocal_path = \"broken\"\n\
                [palaces.b_good]\nbackend = \"chroma\"\nlocal_path = \"palace\"\n\
                [palaces.c_there]\nbackend = \"lance\"\nlocal_path = \"closets\"\n";
    let toml = written(&scratch, "config.toml", text);
    let root = scratch.path("root");
    let all = |more: &[&str]| {
        let program = with(&toml, &["migrate", "--all", "--to", "lance", "--target-root"]).arg(&root.to_string_lossy());
        let program = program.arg("--state").arg(&scratch.path("state").to_string_lossy());
        more.iter().fold(program, |program, argument| program.arg(argument)).run()
    };
    let planned = all(&["--dry-run"]);
    assert_eq!(planned.code, Some(BAD_INPUT), "{}{}", planned.stdout, planned.stderr);
    assert!(!root.exists(), "a plan made something");
    let run = all(&["--json"]);
    assert_eq!(run.code, Some(BAD_INPUT), "{}{}", run.stdout, run.stderr);
    let last: Value = serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["kind"], "migrations", "{last}");
    let palaces = last["palaces"].as_array().unwrap();
    let told: Vec<_> = palaces.iter().map(|one| (one["name"].as_str().unwrap(), one["exit_code"].as_i64())).collect();
    assert_eq!(told, [("a_broken", Some(2)), ("b_good", Some(0)), ("c_there", None)]);
    assert_eq!(read_lance(&root.join("b_good.lance")).len(), 2_452);
    let again = all(&[]);
    assert_eq!(again.code, Some(BAD_INPUT), "{}", again.stdout);
    for part in ["b_good", "refused", "there already"] {
        assert!(again.stdout.contains(part), "{part:?} is not in {}", again.stdout);
    }
}

#[test]
fn both_spellings_make_the_same_copy() {
    let scratch = Scratch::new();
    let (source, state) = (scratch.palace(), scratch.path("state"));
    ok(&Program::migrate(&source, &scratch.path("one"), &state).run());
    let rfc = Program::with(["migrate", "--from", "chroma", "--to", "lance", "--palace"]);
    let run = rfc.arg(&source.to_string_lossy()).arg("--state").arg(&state.to_string_lossy()).run();
    let beside = scratch.path("palace.lance");
    assert!(ok(&run).stdout.contains(&format!("lance:{}", beside.display())), "{}", run.stdout);
    assert_eq!(read_lance(&beside), read_lance(&scratch.path("one")));
    for wrong in [&["migrate", "p", "--all", "--to", "lance"][..], &["migrate", "--palace", "p"], &["migrate", "--all"]]
    {
        let run = wrong.iter().fold(Program::with([]), |program, argument| program.arg(argument)).run();
        assert_eq!(run.code, Some(BAD_INPUT), "{wrong:?}");
    }
}
