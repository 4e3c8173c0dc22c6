use super::{Store, migrate, migration};
use crate::kill::{kill_at, plan_to};
use palanquin_tests::{Program, Scratch};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::Instant;

const SEED: u64 = 20_261_126;

#[test]
fn a_copy_between_any_two_stores_that_is_killed_is_completed_by_the_same_command() {
    println!("seed {SEED}");
    let mut rng = StdRng::seed_from_u64(SEED);
    let scratch = Scratch::new();
    let palace = scratch.palace();
    let (first, state) = (format!("chroma:{}", palace.display()), scratch.path("state"));
    // What a copy into each store takes.
    let whole = Store::ALL.map(|to| {
        let began = Instant::now();
        migrate(&first, &to.address(&scratch, &format!("measured-{}", to.name())), &state);
        began.elapsed()
    });
    let mut struck = 0;
    for from in Store::ALL {
        let source = from.address(&scratch, &format!("killed-{}", from.name()));
        migrate(&first, &source, &state);
        for (to, whole) in Store::ALL.into_iter().zip(whole) {
            let of = format!("{} to {}", from.name(), to.name());
            let moment = whole.mul_f64(rng.random_range(0.05..0.95));
            let target = to.address(&scratch, &format!("target-{}-{}", from.name(), to.name()));
            struck += u32::from(kill_at(moment, migration(&source, &target, &state)));
            let planned = plan_to(&target, &state);
            let run = migration(&source, &target, &state).run();
            assert!(planned.is_none() || planned == plan_to(&target, &state), "{of}: planned anew");
            // A copy that had ended before it could be killed is refused the second time.
            let ended_before = run.code == Some(3) && run.stdout.contains("the finished copy of this very link");
            assert!(run.code == Some(0) || ended_before, "{of} at {moment:?}: {}{}", run.stdout, run.stderr);
            let verify = Program::with(["verify"]).arg(&target).arg("--against").arg(&source).arg("--full").run();
            assert_eq!(verify.code, Some(0), "{of} at {moment:?}: {}{}", verify.stdout, verify.stderr);
        }
    }
    assert!(struck >= 8, "only {struck} of 16 kills met a running copy");
}
