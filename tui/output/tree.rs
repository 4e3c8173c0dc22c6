//! A store's own figures as indented lines: names and nesting are the store's, figures are written for people.

use crate::format::{bytes, count};
use serde_json::Value;
use std::fmt::Write;

/// One line per figure, two spaces per level; a list of objects has one line per object.
pub(crate) fn of<'a>(entries: impl IntoIterator<Item = (&'a String, &'a Value)>, level: usize) -> String {
    let entries: Vec<_> = entries.into_iter().collect();
    let width = entries.iter().filter(|(_, value)| is_flat(value)).map(|(name, _)| name.chars().count()).max();
    let mut text = String::new();
    for (name, value) in entries {
        let indent = level * 2;
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                let _ = writeln!(text, "{:indent$}{name}", "");
                text.push_str(&of(inner, level + 1));
            }
            Value::Array(items) if !is_flat(value) => {
                let _ = writeln!(text, "{:indent$}{name}", "");
                for item in items {
                    let _ = writeln!(text, "{:indent$}  - {}", "", one_line(item));
                }
            }
            flat => {
                let _ = writeln!(text, "{:indent$}{name:<w$}  {}", "", figure(name, flat), w = width.unwrap_or(0));
            }
        }
    }
    text
}

/// A figure as people read it; those named `bytes` have a unit.
pub(crate) fn figure(name: &str, value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_u64() {
            Some(n) if name == "bytes" || name.ends_with("_bytes") || name.starts_with("bytes_") => bytes(n),
            Some(n) => count(n),
            None => number.to_string(),
        },
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(|item| figure(name, item)).collect::<Vec<_>>().join(", "),
        Value::Object(_) => one_line(value),
    }
}

fn one_line(value: &Value) -> String {
    match value {
        Value::Object(inner) if inner.is_empty() => "none".to_owned(),
        Value::Object(inner) => {
            inner.iter().map(|(name, value)| format!("{name} {}", figure(name, value))).collect::<Vec<_>>().join(", ")
        }
        other => figure("", other),
    }
}

fn is_flat(value: &Value) -> bool {
    match value {
        Value::Object(inner) => inner.is_empty(),
        Value::Array(items) => items.iter().all(|item| !item.is_object() && !item.is_array()),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn figures_are_aligned_and_lists_of_objects_take_a_line_each() {
        let state = json!({
            "drawers": {"bytes": 2048, "indices": [{"bytes": 10, "name": "id"}], "rows": 12500, "tags": []},
            "ready": true,
        });
        let expected = "  drawers
    bytes  2.0 KiB
    indices
      - bytes 10 B, name id
    rows   12,500
    tags   none
  ready  yes
";
        assert_eq!(of(state.as_object().unwrap(), 1), expected);
    }
}
