//! A server of one test's own, to be stopped and started.

use std::path::{Path, PathBuf};
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

    /// One with a file system of its own, of that size, for tablespaces, and where that is; `None` where none can be
    /// mounted. It is gone with the server.
    pub(crate) fn with_a_small_disk(size: &str) -> Option<(Self, String)> {
        let directory = script(&["scratch"]);
        let disk = format!("{directory}/disk");
        std::fs::create_dir(&disk).unwrap();
        let mount = r#"owner=$(if [ "$(id -u)" = 0 ]; then id -u nobody; else id -u; fi) && \
                       mount -t tmpfs -o "size=$1,uid=$owner,mode=700" palanquin-test "$2" || exit 99; \
                       exec "$3" start "$4" 18"#;
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", mount, "sh", size, &disk]).arg(path()).arg(&directory);
        let output = command.stdin(Stdio::null()).output().ok()?;
        if !output.status.success() {
            std::fs::remove_dir_all(&directory).ok();
            return None;
        }
        let dsn = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        Some((Self { directory, dsn, settings: Vec::new() }, disk))
    }

    /// A read replica of this one, which streams from it.
    pub(crate) fn standby(&self) -> Self {
        let directory = script(&["scratch"]);
        let dsn = script(&["standby", &directory, &self.directory]);
        Self { directory, dsn, settings: Vec::new() }
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

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/postgres.sh")
}

fn started(directory: &str, settings: &[String]) -> String {
    let arguments = ["start", directory, "18"].into_iter().chain(settings.iter().map(String::as_str));
    script(&arguments.collect::<Vec<_>>())
}

fn script(arguments: &[&str]) -> String {
    // What an acknowledgement promises must hold without luck.
    let mut command = Command::new(path());
    command.args(arguments).env("PALANQUIN_TEST_FSYNC", "on").stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().expect("tests/postgres.sh runs");
    assert!(output.status.success(), "tests/postgres.sh {arguments:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
