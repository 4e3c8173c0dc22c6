//! What Chroma can hold.

use palanquin_engine::contract::Metadata;
use serde_json::Value;

/// What the server keeps of metadata as it is, told by its own answers and not by the adapter.
pub(crate) fn holds(metadata: &Metadata) -> bool {
    let scalar = |value: &Value| match value {
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().unwrap();
            Some(2).filter(|_| float != 0.0 || float.is_sign_positive())
        }
        Value::Number(number) => number.as_i64().map(|_| 3),
        Value::String(_) => Some(0),
        Value::Bool(_) => Some(1),
        _ => None,
    };
    metadata.iter().all(|(key, value)| {
        let kept = match value {
            Value::Array(members) => {
                let kinds: Vec<Option<i32>> = members.iter().map(scalar).collect();
                !kinds.is_empty() && kinds[0].is_some() && kinds.iter().all(|kind| *kind == kinds[0])
            }
            value => scalar(value).is_some(),
        };
        kept && !key.is_empty() && !key.starts_with(['#', '$'])
    })
}
