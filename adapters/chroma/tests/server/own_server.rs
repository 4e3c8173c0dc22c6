//! A server of one test's own, to be killed and started again.

use std::path::Path;
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

fn script(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/chroma.sh");
    let output = Command::new(script).args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.expect("tests/chroma.sh runs");
    assert!(output.status.success(), "tests/chroma.sh {arguments:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
