use super::apply::{begin, commit};
use crate::collection::Table;
use crate::filter::Predicate;
use crate::read::{Columns, Found};
use crate::statement::Values;
use palanquin_engine::contract::{Include, Result, Selection};
use tokio_postgres::types::Type;

/// Removes the rows of a selection, all of them or none. Where SQL cannot say which they are, they are locked, looked at
/// and removed in one transaction.
pub(crate) async fn delete(table: &Table, selection: &Selection) -> Result<u64> {
    let failed = |error| table.place.sql("could not delete the rows", error);
    let mut values = Values::default();
    let named = match selection.distinct_ids() {
        Some(ids) => format!("id = ANY ({})", values.texts(ids.into_iter().filter(|id| !id.contains('\0')))),
        None => "true".to_owned(),
    };
    let predicate = Predicate::of(&selection.filter, &mut values);
    let condition = format!("{named} AND {}", predicate.sql);
    let mut session = table.session().await?;
    let transaction = begin(table, &mut session).await?;
    let deleted = if predicate.is_exact {
        let statement = format!("DELETE FROM {} WHERE {condition}", table.name);
        transaction.execute_typed(&statement, &values.typed()).await.map_err(failed)?
    } else {
        let columns = Columns::of(Include::IDS, &selection.filter, false).list(table);
        let statement = format!("SELECT {columns} FROM {} WHERE {condition} FOR UPDATE", table.name);
        let mut ids = Vec::new();
        for row in transaction.query_typed(&statement, &values.typed()).await.map_err(failed)? {
            let found = Found::read(table, &row)?;
            if found.passes(&selection.filter) {
                ids.push(found.id);
            }
        }
        let statement = format!("DELETE FROM {} WHERE id = ANY ($1)", table.name);
        transaction.execute_typed(&statement, &[(&ids, Type::TEXT_ARRAY)]).await.map_err(failed)?
    };
    commit(table, transaction).await?;
    Ok(deleted)
}
