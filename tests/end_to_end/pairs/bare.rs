use super::{Store, migrate, migration};
use palanquin_tests::{Program, Scratch, python, read_lance};

const BARE: [&str; 2] = ["row-07", "row-21"];
const HALTED: i32 = 6;
const DIFFERENT: i32 = 5;

impl Store {
    fn holds_rows_without_a_vector(self) -> bool {
        matches!(self, Self::Lance | Self::Postgres)
    }
}

#[test]
fn rows_without_a_vector_are_kept_or_refused_by_name_between_any_two_stores_and_never_dropped() {
    let scratch = Scratch::new();
    let (made, state) = (scratch.path("made"), scratch.path("state"));
    let output = python().arg("odd").arg(&made).args(BARE.iter().flat_map(|id| ["--bare", id])).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let first = format!("chroma:{}", made.display());
    // What a Chroma does not take it may still have: it loses vectors.
    let sources = [Store::Lance, Store::Postgres].map(|from| {
        let source = from.address(&scratch, &format!("bare-{}", from.name()));
        migrate(&first, &source, &state);
        source
    });
    for source in sources.into_iter().chain([first]) {
        for to in Store::ALL {
            let of = format!("{source} to {}", to.name());
            let name = |again: &str| format!("bare-{}-{}{again}", source.split(':').next().unwrap(), to.name());
            let target = to.address(&scratch, &name(""));
            if to.holds_rows_without_a_vector() {
                let run = migrate(&source, &target, &state);
                assert!(BARE.iter().all(|id| run.stdout.contains(id)), "{of}: named\n{}", run.stdout);
                let back = scratch.path(&name("-back"));
                migrate(&target, &format!("lance:{}", back.display()), &state);
                let rows = read_lance(&back);
                let bare = rows.iter().filter(|row| row.embedding.is_none()).map(|row| row.id.as_str());
                let mut bare: Vec<&str> = bare.collect();
                bare.sort_unstable();
                assert_eq!((rows.len(), bare.as_slice()), (31, BARE.as_slice()), "{of}");
                continue;
            }
            let run = migration(&source, &target, &state).run();
            assert_eq!(run.code, Some(HALTED), "{of}: {}{}", run.stdout, run.stderr);
            assert!(BARE.iter().any(|id| run.stdout.contains(id)), "{of}: named\n{}", run.stdout);
            let target = to.address(&scratch, &name("-aside"));
            let run = migration(&source, &target, &state).arg("--max-dead-letters").arg("2").run();
            assert_eq!(run.code, Some(DIFFERENT), "{of}: {}{}", run.stdout, run.stderr);
            let letters = Program::with(["dead-letters", "list", "--state"]).arg(state.to_str().unwrap()).run();
            assert!(BARE.iter().all(|id| letters.stdout.contains(id)), "{of}: {}", letters.stdout);
            let back = scratch.path(&name("-back"));
            migrate(&target, &format!("lance:{}", back.display()), &state);
            assert_eq!(read_lance(&back).len(), 29, "{of}");
        }
    }
}
