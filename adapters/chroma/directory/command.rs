use palanquin_engine::contract::{Check, Error, ErrorKind, Result};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Names the command, where it is not in `PATH`.
const VARIABLE: &str = "PALANQUIN_CHROMA";
/// Its versions that write directories as they are read here. chromadb 1.5.9, with which this is tested, has 1.4.4.
const MAJOR: u32 = 1;

/// A `chroma` command of a version that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chroma {
    pub(super) path: PathBuf,
    pub(super) version: String,
}

/// The command of the environment. Runs it once, to ask for its version.
///
/// # Errors
/// `UnsupportedCapability` where there is none or none that is known, with the two ways out.
pub(super) fn find() -> Result<Chroma> {
    find_in(std::env::var_os(VARIABLE).map(PathBuf::from), std::env::var_os("PATH").as_deref())
}

fn find_in(named: Option<PathBuf>, path: Option<&std::ffi::OsStr>) -> Result<Chroma> {
    let found = named.filter(|named| !named.as_os_str().is_empty()).or_else(|| {
        let folders = path.into_iter().flat_map(std::env::split_paths);
        folders.map(|folder| folder.join("chroma")).find(|file| file.is_file())
    });
    let Some(path) = found else { return Err(refused("there is no chroma command in PATH")) };
    let shown = path.display().to_string();
    let output = Command::new(&path).arg("--version").stdin(Stdio::null()).output();
    let output = output.map_err(|error| refused(&format!("{shown} cannot be run")).with_source(error))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let version = said.trim().strip_prefix("chroma ").unwrap_or_default().to_owned();
    match version.split('.').next().and_then(|major| major.parse::<u32>().ok()) {
        Some(MAJOR) => Ok(Chroma { path, version }),
        Some(_) => Err(refused(&format!("{shown} is version {version}, and only versions {MAJOR}.x are known"))),
        None => Err(refused(&format!("{shown} does not say which version of Chroma it is"))),
    }
}

fn refused(why: &str) -> Error {
    let ways = "a Chroma directory is written by Chroma itself: install chromadb (pip install chromadb) or name its \
                command in PALANQUIN_CHROMA; or start a server yourself and give its address, chroma+http://HOST:PORT";
    Error::new(ErrorKind::UnsupportedCapability, format!("{why}; {ways}"))
}

/// Whether there is a command to write a directory with.
pub(super) fn preflight() -> Check {
    match find() {
        Ok(Chroma { path, version }) => {
            Check::passes("chroma", format!("{} (version {version}) would write it", path.display()))
        }
        Err(error) => Check::fails("chroma", error.what(), "Install chromadb, or give a server's address."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn script(says: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chroma");
        std::fs::write(&path, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        (folder, path)
    }

    #[test]
    fn the_command_is_the_one_named_or_the_first_in_path() {
        let (folder, path) = script("chroma 1.4.4");
        let found = find_in(None, Some(folder.path().as_os_str())).unwrap();
        assert_eq!((found.path, found.version.as_str()), (path.clone(), "1.4.4"));
        assert_eq!(find_in(Some(path.clone()), None).unwrap().path, path);
    }

    #[test]
    fn without_a_known_command_both_ways_out_are_told() {
        let (_two, newer) = script("chroma 2.0.0");
        let (_other, other) = script("something else");
        for named in [None, Some(newer), Some(other), Some("/nonexistent/chroma".into())] {
            let error = find_in(named, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnsupportedCapability);
            assert!(
                error.what().contains("pip install chromadb") && error.what().contains("chroma+http://"),
                "{error}"
            );
        }
    }
}
