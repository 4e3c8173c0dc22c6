use super::{Filter, Test};
use crate::contract::{Error, ErrorKind, Result};
use serde_json::Value;

/// How deep a filter may nest; no honest one comes near.
const DEEPEST: usize = 64;

impl Filter {
    /// Reads a `where` clause: null and `{}` are every row, several keys are joined by `$and`.
    ///
    /// # Errors
    /// `UnsupportedFilter` for an operator that is not of the dialect (§1.4: never dropped in silence);
    /// `InvalidRequest` for an operand of the wrong shape.
    pub fn parse(clause: &Value) -> Result<Self> {
        parse(clause, DEEPEST, &metadata_key)
    }

    /// Reads a `where_document` clause: `$contains`, `$and` and `$or`.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_document(clause: &Value) -> Result<Self> {
        parse(clause, DEEPEST, &document_key)
    }
}

/// Reads one key of a clause that is not `$and` or `$or`.
type Leaf = dyn Fn(&str, &Value) -> Result<Filter>;

fn parse(clause: &Value, depth: usize, leaf: &Leaf) -> Result<Filter> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(malformed(format!("the filter nests deeper than {DEEPEST} levels")));
    };
    let clause = match clause {
        Value::Null => return Ok(Filter::All),
        Value::Object(clause) => clause,
        _ => return Err(malformed("a filter is an object")),
    };
    let mut parts = Vec::with_capacity(clause.len());
    for (key, operand) in clause {
        parts.push(match key.as_str() {
            "$and" => Filter::And(each(key, operand, depth, leaf)?),
            "$or" => Filter::Or(each(key, operand, depth, leaf)?),
            key => leaf(key, operand)?,
        });
    }
    Ok(joined(parts))
}

fn each(operator: &str, operand: &Value, depth: usize, leaf: &Leaf) -> Result<Vec<Filter>> {
    let Value::Array(clauses) = operand else {
        return Err(malformed(format!("{operator} takes a list of filters")));
    };
    clauses.iter().map(|clause| parse(clause, depth, leaf)).collect()
}

fn metadata_key(key: &str, operand: &Value) -> Result<Filter> {
    if key.starts_with('$') {
        if test(key, &Value::Array(Vec::new())).is_ok() {
            let detail =
                format!("the filter uses {key:?} of no key: {{KEY: {{{key:?}: …}}}} tests one of the metadata");
            return Err(Error::new(ErrorKind::UnsupportedFilter, detail));
        }
        return Err(unsupported(key));
    }
    let tests = match operand {
        Value::Object(tests) => tests,
        bare => return Ok(Filter::Metadata(key.to_owned(), Test::Eq(bare.clone()))),
    };
    let parts: Result<Vec<_>> = tests
        .iter()
        .map(|(operator, operand)| Ok(Filter::Metadata(key.to_owned(), test(operator, operand)?)))
        .collect();
    match parts?.as_slice() {
        [] => Err(malformed("a key is compared with an object that holds no operator")),
        [one] => Ok(one.clone()),
        several => Ok(Filter::And(several.to_vec())),
    }
}

fn test(operator: &str, operand: &Value) -> Result<Test> {
    let list = || match operand {
        Value::Array(values) => Ok(values.clone()),
        _ => Err(malformed(format!("{operator} takes a list"))),
    };
    Ok(match operator {
        "$eq" => Test::Eq(operand.clone()),
        "$ne" => Test::Ne(operand.clone()),
        "$in" => Test::In(list()?),
        "$nin" => Test::Nin(list()?),
        "$contains" => Test::Contains(operand.clone()),
        "$gt" => Test::Gt(operand.clone()),
        "$gte" => Test::Gte(operand.clone()),
        "$lt" => Test::Lt(operand.clone()),
        "$lte" => Test::Lte(operand.clone()),
        other => return Err(unsupported(other)),
    })
}

fn document_key(key: &str, operand: &Value) -> Result<Filter> {
    match (key, operand) {
        ("$contains", Value::String(part)) => Ok(Filter::DocumentContains(part.clone())),
        ("$contains", _) => Err(malformed("$contains takes a text")),
        (other, _) => Err(unsupported(other)),
    }
}

fn joined(mut parts: Vec<Filter>) -> Filter {
    match parts.len() {
        0 => Filter::All,
        1 => parts.remove(0),
        _ => Filter::And(parts),
    }
}

fn unsupported(operator: &str) -> Error {
    Error::new(ErrorKind::UnsupportedFilter, format!("the filter uses {operator:?}, which no backend here implements"))
}

fn malformed(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidRequest, detail)
}
