//! A server of one test's own, to be stopped and started.

use std::path::Path;
use std::process::{Command, Stdio};

pub(crate) struct OwnServer {
    directory: String,
    dsn: String,
}

impl OwnServer {
    pub(crate) fn start() -> Self {
        let directory = script(&["scratch"]);
        let dsn = script(&["start", &directory, "18"]);
        Self { directory, dsn }
    }

    pub(crate) fn dsn(&self) -> String {
        self.dsn.clone()
    }

    /// `fast` ends sessions in order, `immediate` leaves everything as a crash would.
    pub(crate) fn stop(&self, how: &str) {
        script(&["stop", &self.directory, how]);
    }

    /// On the same port.
    pub(crate) fn restart(&self) {
        assert_eq!(script(&["start", &self.directory, "18"]), self.dsn);
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.stop("immediate");
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

fn script(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/postgres.sh");
    // What an acknowledgement promises must hold without luck.
    let mut command = Command::new(script);
    command.args(arguments).env("PALANQUIN_TEST_FSYNC", "on").stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().expect("tests/postgres.sh runs");
    assert!(output.status.success(), "tests/postgres.sh {arguments:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
