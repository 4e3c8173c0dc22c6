use super::admit::{Admitted, RESERVED};
use super::cosine;
use crate::server::client::{Record, Write};
use palanquin_engine::contract::{Metadata, Metric};
use palanquin_engine::rows::canonical_metadata;
use serde_json::Value;

/// What has to be done for a row to be as it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is.
    Nothing,
    /// Written; none is there.
    Fresh,
    /// Document and metadata; the vector is there, and sending it again would cost as much as six new ones.
    Texts,
    /// Written over what is there: the vector with all its texts, changed or not. Without them another writer's texts
    /// that arrive in between would stay beside it, and neither writer would find its own row mixed.
    Whole,
    /// Removed, then written: a document can be replaced and never be taken away.
    Again,
}

/// A row with its step, and what is sent for it.
#[derive(Clone, Debug)]
pub(super) struct Planned<'r, 'a> {
    pub(super) row: &'r Admitted<'a>,
    pub(super) step: Step,
    document: Option<&'a str>,
    metadata: Option<String>,
}

impl<'a> Planned<'_, 'a> {
    /// What is sent.
    pub(super) fn write(&self) -> Write<'a> {
        match self.step {
            Step::Fresh | Step::Again => self.row.fresh(),
            _ => Write {
                id: self.row.id,
                embedding: Some(self.row.embedding),
                document: self.document,
                metadata: self.metadata.clone(),
            },
        }
    }
}

/// What has to be done for a row, given what is there.
pub(super) fn plan<'r, 'a>(row: &'r Admitted<'a>, there: Option<&Record>, metric: Metric) -> Planned<'r, 'a> {
    let planned = |step| Planned { row, step, document: None, metadata: None };
    let Some(there) = there else { return planned(Step::Fresh) };
    let same_document = row.document == there.document.as_deref();
    if !same_document && row.document.is_none() {
        return planned(Step::Again);
    }
    let same_metadata = canonical_metadata(&there.metadata) == row.text;
    let same_vector = is_same_vector(row.embedding, there.embedding.as_deref(), metric);
    let step = match (same_document && same_metadata, same_vector) {
        (true, true) => return planned(Step::Nothing),
        (false, true) => Step::Texts,
        (_, false) => Step::Whole,
    };
    let is_whole = step == Step::Whole;
    let document = row.document.filter(|_| is_whole || !same_document);
    let metadata = (is_whole || !same_metadata).then(|| replacing(row.text, &row.metadata, &there.metadata));
    Planned { row, step, document, metadata }
}

/// Whether a row that was written has become half another writer's: it has our texts, with another's vector or further
/// keys, or it still has a document where it was to have none.
pub(super) fn is_mixed(row: &Admitted<'_>, now: &Record, metric: Metric) -> bool {
    let has_ours = row.metadata.iter().all(|(key, value)| now.metadata.get(key) == Some(value));
    let has_all = canonical_metadata(&now.metadata) == row.text;
    let same_document = row.document == now.document.as_deref();
    if same_document && has_all {
        return now.embedding.is_some() && !is_same_vector(row.embedding, now.embedding.as_deref(), metric);
    }
    same_document && has_ours && !row.metadata.is_empty() || has_all && row.document.is_none()
}

/// Whether what is there is what writing the vector would leave.
fn is_same_vector(wanted: &[f32], there: Option<&[f32]>, metric: Metric) -> bool {
    let Some(there) = there.filter(|there| there.len() == wanted.len()) else { return false };
    let equal = |wanted: &mut dyn Iterator<Item = f32>| {
        wanted.zip(there).all(|(wanted, there)| wanted.to_bits() == there.to_bits())
    };
    equal(&mut wanted.iter().copied()) || metric == Metric::Cosine && equal(&mut cosine::returned(wanted))
}

