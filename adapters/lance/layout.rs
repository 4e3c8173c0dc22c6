use arrow_schema::{DataType, Field, Schema, SchemaRef};
use palanquin_engine::contract::{CollectionSpec, EmbedderIdentity, Metric};
use palanquin_engine::rows::row_schema;
use std::collections::HashMap;
use std::sync::Arc;

/// The columns of a row, in the order rows travel in.
pub(crate) const COLUMNS: [&str; 4] = ["id", "document", "metadata", "embedding"];

/// Lance's own key: with it two writers of the same new id conflict instead of both inserting it.
const PRIMARY_KEY: &str = "lance-schema:unenforced-primary-key:position";
const VERSION: &str = "1";

mod key {
    pub(super) const LAYOUT: &str = "palanquin.layout";
    pub(super) const INCARNATION: &str = "palanquin.incarnation";
    pub(super) const METRIC: &str = "palanquin.metric";
    pub(super) const MODEL_NAME: &str = "palanquin.model_name";
    pub(super) const DIMENSION: &str = "palanquin.dimension";
}

/// The schema of a collection's table. Identity and incarnation are part of it, so that the commit that makes the
/// table carries them too (§1.5).
pub(crate) fn table_schema(spec: &CollectionSpec) -> SchemaRef {
    let rows = row_schema(spec.dimension);
    let fields: Vec<Field> = rows
        .fields()
        .iter()
        .map(|field| match field.name().as_str() {
            "id" => field.as_ref().clone().with_metadata(HashMap::from([(PRIMARY_KEY.to_owned(), "1".to_owned())])),
            _ => field.as_ref().clone(),
        })
        .collect();
    let mut metadata = HashMap::from([
        (key::LAYOUT.to_owned(), VERSION.to_owned()),
        (key::INCARNATION.to_owned(), spec.incarnation.clone()),
        (key::METRIC.to_owned(), spec.metric.name().to_owned()),
    ]);
    if let Some(identity) = &spec.identity {
        metadata.extend(identity_entries(identity));
    }
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

/// How the model of the vectors is written into a schema.
pub(crate) fn identity_entries(identity: &EmbedderIdentity) -> [(String, String); 2] {
    [
        (key::MODEL_NAME.to_owned(), identity.model_name.clone()),
        (key::DIMENSION.to_owned(), identity.dimension.to_string()),
    ]
}

/// What a table's schema says of the collection in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layout {
    pub(crate) dimension: u32,
    pub(crate) metric: Option<Metric>,
    pub(crate) identity: Option<EmbedderIdentity>,
    pub(crate) incarnation: Option<String>,
    /// Only in tables made by others: a row without an id is then possible, and must not be passed over.
    pub(crate) id_nullable: bool,
    pub(crate) shape: Shape,
}

/// In which columns a row is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// [`COLUMNS`].
    Rows,
    /// mempalace-code's: a column per key of the metadata.
    Code { metadata: Arc<[String]> },
}

impl Layout {
    /// The columns that make up a row.
    pub(crate) fn columns(&self) -> Vec<&str> {
        match &self.shape {
            Shape::Rows => COLUMNS.to_vec(),
            Shape::Code { metadata } => {
                ["id", "text", "vector"].into_iter().chain(metadata.iter().map(String::as_str)).collect()
            }
        }
    }
}

impl Layout {
    /// Reads a schema. A table made by others is fine if a row fits it exactly.
    ///
    /// # Errors
    /// What is missing, of another type or more than a row has room for.
    pub(crate) fn read(schema: &Schema) -> Result<Self, String> {
        if let Some(version) = schema.metadata.get(key::LAYOUT)
            && version != VERSION
        {
            return Err(format!("its layout has version {version}, known is {VERSION}"));
        }
        let mut problems: Vec<String> = Vec::new();
        for name in ["id", "document", "metadata"] {
            match schema.field_with_name(name) {
                Err(_) => problems.push(format!("column {name} is missing")),
                Ok(field) if field.data_type() != &DataType::Utf8 => {
                    problems.push(format!("column {name} is {}, not text", field.data_type()));
                }
                Ok(_) => {}
            }
        }
        let dimension = match schema.field_with_name("embedding").map(Field::data_type) {
            Err(_) => {
                problems.push("column embedding is missing".to_owned());
                0
            }
            Ok(DataType::FixedSizeList(item, width)) if item.data_type() == &DataType::Float32 && *width > 0 => {
                width.unsigned_abs()
            }
            Ok(other) => {
                problems.push(format!("column embedding is {other}, not a fixed-size list of f32"));
                0
            }
        };
        let others: Vec<&str> =
            schema.fields().iter().map(|field| field.name().as_str()).filter(|name| !COLUMNS.contains(name)).collect();
        if !others.is_empty() {
            problems.push(format!("a row has no place for column {}", others.join(", ")));
        }
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        let text = |key: &str| schema.metadata.get(key);
        let identity = text(key::MODEL_NAME).map(|model_name| EmbedderIdentity {
            model_name: model_name.clone(),
            dimension: text(key::DIMENSION).and_then(|text| text.parse().ok()).unwrap_or(0),
        });
        Ok(Self {
            dimension,
            metric: text(key::METRIC).and_then(|name| Metric::from_name(name)),
            identity,
            incarnation: text(key::INCARNATION).cloned(),
            id_nullable: schema.field_with_name("id").is_ok_and(Field::is_nullable),
            shape: Shape::Rows,
        })
    }

