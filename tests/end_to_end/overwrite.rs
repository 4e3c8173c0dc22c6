//! `--overwrite`: what an earlier run has left, however it ended, is never taken for the answer to a new one.

use palanquin_engine::link::{LinkKind, LinkSpec};
use palanquin_tests::{Finished, Program, Scratch, python, read_lance};
use std::path::{Path, PathBuf};

const DIFFERENT: i32 = 5;

/// A target with the closets alone, a source, and the place the copy is made at.
struct World {
    scratch: Scratch,
    source: PathBuf,
    target: PathBuf,
    staging: PathBuf,
}

impl World {
    fn new() -> Self {
        let scratch = Scratch::new();
        let (source, target) = (scratch.palace(), scratch.path("target"));
        let old = Program::migrate(&source, &target, &scratch.path("another-state"));
        assert_eq!(old.arg("--collection").arg("mempalace_closets").run().code, Some(0));
        let spec = LinkSpec::new(LinkKind::Migrate, at("chroma", &source), at("lance", &target));
        let staging = target.with_file_name(format!("target.palanquin-new-{}", spec.id()));
        Self { source, staging, target, scratch }
    }

    /// Makes and verifies the copy beside the target, as a run that is cut off before the exchange does.
    fn stage(&self) {
        let run = Program::migrate(&self.source, &self.staging, &self.scratch.path("state")).run();
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    }

    /// What a run does that ends before it can forget the link.
    fn exchange(&self) {
        let old = self.scratch.path("old");
        std::fs::rename(&self.target, &old).unwrap();
        std::fs::rename(&self.staging, &self.target).unwrap();
        std::fs::rename(&old, &self.staging).unwrap();
    }

    fn overwrite(&self) -> Finished {
        Program::migrate(&self.source, &self.target, &self.scratch.path("state")).arg("--overwrite").run()
    }

    /// Adds to the source.
    fn write(&self) {
        let written =
            python().arg("make").arg(&self.source).args(["--rows", "40", "--seed", "later"]).output().unwrap();
        assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    }

    #[track_caller]
    fn assert_holds(&self, rows: usize) {
        assert_eq!(read_lance(&self.target).len(), rows);
        assert!(!self.staging.exists() || rows == 40);
    }
}

fn at(backend: &str, path: &Path) -> String {
    let parent = path.parent().unwrap().canonicalize().unwrap();
    format!("{backend}:{}", parent.join(path.file_name().unwrap()).display())
}

#[test]
fn a_verified_copy_that_was_left_beside_the_target_is_compared_again_and_takes_its_place() {
    let world = World::new();
    world.stage();
    world.assert_holds(40);
    let run = world.overwrite();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("verifying") && !run.stdout.contains("-> copying"), "{}", run.stdout);
    world.assert_holds(2_452);
}

#[test]
fn a_copy_that_was_left_beside_the_target_is_not_put_in_place_once_the_source_has_changed() {
    let world = World::new();
    world.stage();
    world.write();
    let run = world.overwrite();
    assert_eq!(run.code, Some(DIFFERENT), "{}{}", run.stdout, run.stderr);
    world.assert_holds(40);
    let again = world.overwrite();
    assert_eq!(again.code, Some(0), "{}{}", again.stdout, again.stderr);
    world.assert_holds(2_492);
}

#[test]
fn a_copy_that_was_put_in_place_by_a_run_that_was_cut_off_after_it_is_not_the_answer_to_the_next() {
    let world = World::new();
    world.stage();
    world.exchange();
    world.write();
    let run = world.overwrite();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("-> copying"), "{}", run.stdout);
    world.assert_holds(2_492);
}

/// Puts beside the tables of the target what is no store's.
fn leave_strangers_in(folder: &Path) {
    std::fs::write(folder.join("knowledge_graph.sqlite3"), "triples").unwrap();
    std::fs::create_dir(folder.join("rooms")).unwrap();
    std::fs::write(folder.join("rooms/plan.json"), "{}").unwrap();
}

#[track_caller]
fn assert_has_strangers(folder: &Path) {
    assert_eq!(std::fs::read_to_string(folder.join("knowledge_graph.sqlite3")).unwrap(), "triples");
    assert_eq!(std::fs::read_to_string(folder.join("rooms/plan.json")).unwrap(), "{}");
}

