//! Settings of a collection besides its metric: of its index, by the names they have in a collection's metadata
//! (`hnsw:M`), which every version takes, and metadata of its user's own.

use serde_json::{Map, Value, json};

/// Prefixes of what is not its user's: Chroma's, the index's, ours.
const RESERVED: [&str; 3] = ["chroma:", "hnsw:", "palanquin:"];

/// A setting of the index: its name in metadata, those in the configuration that 0.6 and 1.x keep beside it, and what
/// Chroma or MemPalace chooses where its user has not. The number of threads is not known from a configuration: it is
/// that of the cores of whichever machine made the collection.
struct IndexSetting {
    name: &'static str,
    configured: &'static [&'static str],
    usual: &'static [f64],
}

const INDEX: [IndexSetting; 7] = [
    IndexSetting { name: "hnsw:construction_ef", configured: &["ef_construction"], usual: &[100.0] },
    IndexSetting { name: "hnsw:search_ef", configured: &["ef_search"], usual: &[10.0, 100.0] },
    IndexSetting { name: "hnsw:M", configured: &["max_neighbors", "M"], usual: &[16.0] },
    IndexSetting { name: "hnsw:num_threads", configured: &[], usual: &[1.0] },
    IndexSetting { name: "hnsw:batch_size", configured: &["batch_size"], usual: &[100.0] },
    IndexSetting { name: "hnsw:sync_threshold", configured: &["sync_threshold"], usual: &[1000.0] },
    IndexSetting { name: RESIZE_FACTOR, configured: &["resize_factor"], usual: &[1.2] },
];
/// The only one that is no whole number.
const RESIZE_FACTOR: &str = "hnsw:resize_factor";

/// The settings in a collection's metadata and in its index's configuration, if there is one. What no version of Chroma
/// takes is left out, and so is what a collection gets anyway.
pub(crate) fn of(metadata: &Map<String, Value>, configuration: Option<&Value>) -> Map<String, Value> {
    let mut settings = Map::new();
    for IndexSetting { name, configured, usual } in &INDEX {
        let is_unusual = |value: &&Value| !value.as_f64().is_some_and(|value| usual.contains(&value));
        let configured = configured.iter().find_map(|name| configuration?.get(name));
        // The index is made by its configuration, where that says anything, and not by its metadata.
        let chosen = configured.filter(is_unusual).or_else(|| metadata.get(*name).filter(is_unusual));
        let taken = match *name {
            RESIZE_FACTOR => chosen.and_then(Value::as_f64).filter(|factor| *factor > 0.0).map(|factor| json!(factor)),
            _ => chosen.and_then(Value::as_u64).filter(|number| *number > 0).map(|number| json!(number)),
        };
        settings.extend(taken.map(|value| ((*name).to_owned(), value)));
    }
    let is_own = |key: &str| !RESERVED.iter().any(|prefix| key.starts_with(prefix));
    let is_scalar = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
    let own = metadata.iter().filter(|(key, value)| is_own(key) && is_scalar(value));
    settings.extend(own.map(|(key, value)| (key.clone(), value.clone())));
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn what_was_asked_for_is_a_setting_and_what_is_usual_is_not() {
        let usual = json!({"space": "l2", "ef_construction": 100, "ef_search": 100, "max_neighbors": 16,
            "num_threads": 2, "batch_size": 100, "sync_threshold": 1000, "resize_factor": 1.2});
        assert_eq!(of(&Map::new(), Some(&usual)), Map::new());
        let old = json!({"M": 24, "ef_search": 10, "sync_threshold": 50_000});
        assert_eq!(of(&Map::new(), Some(&old)), map(json!({"hnsw:M": 24, "hnsw:sync_threshold": 50_000})));
        let asked = json!({"hnsw:space": "cosine", "hnsw:num_threads": 1, "hnsw:batch_size": 150, "owner": "me"});
        let expected = json!({"hnsw:batch_size": 150, "owner": "me"});
        assert_eq!(of(&map(asked), Some(&usual)), map(expected));
    }

    #[test]
    fn the_index_is_what_its_configuration_says() {
        let metadata = map(json!({"hnsw:M": 40}));
        assert_eq!(of(&metadata, Some(&json!({"max_neighbors": 24}))), map(json!({"hnsw:M": 24})));
    }

    #[test]
    fn what_chroma_would_refuse_and_what_is_not_the_users_is_left_out() {
        let metadata = json!({"hnsw:M": "x", "hnsw:foo": 3, "hnsw:search_ef": -1, "hnsw:resize_factor": 2,
            "chroma:document": "d", "palanquin:incarnation": "i", "list": ["a"], "nothing": null, "flag": true});
        assert_eq!(of(&map(metadata), None), map(json!({"hnsw:resize_factor": 2.0, "flag": true})));
    }
}
