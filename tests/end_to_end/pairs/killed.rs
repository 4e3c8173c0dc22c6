use super::{Store, migrate, migration};
use crate::kill::plan_to;
use palanquin_tests::{Program, Scratch};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

const SEED: u64 = 20_261_126;
/// What a copy goes through, as its lines tell; the last one only where the target has something to maintain.
const PHASES: [&str; 4] = ["checking", "copying", "verifying", "maintaining"];

/// A credit of half a megabyte makes commits of some hundred rows, so that there is much to be killed in.
fn in_small_commits(copy: Program) -> Program {
    copy.arg("--credit").arg("512KiB")
}

/// How long each phase of a copy takes.
fn measured(copy: Program) -> BTreeMap<&'static str, Duration> {
    let (mut child, lines) = in_small_commits(copy).start();
    let mut phases = BTreeMap::new();
    let (mut of, mut since) = (None, Instant::now());
    for line in lines {
        if let Some((_, next)) = line.strip_prefix("link ").and_then(|line| line.split_once(" -> ")) {
            of.map(|phase| phases.insert(phase, since.elapsed()));
            of = PHASES.into_iter().find(|phase| next.starts_with(phase));
            since = Instant::now();
        }
    }
    assert!(child.wait().unwrap().success());
    phases
}

/// Kills the copy so long after a phase has begun, and says whether the phase had not ended.
fn kill_in(phase: &str, delay: Duration, copy: Program) -> bool {
    let (mut child, lines) = in_small_commits(copy).start();
    let mut deadline = None;
    let has_begun = loop {
        let line = match deadline {
            None => lines.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(deadline) => lines.recv_timeout(Instant::saturating_duration_since(&deadline, Instant::now())),
        };
        match line {
            Ok(line) if line.starts_with("link ") && line.contains(&format!(" -> {phase}")) => {
                deadline = Some(Instant::now() + delay);
            }
            Ok(line) if deadline.is_some() && line.starts_with("link ") && line.contains(" -> ") => break false,
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => break true,
            Err(RecvTimeoutError::Disconnected) => break false,
        }
    };
    child.kill().unwrap();
    child.wait().unwrap();
    has_begun
}

#[test]
fn a_copy_between_any_two_stores_that_is_killed_in_each_of_its_phases_is_completed_by_the_same_command() {
    println!("seed {SEED}");
    let mut rng = StdRng::seed_from_u64(SEED);
    let scratch = Scratch::new();
    let palace = scratch.palace();
    let (first, state) = (format!("chroma:{}", palace.display()), scratch.path("state"));
    let long = Store::ALL
        .map(|to| measured(migration(&first, &to.address(&scratch, &format!("measured-{}", to.name())), &state)));
    let mut struck: BTreeMap<&str, u32> = BTreeMap::new();
    for from in Store::ALL {
        let source = from.address(&scratch, &format!("killed-{}", from.name()));
        migrate(&first, &source, &state);
        for (to, long) in Store::ALL.into_iter().zip(&long) {
            let of = format!("{} to {}", from.name(), to.name());
            let target = to.address(&scratch, &format!("target-{}-{}", from.name(), to.name()));
            let mut planned = None;
            // One copy, killed in one phase after the other.
            for phase in PHASES {
                let Some(long) = long.get(phase) else { continue };
                let delay = long.mul_f64(rng.random_range(0.0..0.8));
                let met = kill_in(phase, delay, migration(&source, &target, &state));
                *struck.entry(phase).or_default() += u32::from(met);
                let plan = plan_to(&target, &state);
                assert!(planned.is_none() || planned == plan, "{of}, killed in {phase} after {delay:?}: planned anew");
                planned = plan;
            }
            let run = migration(&source, &target, &state).run();
            assert_eq!(planned, plan_to(&target, &state), "{of}: planned anew");
            // A copy that had ended before it could be killed is refused the second time.
            let ended_before = run.code == Some(3) && run.stdout.contains("the finished copy of this very link");
            assert!(run.code == Some(0) || ended_before, "{of}: {}{}", run.stdout, run.stderr);
            let verify = Program::with(["verify"]).arg(&target).arg("--against").arg(&source).arg("--full").run();
            assert_eq!(verify.code, Some(0), "{of}: {}{}", verify.stdout, verify.stderr);
        }
    }
    println!("kills that met a phase: {struck:?}");
    for phase in PHASES {
        let copies = 4 * long.iter().filter(|long| long.contains_key(phase)).count() as u32;
        assert!(copies >= 4 && struck[phase] * 2 >= copies, "{phase}: {} of {copies} kills met it", struck[phase]);
    }
}
