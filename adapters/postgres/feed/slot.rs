use super::position::{Log, Lsn};
use crate::connection::{Server, Session};
use crate::error::Place;
use crate::statement::identifier;
use palanquin_engine::contract::{ErrorKind, Finding, Result, Severity, Slot};
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

/// What the names of our slots and publications begin with.
const PREFIX: &str = "palanquin_";
/// How long whoever reads by a slot is waited for before it counts as in use: the server notices a connection that was
/// cut only after a while.
const LEAVES_WITHIN: Duration = Duration::from_secs(10);
/// Time between two looks at something that is about to change.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What a slot may keep on the server's disk without a word, and with no more than a warning.
const RETAINED: (u64, u64) = (1 << 30, 10 << 30);

/// The name of a consumer's slot, and of its publication.
pub(super) fn name_of(consumer: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !consumer.is_empty() && consumer.len() <= 40 && consumer.chars().all(plain) {
        return format!("{PREFIX}{consumer}");
    }
    let digest: String = Sha256::digest(consumer.as_bytes())[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{PREFIX}{digest}")
}

/// A slot as the server tells of it.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) slot: Slot,
    /// Who reads by it.
    pub(super) pid: Option<i32>,
    /// What is confirmed by whoever reads by it.
    pub(super) confirmed: Lsn,
    /// Why it was given up.
    pub(super) lost_by: Option<String>,
}

/// What is told of a slot.
const SLOT: &str = "s.slot_name::text, s.active, s.active_pid, s.wal_status, s.confirmed_flush_lsn::text, \
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, \
                       s.restart_lsn)::int8, \
       to_jsonb(s) ->> 'invalidation_reason', \
       (extract(epoch FROM (to_jsonb(s) ->> 'inactive_since')::timestamptz) * 1000)::int8";

fn kept(row: &tokio_postgres::Row) -> Option<Kept> {
    let name: String = row.get::<_, Option<String>>(0)?;
    let (status, reason): (Option<String>, Option<String>) = (row.get(3), row.get(6));
    let lost = status.as_deref() == Some("lost") || reason.is_some();
    let retained: Option<i64> = row.get(5);
    let slot = Slot {
        consumer: name.strip_prefix(PREFIX).map(str::to_owned),
        name,
        active: row.get(1),
        retained_bytes: retained.map(|bytes| u64::try_from(bytes).unwrap_or(0)),
        status,
        lost,
        inactive_since_ms: row.get(7),
    };
    let confirmed = row.get::<_, Option<&str>>(4).and_then(Lsn::parse).unwrap_or_default();
    Some(Kept { slot, pid: row.get(2), confirmed, lost_by: reason })
}

/// Every slot of the server, whoever made it: what any of them retains fills the same disk.
pub(crate) async fn slots(session: &Session) -> Result<Vec<Slot>, tokio_postgres::Error> {
    let rows = session.query_typed(&format!("SELECT {SLOT} FROM pg_replication_slots s ORDER BY 1"), &[]).await?;
    Ok(rows.iter().filter_map(kept).map(|kept| kept.slot).collect())
}

pub(super) async fn look(session: &Session, name: &str) -> Result<Option<Kept>, tokio_postgres::Error> {
    let statement = format!("SELECT {SLOT} FROM pg_replication_slots s WHERE s.slot_name = $1");
    let row = session.query_typed_opt(&statement, &[(&name, Type::TEXT)]).await?;
    Ok(row.as_ref().and_then(kept))
}

/// What there is to be known before each step.
#[derive(Clone, Debug)]
pub(super) struct Now {
    pub(super) log: Log,
    /// How far the log is on disk.
    pub(super) end: Lsn,
    /// Whether the table is still there.
    pub(super) has_table: bool,
    /// The slot.
    pub(super) kept: Option<Kept>,
}

/// All of it in one round trip.
pub(super) async fn now(session: &Session, name: &str, table: u32) -> Result<Now, tokio_postgres::Error> {
    let statement = format!(
        "SELECT {SLOT}, (SELECT system_identifier FROM pg_control_system()), \
           substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8), pg_current_wal_flush_lsn()::text, \
           EXISTS (SELECT FROM pg_class WHERE oid = $2::oid) \
         FROM (VALUES (1)) one LEFT JOIN pg_replication_slots s ON s.slot_name = $1"
    );
    let row = session.query_typed_one(&statement, &[(&name, Type::TEXT), (&table, Type::OID)]).await?;
    let timeline = u32::from_str_radix(row.get(9), 16).unwrap_or_default();
    Ok(Now {
        log: Log { system: row.get(8), timeline },
        end: Lsn::parse(row.get(10)).unwrap_or_default(),
        has_table: row.get(11),
        kept: kept(&row),
    })
}

