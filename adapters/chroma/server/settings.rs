//! A collection's own metadata: Chroma's settings as MemPalace makes them, and beside them, below `palanquin:`, what
//! Chroma has no place for.

use super::client::Described;
use crate::settings;
use palanquin_engine::contract::{CollectionSpec, EmbedderIdentity, Metric};
use serde_json::{Map, Value, json};

/// Which copy of that name it is. Read by the reader of directories too.
pub(crate) const INCARNATION: &str = "palanquin:incarnation";
/// How wide its vectors will be: Chroma knows it from the first row on only.
pub(crate) const DIMENSION: &str = "palanquin:dimension";
const MODEL: &str = "palanquin:model_name";
const MODEL_DIMENSION: &str = "palanquin:model_dimension";

/// What a new collection gets: MemPalace's own settings, with the metric wanted, or those of the collection it is a
/// copy of.
pub(super) fn new(spec: &CollectionSpec) -> Map<String, Value> {
    let mut metadata = Map::new();
    metadata.insert("hnsw:space".to_owned(), json!(spec.metric.name()));
    metadata.insert("hnsw:num_threads".to_owned(), json!(1));
    metadata.insert("hnsw:batch_size".to_owned(), json!(100));
    metadata.insert("hnsw:sync_threshold".to_owned(), json!(1000));
    metadata.extend(settings::of(&spec.settings, None));
    metadata.insert(INCARNATION.to_owned(), json!(spec.incarnation));
    metadata.insert(DIMENSION.to_owned(), json!(spec.dimension));
    if let Some(identity) = &spec.identity {
        put_identity(&mut metadata, identity);
    }
    metadata
}

/// The metadata with this identity in it; everything else stays.
pub(super) fn with_identity(described: &Described, identity: &EmbedderIdentity) -> Map<String, Value> {
    let mut metadata = described.metadata.clone().unwrap_or_default();
    put_identity(&mut metadata, identity);
    metadata
}

fn put_identity(metadata: &mut Map<String, Value>, identity: &EmbedderIdentity) {
    metadata.insert(MODEL.to_owned(), json!(identity.model_name));
    metadata.insert(MODEL_DIMENSION.to_owned(), json!(identity.dimension));
}

impl Described {
    fn text(&self, key: &str) -> Option<&str> {
        self.metadata.as_ref()?.get(key)?.as_str()
    }

    fn number(&self, key: &str) -> Option<u32> {
        u32::try_from(self.metadata.as_ref()?.get(key)?.as_u64()?).ok()
    }

    /// As recorded; the server's id of it where nobody recorded one.
    pub(super) fn incarnation(&self) -> String {
        self.text(INCARNATION).unwrap_or(&self.id).to_owned()
    }

    pub(super) fn width(&self) -> Option<u32> {
        self.dimension.or_else(|| self.number(DIMENSION)).filter(|width| *width > 0)
    }

    pub(super) fn identity(&self) -> Option<EmbedderIdentity> {
        let model_name = self.text(MODEL).filter(|name| !name.is_empty())?.to_owned();
        Some(EmbedderIdentity { model_name, dimension: self.number(MODEL_DIMENSION).unwrap_or(0) })
    }

    pub(super) fn settings(&self) -> Map<String, Value> {
        let none = Map::new();
        settings::of(self.metadata.as_ref().unwrap_or(&none), self.configuration.get("hnsw"))
    }

    /// What it is searched by: as the index was made; its metadata can be changed afterwards and the index cannot.
    pub(super) fn metric(&self) -> Metric {
        let made = self.configuration.pointer("/hnsw/space").and_then(Value::as_str);
        made.or_else(|| self.text("hnsw:space")).and_then(Metric::from_name).unwrap_or(Metric::L2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(text: &str) -> Described {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_was_put_into_a_new_collection_is_read_out_again() {
        let identity = EmbedderIdentity { model_name: "minilm".into(), dimension: 384 };
        let spec = CollectionSpec {
            name: "ccc".into(),
            dimension: 384,
            metric: Metric::Cosine,
            identity: Some(identity.clone()),
            incarnation: "1f".into(),
            settings: Default::default(),
        };
        let made = Described { metadata: Some(new(&spec)), ..described(r#"{"id":"u","name":"ccc"}"#) };
        assert_eq!((made.incarnation().as_str(), made.width(), made.metric()), ("1f", Some(384), Metric::Cosine));
        assert_eq!(made.identity(), Some(identity));
        let other = EmbedderIdentity { model_name: "other".into(), dimension: 384 };
        let again = Described { metadata: Some(with_identity(&made, &other)), ..made };
        assert_eq!((again.identity(), again.incarnation().as_str()), (Some(other), "1f"));
    }

    #[test]
    fn of_a_collection_others_made_only_what_chroma_says_is_known() {
        let theirs = described(
            r#"{"id":"u","name":"ccc","dimension":3,"metadata":null,"configuration_json":{"hnsw":{"space":"ip"}}}"#,
        );
        assert_eq!((theirs.incarnation().as_str(), theirs.width(), theirs.metric()), ("u", Some(3), Metric::Ip));
        assert_eq!(theirs.identity(), None);
        let legacy = described(r#"{"id":"u","name":"c","dimension":null,"metadata":{"hnsw:space":"cosine"}}"#);
        assert_eq!((legacy.width(), legacy.metric()), (None, Metric::Cosine));
    }
}
