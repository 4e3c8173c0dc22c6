use super::{Filter, Test};
use crate::contract::{Error, ErrorKind, Metadata, Result};
use crate::rows::Row;
use serde_json::{Number, Value};
use std::cmp::Ordering;

impl Filter {
    /// Whether a row passes.
    ///
    /// # Errors
    /// `Corrupt` if its metadata is no JSON object.
    pub fn matches(&self, row: Row<'_>) -> Result<bool> {
        if self.reads_metadata() {
            let metadata = serde_json::from_str(row.metadata).map_err(|error| {
                Error::new(ErrorKind::Corrupt, "stored metadata is no JSON object").with_source(error)
            })?;
            Ok(self.passes(row.document, &metadata))
        } else {
            Ok(self.passes(row.document, &Metadata::new()))
        }
    }

    /// Whether a row of this document and metadata passes.
    pub fn passes(&self, document: Option<&str>, metadata: &Metadata) -> bool {
        match self {
            Self::All => true,
            Self::And(parts) => parts.iter().all(|part| part.passes(document, metadata)),
            Self::Or(parts) => parts.iter().any(|part| part.passes(document, metadata)),
            Self::Metadata(key, test) => test.passes(metadata.get(key).unwrap_or(&Value::Null)),
            Self::DocumentContains(part) => document.is_some_and(|document| document.contains(part.as_str())),
        }
    }
}

impl Test {
    fn passes(&self, value: &Value) -> bool {
        let ordered = |operand: &Value, wanted: fn(Ordering) -> bool| order(value, operand).is_some_and(wanted);
        match self {
            Self::Eq(operand) => equal(value, operand),
            Self::Ne(operand) => !equal(value, operand),
            Self::In(operands) => operands.iter().any(|operand| equal(value, operand)),
            Self::Nin(operands) => !operands.iter().any(|operand| equal(value, operand)),
            Self::Contains(operand) => contains(value, operand),
            Self::Gt(operand) => ordered(operand, Ordering::is_gt),
            Self::Gte(operand) => ordered(operand, Ordering::is_ge),
            Self::Lt(operand) => ordered(operand, Ordering::is_lt),
            Self::Lte(operand) => ordered(operand, Ordering::is_le),
        }
    }
}

fn contains(value: &Value, operand: &Value) -> bool {
    match (value, operand) {
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        (Value::Array(members), operand) => members.iter().any(|member| equal(member, operand)),
        _ => false,
    }
}

fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => order_of_numbers(one, other) == Some(Ordering::Equal),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| equal(value, other)))
        }
        _ => one == other,
    }
}

fn order(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => order_of_numbers(one, other),
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        _ => None,
    }
}

/// By value and without rounding: 2⁵³ + 1 is greater than the float 2⁵³.
fn order_of_numbers(one: &Number, other: &Number) -> Option<Ordering> {
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        (Some(one), None) => order_of_mixed(one, other.as_f64()?),
        (None, Some(other)) => order_of_mixed(other, one.as_f64()?).map(Ordering::reverse),
        (None, None) => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

fn order_of_mixed(whole: i128, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    // Saturates far outside of what a JSON integer reaches, so the order is right there too.
    Some(whole.cmp(&(float.floor() as i128)).then(if float.fract() == 0.0 { Ordering::Equal } else { Ordering::Less }))
}
