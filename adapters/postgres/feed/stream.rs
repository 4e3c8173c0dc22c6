use super::changes::Columns;
use super::message::{self, Message};
use super::position::{Log, Lsn};
use super::slot::{self, LOOK_EVERY};
use super::tunnel::Tunnel;
use crate::connection::Server;
use crate::error::Place;
use palanquin_engine::contract::{Error, ErrorKind, Result};
use pgwire_replication::{PgWireError, ReplicationClient, ReplicationConfig, ReplicationEvent};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_postgres::config::{Host, SslMode};

/// How often the server is told what is confirmed, at most.
const CONFIRM_EVERY: Duration = Duration::from_secs(1);
/// Messages read ahead. Each may be a row of any size.
const AHEAD: usize = 64;
/// What is waited for an earlier reader to give the slot up once it was told to.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(10);
/// What is waited for a slot to be made: it has to see every transaction end that was open when it began.
const MADE_WITHIN: Duration = Duration::from_secs(60);
/// Postgres counts time from 2000-01-01.
const EPOCH_MS: i64 = 946_684_800_000;

/// The log as the server sends it: whole transactions, in the order of their commits.
pub(super) struct Stream {
    pub(super) log: Log,
    client: ReplicationClient,
    _tunnel: Option<Tunnel>,
    /// Everything that was committed up to here has been seen. Between two transactions only.
    pub(super) boundary: Lsn,
    /// The transaction that is being read.
    pub(super) inside: Option<Transaction>,
    columns: HashMap<u32, Result<Columns, String>>,
    heard: Instant,
}

/// A transaction of which not all has been read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transaction {
    /// Where its commit is.
    pub(super) commit: Lsn,
    pub(super) at_ms: i64,
}

