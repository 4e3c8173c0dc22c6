use serde_json::{Map, Value};

/// MemPalace's mark for a row without metadata; equal to none.
const REPAIRED_EMPTY: &str = "_repaired_empty_meta";

/// Metadata as canonical JSON text: keys sorted at every depth, no white space, a float always with a point or an
/// exponent, `{}` for none and for MemPalace's `{"_repaired_empty_meta": true}`.
pub fn canonical_metadata(metadata: &Map<String, Value>) -> String {
    if metadata.len() == 1 && metadata.get(REPAIRED_EMPTY) == Some(&Value::Bool(true)) {
        return "{}".to_owned();
    }
    let mut text = String::with_capacity(256);
    write_object(metadata, &mut text);
    text
}

/// The canonical form of metadata that is JSON text already; absent text is `{}`.
///
/// # Errors
/// If the text is not a JSON object.
pub fn canonical_metadata_text(text: Option<&str>) -> Result<String, serde_json::Error> {
    match text {
        None | Some("") | Some("{}") => Ok("{}".to_owned()),
        Some(text) => serde_json::from_str::<Option<Map<String, Value>>>(text)
            .map(|metadata| metadata.map_or_else(|| "{}".to_owned(), |metadata| canonical_metadata(&metadata))),
    }
}

fn write_object(object: &Map<String, Value>, out: &mut String) {
    let mut entries: Vec<_> = object.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    out.push('{');
    for (i, (key, value)) in entries.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_string(key, out);
        out.push(':');
        write_value(value, out);
    }
    out.push('}');
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Object(object) => write_object(object, out),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_value(item, out);
            }
            out.push(']');
        }
        Value::String(text) => write_string(text, out),
        scalar => out.push_str(&scalar.to_string()),
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push_str(&Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn canonical(value: Value) -> String {
        canonical_metadata(value.as_object().unwrap())
    }

    #[test]
    fn keys_are_sorted_at_every_depth() {
        assert_eq!(
            canonical(json!({"b": {"z": 1, "a": 2}, "a": [{"y": 1, "x": 2}]})),
            r#"{"a":[{"x":2,"y":1}],"b":{"a":2,"z":1}}"#
        );
    }

    #[test]
    fn a_float_stays_a_float_and_an_integer_an_integer() {
        assert_eq!(
            canonical(json!({"f": 2.0, "i": 2, "big": 1e300, "min": i64::MIN})),
            r#"{"big":1e+300,"f":2.0,"i":2,"min":-9223372036854775808}"#
        );
        let text = canonical_metadata_text(Some(r#"{"i":2,"f":2.0,"t":0.1}"#)).unwrap();
        assert_eq!(text, r#"{"f":2.0,"i":2,"t":0.1}"#);
    }

    #[test]
    fn none_empty_and_the_repair_mark_are_one() {
        for text in [None, Some("{}"), Some("null"), Some("{ }"), Some(r#"{"_repaired_empty_meta":true}"#)] {
            assert_eq!(canonical_metadata_text(text).unwrap(), "{}", "{text:?}");
        }
        assert_ne!(canonical(json!({"_repaired_empty_meta": 1})), "{}");
    }

    #[test]
    fn canonical_text_is_a_fixed_point() {
        let once = canonical(json!({"é": "ü\u{0}\u{202e}🙂", "n": null, "x": [1.5, true, "a"]}));
        assert_eq!(canonical_metadata_text(Some(&once)).unwrap(), once);
    }
}
