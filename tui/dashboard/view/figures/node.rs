use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What an entry of an object is to the reader.
#[derive(Debug, PartialEq)]
pub(super) enum Node<'a> {
    Figure(&'a Value),
    /// A figure before and after.
    Change(&'a Value, &'a Value),
    Group(Vec<(String, Node<'a>)>),
    /// Objects of one list.
    Table(&'a [Value]),
}

/// The entries by name. `x_before` and `x_after` are one change of `x`, wherever the words stand, and so are the parts
/// of an object `before` and an object `after`.
pub(super) fn of<'a>(entries: impl IntoIterator<Item = (&'a String, &'a Value)>) -> Vec<(String, Node<'a>)> {
    let mut entries: BTreeMap<&str, &Value> = entries.into_iter().map(|(name, value)| (name.as_str(), value)).collect();
    let mut nodes: Vec<(String, Node<'_>)> = Vec::new();
    if let (Some(Value::Object(before)), Some(Value::Object(after))) = (entries.get("before"), entries.get("after")) {
        nodes.extend(changes(before, after));
        entries.remove("before");
        entries.remove("after");
    }
    let names: Vec<&str> = entries.keys().copied().collect();
    for name in names {
        let Some((what, other)) = pair(name) else { continue };
        if let (Some(&before), Some(&after)) = (entries.get(name), entries.get(other.as_str()))
            && is_flat(before)
            && is_flat(after)
        {
            nodes.push((what, Node::Change(before, after)));
            entries.remove(name);
            entries.remove(other.as_str());
        }
    }
    nodes.extend(entries.into_iter().map(|(name, value)| (name.to_owned(), node(value))));
    nodes.sort_by(|(one, _), (other, _)| one.cmp(other));
    nodes
}

/// Whether a value is written as one figure.
pub(super) fn is_flat(value: &Value) -> bool {
    match value {
        Value::Object(inner) => inner.is_empty(),
        Value::Array(items) => items.iter().all(|item| !item.is_object() && !item.is_array()),
        _ => true,
    }
}

fn node(value: &Value) -> Node<'_> {
    match value {
        Value::Object(inner) => match (inner.get("before"), inner.get("after")) {
            (Some(before), Some(after)) if inner.len() == 2 && is_flat(before) && is_flat(after) => {
                Node::Change(before, after)
            }
            _ if inner.is_empty() => Node::Figure(value),
            _ => Node::Group(of(inner)),
        },
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_object) => Node::Table(items),
        _ => Node::Figure(value),
    }
}

/// What has changed between two objects, and what only one of them has.
fn changes<'a>(before: &'a Map<String, Value>, after: &'a Map<String, Value>) -> Vec<(String, Node<'a>)> {
    let only = |(name, value): (&String, &'a Value), when: &str| (format!("{name} {when}"), node(value));
    let mut nodes = Vec::new();
    for (name, from) in before {
        nodes.push(match (from, after.get(name)) {
            (Value::Object(from), Some(Value::Object(to))) => (name.clone(), Node::Group(changes(from, to))),
            (from, Some(to)) if is_flat(from) && is_flat(to) => (name.clone(), Node::Change(from, to)),
            (from, _) => only((name, from), "before"),
        });
    }
    let told = |name: &String| before.get(name).is_some_and(|from| after.get(name).is_some_and(|to| both(from, to)));
    nodes.extend(after.iter().filter(|(name, _)| !told(name)).map(|entry| only(entry, "after")));
    nodes
}

/// Whether two values are shown as one change.
fn both(from: &Value, to: &Value) -> bool {
    (from.is_object() && to.is_object()) || (is_flat(from) && is_flat(to))
}

/// What a name that says "before" is about, and the name of what came after.
fn pair(name: &str) -> Option<(String, String)> {
    if let Some(what) = name.strip_suffix("_before") {
        return Some((what.to_owned(), format!("{what}_after")));
    }
    let what = name.strip_prefix("before_")?;
    Some((what.to_owned(), format!("after_{what}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn changed(value: &Value) -> Vec<String> {
        let nodes = of(value.as_object().unwrap());
        nodes
            .iter()
            .map(|(name, node)| match node {
                Node::Change(before, after) => format!("{name} {before}>{after}"),
                Node::Group(inner) => format!("{name} ({})", inner.len()),
                Node::Figure(value) => format!("{name} {value}"),
                Node::Table(items) => format!("{name} [{}]", items.len()),
            })
            .collect()
    }

    #[test]
    fn before_and_after_are_one_change_wherever_the_words_stand() {
        assert_eq!(
            changed(&json!({"pages_before": 9, "pages_after": 4, "pages_reclaimed": 5})),
            ["pages 9>4", "pages_reclaimed 5"]
        );
        assert_eq!(changed(&json!({"before_bytes": 9, "after_bytes": 4})), ["bytes 9>4"]);
        assert_eq!(changed(&json!({"rows": {"before": 9, "after": 9}})), ["rows 9>9"]);
        assert_eq!(
            changed(&json!({"before": {"a": 1, "b": 2}, "after": {"a": 3, "c": 4}, "ms": 5})),
            ["a 1>3", "b before 2", "c after 4", "ms 5"]
        );
    }

    #[test]
    fn one_without_the_other_stays_what_it_is() {
        assert_eq!(changed(&json!({"rows_before": 9})), ["rows_before 9"]);
        assert_eq!(changed(&json!({"rows_after": 9, "before": 1})), ["before 1", "rows_after 9"]);
    }

    #[test]
    fn lists_of_objects_are_tables_and_other_lists_are_figures() {
        assert_eq!(
            changed(&json!({"indices": [{"name": "id"}], "tags": ["a"], "none": [], "o": {}})),
            ["indices [1]", "none []", "o {}", "tags [\"a\"]"]
        );
    }
}