impl Stream {
    /// Reads from `from` on; nothing is confirmed beyond `confirmed`. Whoever reads by the slot is ended.
    pub(super) async fn start(
        server: &Server,
        place: &Place,
        name: &str,
        (log, from): (Log, Lsn),
        confirmed: Lsn,
    ) -> Result<Self> {
        let deadline = Instant::now() + GIVEN_UP_WITHIN;
        loop {
            let (config, tunnel) = config(server, name).await.map_err(|error| place.name(error))?;
            let config = config.with_start_lsn(from.0.into()).with_ack_lsn(confirmed.0.into()).with_binary(true);
            let config = config.with_status_interval(CONFIRM_EVERY).with_buffer_size(AHEAD);
            let started = async {
                let mut client = ReplicationClient::connect(config).await?;
                client.wait_started().await?;
                Ok(client)
            };
            match started.await {
                Ok(client) => {
                    let heard = Instant::now();
                    let columns = HashMap::new();
                    return Ok(Self { log, client, _tunnel: tunnel, boundary: from, inside: None, columns, heard });
                }
                Err(error) if code(&error) == Some("55006") && Instant::now() < deadline => {
                    let session = server.session().await.map_err(|error| place.name(error))?;
                    let ended = slot::take_over(&session, name).await;
                    ended.map_err(|error| place.sql("somebody else reads by the replication slot", error))?;
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                Err(error) => return Err(place.name(of_stream("could not read the server's log", &error))),
            }
        }
    }

    /// The next row or table, once it is there; `None` for what only moves [`Self::boundary`] or [`Self::inside`]. May
    /// be dropped and asked again.
    ///
    /// # Errors
    /// `CursorExpired` where the server no longer has the log.
    pub(super) async fn next(&mut self, place: &Place) -> Result<Option<Message>> {
        let failed = |error: &PgWireError| place.name(of_stream("the server's log breaks off", error));
        let event = self.client.recv().await.map_err(|error| failed(&error))?;
        self.heard = Instant::now();
        match event {
            None => Err(place.error(ErrorKind::Unavailable, "the server ended its log")),
            Some(ReplicationEvent::Begin { final_lsn, commit_time_micros, .. }) => {
                let at_ms = commit_time_micros / 1_000 + EPOCH_MS;
                self.inside = Some(Transaction { commit: Lsn(final_lsn.as_u64()), at_ms });
                Ok(None)
            }
            Some(ReplicationEvent::Commit { end_lsn, .. }) => {
                self.inside = None;
                self.boundary = self.boundary.max(Lsn(end_lsn.as_u64()));
                Ok(None)
            }
            Some(ReplicationEvent::KeepAlive { wal_end, .. }) => {
                if self.inside.is_none() {
                    self.boundary = self.boundary.max(Lsn(wal_end.as_u64()));
                }
                Ok(None)
            }
            Some(ReplicationEvent::XLogData { data, .. }) => {
                let broken = |error| place.error(ErrorKind::Corrupt, "the server's log").with_source(error);
                let message = message::read(data).map_err(broken)?;
                if let Message::Relation(relation) = &message {
                    self.columns.insert(relation.table, Columns::of(relation));
                }
                Ok(Some(message))
            }
            Some(ReplicationEvent::Message { .. } | ReplicationEvent::StoppedAt { .. }) => Ok(None),
        }
    }

    /// Where a table's columns are.
    ///
    /// # Errors
    /// `UnsupportedFormat` for a table that has lost one.
    pub(super) fn columns(&self, table: u32, place: &Place) -> Result<Columns> {
        match self.columns.get(&table) {
            Some(Ok(columns)) => Ok(*columns),
            Some(Err(problem)) => Err(place.error(ErrorKind::UnsupportedFormat, problem.clone())),
            None => Err(place.error(ErrorKind::Corrupt, "the server's log tells rows of a table before the table")),
        }
    }

    /// How long the server has said nothing.
    pub(super) fn silent_for(&self) -> Duration {
        self.heard.elapsed()
    }

    /// What lies before may go.
    pub(super) fn confirm(&self, upto: Lsn) {
        self.client.update_applied_lsn(upto.0.into());
    }
}

/// Makes the slot and returns where it begins: what is committed from there on will be read by it, and whatever was
/// before is seen by everybody who looks at the tables after this.
pub(super) async fn make_slot(server: &Server, place: &Place, name: &str) -> Result<Lsn> {
    let (config, _tunnel) = config(server, name).await.map_err(|error| place.name(error))?;
    let failed = |error: &PgWireError| place.name(of_stream("could not make the replication slot", error));
    let mut client = ReplicationClient::connect_gated(config).await.map_err(|error| failed(&error))?;
    let statement = format!("CREATE_REPLICATION_SLOT {name} LOGICAL pgoutput EXPORT_SNAPSHOT");
    let Ok(made) = timeout(MADE_WITHIN, client.simple_query(&statement)).await else {
        let detail = format!(
            "the replication slot could not be made within {} s: it waits for every transaction that writes and was open when it began",
            MADE_WITHIN.as_secs()
        );
        return Err(place.error(ErrorKind::Busy, detail));
    };
    let made = made.map_err(|error| failed(&error))?;
    let text = |column: usize| {
        let field = made.first().and_then(|row| row.get(column)).and_then(Option::as_ref);
        field.and_then(|field| std::str::from_utf8(field).ok())
    };
    let (Some(begins), Some(snapshot)) = (text(1).and_then(Lsn::parse), text(2)) else {
        return Err(place.error(ErrorKind::Internal, "the server does not say where its replication slot begins"));
    };
    wait_until_seen(server, place, snapshot).await?;
    Ok(begins)
}

/// A transaction's commit is in the log a moment before others see its rows (longer, with synchronous replication). What
/// the slot takes for committed is compared with what everybody sees, until nothing is missing.
async fn wait_until_seen(server: &Server, place: &Place, snapshot: &str) -> Result<()> {
    let failed = |error| place.sql("could not look at the open transactions", error);
    let mut session = server.session().await.map_err(|error| place.name(error))?;
    let now = "SELECT pg_current_snapshot()::text";
    let transaction = session.build_transaction().isolation_level(tokio_postgres::IsolationLevel::RepeatableRead);
    let transaction = transaction.start().await.map_err(failed)?;
    transaction.batch_execute(&format!("SET TRANSACTION SNAPSHOT '{snapshot}'")).await.map_err(failed)?;
    let slots = transaction.query_typed_one(now, &[]).await.map_err(failed)?;
    let slots = Snapshot::parse(slots.get(0));
    transaction.commit().await.map_err(failed)?;
    let deadline = Instant::now() + MADE_WITHIN;
    loop {
        let seen = session.query_typed_one(now, &[]).await.map_err(failed)?;
        if !Snapshot::parse(seen.get(0)).lacks_of(&slots) {
            return Ok(());
        }
        if Instant::now() > deadline {
            let detail = "a transaction that is in the log is not yet seen: it may wait for a synchronous standby";
            return Err(place.error(ErrorKind::Busy, detail));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Which transactions somebody does not see.
#[derive(Debug, Default, PartialEq, Eq)]
struct Snapshot {
    /// From here on none is seen.
    end: u64,
    /// Those before that are not seen either.
    open: HashSet<u64>,
}

impl Snapshot {
    /// `xmin:xmax:xid,xid,…`.
    fn parse(text: &str) -> Self {
        let mut parts = text.split(':').skip(1);
        let end = parts.next().and_then(|end| end.parse().ok()).unwrap_or_default();
        let open = parts.next().unwrap_or_default().split(',').filter_map(|xid| xid.parse().ok()).collect();
        Self { end, open }
    }

    /// Whether a transaction that `other` sees is not seen here.
    fn lacks_of(&self, other: &Self) -> bool {
        (self.end..other.end).any(|xid| !other.open.contains(&xid))
            || self.open.iter().any(|xid| *xid < other.end && !other.open.contains(xid))
    }
}

/// How to connect for replication: as for everything else. The client does no TLS, so that wherever TLS may come into it
/// the connection goes through a tunnel.
async fn config(server: &Server, name: &str) -> Result<(ReplicationConfig, Option<Tunnel>)> {
    let (config, _) = server.ready().await?;
    let (user, database) = (config.get_user().unwrap_or_default(), config.get_dbname().unwrap_or_default());
    let password = config.get_password().map(String::from_utf8_lossy).unwrap_or_default();
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let direct = match (config.get_hosts(), config.get_hostaddrs(), config.get_ssl_mode()) {
        ([Host::Tcp(host)], [], SslMode::Disable) => Some(host.clone()),
        #[cfg(unix)]
        ([Host::Unix(path)], [], _) => path.to_str().map(str::to_owned),
        _ => None,
    };
    let (host, port, tunnel) = match direct {
        Some(host) => (host, port, None),
        None => {
            let tunnel = Tunnel::open(server).await?;
            (tunnel.host().to_string_lossy().into_owned(), 5432, Some(tunnel))
        }
    };
    let made = ReplicationConfig::new(host, user, password, database, name, name).with_port(port);
    let made = made.with_application_name(name);
    let made = match config.get_options() {
        Some(options) => made.with_options(options),
        None => made,
    };
    Ok((made, tunnel))
}

/// The SQLSTATE of what the server said.
fn code(error: &PgWireError) -> Option<&str> {
    let PgWireError::Server(said) = error else { return None };
    said.rsplit_once("SQLSTATE ").and_then(|(_, code)| code.get(..5))
}

/// An error of the replication connection.
fn of_stream(doing: &str, error: &PgWireError) -> Error {
    let kind = match (error, code(error)) {
        // A slot that was given up or dropped, or a publication that was.
        (_, Some("55000" | "42704")) => ErrorKind::CursorExpired,
        (_, Some("55006" | "42710")) => ErrorKind::Busy,
        (_, Some("42501")) => ErrorKind::PermissionDenied,
        (_, Some("53400")) => ErrorKind::UnsupportedCapability,
        (_, Some(code)) => match code.get(..2) {
            Some("28") => ErrorKind::PermissionDenied,
            Some("08" | "53" | "57" | "58") => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        },
        (PgWireError::Auth(_), None) => ErrorKind::PermissionDenied,
        (PgWireError::Io(_) | PgWireError::Server(_), None) => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    };
    Error::new(kind, doing).with_source(error.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_lacks_what_another_sees_and_it_does_not() {
        let slots = Snapshot::parse("100:110:103,105");
        assert_eq!(slots, Snapshot { end: 110, open: HashSet::from([103, 105]) });
        for (now, lacks) in [
            ("110:110:", false),
            ("103:110:103,105", false),
            ("103:120:103,105,115", false),
            ("104:110:104", true),
            ("90:105:", true),
            ("90:103:", true),
            ("90:109:", true),
            ("104:120:104,115", true),
        ] {
            assert_eq!(Snapshot::parse(now).lacks_of(&slots), lacks, "{now}");
        }
    }

    #[test]
    fn what_the_server_says_is_told_by_its_code() {
        let said = |code: &str| PgWireError::Server(format!("it says so (SQLSTATE {code})"));
        for (code, kind) in [
            ("55000", ErrorKind::CursorExpired),
            ("42704", ErrorKind::CursorExpired),
            ("42501", ErrorKind::PermissionDenied),
            ("57P01", ErrorKind::Unavailable),
            ("55006", ErrorKind::Busy),
        ] {
            assert_eq!(of_stream("x", &said(code)).kind(), kind, "{code}");
        }
    }
}
