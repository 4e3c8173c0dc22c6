use super::apply::{begin, commit};
use super::jsonb;
use crate::collection::Table;
use crate::statement::{Value, Values};
use palanquin_engine::contract::{ErrorKind, Result, RowUpdates};
use std::collections::HashMap;

/// Replaces fields of rows that are there, in one statement.
pub(crate) async fn update(table: &Table, updates: &RowUpdates) -> Result<u64> {
    let last: HashMap<&str, usize> = updates.ids().iter().enumerate().map(|(i, id)| (id.as_str(), i)).collect();
    let mut places: Vec<usize> = last.into_values().filter(|&i| !updates.ids()[i].contains('\0')).collect();
    if places.is_empty() {
        return Ok(0);
    }
    places.sort_unstable();
    let refused = |i: usize, what: &str| {
        let shown: String = updates.ids()[i].chars().take(200).collect();
        table.place.error(ErrorKind::RowRefused, format!("Postgres cannot hold row {shown:?}: {what}"))
    };
    let mut values = Values::default();
    let mut given = vec![("id", values.texts(places.iter().map(|&i| updates.ids()[i].as_str())))];
    let mut set = Vec::new();
    if let Some(documents) = updates.documents() {
        let documents: Vec<Option<String>> = places.iter().map(|&i| documents[i].clone()).collect();
        if let Some(at) = documents.iter().position(|text| text.as_ref().is_some_and(|text| text.contains('\0'))) {
            return Err(refused(places[at], "its document has a NUL in it"));
        }
        given.push(("document", values.bind(Value::Texts(documents))));
        set.push("document = new.document".to_owned());
    }
    if let Some(metadatas) = updates.metadatas() {
        let (mut kept, mut removed) = (Vec::new(), Vec::new());
        for &i in &places {
            let (nulls, others): (serde_json::Map<_, _>, serde_json::Map<_, _>) =
                metadatas[i].clone().into_iter().partition(|(_, value)| value.is_null());
            let text = jsonb::of_object(&others).ok_or_else(|| refused(i, "its metadata has a NUL in it"))?;
            kept.push(Some(text));
            // A key with a NUL in it is in no row.
            let names: Vec<_> = nulls.into_iter().map(|(key, _)| key).filter(|key| !key.contains('\0')).collect();
            removed.push(Some(serde_json::Value::from(names).to_string()));
        }
        given.push(("kept", values.bind(Value::Texts(kept))));
        given.push(("removed", values.bind(Value::Texts(removed))));
        set.push(
            "metadata = (there.metadata - ARRAY(SELECT jsonb_array_elements_text(new.removed::jsonb))) || new.kept::jsonb"
                .to_owned(),
        );
    }
    if let Some(embeddings) = updates.embeddings() {
        for &i in &places {
            if !embeddings[i].iter().all(|component| component.is_finite()) {
                return Err(refused(i, "its vector has a component that is infinite or not a number (NaN)"));
            }
        }
        given.push(("embedding", values.texts(places.iter().map(|&i| crate::read::vector_literal(&embeddings[i])))));
        set.push(format!("embedding = new.embedding::{}", table.vector));
    }
    if table.has_updated_at {
        set.push("updated_at = clock_timestamp()".to_owned());
    }
    let (names, lists): (Vec<&str>, Vec<String>) = given.into_iter().unzip();
    let statement = format!(
        "UPDATE {} AS there SET {} FROM unnest({}) AS new ({}) WHERE there.id = new.id",
        table.name,
        set.join(", "),
        lists.join(", "),
        names.join(", ")
    );
    let mut session = table.session().await?;
    let transaction = begin(table, &mut session).await?;
    let updated = transaction.execute_typed(&statement, &values.typed()).await;
    let updated = updated.map_err(|error| table.place.sql("could not update the rows", error))?;
    commit(table, transaction).await?;
    Ok(updated)
}
