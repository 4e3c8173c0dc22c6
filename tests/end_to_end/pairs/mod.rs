//! What must hold between any two stores: every test here goes through all pairs of them.

mod bare;
mod changed;
mod empty;
mod filtered;
mod killed;
mod odd;

use palanquin_tests::{Finished, Program, Scratch};
use std::path::Path;

/// A kind of store a palace can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Store {
    ChromaDirectory,
    ChromaServer,
    Lance,
    Postgres,
}

impl Store {
    const ALL: [Self; 4] = [Self::ChromaDirectory, Self::ChromaServer, Self::Lance, Self::Postgres];

    /// The address of a palace in it, where nothing is yet.
    fn address(self, scratch: &Scratch, name: &str) -> String {
        let from_run = |variable: &str| std::env::var(variable).expect("run the tests with tests/run");
        let own = format!("{name}-{}", std::process::id());
        match self {
            Self::ChromaDirectory => format!("chroma:{}", scratch.path(name).display()),
            Self::ChromaServer => format!("chroma+{}?database={own}", from_run("PALANQUIN_TEST_CHROMA")),
            Self::Lance => format!("lance:{}", scratch.path(name).display()),
            Self::Postgres => format!("{}?palace={own}", from_run("PALANQUIN_TEST_POSTGRES")),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::ChromaDirectory => "chroma-directory",
            Self::ChromaServer => "chroma-server",
            Self::Lance => "lance",
            Self::Postgres => "postgres",
        }
    }
}

fn migration(source: &str, target: &str, state: &Path) -> Program {
    Program::with(["migrate"]).arg(source).arg(target).arg("--state").arg(state.to_str().unwrap())
}

#[track_caller]
fn migrate(source: &str, target: &str, state: &Path) -> Finished {
    let run = migration(source, target, state).run();
    assert_eq!(run.code, Some(0), "{source} to {target}: {}{}", run.stdout, run.stderr);
    run
}
