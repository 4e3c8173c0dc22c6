use crate::connection::Session;
use crate::maintenance::vector_index;
use crate::palace::Standing;
use palanquin_engine::contract::Check;
use tokio_postgres::Error;
use tokio_postgres::types::{ToSql, Type};

/// The modes of locks that keep a reader away, and those that keep a writer away.
const AGAINST_READERS: &[&str] = &["AccessExclusiveLock"];
const AGAINST_WRITERS: &[&str] = &["ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"];

/// Who holds a lock that would be waited for. Holders' statements are not told: they may quote rows.
pub(super) async fn locks(session: &Session, standings: &[Standing], is_target: bool) -> Result<Check, Error> {
    let statement = "SELECT DISTINCT c.relname::text, l.mode, coalesce(l.pid, 0), coalesce(a.usename::text, ''), \
                            coalesce(a.application_name, ''), coalesce(a.state, ''), \
                            coalesce(extract(epoch FROM clock_timestamp() - a.xact_start)::int8, 0) \
                     FROM pg_locks l JOIN pg_class c ON c.oid = l.relation LEFT JOIN pg_stat_activity a ON a.pid = l.pid \
                     WHERE l.locktype = 'relation' AND l.granted AND l.mode = ANY ($2) AND l.relation = ANY ($1) \
                       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
                       AND l.pid IS DISTINCT FROM pg_backend_pid() ORDER BY 1, 3";
    let tables: Vec<u32> =
        standings.iter().map(|standing| u32::try_from(standing.relation.oid).unwrap_or_default()).collect();
    let modes = if is_target { AGAINST_WRITERS } else { AGAINST_READERS };
    let values: &[(&(dyn ToSql + Sync), Type)] = &[(&tables, Type::OID_ARRAY), (&modes, Type::TEXT_ARRAY)];
    let rows = session.query_typed(statement, values).await?;
    if rows.is_empty() {
        return Ok(Check::passes("locks", "nobody holds a lock that would be waited for"));
    }
    let (mut held, mut holders) = (Vec::new(), Vec::new());
    for row in &rows {
        let (table, mode, pid): (&str, &str, i32) = (row.get(0), row.get(1), row.get(2));
        let (role, application, state, seconds): (&str, &str, &str, i64) =
            (row.get(3), row.get(4), row.get(5), row.get(6));
        held.push(match pid {
            0 => format!("a prepared transaction holds {mode} on {table}"),
            _ => {
                let of = if application.is_empty() { String::new() } else { format!(" ({application})") };
                format!("session {pid} of role {role}{of} holds {mode} on {table}, {state} for {seconds} s")
            }
        });
        if pid != 0 && !holders.contains(&pid) {
            holders.push(pid);
        }
    }
    let mut fix = "Wait until it has ended".to_owned();
    for pid in holders {
        fix.push_str(&format!(", or end it: SELECT pg_terminate_backend({pid})"));
    }
    Ok(Check::warns("locks", held.join("; "), fix))
}

/// Vector indexes of tables that rows are to be loaded into.
pub(super) async fn vector_indexes(session: &Session, standings: &[Standing]) -> Result<Vec<Check>, Error> {
    let mut checks = Vec::new();
    for standing in standings {
        let indexes = vector_index::of_table(session, standing.relation.oid).await?;
        let names: Vec<_> = indexes.into_iter().map(|index| index.name).collect();
        if names.is_empty() {
            continue;
        }
        let found = format!(
            "{} has a vector index already ({}): every row loaded goes through it, about 500 times slower",
            standing.name,
            names.join(", ")
        );
        let fix =
            "Drop it, load, and build it again with `palanquin maintain PALACE reindex`; or load into a new palace.";
        checks.push(Check::warns("vector_index", found, fix));
    }
    Ok(checks)
}
