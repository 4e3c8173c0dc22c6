//! A server of one test's own, to be stopped and started.

use std::path::Path;
use std::process::{Command, Stdio};

pub(crate) struct OwnServer {
    directory: String,
    dsn: String,
    settings: Vec<String>,
}

impl OwnServer {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With settings of its own, as `name=value`.
    pub(crate) fn with(settings: &[&str]) -> Self {
        let directory = script(&["scratch"]);
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let dsn = started(&directory, &settings);
        Self { directory, dsn, settings }
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
        assert_eq!(started(&self.directory, &self.settings), self.dsn);
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.stop("immediate");
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

fn started(directory: &str, settings: &[String]) -> String {
    let arguments = ["start", directory, "18"].into_iter().chain(settings.iter().map(String::as_str));
    script(&arguments.collect::<Vec<_>>())
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
