use super::within;
use crate::collection::Table;
use palanquin_engine::contract::{KeyRange, Partition, Result};
use tokio_postgres::types::Type;

/// Every `rows_per_partition`th id and the last one, of one pass over the ids: no row is read but its id.
pub(crate) async fn cut(table: &Table, rows_per_partition: u64) -> Result<Vec<Partition>> {
    let each = i64::try_from(rows_per_partition.max(1)).unwrap_or(i64::MAX);
    let id = table.ordered_id;
    let statement = format!(
        "SELECT id, place FROM (SELECT id, row_number() OVER (ORDER BY {id}) AS place, \
           lead(id) OVER (ORDER BY {id}) IS NULL AS is_last FROM {}) AS ids \
         WHERE place % $1 = 0 OR is_last ORDER BY place",
        table.name
    );
    let lease = table.server.lease().await.map_err(|error| table.place.name(error))?;
    let failed = |error| table.place.sql("could not cut the ids into ranges", error);
    let rows = lease.query_typed(&statement, &[(&each, Type::INT8)]).await.map_err(failed)?;
    let mut lease = lease;
    lease.ended();
    let bounds: Vec<(String, u64)> = rows.iter().map(|row| (row.get(0), row.get::<_, i64>(1).unsigned_abs())).collect();
    let mut partitions: Vec<Partition> = Vec::with_capacity(bounds.len());
    let (mut after, mut before) = (None, 0);
    for (id, place) in bounds {
        let range = KeyRange { after: after.replace(id.clone()), upto: Some(id) };
        partitions.push(Partition { range, rows: place - before });
        before = place;
    }
    match partitions.last_mut() {
        Some(last) => last.range.upto = None,
        None => partitions.push(Partition { range: KeyRange::ALL, rows: 0 }),
    }
    Ok(partitions)
}

/// The greatest id in the range.
pub(crate) async fn last_id(table: &Table, range: &KeyRange) -> Result<Option<String>> {
    let id = table.ordered_id;
    let statement = format!("SELECT id FROM {} WHERE {} ORDER BY {id} DESC LIMIT 1", table.name, within(table, range));
    let row = table.session().await?.query_typed_opt(&statement, &[]).await;
    Ok(row.map_err(|error| table.place.sql("could not find the last id", error))?.map(|row| row.get(0)))
}
