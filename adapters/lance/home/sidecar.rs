//! `mempalace_embedder.json`: the file in which MemPalace keeps, per collection, the model of its vectors.

use super::atomic;
use palanquin_engine::contract::EmbedderIdentity;
use serde_json::{Map, Value, json};
use std::io;
use std::path::Path;

/// Its name in a palace's directory.
pub(crate) const FILE_NAME: &str = "mempalace_embedder.json";

/// The identity recorded for a collection; `None` without a file or an entry.
///
/// # Errors
/// If the file cannot be read or is not what MemPalace writes (`InvalidData`).
pub(crate) fn read(palace: &Path, collection: &str) -> io::Result<Option<EmbedderIdentity>> {
    let entries = read_all(palace)?;
    let Some(entry) = entries.get(collection) else { return Ok(None) };
    serde_json::from_value(entry.clone()).map(Some).map_err(corrupt)
}

/// Records the identity of a collection, or forgets it; other entries stay as they are. Durable when it returns. The
/// file is read and replaced: the caller holds the lock on the palace ([`super::Home::lock`]).
///
/// # Errors
/// A file that is there and not what MemPalace writes is not overwritten (`InvalidData`).
pub(crate) fn write(palace: &Path, collection: &str, identity: Option<&EmbedderIdentity>) -> io::Result<()> {
    let mut entries = read_all(palace)?;
    let entry = identity.map(|identity| json!({"model_name": identity.model_name, "dimension": identity.dimension}));
    if entries.get(collection) == entry.as_ref() {
        return Ok(());
    }
    match entry {
        Some(entry) => drop(entries.insert(collection.to_owned(), entry)),
        None => drop(entries.remove(collection)),
    }
    let text = serde_json::to_vec_pretty(&Value::Object(entries)).map_err(io::Error::other)?;
    atomic::replace(palace, FILE_NAME, &text)
}

fn read_all(palace: &Path) -> io::Result<Map<String, Value>> {
    match atomic::read(palace, FILE_NAME)? {
        Some(text) => serde_json::from_slice(&text).map_err(corrupt),
        None => Ok(Map::new()),
    }
}

fn corrupt(error: serde_json::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn identity(model: &str, dimension: u32) -> EmbedderIdentity {
        EmbedderIdentity { model_name: model.into(), dimension }
    }

    #[test]
    fn entries_of_other_collections_are_kept_and_the_form_is_mempalaces() {
        let palace = tempfile::tempdir().unwrap();
        let path = palace.path().join(FILE_NAME);
        fs::write(&path, r#"{"mempalace_closets": {"model_name": "minilm", "dimension": 0, "later": [1]}}"#).unwrap();
        write(palace.path(), "mempalace_drawers", Some(&identity("minilm", 384))).unwrap();
        let expected = r#"{
  "mempalace_closets": {
    "model_name": "minilm",
    "dimension": 0,
    "later": [
      1
    ]
  },
  "mempalace_drawers": {
    "model_name": "minilm",
    "dimension": 384
  }
}"#;
        let written: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(written, serde_json::from_str::<Value>(expected).unwrap());
        assert!(fs::read_to_string(&path).unwrap().starts_with("{\n  \"mempalace_"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read(palace.path(), "mempalace_drawers").unwrap(), Some(identity("minilm", 384)));
        assert_eq!(read(palace.path(), "mempalace_assets").unwrap(), None);
        assert_eq!(fs::read_dir(palace.path()).unwrap().count(), 1);

        write(palace.path(), "mempalace_drawers", None).unwrap();
        assert_eq!(read(palace.path(), "mempalace_drawers").unwrap(), None);
        assert!(read(palace.path(), "mempalace_closets").unwrap().is_some());
    }

    #[test]
    fn a_corrupt_file_is_an_error_and_is_not_overwritten() {
        for text in ["{\"mempalace_drawers\": {\"mod", "[]", ""] {
            let palace = tempfile::tempdir().unwrap();
            let path = palace.path().join(FILE_NAME);
            fs::write(&path, text).unwrap();
            let error = write(palace.path(), "c", Some(&identity("minilm", 384))).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{text:?}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert!(read(palace.path(), "c").is_err());
        }
    }
}
