//! `mempalace_embedder.json`: which model made a collection's vectors, as MemPalace records it.

use palanquin_engine::contract::EmbedderIdentity;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

pub(crate) const FILE: &str = "mempalace_embedder.json";
const MAX_BYTES: u64 = 1 << 20;

/// The recorded identities by collection. A missing or damaged file records none, a damaged entry is left out.
pub(crate) fn identities(palace: &Path) -> BTreeMap<String, EmbedderIdentity> {
    let mut text = String::new();
    let read = std::fs::File::open(palace.join(FILE)).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
    if read.is_err() {
        return BTreeMap::new();
    }
    let entries: Map<String, Value> = serde_json::from_str(&text).unwrap_or_default();
    entries.into_iter().filter_map(|(name, entry)| Some((name, serde_json::from_value(entry).ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> BTreeMap<String, EmbedderIdentity> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), text).unwrap();
        identities(folder.path())
    }

    #[test]
    fn mempalaces_sidecar_is_read() {
        let found = read(r#"{"a": {"model_name": "minilm", "dimension": 0}, "b": {"model_name": "x"}, "c": 3}"#);
        assert_eq!(found["a"], EmbedderIdentity { model_name: "minilm".into(), dimension: 0 });
        assert_eq!(found["b"].model_name, "x");
        assert!(!found.contains_key("c"));
    }

    #[test]
    fn a_damaged_or_missing_sidecar_records_nothing() {
        for text in ["", "{", "[]", "\u{0}"] {
            assert!(read(text).is_empty(), "{text:?}");
        }
        assert!(identities(Path::new("/nonexistent")).is_empty());
    }
}
