//! What SQL can say of a filter (§1.4).
//!
//! The reference evaluator decides ([`Filter::passes`]). A [`Predicate`] lets through at least what passes, and says
//! whether it lets through nothing else; where it does, the rows it selects are evaluated again.
//!
//! `jsonb` compares numbers by value, as the evaluator does, but holds them in decimal: a float beyond 2⁵³ is held by its
//! shortest digits, which are not its value. Such operands are left to the evaluator, as are texts with a NUL, which
//! Postgres cannot take.

use crate::statement::Values;
use palanquin_engine::contract::{Filter, Test};
use palanquin_engine::rows::REPAIRED_EMPTY;
use serde_json::Value;

#[cfg(test)]
mod tests;

/// Beyond this, decimal digits and floats part.
const SAFE: u64 = 1 << 53;

/// A condition in SQL.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Predicate {
    /// Never null; parameters are in the [`Values`] it was made with.
    pub(crate) sql: String,
    /// Whether nothing passes it that does not pass the filter.
    pub(crate) is_exact: bool,
}

impl Predicate {
    pub(crate) fn of(filter: &Filter, values: &mut Values) -> Self {
        match filter {
            Filter::All => Self::exact("true"),
            Filter::And(parts) => Self::joined(parts, " AND ", "true", values),
            Filter::Or(parts) => Self::joined(parts, " OR ", "false", values),
            Filter::DocumentContains(part) if has_nul(part) => Self::exact("false"),
            Filter::DocumentContains(part) => {
                let part = values.text(part);
                Self::exact(format!("coalesce(strpos(document COLLATE \"C\", {part}) > 0, false)"))
            }
            // The evaluator sees no such key in a row that holds it alone.
            Filter::Metadata(key, _) if has_nul(key) || key == REPAIRED_EMPTY => Self::unsaid(),
            Filter::Metadata(key, test) => match of_test(key, test, values) {
                Some(sql) => Self::exact(sql),
                None => Self::unsaid(),
            },
        }
    }

    fn exact(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), is_exact: true }
    }

    /// Lets everything through.
    fn unsaid() -> Self {
        Self { sql: "true".to_owned(), is_exact: false }
    }

    fn joined(parts: &[Filter], by: &str, of_none: &str, values: &mut Values) -> Self {
        let parts: Vec<Self> = parts.iter().map(|part| Self::of(part, values)).collect();
        let is_exact = parts.iter().all(|part| part.is_exact);
        let sql: Vec<String> = parts.into_iter().map(|part| part.sql).collect();
        let sql = if sql.is_empty() { of_none.to_owned() } else { format!("({})", sql.join(by)) };
        Self { sql, is_exact }
    }
}

/// `None` for what only the evaluator can tell.
fn of_test(key: &str, test: &Test, values: &mut Values) -> Option<String> {
    match test {
        Test::Eq(operand) => equal(key, std::slice::from_ref(operand), values),
        Test::In(operands) => equal(key, operands, values),
        Test::Ne(operand) => Some(format!("NOT {}", equal(key, std::slice::from_ref(operand), values)?)),
        Test::Nin(operands) => Some(format!("NOT {}", equal(key, operands, values)?)),
        Test::Contains(operand) => contains(key, operand, values),
        Test::Gt(operand) => ordered(key, ">", operand, values),
        Test::Gte(operand) => ordered(key, ">=", operand, values),
        Test::Lt(operand) => ordered(key, "<", operand, values),
        Test::Lte(operand) => ordered(key, "<=", operand, values),
    }
}

/// An absent key is null.
fn value(key: &str, values: &mut Values) -> String {
    format!("coalesce(metadata -> {}, 'null')", values.text(key))
}

fn equal(key: &str, operands: &[Value], values: &mut Values) -> Option<String> {
    let operands: Vec<String> = operands.iter().map(jsonb).collect::<Option<_>>()?;
    Some(match operands.as_slice() {
        [] => "false".to_owned(),
        [one] => format!("({} = {}::jsonb)", value(key, values), values.text(one.as_str())),
        several => format!("({} = ANY ({}::jsonb[]))", value(key, values), values.texts(several.iter().cloned())),
    })
}

fn contains(key: &str, operand: &Value, values: &mut Values) -> Option<String> {
    // Containment looks into nested members; the evaluator wants them equal.
    if operand.is_array() || operand.is_object() {
        return None;
    }
    let (value, member) = (value(key, values), values.text(jsonb(operand)?));
    let in_list = format!("WHEN 'array' THEN {value} @> {member}::jsonb");
    let in_text = operand.as_str().map_or_else(String::new, |part| {
        format!("WHEN 'string' THEN strpos(({value} #>> '{{}}') COLLATE \"C\", {}) > 0 ", values.text(part))
    });
    Some(format!("(CASE jsonb_typeof({value}) {in_text}{in_list} ELSE false END)"))
}

fn ordered(key: &str, operator: &str, operand: &Value, values: &mut Values) -> Option<String> {
    let (kind, compared) = match operand {
        Value::Number(_) => {
            let number = jsonb(operand)?;
            let value = value(key, values);
            ("number", format!("{value}::numeric {operator} {}::text::numeric", values.text(number)))
        }
        Value::String(text) if has_nul(text) => return None,
        Value::String(text) => {
            let value = value(key, values);
            ("string", format!("({value} #>> '{{}}') COLLATE \"C\" {operator} {}", values.text(text.as_str())))
        }
        _ => return Some("false".to_owned()),
    };
    Some(format!("(CASE jsonb_typeof({}) WHEN '{kind}' THEN {compared} ELSE false END)", value(key, values)))
}

fn has_nul(text: &str) -> bool {
    text.contains('\0')
}

/// An operand as `jsonb` takes it, if its value is what its digits say.
fn jsonb(operand: &Value) -> Option<String> {
    is_safe(operand).then(|| crate::write::jsonb_of(operand)).flatten()
}

fn is_safe(operand: &Value) -> bool {
    match operand {
        Value::Null | Value::Bool(_) => true,
        Value::String(text) => !has_nul(text),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(whole), ..) => whole.unsigned_abs() <= SAFE,
            (_, Some(_), _) => false,
            (_, _, Some(float)) => float.abs() <= SAFE as f64,
            _ => false,
        },
        Value::Array(members) => members.iter().all(is_safe),
        Value::Object(members) => members.iter().all(|(key, value)| !has_nul(key) && is_safe(value)),
    }
}
