use crate::format;
use crate::output::tree;
use serde_json::Value;

/// A figure as people read it.
pub(in crate::dashboard::view) fn figure(name: &str, value: &Value) -> String {
    match value.as_u64() {
        Some(millis) if is_millis(name) => format::millis(millis),
        Some(n) if is_bytes(name) => format::bytes(n),
        _ => tree::figure(name, value),
    }
}

/// The name of a figure without the unit it is written with.
pub(super) fn label(name: &str, value: &Value) -> String {
    let name = match value {
        Value::Number(_) if is_millis(name) => name.strip_suffix("_ms").unwrap_or(name),
        _ => name,
    };
    name.replace('_', " ")
}

/// How far two counts are apart: `-398`, `+1.2 MiB`; nothing for what is not counted.
pub(super) fn difference(name: &str, before: &Value, after: &Value) -> String {
    let (Some(from), Some(to)) = (before.as_u64(), after.as_u64()) else {
        return if before == after { "unchanged".to_owned() } else { String::new() };
    };
    let far = figure(name, &Value::from(from.abs_diff(to)));
    match from.cmp(&to) {
        std::cmp::Ordering::Less => format!("+{far}"),
        std::cmp::Ordering::Equal => "unchanged".to_owned(),
        std::cmp::Ordering::Greater => format!("-{far}"),
    }
}

fn is_bytes(name: &str) -> bool {
    name.split(['_', ' ']).any(|word| word == "bytes")
}

/// A duration, and not a time of day.
fn is_millis(name: &str) -> bool {
    name.ends_with("_ms") && !name.ends_with("_at_ms")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn figures_have_the_unit_their_name_says() {
        assert_eq!(figure("bytes_removed", &json!(2048)), "2.0 KiB");
        assert_eq!(figure("took_ms", &json!(12_400)), "12 s");
        assert_eq!(figure("rows", &json!(1_180_400)), "1,180,400");
        assert_eq!(figure("recall", &json!(0.25)), "0.25");
        assert_eq!(label("took_ms", &json!(1)), "took");
        assert_eq!(label("made_at_ms", &json!(1)), "made at ms");
    }

    #[test]
    fn differences_have_a_sign() {
        assert_eq!(difference("fragments", &json!(401), &json!(3)), "-398");
        assert_eq!(difference("bytes", &json!(0), &json!(2048)), "+2.0 KiB");
        assert_eq!(difference("bytes", &json!(7), &json!(7)), "unchanged");
        assert_eq!(difference("kind", &json!("a"), &json!("b")), "");
    }
}
