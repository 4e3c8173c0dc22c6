use crate::connection::{Dsn, Session};
use palanquin_engine::contract::Check;
use std::path::Path;
use tokio_postgres::Error;
use tokio_postgres::config::Host;

/// Less than this is worth a word.
const LITTLE: u64 = 1 << 30;

/// Where new tables would lie, if the role may know; what the database takes now.
const PLACE: &str = "SELECT coalesce(nullif(pg_tablespace_location(t.oid), ''), \
                            CASE WHEN pg_has_role(current_user, 'pg_read_all_settings', 'MEMBER') \
                                 THEN current_setting('data_directory') END), \
                            pg_database_size(current_database()) \
                     FROM pg_tablespace t WHERE t.spcname = coalesce(nullif(current_setting('default_tablespace'), ''), \
                       (SELECT s.spcname::text FROM pg_database d JOIN pg_tablespace s ON s.oid = d.dattablespace \
                        WHERE d.datname = current_database()))";

/// The free space where the server keeps new tables, as far as it can be known: SQL does not tell it, so only of a server
/// on this machine whose directory can be seen from here.
pub(super) async fn check(session: &Session, dsn: &Dsn) -> Result<Check, Error> {
    let row = session.query_typed_opt(PLACE, &[]).await?;
    let (directory, used): (Option<String>, i64) = row.map_or((None, 0), |row| (row.get(0), row.get(1)));
    let used = format!("this database takes {} now", megabytes(used.unsigned_abs()));
    let seen = directory.filter(|_| is_this_machine(dsn)).and_then(|directory| {
        let free = free_at(Path::new(&directory))?;
        Some((directory, free))
    });
    let Some((directory, free)) = seen else {
        let found = format!("how much the server has free cannot be told from here; {used}");
        return Ok(Check::passes("disk", found));
    };
    let found = format!("{} are free at {directory}, which the server names as its directory; {used}", megabytes(free));
    Ok(match free < LITTLE {
        true => Check::warns("disk", found, "Make room there, if what is to be copied is not small."),
        false => Check::passes("disk", found),
    })
}

fn is_this_machine(dsn: &Dsn) -> bool {
    dsn.config.get_hosts().iter().all(|host| match host {
        Host::Tcp(host) => matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1"),
        Host::Unix(_) => true,
    })
}

fn free_at(directory: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(directory).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}