/// Ends whoever reads by the slot: a consumer has one reader, and the newest is it.
pub(super) async fn take_over(session: &Session, name: &str) -> Result<(), tokio_postgres::Error> {
    let statement = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active";
    session.query_typed(statement, &[(&name, Type::TEXT)]).await.map(drop)
}

/// Drops a slot, and tells if it was there.
///
/// # Errors
/// `InUse` while somebody reads by it.
pub(super) async fn remove(server: &Server, place: &Place, name: &str) -> Result<Vec<String>> {
    let failed = |error| place.sql(format!("could not drop the replication slot {name}"), error);
    let session = server.session().await.map_err(|error| place.name(error))?;
    let deadline = Instant::now() + LEAVES_WITHIN;
    while let Some(kept) = look(&session, name).await.map_err(failed)? {
        if !kept.slot.active {
            let statement = "SELECT pg_drop_replication_slot($1::text::name)";
            match session.query_typed(statement, &[(&name, Type::TEXT)]).await {
                Ok(_) => return Ok(vec![format!("replication slot {name}")]),
                Err(error) if error.code() == Some(&SqlState::OBJECT_IN_USE) => {}
                Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) => break,
                Err(error) => return Err(failed(error)),
            }
        }
        if Instant::now() > deadline {
            let who = kept.pid.map(|pid| format!(" (server process {pid})")).unwrap_or_default();
            let detail = format!("somebody reads by the replication slot {name}{who}");
            return Err(place.error(ErrorKind::InUse, detail));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(Vec::new())
}

/// Drops the publication of that name, and tells if it was there.
pub(super) async fn unpublish(server: &Server, place: &Place, name: &str) -> Result<Vec<String>> {
    let failed = |error| place.sql(format!("could not drop the publication {name}"), error);
    let session = server.session().await.map_err(|error| place.name(error))?;
    let there = "SELECT FROM pg_publication WHERE pubname = $1";
    if session.query_typed_opt(there, &[(&name, Type::TEXT)]).await.map_err(failed)?.is_none() {
        return Ok(Vec::new());
    }
    session.batch_execute(&format!("DROP PUBLICATION IF EXISTS {}", identifier(name))).await.map_err(failed)?;
    Ok(vec![format!("publication {name}")])
}

/// What the operator should know of slots: those that fill the disk, and those that were given up.
pub(crate) fn findings(slots: &[Slot]) -> Vec<Finding> {
    let finding =
        |severity, name: &str, summary| Finding { severity, name: name.to_owned(), summary, rows: Vec::new() };
    let mut findings = Vec::new();
    for slot in slots {
        let name = &slot.name;
        if slot.lost {
            let summary = format!(
                "the server has given up the replication slot {name}; who followed by it has to compare everything"
            );
            findings.push(finding(Severity::Warning, "slot_lost", summary));
            continue;
        }
        let retained = slot.retained_bytes.unwrap_or(0);
        if retained < RETAINED.0 {
            continue;
        }
        let severity = if retained < RETAINED.1 { Severity::Warning } else { Severity::Error };
        let summary = match (slot.active, slot.consumer.is_some()) {
            (true, _) => format!("the reader of the replication slot {name} is behind: it keeps {retained} bytes"),
            (false, true) => format!(
                "nobody reads the replication slot {name}, and it keeps {retained} bytes on the server: start its link, \
                 or drop it with `palanquin slots drop`"
            ),
            (false, false) => {
                format!("nobody reads the replication slot {name}, and it keeps {retained} bytes on the server")
            }
        };
        findings.push(finding(severity, "slot_retains_wal", summary));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_has_one_slot_name_that_postgres_takes() {
        assert_eq!(name_of("0123456789ab"), "palanquin_0123456789ab");
        let odd = name_of("Ärger'; DROP");
        assert!(odd.len() <= 63 && odd.strip_prefix(PREFIX).unwrap().chars().all(|c| c.is_ascii_hexdigit()), "{odd}");
        assert_ne!(name_of(""), name_of(" "));
    }

    #[test]
    fn what_slots_retain_is_told_with_its_limits() {
        let slot = |retained, active, lost| Slot {
            name: "palanquin_a".into(),
            consumer: Some("a".into()),
            active,
            retained_bytes: Some(retained),
            status: None,
            lost,
            inactive_since_ms: None,
        };
        assert!(findings(&[slot((1 << 30) - 1, false, false)]).is_empty());
        assert_eq!(findings(&[slot(1 << 30, false, false)])[0].severity, Severity::Warning);
        assert_eq!(findings(&[slot(10 << 30, true, false)])[0].severity, Severity::Error);
        assert_eq!(findings(&[slot(0, false, true)])[0].name, "slot_lost");
    }
}