    /// The width and model of the vectors as far as the store itself knows them.
    pub(crate) fn stored_identity(&self) -> EmbedderIdentity {
        match &self.identity {
            Some(identity) if identity.dimension != 0 => identity.clone(),
            Some(identity) => EmbedderIdentity { dimension: self.dimension, ..identity.clone() },
            None => EmbedderIdentity { model_name: String::new(), dimension: self.dimension },
        }
    }
}

/// Why a collection name cannot name a table, if it cannot. Checked before it becomes part of a path; the characters
/// are those LanceDB allows.
pub(crate) fn name_problem(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("is empty");
    }
    if name.len() > 255 - ".lance".len() {
        return Some("is too long for a file name");
    }
    if name.contains("..") || name.starts_with('.') {
        return Some("begins with a dot or contains two in a row");
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (!name.chars().all(allowed)).then_some("may hold only ASCII letters, digits, '-', '_' and '.'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(identity: Option<EmbedderIdentity>) -> CollectionSpec {
        CollectionSpec {
            name: "c".into(),
            dimension: 3,
            metric: Metric::Cosine,
            identity,
            incarnation: "11111111-2222-3333-4444-555555555555".into(),
            settings: Default::default(),
        }
    }

    #[test]
    fn a_layout_is_read_back_as_it_was_written() {
        let identity = EmbedderIdentity { model_name: "minilm".into(), dimension: 0 };
        let layout = Layout::read(&table_schema(&spec(Some(identity.clone())))).unwrap();
        assert_eq!(layout.identity, Some(identity));
        assert_eq!(layout.metric, Some(Metric::Cosine));
        assert_eq!((layout.dimension, layout.id_nullable), (3, false));
        assert_eq!(layout.incarnation, Some(spec(None).incarnation));
        assert_eq!(layout.stored_identity().dimension, 3);
    }

    #[test]
    fn without_an_identity_its_keys_are_absent() {
        let schema = table_schema(&spec(None));
        let mut keys: Vec<_> = schema.metadata().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["palanquin.incarnation", "palanquin.layout", "palanquin.metric"]);
        assert_eq!(Layout::read(&schema).unwrap().identity, None);
    }

    #[test]
    fn another_shape_is_told_by_what_is_missing() {
        let vector = DataType::FixedSizeList(Arc::new(Field::new("item", DataType::Float32, true)), 384);
        let schema = Schema::new(vec![
            Field::new("id", DataType::Utf8, true),
            Field::new("text", DataType::Utf8, true),
            Field::new("vector", vector, true),
        ]);
        let problem = Layout::read(&schema).unwrap_err();
        for part in ["column document is missing", "column metadata is missing", "no place for column text, vector"] {
            assert!(problem.contains(part), "{problem}");
        }
    }

    #[test]
    fn a_layout_of_another_version_is_refused() {
        let schema = table_schema(&spec(None));
        let mut metadata = schema.metadata().clone();
        metadata.insert(key::LAYOUT.into(), "2".into());
        let problem = Layout::read(&schema.as_ref().clone().with_metadata(metadata)).unwrap_err();
        assert_eq!(problem, "its layout has version 2, known is 1");
    }

    #[test]
    fn names_that_would_leave_the_directory_are_refused() {
        let long = "x".repeat(250);
        for name in ["", ".", "..", "a/b", "../a", "a\\b", "a..b", ".hidden", "a\0b", "a\nb", "ä", "a b", &long] {
            assert!(name_problem(name).is_some(), "{name:?}");
        }
        for name in ["mempalace_drawers", "a.b-c_1", "X"] {
            assert_eq!(name_problem(name), None, "{name:?}");
        }
    }
}
