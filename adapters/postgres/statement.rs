//! SQL with its parameters, put together in one pass so that a placeholder and its value cannot drift apart.

use tokio_postgres::types::{ToSql, Type};

/// A value of a statement.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// `text`.
    Text(String),
    /// `text[]`; an element may be null.
    Texts(Vec<Option<String>>),
    /// `bigint`.
    Number(i64),
}

/// The values of a statement in the order of their placeholders.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Values(Vec<Value>);

impl Values {
    /// Takes a value and returns its placeholder.
    pub(crate) fn bind(&mut self, value: Value) -> String {
        self.0.push(value);
        format!("${}", self.0.len())
    }

    pub(crate) fn text(&mut self, text: impl Into<String>) -> String {
        self.bind(Value::Text(text.into()))
    }

    pub(crate) fn texts(&mut self, texts: impl IntoIterator<Item = impl Into<String>>) -> String {
        self.bind(Value::Texts(texts.into_iter().map(|text| Some(text.into())).collect()))
    }

    /// As the driver takes them, with their types said: one round trip, and nothing prepared that a pooler would lose.
    pub(crate) fn typed(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        self.0.iter().map(typed).collect()
    }
}

fn typed(value: &Value) -> (&(dyn ToSql + Sync), Type) {
    match value {
        Value::Text(text) => (text, Type::TEXT),
        Value::Texts(texts) => (texts, Type::TEXT_ARRAY),
        Value::Number(number) => (number, Type::INT8),
    }
}

/// An identifier, quoted.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text literal, for the statements that take no parameters. Right whatever `standard_conforming_strings` says.
pub(crate) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!(" E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_stay_inside_of_literals_and_identifiers() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"a\' OR 1=1"), r" E'a\\'' OR 1=1'");
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
    }
}
