use super::WIDEST_INDEXED;
use super::vector_index::{self, VectorIndex};
use super::worker::{Tells, Worker};
use crate::layout::lock_key;
use crate::layout::registry::LOCK_CLASS;
use crate::palace::{PostgresPalace, Standing, standings};
use palanquin_engine::contract::{ErrorKind, MaintenanceResult, Progress, Result, kind};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio_postgres::types::Type;

/// The class of MemPalace's advisory locks on tables whose index is being built: "MEMP".
const MEMPALACE_CLASS: i32 = 0x4d45_4d50;

/// Runs a maintenance kind over all tables of the palace.
pub(crate) async fn run(palace: &PostgresPalace, kind: &str, progress: &Progress) -> Result<MaintenanceResult> {
    if !super::KINDS.iter().any(|known| known.name == kind) {
        let detail = format!("there is no maintenance kind {kind:?}");
        return Err(palace.place.error(ErrorKind::UnsupportedMaintenanceKind, detail));
    }
    let session = palace.server.session().await.map_err(|error| palace.place.name(error))?;
    let standings = standings(palace, &session).await?;
    drop(session);
    if standings.is_empty() {
        return Ok(MaintenanceResult::noop(kind, BTreeMap::from([("reason".to_owned(), json!("no table"))])));
    }
    let run = Run { palace, worker: Worker::hire(&palace.server, &palace.place).await?, progress };
    if !run.lock(kind, &standings).await? {
        run.worker.leave().await;
        return Ok(MaintenanceResult::already_running(kind));
    }
    progress.tell(format!("{kind} of {} collections", standings.len()), 0, Some(standings.len() as u64));
    let mut stats = BTreeMap::new();
    let mut has_run = false;
    for standing in &standings {
        let (ran, told) = match kind {
            kind::ANALYZE => run.analyze(standing).await?,
            kind::COMPACT => run.compact(standing).await?,
            _ => run.reindex(standing).await?,
        };
        has_run |= ran;
        stats.insert(standing.name.clone(), told);
    }
    run.worker.leave().await;
    Ok(if has_run { MaintenanceResult::ran(kind, stats) } else { MaintenanceResult::noop(kind, stats) })
}

struct Run<'a> {
    palace: &'a PostgresPalace,
    worker: Worker,
    progress: &'a Progress,
}

/// Whether an HNSW index with so many dead rows is rebuilt faster than cleaned. Cleaning repairs the graph around each dead
/// row, at 20 to 30 ms a piece; rebuilding adds each live row anew, at 1 to 4 ms.
fn is_worth_rebuilding(dead: i64, live: i64) -> bool {
    dead > 0 && dead > live / 20
}