/// Metadata that replaces what is there: a server merges, so what must vanish is sent as null.
fn replacing(text: &str, wanted: &Metadata, there: &Metadata) -> String {
    let mut gone = there.keys().filter(|key| !wanted.contains_key(*key) && !key.starts_with(RESERVED)).peekable();
    if gone.peek().is_none() {
        return text.to_owned();
    }
    let mut text = text.strip_suffix('}').unwrap_or(text).to_owned();
    for key in gone {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&Value::from(key.as_str()).to_string());
        text.push_str(":null");
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::super::admit::admit;
    use super::*;
    use palanquin_engine::rows::Row;
    use serde_json::json;

    fn there(document: Option<&str>, metadata: Value, embedding: &[f32]) -> Record {
        let metadata = metadata.as_object().unwrap().clone();
        Record { id: "a".into(), document: document.map(str::to_owned), metadata, embedding: Some(embedding.to_vec()) }
    }

    fn row<'a>(document: Option<&'a str>, metadata: &'a str) -> Admitted<'a> {
        admit(Row { id: "a", document, metadata, embedding: Some(&[1.0, 2.0]) }, Metric::L2).unwrap()
    }

    fn step(row: &Admitted<'_>, there: &Record) -> (Step, Option<String>, Option<String>) {
        let planned = plan(row, Some(there), Metric::L2);
        (planned.step, planned.document.map(str::to_owned), planned.metadata)
    }

    #[test]
    fn what_is_there_already_is_not_sent() {
        let same = there(Some("d"), json!({"k": 1}), &[1.0, 2.0]);
        assert_eq!(step(&row(Some("d"), r#"{"k":1}"#), &same), (Step::Nothing, None, None));
        assert_eq!(step(&row(Some("e"), r#"{"k":1}"#), &same), (Step::Texts, Some("e".into()), None));
        let (kind, document, metadata) = step(&row(Some("d"), r#"{"k":1.0}"#), &same);
        assert_eq!((kind, document, metadata.as_deref()), (Step::Texts, None, Some(r#"{"k":1.0}"#)));
        let other = there(Some("d"), json!({"k": 1}), &[1.0, 3.0]);
        let whole = (Step::Whole, Some("d".into()), Some(r#"{"k":1}"#.into()));
        assert_eq!(step(&row(Some("d"), r#"{"k":1}"#), &other), whole, "a vector never goes without its texts");
        assert_eq!(step(&row(None, r#"{"k":1}"#), &same).0, Step::Again);
        assert_eq!(plan(&row(None, "{}"), None, Metric::L2).step, Step::Fresh);
        let marked = there(None, json!({"_repaired_empty_meta": true}), &[1.0, 2.0]);
        assert_eq!(step(&row(None, "{}"), &marked).0, Step::Nothing);
    }

    #[test]
    fn keys_that_must_vanish_are_sent_as_null_but_never_chromas_own() {
        let full = there(None, json!({"k": 1, "x\"": 2, "chroma:document": "d"}), &[1.0, 2.0]);
        assert_eq!(step(&row(None, r#"{"k":1}"#), &full).2.as_deref(), Some(r#"{"k":1,"x\"":null}"#));
        assert_eq!(step(&row(None, "{}"), &full).2.as_deref(), Some(r#"{"k":null,"x\"":null}"#));
    }

    #[test]
    fn a_cosine_vector_is_known_again_by_what_the_server_makes_of_it() {
        let vector = [1.0, 2.0, 3.0, 4.0];
        let row =
            admit(Row { id: "a", document: None, metadata: "{}", embedding: Some(&vector) }, Metric::Cosine).unwrap();
        let back = there(None, json!({}), &[1.0, 2.0, 3.000_000_2, 4.0]);
        assert_eq!(plan(&row, Some(&back), Metric::Cosine).step, Step::Nothing);
        assert_eq!(plan(&row, Some(&back), Metric::L2).step, Step::Whole);
        assert_eq!(plan(&row, Some(&there(None, json!({}), &vector)), Metric::Cosine).step, Step::Nothing);
    }

    #[test]
    fn a_row_that_two_writers_mixed_is_told_from_one_the_other_replaced() {
        let ours = row(Some("ours"), r#"{"k":1}"#);
        let mixed = |now: &Record| is_mixed(&ours, now, Metric::L2);
        assert!(!mixed(&there(Some("ours"), json!({"k": 1}), &[1.0, 2.0])));
        assert!(mixed(&there(Some("ours"), json!({"k": 1}), &[9.0, 9.0])));
        assert!(mixed(&there(Some("ours"), json!({"k": 1, "theirs": 2}), &[1.0, 2.0])));
        assert!(!mixed(&there(Some("theirs"), json!({"k": 1}), &[9.0, 9.0])));
        assert!(is_mixed(&row(None, "{}"), &there(Some("theirs"), json!({}), &[1.0, 2.0]), Metric::L2));
    }
}
