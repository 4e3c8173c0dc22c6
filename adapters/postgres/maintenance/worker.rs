use crate::connection::{Server, Session};
use crate::error::Place;
use palanquin_engine::contract::{Progress, Result};
use std::pin::pin;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tokio_postgres::types::Type;

/// How often the server is asked how far it is.
const POLL: Duration = Duration::from_millis(500);

/// A session of its own for statements that take their time, with the locks that keep others from the same work. Dropped
/// in the middle of a statement, the statement is stopped on the server ([`Server::stopped`] waits for that); the locks go
/// with the session.
pub(super) struct Worker {
    session: Option<Session>,
    server: Server,
    place: Place,
    pid: i32,
}

/// Where the server tells how far a statement is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tells {
    Analyze,
    Vacuum,
    CreateIndex,
}

impl Tells {
    /// Phase, steps done, steps in all (0 if the server does not know).
    fn statement(self) -> &'static str {
        match self {
            Self::Analyze => {
                "SELECT phase, sample_blks_scanned, sample_blks_total FROM pg_stat_progress_analyze WHERE pid = $1"
            }
            // Each phase counts something of its own. How many indexes there are is told from version 17 on; within one
            // pgvector tells nothing. The statistics come last, and elsewhere.
            Self::Vacuum => {
                "SELECT phase, CASE phase WHEN 'vacuuming indexes' THEN coalesce((to_jsonb(p) ->> 'indexes_processed')::int8, 0) \
                                          WHEN 'cleaning up indexes' THEN coalesce((to_jsonb(p) ->> 'indexes_processed')::int8, 0) \
                                          WHEN 'vacuuming heap' THEN heap_blks_vacuumed ELSE heap_blks_scanned END, \
                        CASE WHEN phase IN ('vacuuming indexes', 'cleaning up indexes') \
                             THEN coalesce((to_jsonb(p) ->> 'indexes_total')::int8, 0) ELSE heap_blks_total END \
                 FROM pg_stat_progress_vacuum p WHERE pid = $1 \
                 UNION ALL SELECT phase, sample_blks_scanned, sample_blks_total FROM pg_stat_progress_analyze WHERE pid = $1"
            }
            // While pgvector loads tuples it counts them and does not say how many there are: the blocks tell, or what the
            // table is thought to hold. Before and after it waits for others, whom the server counts too.
            Self::CreateIndex => {
                "SELECT p.phase, CASE WHEN p.lockers_total > 0 AND p.phase LIKE 'waiting%' THEN p.lockers_done \
                                      WHEN p.blocks_total > 0 THEN p.blocks_done ELSE p.tuples_done END, \
                        CASE WHEN p.lockers_total > 0 AND p.phase LIKE 'waiting%' THEN p.lockers_total \
                             WHEN p.blocks_total > 0 THEN p.blocks_total WHEN p.tuples_total > 0 THEN p.tuples_total \
                             WHEN p.tuples_done > 0 THEN greatest(c.reltuples::int8, p.tuples_done) ELSE 0 END \
                 FROM pg_stat_progress_create_index p LEFT JOIN pg_class c ON c.oid = p.relid WHERE p.pid = $1"
            }
        }
    }
}

impl Worker {
    pub(super) async fn hire(server: &Server, place: &Place) -> Result<Self> {
        let session = server.dedicated().await.map_err(|error| place.name(error))?;
        let failed = |error| place.sql("could not prepare the session", error);
        // Concurrent index builds wait for older transactions, however long those take.
        session.batch_execute("SET lock_timeout = 0").await.map_err(failed)?;
        // The server stops by itself where this program is killed. It knows how from version 14 on.
        let _ = session.batch_execute("SET client_connection_check_interval = '1s'").await;
        let row = session.query_typed_one("SELECT pg_backend_pid()", &[]).await.map_err(failed)?;
        let pid = row.get(0);
        Ok(Self { session: Some(session), server: server.clone(), place: place.clone(), pid })
    }

    fn session(&self) -> &Session {
        match &self.session {
            Some(session) => session,
            // Taken in `drop` only.
            None => unreachable!("a worker has its session"),
        }
    }

    /// Whether the lock could be had; it is kept until the worker leaves.
    pub(super) async fn try_lock(&self, class: i32, key: i32) -> Result<bool> {
        let statement = "SELECT pg_try_advisory_lock($1, $2)";
        let row = self.session().query_typed_one(statement, &[(&class, Type::INT4), (&key, Type::INT4)]).await;
        Ok(row.map_err(|error| self.place.sql("could not take the maintenance lock", error))?.get(0))
    }

    pub(super) async fn set(&self, setting: &str) -> Result<()> {
        let set = self.session().batch_execute(setting).await;
        set.map_err(|error| self.place.sql("could not prepare the session", error))
    }

    /// Runs a statement and tells how far it is.
    pub(super) async fn work(&self, doing: &str, statement: &str, tells: Tells, progress: &Progress) -> Result<()> {
        progress.tell(doing, 0, None);
        let mut work = pin!(self.session().batch_execute(statement));
        let mut ticks = interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            tokio::select! {
                done = &mut work => {
                    return done.map_err(|error| self.place.sql(format!("could not finish {doing}"), error));
                }
                _ = ticks.tick() => {
                    // That the server does not say how far it is does not keep it from going on.
                    if let Some((phase, done, total)) = self.look(tells).await {
                        progress.tell(format!("{doing}: {phase}"), done, (total > 0).then_some(total));
                    }
                }
            }
        }
    }

    async fn look(&self, tells: Tells) -> Option<(String, u64, u64)> {
        let session = self.server.session().await.ok()?;
        let row = session.query_typed_opt(tells.statement(), &[(&self.pid, Type::INT4)]).await.ok()??;
        let number = |column: usize| row.get::<_, Option<i64>>(column).unwrap_or_default().unsigned_abs();
        Some((row.get(0), number(1), number(2)))
    }

    /// Gives the locks back before anybody learns that the work is done.
    pub(super) async fn leave(mut self) {
        if let Some(session) = self.session.take()
            && let Err(error) = session.query_typed("SELECT pg_advisory_unlock_all()", &[]).await
        {
            tracing::debug!(error = %self.place.sql("could not give locks back", error), "they go with the session");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.server.stop_soon(session);
        }
    }
}
