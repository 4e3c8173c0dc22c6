use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder of one test, removed with it.
#[derive(Debug)]
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    /// An empty one.
    ///
    /// # Panics
    /// If there is no place for it.
    #[allow(clippy::new_without_default, clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a scratch folder"))
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The real palace (2 500 drawers with a history, 40 closets), copied into the scratch folder.
    pub fn palace(&self) -> PathBuf {
        let palace = self.path("palace");
        copy_folder(&fixture().join("palace"), &palace);
        palace
    }
}

/// The folder of the palace that `tests/run` made: `palace`, and what chromadb says of it in `dump.jsonl`.
///
/// # Panics
/// If the tests were not started by `tests/run`.
pub fn fixture() -> PathBuf {
    from_run("PALANQUIN_TEST_PALACE")
}

/// Palaces that older versions of chromadb made: the version, the palace, and what that version says of it.
///
/// # Panics
/// If the tests were not started by `tests/run`, or there are none.
#[allow(clippy::expect_used, reason = "a test cannot go on without it")]
pub fn old_palaces() -> Vec<(String, PathBuf, PathBuf)> {
    let folder = from_run("PALANQUIN_TEST_OLD_PALACES");
    let mut palaces = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the folder of old palaces") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            let version = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            palaces.push((version.clone(), path, folder.join(format!("{version}.jsonl"))));
        }
    }
    assert!(!palaces.is_empty(), "there are no old palaces");
    palaces
}

/// A Python that has chromadb 0.6.3, and nothing of MemPalace.
///
/// # Panics
/// If the tests were not started by `tests/run`.
pub fn old_chromadb() -> Command {
    Command::new(from_run("PALANQUIN_TEST_OLD_PYTHON"))
}

/// A Python that has MemPalace and chromadb, running `tests/palaces/palace.py`.
///
/// # Panics
/// If the tests were not started by `tests/run`.
pub fn python() -> Command {
    let mut command = Command::new(from_run("PALANQUIN_TEST_PYTHON"));
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("palaces/palace.py"));
    command
}

#[allow(clippy::panic, reason = "a test cannot go on without it")]
pub(crate) fn from_run(variable: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(path) => PathBuf::from(path),
        None => panic!("{variable} is not set: run the tests with tests/run"),
    }
}

/// Copies a folder and everything in it.
///
/// # Panics
/// If that fails.
#[allow(clippy::expect_used, reason = "a test cannot go on without it")]
pub fn copy_folder(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp runs");
    assert!(copied.success(), "{} could not be copied", from.display());
}

/// Every file below a folder, with what is in it.
///
/// # Panics
/// If one cannot be read.
#[allow(clippy::expect_used, reason = "a test cannot go on without it")]
pub fn files_below(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let content = std::fs::read(&path).expect("a file");
                files.insert(path, content);
            }
        }
    }
    files
}
