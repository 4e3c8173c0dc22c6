use super::vector_index;
use crate::feed;
use crate::palace::{PostgresPalace, standings};
use palanquin_engine::contract::{ErrorKind, MaintenanceState, Result};
use serde_json::{Value, json};
use tokio_postgres::types::Type;

/// One table, in Postgres' own terms. Nothing of it reads rows.
const TABLE: &str = "SELECT json_build_object( \
    'live_rows', coalesce(s.n_live_tup, 0), 'dead_rows', coalesce(s.n_dead_tup, 0), 'estimated_rows', c.reltuples::int8, \
    'modified_since_analyze', coalesce(s.n_mod_since_analyze, 0), \
    'last_vacuum', s.last_vacuum, 'last_autovacuum', s.last_autovacuum, \
    'last_analyze', s.last_analyze, 'last_autoanalyze', s.last_autoanalyze, \
    'seconds_since_vacuum', extract(epoch FROM now() - greatest(s.last_vacuum, s.last_autovacuum))::int8, \
    'seconds_since_analyze', extract(epoch FROM now() - greatest(s.last_analyze, s.last_autoanalyze))::int8, \
    'table_bytes', pg_table_size(c.oid), 'index_bytes', pg_indexes_size(c.oid), \
    'transactions_since_freeze', age(c.relfrozenxid))::text \
  FROM pg_class c LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid WHERE c.oid = $1::oid";

/// The server.
const SERVER: &str = "SELECT json_build_object( \
    'version', current_setting('server_version'), 'replica', pg_is_in_recovery(), \
    'synchronous_commit', current_setting('synchronous_commit'), 'wal_level', current_setting('wal_level'), \
    'database_bytes', pg_database_size(current_database()), \
    'transactions_since_freeze', (SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()), \
    'freezes_by_itself_after', current_setting('autovacuum_freeze_max_age')::int8)::text";

/// The key of the server among those of the collections.
pub(super) const SERVER_KEY: &str = "server";
/// Among the server's figures: what is kept for those who follow its log.
pub(super) const SLOTS_KEY: &str = "slots";

/// Per collection what [`TABLE`] says and its vector indexes, and what [`SERVER`] says.
pub(crate) async fn state(palace: &PostgresPalace) -> Result<MaintenanceState> {
    let failed = |error| palace.place.sql("could not read the condition of the tables", error);
    let malformed =
        |error| palace.place.error(ErrorKind::Internal, "what the server says of itself").with_source(error);
    let session = palace.server.session().await.map_err(|error| palace.place.name(error))?;
    let mut state = MaintenanceState::new();
    let server = session.query_typed_one(SERVER, &[]).await.map_err(failed)?;
    let mut server: Value = serde_json::from_str(server.get(0)).map_err(malformed)?;
    server["pgvector"] = json!(palace.schema.vector_version);
    server[SLOTS_KEY] = json!(feed::slots(&session).await.map_err(failed)?);
    state.insert(SERVER_KEY.to_owned(), server);
    for standing in standings(palace, &session).await? {
        let oid = u32::try_from(standing.relation.oid).unwrap_or_default();
        let Some(row) = session.query_typed_opt(TABLE, &[(&oid, Type::OID)]).await.map_err(failed)? else { continue };
        let mut table: Value = serde_json::from_str(row.get(0)).map_err(malformed)?;
        let indexes = vector_index::of_table(&session, standing.relation.oid).await.map_err(failed)?;
        let shown = |index: &vector_index::VectorIndex| {
            json!({
                "name": index.name, "kind": index.kind, "valid": index.is_valid, "bytes": index.bytes,
                "building": index.building,
            })
        };
        table["table"] = json!(standing.relation.table);
        table["vector_indexes"] = indexes.iter().map(shown).collect();
        state.insert(standing.name.clone(), table);
    }
    Ok(state)
}
