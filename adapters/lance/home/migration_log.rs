//! `.mempalace-migration.json`: the palace's migration log (§1.5, §8.3), `{"schema": 1, "log": [...]}`.

use palanquin_engine::contract::LogEntry;
use serde_json::{Map, Value, json};
use std::io;

/// Its name in a palace.
pub(crate) const FILE_NAME: &str = ".mempalace-migration.json";
const SCHEMA: u32 = 1;

/// The entries in a file of these contents. What others put into the list that is no entry is passed over.
///
/// # Errors
/// If it is not such a file (`InvalidData`).
pub(super) fn entries(text: Option<&[u8]>) -> io::Result<Vec<LogEntry>> {
    let mut file = parsed(text)?;
    let lone = LogEntry::of_lone_record(&file);
    let entries = log_of(&mut file)?.drain(..);
    Ok(lone.into_iter().chain(entries.filter_map(|entry| serde_json::from_value(entry).ok())).collect())
}

/// The contents with one more entry; everything else in them stays as it is.
///
/// # Errors
/// If it is not such a file (`InvalidData`): it must not be overwritten.
pub(super) fn with_entry(text: Option<&[u8]>, entry: &LogEntry) -> io::Result<Vec<u8>> {
    let mut file = parsed(text)?;
    log_of(&mut file)?.push(serde_json::to_value(entry).map_err(io::Error::other)?);
    file.entry("schema").or_insert_with(|| json!(SCHEMA));
    let mut text = serde_json::to_vec_pretty(&Value::Object(file)).map_err(io::Error::other)?;
    text.push(b'\n');
    Ok(text)
}

fn parsed(text: Option<&[u8]>) -> io::Result<Map<String, Value>> {
    let corrupt = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    text.map_or_else(|| Ok(Map::new()), |text| serde_json::from_slice(text).map_err(corrupt))
}

fn log_of(file: &mut Map<String, Value>) -> io::Result<&mut Vec<Value>> {
    let log = file.entry("log").or_insert_with(|| json!([]));
    log.as_array_mut().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "its log is not a list"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use palanquin_engine::contract::EmbedderIdentity;

    fn entry(model: &str) -> LogEntry {
        LogEntry::embedder_set("c", None, &EmbedderIdentity { model_name: model.into(), dimension: 4 })
    }

    #[test]
    fn entries_come_back_in_order_beside_whatever_others_wrote() {
        let theirs = br#"{"schema": 1, "lossless": true, "log": ["?", {"kind": "theirs", "at": "2026-01-01T00:00:00Z", "x": [1]}]}"#;
        let text = with_entry(Some(theirs), &entry("one")).unwrap();
        let text = with_entry(Some(&text), &entry("two")).unwrap();
        let found = entries(Some(&text)).unwrap();
        let kinds: Vec<_> = found.iter().map(|entry| entry.kind.as_str()).collect();
        assert_eq!(kinds, ["theirs", "embedder_set", "embedder_set"]);
        assert_eq!((&found[0].details["x"], &found[2].details["to"]["model_name"]), (&json!([1]), &json!("two")));
        let file: Value = serde_json::from_slice(&text).unwrap();
        let alone =
            br#"{"source_backend": "chroma", "timestamp": "2026-01-01T00:00:00Z", "row_count": 5, "lossless": true}"#;
        let text = with_entry(Some(alone), &entry("one")).unwrap();
        let found = entries(Some(&text)).unwrap();
        assert_eq!(
            (found.len(), found[0].kind.as_str(), found[0].at.as_str()),
            (2, "migration", "2026-01-01T00:00:00Z")
        );
        assert_eq!(found[0].details["row_count"], json!(5));
        assert_eq!(
            (&file["lossless"], &file["log"][0], file["log"].as_array().unwrap().len()),
            (&json!(true), &json!("?"), 4)
        );
    }

    #[test]
    fn no_file_is_an_empty_log_and_anything_else_is_refused() {
        assert!(entries(None).unwrap().is_empty());
        let text = with_entry(None, &entry("one")).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&text).unwrap()["schema"], json!(1));
        for text in ["", "[]", "{", r#"{"log": {}}"#] {
            assert_eq!(entries(Some(text.as_bytes())).unwrap_err().kind(), io::ErrorKind::InvalidData, "{text:?}");
            assert!(with_entry(Some(text.as_bytes()), &entry("one")).is_err());
        }
    }
}
