//! Rows and where-clauses made at random, from few enough values that they meet.

use crate::rows::{Written, row};
use crate::world::WIDTH;
use rand::Rng;
use rand::seq::IndexedRandom;
use serde_json::{Map, Value, json};

const KEYS: [&str; 5] = ["wing", "n", "flag", "tags", "née"];
const TEXTS: [&str; 9] = ["", "a", "ab", "b%", "A", "1", "true", "é🙂", "it's"];

/// Rows whose metadata mixes types below the same keys; some have no document, no vector or no metadata.
pub(crate) fn rows_to_filter(rng: &mut impl Rng, count: usize) -> Vec<Written> {
    (0..count)
        .map(|n| {
            let mut made = row(format!("id-{n:04}"));
            for key in KEYS {
                if rng.random_bool(0.6) {
                    made.metadata.insert(key.to_owned(), value(rng, 2));
                }
            }
            if rng.random_bool(0.8) {
                let words: Vec<&str> = (0..rng.random_range(0..4)).map(|_| *TEXTS.choose(rng).unwrap()).collect();
                made.document = Some(words.join(" "));
            }
            if rng.random_bool(0.9) {
                made.embedding = Some((0..WIDTH).map(|_| rng.random_range(-4.0..4.0)).collect());
            }
            made
        })
        .collect()
}

/// A where-clause of the dialect, at most so many levels deep.
pub(crate) fn clause(rng: &mut impl Rng, depth: usize) -> Value {
    if depth > 0 && rng.random_bool(0.4) {
        let parts: Vec<Value> = (0..rng.random_range(0..4)).map(|_| clause(rng, depth - 1)).collect();
        return json!({*["$and", "$or"].choose(rng).unwrap(): parts});
    }
    let mut clause = Map::new();
    for _ in 0..*[1, 1, 1, 2].choose(rng).unwrap() {
        let key = KEYS.choose(rng).unwrap().to_string();
        let operand = match rng.random_bool(0.2) {
            true => bare(rng),
            false => tests(rng),
        };
        clause.insert(key, operand);
    }
    Value::Object(clause)
}

/// A where-clause on the document.
pub(crate) fn document_clause(rng: &mut impl Rng) -> Value {
    let mut part = || json!({"$contains": TEXTS.choose(rng).unwrap()});
    let (one, other) = (part(), part());
    match rng.random_range(0..3) {
        0 => one,
        1 => json!({"$and": [one, other]}),
        _ => json!({"$or": [one, other]}),
    }
}

fn tests(rng: &mut impl Rng) -> Value {
    let mut tests = Map::new();
    for _ in 0..*[1, 1, 1, 2].choose(rng).unwrap() {
        let operators = ["$eq", "$ne", "$in", "$nin", "$contains", "$gt", "$gte", "$lt", "$lte"];
        let operator = *operators.choose(rng).unwrap();
        let operand = match operator {
            "$in" | "$nin" => Value::Array((0..rng.random_range(0..4)).map(|_| value(rng, 1)).collect()),
            _ => value(rng, 1),
        };
        tests.insert(operator.to_owned(), operand);
    }
    Value::Object(tests)
}

/// Anything but an object, which would be read as operators.
fn bare(rng: &mut impl Rng) -> Value {
    match value(rng, 1) {
        Value::Object(_) => Value::Null,
        bare => bare,
    }
}

fn value(rng: &mut impl Rng, depth: usize) -> Value {
    match rng.random_range(0..if depth == 0 { 10 } else { 12 }) {
        0 => Value::Null,
        1 => json!(rng.random_bool(0.5)),
        2..=4 => json!(rng.random_range(-2..3)),
        5 => json!(f64::from(rng.random_range(-4..5)) / 2.0),
        6 => (*[json!(i64::MAX), json!(i64::MIN), json!(u64::MAX), json!(-0.0), json!(1e300)].choose(rng).unwrap())
            .clone(),
        7..=9 => json!(TEXTS.choose(rng).unwrap()),
        10 => Value::Array((0..rng.random_range(0..3)).map(|_| value(rng, depth - 1)).collect()),
        _ => {
            let keys = (0..rng.random_range(0..3)).map(|_| *KEYS.choose(rng).unwrap()).collect::<Vec<_>>();
            Value::Object(keys.into_iter().map(|key| (key.to_owned(), value(rng, depth - 1))).collect())
        }
    }
}
