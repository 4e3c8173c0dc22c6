use super::{Store, migration};
use palanquin_tests::{Program, Scratch, python};

/// A palace of one collection that never had a row, as Chroma makes it, through every store to every other.
#[test]
fn a_palace_without_a_row_goes_between_any_two_stores_and_its_empty_collection_is_named() {
    let scratch = Scratch::new();
    let (made, state) = (scratch.path("nothing"), scratch.path("state"));
    let output = python().arg("odd").arg(&made).arg("--rows").arg("0").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let first = format!("chroma:{}", made.display());
    for from in Store::ALL {
        let source = from.address(&scratch, &format!("nothing-{}", from.name()));
        let run = migration(&first, &source, &state).run();
        assert_eq!(run.code, Some(0), "{source}: {}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains("collection empty: it is empty and has no vector width yet"), "{}", run.stdout);
        for to in Store::ALL {
            let of = format!("{} to {}", from.name(), to.name());
            let target = to.address(&scratch, &format!("nothing-{}-{}", from.name(), to.name()));
            let run = migration(&source, &target, &state).run();
            assert_eq!(run.code, Some(0), "{of}: {}{}", run.stdout, run.stderr);
            let verify = Program::with(["verify"]).arg(&target).arg("--against").arg(&source).arg("--full").run();
            assert_eq!(verify.code, Some(0), "{of}: {}{}", verify.stdout, verify.stderr);
            let history = Program::with(["history"]).arg(&target).run();
            assert_eq!(history.code, Some(0), "{of}: {}{}", history.stdout, history.stderr);
        }
    }
}
