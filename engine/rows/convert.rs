use super::{Row, RowBatch, RowBatchBuilder, RowSchemaError, canonical_metadata};
use crate::contract::{Conversion, Metadata};
use serde_json::Value;

const NUL: char = '\0';
const SYMBOL_FOR_NUL: &str = "\u{2400}";
/// NUL as canonical JSON writes it. The text may also be that of an escaped backslash followed by digits.
const ESCAPED_NUL: &str = r"\u0000";

/// Rows as a store that forces conversions can hold them.
#[derive(Clone, Debug)]
pub struct Converted {
    /// Every row of the batch, in its order; those that cannot be converted are as they were.
    pub rows: RowBatch,
    /// Places of the rows that were changed, and by what, ascending.
    pub changed: Vec<(usize, Conversion)>,
    /// Places of the rows that no conversion makes fit, ascending, and why, without row content.
    pub refused: Vec<(usize, &'static str)>,
}

/// What becomes of one row.
enum Fit {
    AsItIs,
    Changed { document: Option<String>, metadata: Option<String> },
    Refused(&'static str),
}

/// Makes the conversions. It is a pure function of the rows, and converting twice is converting once: what is written and
/// what it is compared with later come out the same.
///
/// # Errors
/// Never for a batch made by [`RowBatchBuilder`].
pub fn convert(batch: &RowBatch, conversions: &[Conversion]) -> Result<Converted, RowSchemaError> {
    let mut converted = Converted { rows: batch.clone(), changed: Vec::new(), refused: Vec::new() };
    if !conversions.contains(&Conversion::NulInText) || !may_hold_nul(batch) {
        return Ok(converted);
    }
    let fits: Vec<Fit> = batch.rows().map(fit).collect();
    for (place, fit) in fits.iter().enumerate() {
        match fit {
            Fit::AsItIs => {}
            Fit::Changed { .. } => converted.changed.push((place, Conversion::NulInText)),
            Fit::Refused(why) => converted.refused.push((place, why)),
        }
    }
    if !converted.changed.is_empty() {
        let mut rows = RowBatchBuilder::with_capacity(batch.len(), batch.dimension());
        for (row, fit) in batch.rows().zip(&fits) {
            rows.push(match fit {
                Fit::Changed { document, metadata } => Row {
                    document: document.as_deref().or(row.document),
                    metadata: metadata.as_deref().unwrap_or(row.metadata),
                    ..row
                },
                Fit::AsItIs | Fit::Refused(_) => row,
            })?;
        }
        converted.rows = rows.finish()?;
    }
    Ok(converted)
}

/// The text without U+0000; `None` if it has none.
pub fn text_without_nul(text: &str) -> Option<String> {
    text.contains(NUL).then(|| text.replace(NUL, SYMBOL_FOR_NUL))
}

/// The metadata without U+0000; `None` if it has none.
///
/// # Errors
/// Why not, if two keys would become one.
pub fn metadata_without_nul(metadata: &Metadata) -> Option<Result<Metadata, &'static str>> {
    let mut changed = false;
    let converted = object_without_nul(metadata, &mut changed);
    match converted {
        Err(why) => Some(Err(why)),
        Ok(converted) => changed.then_some(Ok(converted)),
    }
}

/// A look at whole columns, which says no for nearly every batch there is.
fn may_hold_nul(batch: &RowBatch) -> bool {
    let columns = batch.as_record_batch();
    let holds = |column: usize, part: &[u8]| {
        let text: &arrow_array::StringArray = arrow_array::cast::AsArray::as_string(columns.column(column));
        match part {
            [byte] => text.value_data().contains(byte),
            part => text.value_data().windows(part.len()).any(|window| window == part),
        }
    };
    holds(0, b"\0") || holds(1, b"\0") || batch.rows().any(|row| row.metadata.contains(ESCAPED_NUL))
}

fn fit(row: Row<'_>) -> Fit {
    if row.id.contains(NUL) {
        return Fit::Refused("its id has U+0000 in it, which the target cannot hold");
    }
    let document = row.document.and_then(text_without_nul);
    let metadata = match metadata_fit(row.metadata) {
        Some(Err(why)) => return Fit::Refused(why),
        Some(Ok(metadata)) => Some(metadata),
        None => None,
    };
    if document.is_none() && metadata.is_none() { Fit::AsItIs } else { Fit::Changed { document, metadata } }
}

fn metadata_fit(canonical: &str) -> Option<Result<String, &'static str>> {
    if !canonical.contains(ESCAPED_NUL) {
        return None;
    }
    // Metadata that is no JSON object is the target's to refuse.
    let metadata: Metadata = serde_json::from_str(canonical).ok()?;
    metadata_without_nul(&metadata).map(|converted| converted.map(|metadata| canonical_metadata(&metadata)))
}