impl Run<'_> {
    /// Whether nobody else is at it: another run of the kind, or MemPalace building an index where this run might too.
    async fn lock(&self, kind: &str, standings: &[Standing]) -> Result<bool> {
        let name = format!("{}/{kind}", self.palace.names.prefix);
        if !self.worker.try_lock(LOCK_CLASS, lock_key(&name)).await? {
            return Ok(false);
        }
        if kind == kind::ANALYZE {
            return Ok(true);
        }
        for standing in standings {
            let is_ours = self.worker.try_lock(MEMPALACE_CLASS, lock_key(&standing.relation.table)).await?;
            // Compacting needs the lock only where it would rebuild an index.
            if !is_ours && (kind == kind::REINDEX || !self.indexes(standing).await?.is_empty()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// That the role may vacuum and analyze the table. The server would only warn, and do nothing.
    async fn check_may_maintain(&self, standing: &Standing) -> Result<()> {
        let place = self.palace.place.collection(&standing.name);
        let session = self.palace.server.session().await.map_err(|error| place.name(error))?;
        let statement = "SELECT pg_has_role(c.relowner, 'USAGE') OR pg_has_role(d.datdba, 'USAGE') \
                           OR CASE WHEN current_setting('server_version_num')::int4 >= 170000 \
                                   THEN has_table_privilege(c.oid, 'MAINTAIN') ELSE false END, \
                           current_user::text, pg_get_userbyid(c.relowner)::text \
                         FROM pg_class c JOIN pg_database d ON d.datname = current_database() WHERE c.oid = $1::oid";
        let oid = u32::try_from(standing.relation.oid).unwrap_or_default();
        let row = session.query_typed_opt(statement, &[(&oid, Type::OID)]).await;
        match row.map_err(|error| place.sql("could not look at the table", error))? {
            Some(row) if !row.get::<_, bool>(0) => {
                let (role, owner): (&str, &str) = (row.get(1), row.get(2));
                let detail = format!(
                    "role {role} may not maintain the table: {owner} owns it (GRANT {owner} TO {role}, or from version 17 on \
                     GRANT MAINTAIN)"
                );
                Err(place.error(ErrorKind::PermissionDenied, detail))
            }
            _ => Ok(()),
        }
    }

    async fn analyze(&self, standing: &Standing) -> Result<(bool, Value)> {
        self.check_may_maintain(standing).await?;
        let table = self.palace.schema.qualified(&standing.relation.table);
        let doing = format!("analyzing {}", standing.name);
        self.worker.work(&doing, &format!("ANALYZE {table}"), Tells::Analyze, self.progress).await?;
        let (_, rows, _) = self.figures(standing).await?;
        Ok((true, json!({"estimated_rows": rows})))
    }

    async fn compact(&self, standing: &Standing) -> Result<(bool, Value)> {
        self.check_may_maintain(standing).await?;
        let schema = &self.palace.schema;
        let (bytes_before, rows, dead) = self.figures(standing).await?;
        let mut rebuilt = Vec::new();
        let is_worth_it =
            |index: &VectorIndex| index.is_valid && index.kind == "hnsw" && is_worth_rebuilding(dead, rows);
        for index in self.indexes(standing).await?.into_iter().filter(is_worth_it) {
            let doing = format!("rebuilding {}", index.name);
            let statement = vector_index::rebuild(schema, &index);
            self.worker.work(&doing, &statement, Tells::CreateIndex, self.progress).await?;
            rebuilt.push(index.name);
        }
        let statement = format!("VACUUM (ANALYZE) {}", schema.qualified(&standing.relation.table));
        let doing = format!("vacuuming {}", standing.name);
        self.worker.work(&doing, &statement, Tells::Vacuum, self.progress).await?;
        let (bytes_after, rows, dead_after) = self.figures(standing).await?;
        Ok((
            true,
            json!({
                "bytes_before": bytes_before, "bytes_after": bytes_after, "estimated_rows": rows,
                "dead_rows_before": dead, "dead_rows_after": dead_after, "rebuilt_indexes": rebuilt,
            }),
        ))
    }

    async fn reindex(&self, standing: &Standing) -> Result<(bool, Value)> {
        let schema = &self.palace.schema;
        if let Some(width) = standing.relation.dimension.filter(|width| *width > WIDEST_INDEXED) {
            let reason = format!("pgvector indexes vectors of at most {WIDEST_INDEXED} components, not of {width}");
            return Ok((false, json!({"reason": reason})));
        }
        if standing.relation.dimension.is_none() {
            return Ok((false, json!({"reason": "the column takes vectors of any width, which no index does"})));
        }
        let indexes = self.indexes(standing).await?;
        if indexes.iter().any(|index| index.building.is_some()) {
            return Ok((false, json!({"reason": "another session is building an index"})));
        }
        if let Some(mib) = self.palace.index_memory_mib {
            self.worker.set(&format!("SET maintenance_work_mem = '{mib}MB'")).await?;
        }
        let (valid, left): (Vec<_>, Vec<_>) = indexes.into_iter().partition(|index| index.is_valid);
        for index in &left {
            let doing = format!("removing what an unfinished build left: {}", index.name);
            self.worker.work(&doing, &vector_index::remove(schema, index), Tells::CreateIndex, self.progress).await?;
        }
        for index in &valid {
            let doing = format!("rebuilding {}", index.name);
            self.worker.work(&doing, &vector_index::rebuild(schema, index), Tells::CreateIndex, self.progress).await?;
        }
        if valid.is_empty() {
            let doing = format!("building the vector index of {}", standing.name);
            self.worker.work(&doing, &vector_index::build(schema, standing), Tells::CreateIndex, self.progress).await?;
        }
        let built = self.indexes(standing).await?;
        let bytes: i64 = built.iter().map(|index| index.bytes).sum();
        let names: Vec<_> = built.into_iter().map(|index| index.name).collect();
        Ok((true, json!({"vector_index": "hnsw", "indexes": names, "index_bytes": bytes, "removed": left.len()})))
    }

    async fn indexes(&self, standing: &Standing) -> Result<Vec<VectorIndex>> {
        let session = self.palace.server.session().await.map_err(|error| self.palace.place.name(error))?;
        let found = vector_index::of_table(&session, standing.relation.oid).await;
        found.map_err(|error| self.palace.place.sql("could not look at the indexes", error))
    }

    /// Bytes with indexes, rows as estimated, dead rows.
    async fn figures(&self, standing: &Standing) -> Result<(i64, i64, i64)> {
        let session = self.palace.server.session().await.map_err(|error| self.palace.place.name(error))?;
        let statement = "SELECT pg_total_relation_size(c.oid), c.reltuples::int8, \
                           coalesce(pg_stat_get_dead_tuples(c.oid), 0) FROM pg_class c WHERE c.oid = $1::oid";
        let oid = u32::try_from(standing.relation.oid).unwrap_or_default();
        let row = session.query_typed_opt(statement, &[(&oid, Type::OID)]).await;
        let row = row.map_err(|error| self.palace.place.sql("could not look at the table", error))?;
        Ok(row.map_or((0, 0, 0), |row| (row.get(0), row.get(1), row.get(2))))
    }
}
