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

/// The values of a statement.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    /// Sent beside it, in the order of their placeholders.
    Beside(Vec<Value>),
    /// Written into it, for the statements that take no parameters.
    Within,
}

impl Default for Values {
    fn default() -> Self {
        Self::Beside(Vec::new())
    }
}

impl Values {
    /// Takes a value and returns what stands for it.
    pub(crate) fn bind(&mut self, value: Value) -> String {
        match self {
            Self::Beside(values) => {
                values.push(value);
                format!("${}", values.len())
            }
            Self::Within => written(&value),
        }
    }

    pub(crate) fn text(&mut self, text: impl Into<String>) -> String {
        self.bind(Value::Text(text.into()))
    }

    pub(crate) fn texts(&mut self, texts: impl IntoIterator<Item = impl Into<String>>) -> String {
        self.bind(Value::Texts(texts.into_iter().map(|text| Some(text.into())).collect()))
    }

    /// As the driver takes them, with their types said: one round trip, and nothing prepared that a pooler would lose.
    pub(crate) fn typed(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        match self {
            Self::Beside(values) => values.iter().map(typed).collect(),
            Self::Within => Vec::new(),
        }
    }
}

fn written(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("({}::text)", literal(text)),
        Value::Texts(texts) => {
            let texts: Vec<String> = texts.iter().map(|text| text.as_deref().map_or("NULL".into(), literal)).collect();
            format!("(ARRAY[{}]::text[])", texts.join(","))
        }
        Value::Number(number) => format!("({number}::bigint)"),
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

    #[test]
    fn values_are_sent_beside_a_statement_or_written_into_it() {
        let mut beside = Values::default();
        assert_eq!((beside.text("it's"), beside.texts(["a", "b"])), ("$1".to_owned(), "$2".to_owned()));
        assert_eq!(beside.typed().len(), 2);
        let mut within = Values::Within;
        assert_eq!(within.text("it's"), "('it''s'::text)");
        assert_eq!(within.texts(["a'", r"\"]), r"(ARRAY['a''', E'\\']::text[])");
        assert_eq!(within.bind(Value::Texts(vec![None])), "(ARRAY[NULL]::text[])");
        assert_eq!(within.bind(Value::Number(-7)), "(-7::bigint)");
        assert!(within.typed().is_empty());
    }
}
