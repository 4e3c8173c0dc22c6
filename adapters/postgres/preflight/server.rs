use crate::connection::{Dsn, Session};
use crate::error::POOLED;
use crate::layout::Schema;
use crate::maintenance::{ITERATIVE, version_of};
use palanquin_engine::contract::Check;
use tokio_postgres::Error;

/// The oldest server that can rebuild an index beside writers.
const OLDEST: i32 = 120_000;
/// What the tests run on.
const TRIED: &str = "16 and 18";
/// A replica that waits for so long before it cancels a read is patient enough for a scan.
const PATIENT_MS: i64 = 300_000;

/// The server, and whom it takes us for.
pub(super) struct About {
    version: String,
    number: i32,
    role: String,
    pub(super) is_superuser: bool,
    /// Whether the role may create things in the database itself, extensions among them.
    pub(super) may_create: bool,
}

impl About {
    pub(super) async fn look(session: &Session) -> Result<Self, Error> {
        let statement = "SELECT current_setting('server_version'), current_setting('server_version_num')::int4, \
                                current_user::text, coalesce((SELECT rolsuper FROM pg_roles WHERE rolname = current_user), false), \
                                has_database_privilege(current_database(), 'CREATE')";
        let row = session.query_typed_one(statement, &[]).await?;
        let (version, number, role) = (row.get(0), row.get(1), row.get(2));
        Ok(Self { version, number, role, is_superuser: row.get(3), may_create: row.get(4) })
    }

    pub(super) fn check(&self, dsn: &Dsn) -> Check {
        let found = format!("PostgreSQL {} answers at {dsn}, as role {}", self.version, self.role);
        if self.number >= OLDEST {
            return Check::passes("server", found);
        }
        let found = format!("{found}; it is older than 12, where no index is rebuilt beside writers");
        Check::warns("server", found, format!("Upgrade the server; {TRIED} are tested."))
    }
}

/// Whether the server's sessions are ours for as long as we hold them.
pub(super) async fn pooler(sessions: [&Session; 2]) -> Result<Check, Error> {
    // Twice each: a pooler that hands its sessions out in turn would give the first one back the first time.
    for session in [sessions[0], sessions[0], sessions[1], sessions[1]] {
        if session.is_another().await? {
            let fix = "Connect to the server itself, or to a pool with pool_mode = session.";
            return Ok(Check::fails("pooler", POOLED, fix));
        }
    }
    Ok(Check::passes("pooler", "sessions keep their state: no pooler shares them between transactions"))
}

/// A read replica as a source: what it may do to long reads.
pub(super) async fn replica(session: &Session) -> Result<Check, Error> {
    let statement = "SELECT (SELECT setting::int8 FROM pg_settings WHERE name = 'max_standby_streaming_delay'), \
                            current_setting('hot_standby_feedback')::bool";
    let row = session.query_typed_one(statement, &[]).await?;
    let (patience, tells): (i64, bool) = (row.get(0), row.get(1));
    if tells || !(0..PATIENT_MS).contains(&patience) {
        return Ok(Check::passes("replica", "the server is a read replica: the palace can be read, not written"));
    }
    let found = format!(
        "the server is a read replica, and cancels a read that its replay waits for {} s; such a read begins again",
        patience / 1000
    );
    Ok(Check::warns("replica", found, "Set hot_standby_feedback = on there, or read from the primary."))
}

/// Whether pgvector is there, can be had, and is new enough.
pub(super) async fn extension(
    session: &Session,
    schema: &Schema,
    about: &About,
    is_target: bool,
) -> Result<Check, Error> {
    let statement = "SELECT default_version, \
                            coalesce((SELECT bool_or((to_jsonb(v) ->> 'trusted')::bool) FROM pg_available_extension_versions v \
                                      WHERE v.name = a.name), false) \
                     FROM pg_available_extensions a WHERE name = 'vector'";
    let available = session.query_typed_opt(statement, &[]).await?;
    let available: Option<(String, bool)> = available.map(|row| (row.get(0), row.get(1)));
    let Some(installed) = &schema.vector_version else {
        let Some((version, is_trusted)) = available else {
            let found = "the server does not have pgvector";
            let fix = "Install pgvector on the server, then run CREATE EXTENSION vector in this database.";
            return Ok(Check::fails("pgvector", found, fix));
        };
        if is_target && (about.is_superuser || is_trusted && about.may_create) {
            let found = format!("the database has no extension pgvector yet; {version} will be created");
            return Ok(Check::passes("pgvector", found));
        }
        let found = match is_target {
            true => format!("the database has no extension pgvector, and role {} may not create it", about.role),
            false => "the database has no extension pgvector, so it holds no palace".to_owned(),
        };
        let fix = "Have a role that may run CREATE EXTENSION vector in this database.";
        return Ok(Check::fails("pgvector", found, fix));
    };
    if version_of(installed) < ITERATIVE {
        let found =
            format!("pgvector {installed} is old: before 0.8 a filtered search by index can miss rows; copies do not");
        let fix = match available {
            Some((version, _)) if version_of(&version) >= ITERATIVE => {
                format!("Run ALTER EXTENSION vector UPDATE: the server has {version}.")
            }
            _ => "Install pgvector 0.8 or later on the server, then run ALTER EXTENSION vector UPDATE.".to_owned(),
        };
        return Ok(Check::warns("pgvector", found, fix));
    }
    Ok(Check::passes("pgvector", format!("pgvector {installed} is installed")))
}

/// Whether the server takes as many sessions as we may open; silent where there is room.
pub(super) async fn sessions(session: &Session, wanted: usize) -> Result<Option<Check>, Error> {
    // Ours for calls and for scans, and one for maintenance; this one goes before.
    let wanted = i64::try_from(wanted * 2).unwrap_or(i64::MAX);
    let statement = "SELECT current_setting('max_connections')::int8 - current_setting('superuser_reserved_connections')::int8 \
                            - (SELECT coalesce(sum(numbackends), 0)::int8 FROM pg_stat_database), \
                            (SELECT rolconnlimit::int8 FROM pg_roles WHERE rolname = current_user)";
    let row = session.query_typed_one(statement, &[]).await?;
    let (free, limit): (i64, Option<i64>) = (row.get(0), row.get(1));
    let limit = limit.filter(|limit| *limit >= 0);
    let free = free.max(0) + 1;
    if free >= wanted && limit.is_none_or(|limit| limit >= wanted) {
        return Ok(None);
    }
    let least = limit.map_or(free, |limit| limit.min(free));
    let found = format!("there is room for {least} sessions of this role; up to {wanted} are used");
    Ok(Some(Check::warns(
        "sessions",
        found,
        "Close sessions that are idle, or raise max_connections or the role's limit.",
    )))
}
