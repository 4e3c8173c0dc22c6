use crate::scratch::from_run;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// The program under test, with its arguments.
#[derive(Debug)]
pub struct Program(Command);

/// What a run of the program left.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Program {
    /// `palanquin migrate SOURCE lance:TARGET --state STATE`.
    pub fn migrate(source: &Path, target: &Path, state: &Path) -> Self {
        let mut program = Self::with(["migrate"]);
        program.0.arg(source).arg(format!("lance:{}", target.display())).arg("--state").arg(state);
        program
    }

    /// The program with any arguments.
    pub fn with<const N: usize>(arguments: [&str; N]) -> Self {
        let mut command = Command::new(Self::path());
        command.args(arguments).stdin(Stdio::null()).env_remove("MEMPALACE_BACKEND");
        // The operator's own configuration has no part in a test.
        command.env_remove("PALANQUIN_CONFIG").env("XDG_CONFIG_HOME", "/nowhere");
        Self(command)
    }

    /// Where the program is.
    pub fn path() -> std::path::PathBuf {
        from_run("PALANQUIN_TEST_PROGRAM")
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: &str) -> Self {
        self.0.arg(argument);
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &Path) -> Self {
        self.0.env(name, value);
        self
    }

    /// Runs it in a folder.
    #[must_use]
    pub fn here(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// If it cannot be started.
    #[allow(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn run(mut self) -> Finished {
        let output = self.0.output().expect("the program starts");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Finished { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Starts it; its lines of standard output arrive as they are printed.
    ///
    /// # Panics
    /// If it cannot be started.
    #[allow(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn start(mut self) -> (Child, Receiver<String>) {
        let mut child = self.0.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
        let (line, lines) = channel();
        let stdout = child.stdout.take().expect("its standard output");
        std::thread::spawn(move || {
            for text in BufReader::new(stdout).lines().map_while(Result::ok) {
                if line.send(text).is_err() {
                    return;
                }
            }
        });
        (child, lines)
    }
}
