use super::ConfigurationError;
use serde_json::{Map, Value};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Names in the configuration directory, the first that is there counts.
const NAMES: [&str; 2] = ["config.toml", "config.json"];

/// The file to read; `None` if nothing names one and there is none in the usual place.
pub(super) fn locate(
    given: Option<&Path>,
    environment: &impl Fn(&str) -> Option<OsString>,
    home: Option<&Path>,
) -> Result<Option<PathBuf>, ConfigurationError> {
    let from_environment = || environment("PALANQUIN_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    let named = match given {
        Some(path) => Some((path.to_owned(), "--config")),
        None => from_environment().map(|path| (path, "PALANQUIN_CONFIG")),
    };
    if let Some((path, by)) = named {
        return match std::fs::metadata(&path) {
            Ok(_) => Ok(Some(path)),
            Err(source) => Err(ConfigurationError::Unreadable { path, by, source }),
        };
    }
    let given = environment("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let Some(base) = given.or_else(|| home.map(|home| home.join(".config"))) else { return Ok(None) };
    Ok(NAMES.into_iter().map(|name| base.join("palanquin").join(name)).find(|path| path.is_file()))
}

/// The file as one tree, whichever language it is in: JSON if it is named so, TOML otherwise.
pub(super) fn read(path: &Path) -> Result<Map<String, Value>, ConfigurationError> {
    let unreadable = |source| ConfigurationError::Unreadable { path: path.to_owned(), by: "--config", source };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let wrong = |line, found: String| ConfigurationError::Syntax { path: path.to_owned(), line, found };
    let tree = if is_json {
        serde_json::from_str(&text).map_err(|error| wrong(error.line(), error.to_string()))?
    } else {
        toml::from_str(&text).map_err(|error| {
            let before = error.span().map_or(0, |span| span.start);
            wrong(
                text.as_bytes()[..before.min(text.len())].split(|byte| *byte == b'\n').count(),
                error.message().to_owned(),
            )
        })?
    };
    match tree {
        Value::Object(tree) => Ok(tree),
        _ => Err(wrong(1, "it is no table of backends, palaces and embedder".to_owned())),
    }
}
