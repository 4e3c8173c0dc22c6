use crate::connection::Session;
use crate::layout::{Schema, index_name};
use crate::palace::Standing;
use crate::statement::identifier;
use palanquin_engine::contract::Metric;
use tokio_postgres::types::Type;

/// A vector index of a table.
#[derive(Clone, Debug)]
pub(crate) struct VectorIndex {
    pub(crate) name: String,
    /// `hnsw` or `ivfflat`.
    pub(crate) kind: String,
    /// What a build that failed or was cancelled leaves is not: it answers nothing and slows writes down.
    pub(crate) is_valid: bool,
    /// How far somebody is with building it: the phase, and the share where the server tells one.
    pub(crate) building: Option<String>,
    pub(crate) bytes: i64,
}

/// The vector indexes of a table.
pub(crate) async fn of_table(session: &Session, oid: i64) -> Result<Vec<VectorIndex>, tokio_postgres::Error> {
    let statement = "SELECT c.relname::text, a.amname::text, i.indisvalid, \
                       (SELECT p.phase || CASE WHEN p.blocks_total > 0 \
                                               THEN format(', %s of %s blocks', p.blocks_done, p.blocks_total) ELSE '' END \
                        FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid LIMIT 1), \
                       pg_relation_size(c.oid) \
                     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam \
                     WHERE i.indrelid = $1::oid AND a.amname IN ('hnsw', 'ivfflat') ORDER BY 1";
    let oid = u32::try_from(oid).unwrap_or_default();
    let rows = session.query_typed(statement, &[(&oid, Type::OID)]).await?;
    let index = |row: &tokio_postgres::Row| VectorIndex {
        name: row.get(0),
        kind: row.get(1),
        is_valid: row.get(2),
        building: row.get(3),
        bytes: row.get(4),
    };
    Ok(rows.iter().map(index).collect())
}

/// Builds the index MemPalace knows, for searches by the collection's metric.
pub(super) fn build(schema: &Schema, standing: &Standing) -> String {
    let operators = match standing.metric() {
        Metric::Cosine => "vector_cosine_ops",
        Metric::L2 => "vector_l2_ops",
        Metric::Ip => "vector_ip_ops",
    };
    let table = &standing.relation.table;
    format!(
        "CREATE INDEX CONCURRENTLY {} ON {} USING hnsw (embedding {})",
        identifier(&index_name(table)),
        schema.qualified(table),
        schema.of_vector(operators)
    )
}

pub(super) fn rebuild(schema: &Schema, index: &VectorIndex) -> String {
    format!("REINDEX INDEX CONCURRENTLY {}", schema.qualified(&index.name))
}

pub(super) fn remove(schema: &Schema, index: &VectorIndex) -> String {
    format!("DROP INDEX CONCURRENTLY IF EXISTS {}", schema.qualified(&index.name))
}
