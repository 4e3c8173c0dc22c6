//! Receipts: what a migration leaves as evidence, and whether it was changed since.

use palanquin_tests::{Program, Scratch, dump_of, files_below, fixture};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

fn receipts(state: &Path) -> Vec<PathBuf> {
    let Ok(folder) = std::fs::read_dir(state.join("receipts")) else { return Vec::new() };
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn receipt(act: &str, file: &Path) -> palanquin_tests::Finished {
    Program::with(["receipt", act]).arg(file.to_str().unwrap()).run()
}

#[test]
fn a_migration_leaves_a_receipt_that_says_what_was_checked_and_what_was_not_and_no_row() {
    let scratch = Scratch::new();
    let (target, state) = (scratch.path("target"), scratch.path("state"));
    let run = Program::migrate(&scratch.palace(), &target, &state).run();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let [document, page] = receipts(&state).try_into().expect("a receipt and its page");
    assert!(run.stdout.contains(&format!("receipt: {}", document.display())), "{}", run.stdout);
    for file in [&document, &page] {
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let said: Value = serde_json::from_str(&std::fs::read_to_string(&document).unwrap()).unwrap();
    assert_eq!((&said["command"], &said["exit_code"]), (&"migrate".into(), &0.into()), "{said}");
    assert_eq!((&said["outcome"], &said["rows"]), (&"copied and verified".into(), &2_452.into()), "{said}");
    let carried = said["carried"].as_array().unwrap();
    let drawers = carried.iter().find(|carried| carried["name"] == "mempalace_drawers").unwrap();
    assert_eq!((&drawers["rows"], &drawers["identity"]["model_name"]), (&2_412.into(), &"minilm".into()));
    assert!(said["bytes"].as_u64().unwrap() > 2_452 * 384 * 4, "{said}");
    let phases: Vec<&str> =
        said["account"]["phases"].as_array().unwrap().iter().map(|phase| phase["phase"].as_str().unwrap()).collect();
    assert_eq!(phases, ["checking", "copying", "verifying", "maintaining"]);
    assert!(said["not_checked"].as_array().unwrap().len() >= 3, "{said}");

    let shown = receipt("show", &document);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert_eq!(shown.stdout.trim_end(), std::fs::read_to_string(&page).unwrap().trim_end());
    assert!(shown.stdout.contains("## What was not checked"), "{}", shown.stdout);
    for row in dump_of(&fixture().join("dump.jsonl")).into_values().filter_map(|row| row.document).take(200) {
        let written = std::fs::read_to_string(&document).unwrap();
        assert!(!written.contains(&row) && !shown.stdout.contains(&row), "{row}");
    }
}

#[test]
fn a_receipt_that_was_changed_is_told() {
    let scratch = Scratch::new();
    let file = scratch.path("evidence.json");
    let migrate = Program::migrate(&scratch.palace(), &scratch.path("target"), &scratch.path("state"));
    let run = migrate.arg("--receipt").arg(file.to_str().unwrap()).run();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(receipts(&scratch.path("state")).is_empty() && scratch.path("evidence.md").exists());
    let intact = receipt("check", &file);
    assert_eq!(intact.code, Some(0), "{}{}", intact.stdout, intact.stderr);
    assert!(intact.stdout.starts_with("intact: blake3:"), "{}", intact.stdout);
    let whole = std::fs::read_to_string(&file).unwrap();
    for (from, to) in [("2412", "2413"), ("\"exit_code\": 0", "\"exit_code\": 5"), ("minilm", "minlim")] {
        assert!(whole.contains(from), "{from}");
        std::fs::write(&file, whole.replacen(from, to, 1)).unwrap();
        let changed = receipt("check", &file);
        assert_eq!(changed.code, Some(5), "{from}: {}{}", changed.stdout, changed.stderr);
        assert!(changed.stdout.starts_with("changed: "), "{}", changed.stdout);
        assert_eq!(receipt("show", &file).code, Some(5), "{from}");
    }
    for (file, text) in [("page.md", "# Palanquin"), ("other.json", "{}")] {
        std::fs::write(scratch.path(file), text).unwrap();
        assert_eq!(receipt("check", &scratch.path(file)).code, Some(2), "{file}");
    }
}

#[test]
fn what_was_refused_leaves_no_receipt_and_a_comparison_leaves_one_if_it_is_asked_for() {
    let scratch = Scratch::new();
    let (source, target, state) = (scratch.palace(), scratch.path("target"), scratch.path("state"));
    let migrate = || Program::migrate(&source, &target, &state).run();
    assert_eq!(migrate().code, Some(0));
    assert_eq!(receipts(&state).len(), 2);
    assert_eq!(migrate().code, Some(3));
    assert_eq!(receipts(&state).len(), 2);
    let verify = |file: &Path| {
        let program =
            Program::with(["verify"]).arg(target.to_str().unwrap()).arg("--against").arg(source.to_str().unwrap());
        program.arg("--receipt").arg(file.to_str().unwrap()).run()
    };
    let file = scratch.path("verified.json");
    let run = verify(&file);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let before = files_below(&scratch.path("state"));
    let said: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!((&said["command"], &said["outcome"]), (&"verify".into(), &"equal".into()), "{said}");
    assert_eq!(receipt("check", &file).code, Some(0));
    // Evidence is not written over.
    assert_eq!(verify(&file).code, Some(2));
    assert_eq!(receipt("check", &file).code, Some(0));
    assert!(files_below(&scratch.path("state")) == before, "a comparison wrote to the state directory");
}
