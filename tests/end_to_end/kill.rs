use crate::real_palace::assert_equal_to_dump;
use palanquin_engine::journal::{Journal, SqliteJournal};
use palanquin_engine::link::Plan;
use palanquin_tests::{Program, Scratch, read_lance};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

const KILLS: u32 = 20;
const SEED: u64 = 20_260_301;

/// Starts the copy, kills it at the moment given, and says whether it was still running.
pub(crate) fn kill_at(moment: Duration, copy: Program) -> bool {
    // A credit of half a megabyte makes commits of some hundred rows, so that there is much to be killed in.
    let (mut child, lines) = copy.arg("--credit").arg("512KiB").start();
    let deadline = Instant::now() + moment;
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => {
                child.kill().unwrap();
                child.wait().unwrap();
                return true;
            }
            Err(RecvTimeoutError::Disconnected) => {
                child.wait().unwrap();
                return false;
            }
        }
    }
}

/// The plan of the link to that target, if it has got one stored.
pub(crate) fn plan_to(target: &str, state: &Path) -> Option<Plan> {
    let journal = SqliteJournal::open(state).unwrap();
    let links = tokio::runtime::Runtime::new().unwrap().block_on(journal.links()).unwrap();
    links.into_iter().find(|link| link.spec.target == target)?.plan
}

#[test]
fn a_copy_killed_at_any_moment_is_continued_by_the_same_command() {
    println!("seed {SEED}");
    let mut rng = StdRng::seed_from_u64(SEED);
    let scratch = Scratch::new();
    let source = scratch.palace();
    let measured = scratch.path("measured");
    let began = Instant::now();
    let copy = Program::migrate(&source, &measured, &scratch.path("state")).arg("--credit").arg("512KiB").run();
    assert_eq!(copy.code, Some(0), "{}{}", copy.stdout, copy.stderr);
    let whole = began.elapsed();
    let mut struck = 0;
    for number in 0..KILLS {
        let target = scratch.path(&format!("target-{number}"));
        let moment = whole.mul_f64(rng.random_range(0.02..0.98));
        struck += u32::from(kill_at(moment, Program::migrate(&source, &target, &scratch.path("state"))));
        let address = format!("lance:{}", target.display());
        let planned = plan_to(&address, &scratch.path("state"));
        let run = Program::migrate(&source, &target, &scratch.path("state")).run();
        let plan = plan_to(&address, &scratch.path("state"));
        assert!(planned.is_none() || planned == plan, "kill {number}: planned anew");
        assert!(plan.is_some_and(|plan| plan.collections.iter().any(|c| c.partitions.len() > 2)), "several at once");
        // A copy that had ended before it could be killed is refused the second time.
        let ended_before = run.code == Some(3) && run.stdout.contains("the finished copy of this very link");
        assert!(run.code == Some(0) || ended_before, "kill {number} at {moment:?}: {}{}", run.stdout, run.stderr);
        assert_equal_to_dump(&target);
        std::fs::remove_dir_all(&target).unwrap();
    }
    assert!(struck >= KILLS / 2, "only {struck} of {KILLS} kills met a running copy");
}

#[test]
fn a_target_whose_replacement_is_killed_is_the_old_one_or_the_new_one_and_never_less() {
    println!("seed {SEED}");
    let mut rng = StdRng::seed_from_u64(SEED);
    let scratch = Scratch::new();
    let (source, target) = (scratch.palace(), scratch.path("target"));
    let replace = || Program::migrate(&source, &target, &scratch.path("state")).arg("--overwrite");
    let began = Instant::now();
    assert_eq!(replace().arg("--credit").arg("512KiB").run().code, Some(0));
    let mut whole = began.elapsed();
    let mut struck = 0;
    for number in 0..30 {
        std::fs::remove_dir_all(&target).unwrap();
        let closets = Program::migrate(&source, &target, &scratch.path(&format!("state-{number}")));
        assert_eq!(closets.arg("--collection").arg("mempalace_closets").run().code, Some(0));
        // The exchange is at the very end.
        let moment =
            whole.mul_f64(if number % 2 == 0 { rng.random_range(0.85..1.0) } else { rng.random_range(0.1..0.85) });
        let began = Instant::now();
        if kill_at(moment, replace()) {
            struck += 1;
        } else {
            // It was faster than those before it.
            whole = began.elapsed();
        }
        let there = read_lance(&target);
        if there.len() > 40 {
            assert_equal_to_dump(&target);
        } else {
            assert!(
                there.len() == 40 && there.iter().all(|row| row.collection == "mempalace_closets"),
                "kill {number}"
            );
        }
        let run = replace().run();
        assert_eq!(run.code, Some(0), "kill {number} at {moment:?}: {}{}", run.stdout, run.stderr);
        assert_equal_to_dump(&target);
        let beside: Vec<_> =
            std::fs::read_dir(scratch.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(beside.iter().all(|name| !name.to_string_lossy().contains("palanquin-new")), "{beside:?}");
        if struck == 6 {
            return;
        }
    }
    panic!("only {struck} of 30 kills met a running replacement");
}