fn object_without_nul(object: &Metadata, changed: &mut bool) -> Result<Metadata, &'static str> {
    let mut converted = Metadata::new();
    for (key, value) in object {
        let value = value_without_nul(value, changed)?;
        let key = match text_without_nul(key) {
            Some(without) => {
                *changed = true;
                without
            }
            None => key.clone(),
        };
        if converted.insert(key, value).is_some() {
            return Err("two keys of its metadata would become one without U+0000, which the target cannot hold");
        }
    }
    Ok(converted)
}

fn value_without_nul(value: &Value, changed: &mut bool) -> Result<Value, &'static str> {
    Ok(match value {
        Value::String(text) => match text_without_nul(text) {
            Some(without) => {
                *changed = true;
                Value::String(without)
            }
            None => value.clone(),
        },
        Value::Array(members) => {
            let members = members.iter().map(|member| value_without_nul(member, changed));
            Value::Array(members.collect::<Result<_, _>>()?)
        }
        Value::Object(object) => Value::Object(object_without_nul(object, changed)?),
        other => other.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn batch(rows: &[(&str, Option<&str>, Value)]) -> RowBatch {
        let mut batch = RowBatchBuilder::with_capacity(rows.len(), 2);
        for (id, document, metadata) in rows {
            let metadata = canonical_metadata(metadata.as_object().unwrap());
            batch.push(Row { id, document: *document, metadata: &metadata, embedding: Some(&[0.5, -0.0]) }).unwrap();
        }
        batch.finish().unwrap()
    }

    fn converted(rows: &[(&str, Option<&str>, Value)]) -> Converted {
        convert(&batch(rows), &Conversion::ALL).unwrap()
    }

    #[test]
    fn nul_in_documents_and_metadata_becomes_its_symbol_and_nothing_else_changes() {
        let rows = [
            ("plain", Some("d"), json!({"a": 1})),
            ("document", Some("a\0b\0"), json!({"f": 2.0})),
            ("metadata", None, json!({"k\0": ["x\0", {"in\0": "y"}], "n": null})),
            ("backslash", Some(r"\u0000"), json!({"path": r"c:\u0000"})),
        ];
        let converted = converted(&rows);
        let places: Vec<usize> = converted.changed.iter().map(|(place, _)| *place).collect();
        assert_eq!((places, converted.refused), (vec![1, 2], vec![]));
        let expected = [
            rows[0].clone(),
            ("document", Some("a␀b␀"), json!({"f": 2.0})),
            ("metadata", None, json!({"k␀": ["x␀", {"in␀": "y"}], "n": null})),
            rows[3].clone(),
        ];
        let (is, wanted) = (converted.rows, batch(&expected));
        assert!(is.rows().eq(wanted.rows()), "{is:?}");
    }

    #[test]
    fn an_id_with_nul_and_keys_that_would_collide_are_refused_and_left_as_they_are() {
        let rows = [
            ("i\0d", Some("d"), json!({})),
            ("two", Some("a\0"), json!({"k\0": 1, "k␀": 2})),
            ("deep", None, json!({"o": {"\0": 1, "␀": 2}})),
            ("fine", None, json!({"k\0": 1, "k": 2})),
        ];
        let converted = converted(&rows);
        let refused: Vec<usize> = converted.refused.iter().map(|(place, _)| *place).collect();
        assert_eq!((refused, converted.changed.len()), (vec![0, 1, 2], 1));
        let as_they_were = batch(&rows);
        assert!(converted.rows.rows().take(3).eq(as_they_were.rows().take(3)));
    }

    #[test]
    fn converting_twice_is_converting_once() {
        let rows = [("a", Some("\0"), json!({"\0": "\0"})), ("b", None, json!({"x": "\u{2400}"}))];
        let once = converted(&rows);
        let twice = convert(&once.rows, &Conversion::ALL).unwrap();
        assert!(twice.changed.is_empty() && twice.rows.rows().eq(once.rows.rows()));
    }

    #[test]
    fn a_store_that_forces_nothing_gets_the_rows_as_they_are() {
        let rows = batch(&[("i\0d", Some("\0"), json!({"\0": "\0"}))]);
        let converted = convert(&rows, &[]).unwrap();
        assert!(converted.changed.is_empty() && converted.refused.is_empty());
        assert!(converted.rows.rows().eq(rows.rows()));
    }

    #[test]
    fn a_slice_of_a_batch_is_judged_by_its_own_rows() {
        let rows = batch(&[("a", Some("\0"), json!({})), ("b", Some("x"), json!({})), ("c", Some("\0"), json!({}))]);
        let converted = convert(&rows.slice(1, 2), &Conversion::ALL).unwrap();
        assert_eq!(converted.changed, [(1, Conversion::NulInText)]);
        assert_eq!(converted.rows.rows().map(|row| row.document).collect::<Vec<_>>(), [Some("x"), Some("␀")]);
    }
}
