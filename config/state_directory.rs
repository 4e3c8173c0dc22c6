use std::ffi::OsString;
use std::path::PathBuf;

/// Neither an explicit directory nor an environment to find one in.
#[derive(Debug, thiserror::Error)]
#[error("there is no state directory: set HOME or XDG_STATE_HOME, or pass --state DIR")]
pub struct NoStateDirectory;

/// Where the journal lives: the one given, else `$XDG_STATE_HOME/palanquin`, else `$HOME/.local/state/palanquin`.
///
/// # Errors
/// If none of them is there to be used. Relative values of `XDG_STATE_HOME` are ignored, as its specification asks.
pub fn state_directory(
    given: Option<PathBuf>,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<PathBuf, NoStateDirectory> {
    if let Some(given) = given {
        return Ok(given);
    }
    let absolute = |name: &str| environment(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    base.map(|base| base.join("palanquin")).ok_or(NoStateDirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_wins() {
        let environment = |set: &'static [(&str, &str)]| {
            move |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        let both = environment(&[("HOME", "/h"), ("XDG_STATE_HOME", "/x")]);
        assert_eq!(state_directory(Some("/s".into()), both).unwrap(), PathBuf::from("/s"));
        assert_eq!(state_directory(None, both).unwrap(), PathBuf::from("/x/palanquin"));
        let relative = environment(&[("HOME", "/h"), ("XDG_STATE_HOME", "x")]);
        assert_eq!(state_directory(None, relative).unwrap(), PathBuf::from("/h/.local/state/palanquin"));
        assert!(state_directory(None, environment(&[])).is_err());
    }
}
