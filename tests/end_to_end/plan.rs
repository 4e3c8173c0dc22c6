//! `plan` and `history`: before a migration, and after it.

use palanquin_engine::journal::LinkLock;
use palanquin_engine::link::{LinkKind, LinkSpec};
use palanquin_tests::{Program, Scratch, files_below};
use serde_json::Value;

#[test]
fn a_plan_tells_what_would_be_copied_and_writes_nothing() {
    let scratch = Scratch::new();
    let (source, target) = (scratch.palace(), scratch.path("target"));
    let before = files_below(&source);
    for dry_run in [false, true] {
        let program = if dry_run {
            Program::migrate(&source, &target, &scratch.path("state")).arg("--dry-run")
        } else {
            let to = format!("lance:{}", target.display());
            Program::with(["plan"]).arg(source.to_str().unwrap()).arg(&to)
        };
        let run = program.arg("--json").run();
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        let plan: Value = serde_json::from_str(run.stdout.trim()).unwrap();
        let plan = &plan["plan"];
        assert_eq!((&plan["rows"], &plan["lossless"]), (&2_452.into(), &true.into()), "{plan}");
        let checks = plan["checks"].as_array().unwrap();
        assert!(checks.iter().all(|check| check["standing"] == "passes"), "{checks:?}");
        for name in
            ["reachable", "rows", "place", "format", "permissions", "disk", "lock", "dimension", "metric", "model"]
        {
            assert!(checks.iter().any(|check| check["name"] == name), "{name}: {checks:?}");
        }
        assert_eq!(plan["maintenance"], serde_json::json!(["reindex"]));
        let drawers = &plan["collections"][1];
        assert_eq!(
            (&drawers["identity_state"], &drawers["partitions"]),
            (&"known_match".into(), &1.into()),
            "{drawers}"
        );
        assert_eq!(plan["gaps"], serde_json::json!([]));
    }
    assert!(files_below(&source) == before, "planning changed the source");
    assert!(!target.exists() && !scratch.path("state").exists());
}

#[test]
fn what_is_in_the_way_is_named_with_its_fix() {
    let scratch = Scratch::new();
    let (source, target) = (scratch.palace(), scratch.path("target"));
    let made = Program::migrate(&source, &target, &scratch.path("state")).arg("--collection").arg("mempalace_closets");
    assert_eq!(made.run().code, Some(0));
    let run = Program::with(["plan"]).arg(source.to_str().unwrap()).arg(&format!("lance:{}", target.display())).run();
    assert_eq!(run.code, Some(3), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("it exists and holds mempalace_closets"), "{}", run.stdout);
    assert!(run.stdout.contains("--overwrite"), "{}", run.stdout);
    let to = format!("lance:{}", target.display());
    let replacing = Program::with(["plan", "--overwrite"]).arg(source.to_str().unwrap()).arg(&to).run();
    assert_eq!(replacing.code, Some(0), "{}{}", replacing.stdout, replacing.stderr);
    let other = Program::with(["plan", "--overwrite", "--model", "bert"]).arg(source.to_str().unwrap()).arg(&to).run();
    assert_eq!(other.code, Some(3), "{}{}", other.stdout, other.stderr);
    assert!(other.stdout.contains("--force-model-swap"), "{}", other.stdout);
    let onto_itself =
        Program::with(["plan"]).arg(source.to_str().unwrap()).arg(&format!("lance:{}/inside", source.display())).run();
    assert_eq!(onto_itself.code, Some(3), "{}", onto_itself.stdout);
}

#[test]
fn a_migration_is_in_the_history_of_its_target() {
    let scratch = Scratch::new();
    let (source, target) = (scratch.palace(), scratch.path("target"));
    let copy = || Program::migrate(&source, &target, &scratch.path("state"));
    assert_eq!(copy().run().code, Some(0));
    assert_eq!(copy().arg("--overwrite").run().code, Some(0));
    let run = Program::with(["history"]).arg(target.to_str().unwrap()).arg("--json").run();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let entries: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // The log of the palace that was replaced goes on in the one that took its place.
    let [first, entry] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((&first["entry"]["kind"], &first["entry"]["flags"]), (&"migration".into(), &Value::Array(vec![])));
    let entry = &entry["entry"];
    assert_eq!(entry["flags"][0], "--overwrite");
    assert_eq!((&entry["kind"], &entry["rows"]), (&"migration".into(), &2_452.into()), "{entry}");
    assert_eq!((&entry["lossless"], &entry["verified"]), (&true.into(), &true.into()), "{entry}");
    assert_eq!((&entry["source_backend"], &entry["target_backend"]), (&"chroma".into(), &"lance".into()));
    assert_eq!(entry["collections"][0]["source_model"]["model_name"], "minilm", "{entry}");
    assert!(target.join(".mempalace-migration.json").is_file());
}

#[test]
fn whoever_works_on_the_palaces_is_named() {
    let scratch = Scratch::new();
    let (source, target, state) = (scratch.palace(), scratch.path("target"), scratch.path("state"));
    let spec = LinkSpec::new(
        LinkKind::Migrate,
        format!("chroma:{}", source.canonicalize().unwrap().display()),
        format!("lance:{}", target.parent().unwrap().canonicalize().unwrap().join("target").display()),
    );
    let held = LinkLock::acquire(&state, &spec, &[]).unwrap();
    let before = files_below(&state);
    let plan = || Program::migrate(&source, &target, &state).arg("--dry-run").run();
    let run = plan();
    assert_eq!(run.code, Some(3), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains(&format!("in use by process {}", std::process::id())), "{}", run.stdout);
    assert!(files_below(&state) == before);
    drop(held);
    assert_eq!(plan().code, Some(0));
}
