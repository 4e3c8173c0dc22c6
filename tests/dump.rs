use palanquin_engine::rows::canonical_metadata_text;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// A row as chromadb's client returns it.
#[derive(Clone, Debug, PartialEq)]
pub struct DumpedRow {
    /// Its document.
    pub document: Option<String>,
    /// Its metadata in canonical form.
    pub metadata: String,
    /// Its vector.
    pub embedding: Vec<f32>,
}

/// Reads a dump that `palaces/palace.py dump` wrote: rows by collection and id.
///
/// # Panics
/// If it is no such dump.
#[allow(clippy::expect_used, reason = "a test cannot go on without it")]
pub fn dump_of(file: &Path) -> BTreeMap<(String, String), DumpedRow> {
    let text = std::fs::read_to_string(file).expect("a dump");
    text.lines().map(|line| row(&serde_json::from_str(line).expect("a line of a dump"))).collect()
}

#[allow(clippy::expect_used, reason = "a test cannot go on without it")]
fn row(line: &Value) -> ((String, String), DumpedRow) {
    let text = |key: &str| line[key].as_str().map(str::to_owned);
    let hex = text("embedding").expect("a vector");
    let bytes: Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits"))
        .collect();
    let metadata = canonical_metadata_text(Some(&line["metadata"].to_string())).expect("metadata");
    let embedding = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let key = (text("collection").expect("a collection"), text("id").expect("an id"));
    (key, DumpedRow { document: text("document"), metadata, embedding })
}