#[test]
fn what_is_not_the_stores_stays_in_a_directory_whose_palace_is_replaced() {
    let world = World::new();
    leave_strangers_in(&world.target);
    let run = world.overwrite();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    world.assert_holds(2_452);
    assert_has_strangers(&world.target);
    assert!(!world.staging.exists());
}

#[test]
fn what_is_not_the_stores_is_brought_back_after_a_run_that_was_cut_off_behind_the_exchange() {
    let world = World::new();
    world.stage();
    world.exchange();
    leave_strangers_in(&world.staging);
    // Somebody has made another one of that name meanwhile.
    std::fs::write(world.target.join("knowledge_graph.sqlite3"), "newer").unwrap();
    let run = world.overwrite();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let kept = |name: &str| std::fs::read_to_string(world.target.join(name)).unwrap();
    assert_eq!(kept("knowledge_graph.sqlite3"), "newer");
    assert_eq!(kept("knowledge_graph.sqlite3.old-1"), "triples");
    assert_eq!(kept("rooms/plan.json"), "{}");
}

#[test]
fn a_directory_that_holds_another_stores_palace_too_is_not_replaced() {
    let world = World::new();
    std::fs::copy(world.source.join("chroma.sqlite3"), world.target.join("chroma.sqlite3")).unwrap();
    let plan = Program::migrate(&world.source, &world.target, &world.scratch.path("state"));
    let plan = plan.arg("--overwrite").arg("--dry-run").run();
    let run = world.overwrite();
    for run in [&plan, &run] {
        let said = format!("{}{}", run.stdout, run.stderr);
        assert_ne!(run.code, Some(0));
        assert!(said.contains("holds a palace of chroma too"), "{said}");
    }
    world.assert_holds(40);
}

#[test]
fn a_directory_that_holds_nothing_but_another_stores_palace_is_not_replaced() {
    let world = World::new();
    let log = std::fs::read(world.target.join(".mempalace-migration.json")).unwrap();
    let onto = Program::with(["migrate", "--plain", "--overwrite"]).arg(&at("chroma", &world.source));
    let run = onto
        .arg(&at("chroma", &world.target))
        .arg("--state")
        .arg(&world.scratch.path("state").display().to_string())
        .run();
    assert_eq!(run.code, Some(2), "{}{}", run.stdout, run.stderr);
    let plan = Program::with(["plan"]).arg(&at("chroma", &world.source)).arg(&at("chroma", &world.target)).run();
    assert_eq!(plan.code, Some(3), "{}{}", plan.stdout, plan.stderr);
    world.assert_holds(40);
    assert_eq!(std::fs::read(world.target.join(".mempalace-migration.json")).unwrap(), log);
}

#[test]
fn a_chroma_directory_is_replaced_and_what_mempalace_keeps_beside_it_stays() {
    let scratch = Scratch::new();
    let (source, target, copy) = (scratch.palace(), scratch.path("target"), scratch.path("copy"));
    let state = scratch.path("state");
    let ends = |from: &Path, to: String, more: &[&str]| {
        let copy = Program::with(["migrate", "--plain"]).arg(&at("chroma", from)).arg(&to);
        let copy = copy.arg("--state").arg(&state.display().to_string());
        let run = more.iter().fold(copy, |copy, argument| copy.arg(argument)).run();
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    };
    ends(&source, at("chroma", &target), &["--collection", "mempalace_closets"]);
    leave_strangers_in(&target);
    ends(&source, at("chroma", &target), &["--overwrite"]);
    assert_has_strangers(&target);
    ends(&target, at("lance", &copy), &[]);
    assert_eq!(read_lance(&copy).len(), 2_452);
}

#[test]
fn a_target_that_was_set_aside_by_a_run_that_was_cut_off_is_put_back_until_the_copy_is_compared() {
    let world = World::new();
    world.stage();
    world.write();
    let aside = world.staging.with_added_extension("old");
    std::fs::rename(&world.target, &aside).unwrap();
    let run = world.overwrite();
    assert_eq!(run.code, Some(DIFFERENT), "{}{}", run.stdout, run.stderr);
    world.assert_holds(40);
    assert!(!aside.exists());
}
