//! A server of one test's own, to be killed and started again.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) struct OwnServer {
    directory: String,
    url: String,
}

impl OwnServer {
    pub(crate) fn start() -> Self {
        let directory = script(&["scratch"]);
        let url = script(&["start", &directory]);
        Self { directory, url }
    }

    /// One over a file system of its own, of that size; `None` where none can be mounted. It is gone with the server.
    pub(crate) fn with_a_small_disk(size: &str) -> Option<Self> {
        let directory = script(&["scratch"]);
        let palace = format!("{directory}/palace");
        std::fs::create_dir(&palace).unwrap();
        let mount = r#"mount -t tmpfs -o "size=$1,mode=700" palanquin-test "$2" || exit 99; exec "$3" start "$4""#;
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", mount, "sh", size, &palace]).arg(path()).arg(&directory);
        let output = command.stdin(Stdio::null()).output().ok()?;
        if !output.status.success() {
            std::fs::remove_dir_all(&directory).ok();
            return None;
        }
        let url = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        Some(Self { directory, url })
    }

    /// The server's directory, as the server sees it.
    pub(crate) fn palace(&self) -> PathBuf {
        let pid = std::fs::read_to_string(format!("{}/pid", self.directory)).unwrap();
        PathBuf::from(format!("/proc/{}/root{}/palace", pid.trim(), self.directory))
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn kill(&self) {
        script(&["stop", &self.directory, "KILL"]);
    }

    /// On the same port.
    pub(crate) fn restart(&self) {
        assert_eq!(script(&["start", &self.directory]), self.url);
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.kill();
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/chroma.sh")
}

fn script(arguments: &[&str]) -> String {
    let output = Command::new(path()).args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.expect("tests/chroma.sh runs");
    assert!(output.status.success(), "tests/chroma.sh {arguments:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
