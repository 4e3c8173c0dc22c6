//! Chroma servers that are killed and come back while a palace is copied into them or out of them.

use palanquin_tests::{Program, Scratch, read_lance};
use std::path::Path;
use std::process::{Command, Stdio};

/// What a copy goes through, as it says it.
const PHASES: [&str; 3] = ["-> checking", "-> copying", "-> verifying"];

/// A server of this test's own.
struct Server {
    directory: String,
    url: String,
}

impl Server {
    fn start() -> Self {
        let directory = script(&["scratch"]);
        let url = script(&["start", &directory]);
        Self { directory, url }
    }

    fn address(&self, database: &str) -> String {
        format!("chroma+{}?database={database}", self.url)
    }

    fn kill_and_restart(&self) {
        script(&["stop", &self.directory, "KILL"]);
        assert_eq!(script(&["start", &self.directory]), self.url);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        script(&["stop", &self.directory, "KILL"]);
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

fn script(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("chroma.sh");
    let output = Command::new(script).args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "tests/chroma.sh {arguments:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn migration(source: &str, target: &str, state: &Path) -> Program {
    Program::with(["migrate"]).arg(source).arg(target).arg("--state").arg(state.to_str().unwrap())
}

/// Runs a copy whose server is killed, and started again, as soon as the phase begins.
fn interrupted(server: &Server, copy: Program, phase: &str) {
    let (mut child, lines) = copy.arg("--credit").arg("1MiB").start();
    let mut said = Vec::new();
    let mut struck = false;
    for line in lines {
        let begins = line.contains(phase);
        said.push(line);
        if begins && !struck {
            struck = true;
            server.kill_and_restart();
        }
    }
    let code = child.wait().unwrap().code();
    assert!(struck && code == Some(0), "{phase}: {code:?}\n{}", said.join("\n"));
}

#[test]
fn a_copy_into_a_server_that_is_killed_in_any_phase_goes_on_once_it_is_back() {
    let (scratch, server) = (Scratch::new(), Server::start());
    let (source, state) = (scratch.palace(), scratch.path("state"));
    for (number, phase) in PHASES.into_iter().enumerate() {
        let target = server.address(&format!("target-{number}"));
        interrupted(&server, migration(source.to_str().unwrap(), &target, &state), phase);
        let verify = Program::with(["verify"]).arg(&target).arg("--against").arg(source.to_str().unwrap());
        let verify = verify.arg("--full").run();
        assert_eq!(verify.code, Some(0), "{phase}: {}{}", verify.stdout, verify.stderr);
    }
}

#[test]
fn a_copy_out_of_a_server_that_is_killed_in_any_phase_goes_on_once_it_is_back() {
    let (scratch, server) = (Scratch::new(), Server::start());
    let (palace, state) = (scratch.palace(), scratch.path("state"));
    let source = server.address("source");
    let made = migration(palace.to_str().unwrap(), &source, &state).run();
    assert_eq!(made.code, Some(0), "{}{}", made.stdout, made.stderr);
    for (number, phase) in PHASES.into_iter().enumerate() {
        let target = scratch.path(&format!("target-{number}"));
        interrupted(&server, migration(&source, &format!("lance:{}", target.display()), &state), phase);
        assert_eq!(read_lance(&target).len(), 2_452, "{phase}");
    }
}
