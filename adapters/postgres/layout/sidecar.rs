//! `mempalace_embedder.json`: the file in which MemPalace keeps, per collection, the model of its vectors.

use super::marker;
use palanquin_engine::contract::EmbedderIdentity;
use serde_json::{Map, Value, json};
use std::fs;
use std::io;
use std::path::Path;

/// Its name in a palace's directory.
pub(crate) const FILE_NAME: &str = "mempalace_embedder.json";

/// The identity recorded for a collection; `None` without a file, an entry or a name in it.
///
/// # Errors
/// If the file cannot be read or is not what MemPalace writes (`InvalidData`).
pub(crate) fn read(palace: &Path, collection: &str) -> io::Result<Option<EmbedderIdentity>> {
    let entries = read_all(palace)?;
    let Some(entry) = entries.get(collection) else { return Ok(None) };
    let identity: EmbedderIdentity = serde_json::from_value(entry.clone()).map_err(corrupt)?;
    Ok(Some(identity).filter(|identity| !identity.model_name.is_empty()))
}

/// Records the identity of a collection, or forgets it; other entries stay as they are. Durable when it returns. The
/// file is read and replaced: two writers at once lose one of their entries.
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
    marker::replace(palace, FILE_NAME, &serde_json::to_vec_pretty(&Value::Object(entries))?)
}

fn read_all(palace: &Path) -> io::Result<Map<String, Value>> {
    match fs::read(palace.join(FILE_NAME)) {
        Ok(text) => serde_json::from_slice(&text).map_err(corrupt),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Map::new()),
        Err(error) => Err(error),
    }
}

fn corrupt(error: serde_json::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_other_collections_are_kept() {
        let palace = tempfile::tempdir().unwrap();
        fs::write(palace.path().join(FILE_NAME), r#"{"mempalace_closets": {"model_name": "minilm", "later": [1]}}"#)
            .unwrap();
        let identity = EmbedderIdentity { model_name: "minilm".into(), dimension: 384 };
        write(palace.path(), "mempalace_drawers", Some(&identity)).unwrap();
        assert_eq!(read(palace.path(), "mempalace_drawers").unwrap(), Some(identity));
        write(palace.path(), "mempalace_drawers", None).unwrap();
        assert_eq!(read(palace.path(), "mempalace_drawers").unwrap(), None);
        let kept = fs::read_to_string(palace.path().join(FILE_NAME)).unwrap();
        assert!(kept.contains("later"), "{kept}");
    }

    #[test]
    fn a_corrupt_file_is_an_error_and_is_not_overwritten() {
        for text in ["{\"mempalace_drawers\": {\"mod", "[]", ""] {
            let palace = tempfile::tempdir().unwrap();
            let path = palace.path().join(FILE_NAME);
            fs::write(&path, text).unwrap();
            let identity = EmbedderIdentity { model_name: "minilm".into(), dimension: 384 };
            assert_eq!(write(palace.path(), "c", Some(&identity)).unwrap_err().kind(), io::ErrorKind::InvalidData);
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
