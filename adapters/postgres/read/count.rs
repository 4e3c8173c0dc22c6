use crate::collection::Table;
use crate::connection::Session;
use palanquin_engine::contract::Result;
use tokio_postgres::types::Type;

/// Tables of no more pages than this are counted: a millisecond, and right.
const COUNTED_PAGES: i64 = 100;
/// Pages a sample looks at where the server has no statistics.
const SAMPLED_PAGES: f64 = 50.0;

pub(crate) async fn count(session: &Session, table: &Table) -> Result<u64> {
    let statement = format!("SELECT count(*) FROM {}", table.name);
    let row = session.query_typed_one(&statement, &[]).await;
    let row = row.map_err(|error| table.place.sql("could not count the rows", error))?;
    Ok(row.get::<_, i64>(0).unsigned_abs())
}

/// Counts small tables; of large ones it takes the rows per page the server found when it last looked, or a sample's,
/// times the pages there are now.
pub(crate) async fn estimated_count(session: &Session, table: &Table) -> Result<u64> {
    let failed = |error| table.place.sql("could not estimate the rows", error);
    let statement = "SELECT pg_relation_size(c.oid) / current_setting('block_size')::int8, c.reltuples::float8, \
                     c.relpages::float8 FROM pg_class c WHERE c.oid = $1::text::regclass";
    let row = session.query_typed_one(statement, &[(&table.name, Type::TEXT)]).await.map_err(failed)?;
    let (pages, rows, looked_at): (i64, f64, f64) = (row.get(0), row.get(1), row.get(2));
    if pages <= COUNTED_PAGES {
        return count(session, table).await;
    }
    let per_page = if rows > 0.0 && looked_at > 0.0 {
        rows / looked_at
    } else {
        let percent = (SAMPLED_PAGES / pages as f64 * 100.0).min(100.0);
        let statement = format!("SELECT count(*) FROM {} TABLESAMPLE SYSTEM ({percent:.6}) REPEATABLE (0)", table.name);
        let sampled = session.query_typed_one(&statement, &[]).await.map_err(failed)?;
        sampled.get::<_, i64>(0) as f64 / (pages as f64 * percent / 100.0)
    };
    Ok((per_page * pages as f64).round() as u64)
}

/// Width of the vectors: the column's, else the first vector's.
pub(crate) async fn dimension(session: &Session, table: &Table) -> Result<Option<u32>> {
    if table.dimension.is_some() {
        return Ok(table.dimension);
    }
    let statement = format!(
        "SELECT {}vector_dims(embedding) FROM {} WHERE embedding IS NOT NULL LIMIT 1",
        table.vector_schema, table.name
    );
    let row = session.query_typed_opt(&statement, &[]).await;
    let row = row.map_err(|error| table.place.sql("could not read the width of the vectors", error))?;
    Ok(row.and_then(|row| u32::try_from(row.get::<_, i32>(0)).ok()))
}
