use super::cosine;
use crate::server::client::Write;
use palanquin_engine::contract::{Error, ErrorKind, Metadata, Metric, Result};
use palanquin_engine::rows::Row;
use serde_json::Value;

/// Keys of Chroma's own. One that is null, without a document beside it, ends the server for every collection, and ends
/// it again each time it is started.
pub(super) const RESERVED: &str = "chroma:";

/// A row a server can hold as it is.
#[derive(Clone, Debug)]
pub(super) struct Admitted<'a> {
    pub(super) id: &'a str,
    pub(super) document: Option<&'a str>,
    /// Canonical text, and the same as a map.
    pub(super) text: &'a str,
    pub(super) metadata: Metadata,
    pub(super) embedding: &'a [f32],
}

impl<'a> Admitted<'a> {
    /// The row, where none is.
    pub(super) fn fresh(&self) -> Write<'a> {
        let metadata = (!self.metadata.is_empty()).then(|| self.text.to_owned());
        Write { id: self.id, embedding: Some(self.embedding), document: self.document, metadata }
    }
}

/// Takes a row, unless the server would refuse or change it.
///
/// # Errors
/// `RowRefused`, which names the row and what of it cannot be held, and shows no content but a key.
pub(super) fn admit(row: Row<'_>, metric: Metric) -> Result<Admitted<'_>> {
    let refuse = |why: String| {
        let shown: String = row.id.chars().take(200).collect();
        Err(Error::new(ErrorKind::RowRefused, format!("a Chroma server cannot hold row {shown:?}: {why}")))
    };
    if row.id.is_empty() {
        return refuse("its id is empty".to_owned());
    }
    let Some(embedding) = row.embedding else { return refuse("it has no vector".to_owned()) };
    if !embedding.iter().all(|component| component.is_finite()) {
        return refuse("its vector has a component that is infinite or not a number (NaN)".to_owned());
    }
    if metric == Metric::Cosine && !cosine::survives(embedding) {
        return refuse(
            "a collection searched by cosine would not give its vector back: it is too long or too short".to_owned(),
        );
    }
    let metadata: Metadata = match serde_json::from_str(row.metadata) {
        Ok(metadata) => metadata,
        Err(_) => return refuse("its metadata is no JSON object".to_owned()),
    };
    for (key, value) in &metadata {
        if let Some(why) = key_problem(key).or_else(|| problem(value)) {
            let shown: String = key.chars().take(200).collect();
            return refuse(format!("metadata key {shown:?} {why}"));
        }
    }
    Ok(Admitted { id: row.id, document: row.document, text: row.metadata, metadata, embedding })
}

/// Why the server could not hold the row, for whoever plans a copy.
pub(crate) fn refusal(metric: Metric, row: Row<'_>) -> Option<String> {
    admit(row, metric).err().map(|error| error.what())
}

fn key_problem(key: &str) -> Option<&'static str> {
    if key.is_empty() {
        Some("is empty")
    } else if key.starts_with(['#', '$']) {
        Some("begins with a sign Chroma keeps for itself")
    } else if key.starts_with(RESERVED) {
        Some("is one of Chroma's own")
    } else {
        None
    }
}

fn problem(value: &Value) -> Option<&'static str> {
    match value {
        Value::Null => Some("is null, which would remove it"),
        Value::Object(_) => Some("holds an object"),
        Value::Array(members) => list_problem(members),
        scalar => scalar_problem(scalar),
    }
}

fn scalar_problem(value: &Value) -> Option<&'static str> {
    match value.as_number() {
        Some(number) if number.is_u64() && number.as_i64().is_none() => {
            Some("holds a whole number beyond 64 bits with sign")
        }
        Some(number) if number.as_f64() == Some(0.0) && is_minus_zero(number) => {
            Some("holds −0.0, which would become 0.0")
        }
        _ => None,
    }
}

fn is_minus_zero(number: &serde_json::Number) -> bool {
    number.is_f64() && number.as_f64().is_some_and(f64::is_sign_negative)
}

fn list_problem(members: &[Value]) -> Option<&'static str> {
    let kind = |value: &Value| match value {
        Value::String(_) => Some(0),
        Value::Bool(_) => Some(1),
        Value::Number(number) if number.is_f64() => Some(2),
        Value::Number(_) => Some(3),
        _ => None,
    };
    let Some(first) = members.first() else { return Some("holds an empty list") };
    let first = kind(first);
    if first.is_none() || members.iter().any(|member| kind(member) != first) {
        return Some("holds a list whose members are not all texts, all booleans or all numbers of one kind");
    }
    members.iter().find_map(scalar_problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(id: &'a str, metadata: &'a str, embedding: Option<&'a [f32]>) -> Result<Admitted<'a>> {
        admit(Row { id, document: Some("secret"), metadata, embedding }, Metric::Cosine)
    }

    #[test]
    fn what_a_server_keeps_is_taken() {
        for metadata in [
            "{}",
            r#"{"a":"","b":true,"c":-9223372036854775808,"d":2.0,"é\u0000":5e-324,"a.b":1}"#,
            r#"{"l":["a","b"],"m":[1,2],"n":[1.5,2.0],"o":[true]}"#,
            r#"{"_repaired_empty_meta":true,"x":1}"#,
        ] {
            assert_eq!(of("a", metadata, Some(&[1.0])).unwrap().text, metadata);
        }
    }

    #[test]
    fn what_a_server_would_change_drop_or_die_of_is_refused_by_name() {
        for metadata in [
            r#"{"":1}"#,
            r##"{"#a":1}"##,
            r#"{"$a":1}"#,
            r#"{"chroma:document":null}"#,
            r#"{"chroma:document":"d"}"#,
            r#"{"a":null}"#,
            r#"{"a":{}}"#,
            r#"{"a":[]}"#,
            r#"{"a":[1,1.0]}"#,
            r#"{"a":["x",null]}"#,
            r#"{"a":[["x"]]}"#,
            r#"{"a":18446744073709551615}"#,
            r#"{"a":[18446744073709551615]}"#,
            r#"{"a":-0.0}"#,
            r#"{"a":[-0.0]}"#,
        ] {
            let error = of("the row", metadata, Some(&[1.0])).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RowRefused, "{metadata}");
            assert!(error.what().contains("\"the row\"") && !error.what().contains("secret"), "{error}");
        }
        for (id, vector) in [("", Some(&[1.0][..])), ("a", None), ("a", Some(&[f32::NAN])), ("a", Some(&[1e30]))] {
            assert_eq!(of(id, "{}", vector).unwrap_err().kind(), ErrorKind::RowRefused, "{id:?} {vector:?}");
        }
        let exact = Row { id: "a", document: None, metadata: "{}", embedding: Some(&[1e30]) };
        assert!(admit(exact, Metric::L2).is_ok(), "by other metrics vectors come back bit for bit");
    }
}
