use crate::real_palace::assert_equal_to_dump;
use palanquin_tests::{Program, Scratch};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

const KILLS: u32 = 20;
const SEED: u64 = 20_260_301;

/// Starts the copy, kills it at the moment given, and says whether it was still running.
fn kill_at(moment: Duration, scratch: &Scratch, source: &std::path::Path, target: &std::path::Path) -> bool {
    // A credit of half a megabyte makes commits of some hundred rows, so that there is much to be killed in.
    let copy = Program::migrate(source, target, &scratch.path("state")).arg("--credit").arg("512KiB");
    let (mut child, lines) = copy.start();
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
        struck += u32::from(kill_at(moment, &scratch, &source, &target));
        let run = Program::migrate(&source, &target, &scratch.path("state")).run();
        // A copy that had ended before it could be killed is refused the second time.
        let ended_before = run.code == Some(3) && run.stdout.contains("the finished copy of this very link");
        assert!(run.code == Some(0) || ended_before, "kill {number} at {moment:?}: {}{}", run.stdout, run.stderr);
        assert_equal_to_dump(&target);
        std::fs::remove_dir_all(&target).unwrap();
    }
    assert!(struck >= KILLS / 2, "only {struck} of {KILLS} kills met a running copy");
}
