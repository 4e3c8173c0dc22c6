use super::dsn::Dsn;
use super::environment::password_of_file;
use super::{Lease, tls};
use crate::error::{POOLED, of_driver};
use deadpool::Runtime;
use deadpool::managed::{self, Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult, TimeoutType};
use palanquin_engine::contract::{Error, ErrorKind, Result};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;
use uuid::Uuid;

/// A session that was not used for so long is asked whether it still is one.
const IDLE: Duration = Duration::from_secs(30);
/// How often a new session is asked whether it is still its own: a pooler gives itself away within a few transactions.
const DOUBTED: usize = 3;
/// What is waited for a session when all are busy.
const WAIT: Duration = Duration::from_secs(60);
/// What is waited for the server to let us in.
const CONNECT: Duration = Duration::from_secs(15);

/// How often, and how many times, the server is asked to stop a statement.
const STOP_EVERY: Duration = Duration::from_millis(500);
const STOP_ATTEMPTS: u32 = 60;

/// How long things may take on the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// A statement that is no scan and no maintenance.
    pub(crate) statement: Duration,
    /// Waiting for a lock.
    pub(crate) lock: Duration,
}

/// A server and a bounded number of sessions with it. Nothing is connected until something is asked.
#[derive(Clone)]
pub(crate) struct Server {
    calls: Pool<Connector>,
    /// Sessions that scans run on: they last as long as their reader does, and what waits for a reader must not keep
    /// others from writing.
    streams: Pool<Connector>,
    connector: Arc<Opener>,
}

/// One session with the server.
pub(crate) struct Session {
    client: Client,
    /// Set in the session; missing or another if a pooler stands in between.
    mark: String,
    /// Whether the temporary table for upserts has been made.
    pub(crate) has_staging: bool,
    /// Not to be used again. The driver loses count of the server's answers when a COPY fails before it begins.
    pub(crate) is_broken: bool,
}

impl Session {
    /// Whether it is another one than it was: a pooler in between gives the server's sessions to others.
    pub(crate) async fn is_another(&self) -> Result<bool, tokio_postgres::Error> {
        let found = self.query_typed_one("SELECT current_setting('palanquin.session', true)", &[]).await?;
        Ok(found.get::<_, Option<&str>>(0) != Some(&self.mark))
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

/// Opens sessions.
pub(super) struct Opener {
    dsn: Dsn,
    timeouts: Timeouts,
    /// Certificates and passwords are read once, when they are first needed.
    ready: OnceCell<(tokio_postgres::Config, MakeRustlsConnect)>,
    /// Whether a session was found to be another one than it was.
    is_pooled: AtomicBool,
    /// Statements that are being stopped.
    stopping: Mutex<Vec<JoinHandle<Result<()>>>>,
}

/// What a pool opens sessions with, and for what.
pub(crate) struct Connector {
    opener: Arc<Opener>,
    /// Whether statements are limited in time.
    limited: bool,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connector({})", self.opener.dsn)
    }
}

impl Server {
    /// No I/O.
    pub(crate) fn new(dsn: Dsn, timeouts: Timeouts, calls: usize, streams: usize) -> Self {
        let connector = Arc::new(Opener {
            dsn,
            timeouts,
            ready: OnceCell::new(),
            is_pooled: AtomicBool::new(false),
            stopping: Mutex::default(),
        });
        let pool = |limited, size: usize| {
            let config = managed::PoolConfig {
                timeouts: managed::Timeouts { wait: Some(WAIT), create: Some(CONNECT), recycle: Some(CONNECT) },
                ..managed::PoolConfig::new(size.max(1))
            };
            let connector = Connector { opener: Arc::clone(&connector), limited };
            Pool::builder(connector).config(config).runtime(Runtime::Tokio1).build()
        };
        match (pool(true, calls), pool(false, streams)) {
            (Ok(calls), Ok(streams)) => Self { calls, streams, connector },
            // Only without a runtime for the timeouts, and one is given.
            _ => unreachable!("a pool with a runtime"),
        }
    }

    pub(crate) fn dsn(&self) -> &Dsn {
        &self.connector.dsn
    }

    /// A session for a call that ends by itself.
    pub(crate) async fn session(&self) -> Result<Object<Connector>> {
        let session = self.calls.get().await.map_err(of_pool)?;
        self.connector.check_is_not_pooled()?;
        Ok(session)
    }

    /// A session for rows that are read as fast as somebody takes them.
    pub(crate) async fn lease(&self) -> Result<Lease> {
        let session = self.streams.get().await.map_err(of_pool)?;
        self.connector.check_is_not_pooled()?;
        Ok(Lease::new(session, self.clone()))
    }

    /// A session of its own, without limits, for work that takes its time.
    pub(crate) async fn dedicated(&self) -> Result<Session> {
        self.connector.open(false).await
    }

    /// How sessions are connected, for a connection of another kind.
    pub(crate) async fn ready(&self) -> Result<&(tokio_postgres::Config, MakeRustlsConnect)> {
        self.connector.ready().await
    }

    /// Stops what runs on a session, and returns once nothing does.
    ///
    /// # Errors
    /// `Busy` if the statement goes on all the same.
    async fn stop(&self, session: Session) -> Result<()> {
        let (_, tls) = self.connector.ready().await?;
        // Answered once the statement before it has ended.
        let mut ended = pin!(session.simple_query(""));
        for _ in 0..STOP_ATTEMPTS {
            // Asked again: what had not begun yet was not cancelled.
            if let Err(error) = session.cancel_token().cancel_query(tls.clone()).await {
                tracing::debug!(error = %of_driver("could not ask for a cancellation", error), "asked again");
            }
            // Its answer may well be that the session is gone, and the statement with it.
            if timeout(STOP_EVERY, &mut ended).await.is_err() {
                continue;
            }
            // Its locks are free before it is gone. Again where a cancellation that came late met the first.
            for _ in 0..2 {
                let freed = timeout(STOP_EVERY, session.simple_query("SELECT pg_advisory_unlock_all()")).await;
                if matches!(freed, Ok(Ok(_))) {
                    break;
                }
            }
            return Ok(());
        }
        let detail = "a statement that was cancelled still runs on the server; it ends with its session";
        Err(Error::new(ErrorKind::Busy, detail))
    }

    /// Has what runs on a session stopped, whoever goes away meanwhile.
    pub(crate) fn stop_soon(&self, session: Session) {
        // Without a runtime the connection is gone with it.
        let (false, Ok(runtime)) = (session.is_closed(), tokio::runtime::Handle::try_current()) else { return };
        let server = self.clone();
        let mut stopping = self.connector.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        stopping.retain(|stop| !stop.is_finished());
        stopping.push(runtime.spawn(async move { server.stop(session).await }));
    }

    /// Returns once nothing runs any more of what was to be stopped.
    ///
    /// # Errors
    /// `Busy` if something goes on all the same.
    pub(crate) async fn stopped(&self) -> Result<()> {
        let stopping = std::mem::take(&mut *self.connector.stopping.lock().unwrap_or_else(PoisonError::into_inner));
        let mut done = Ok(());
        for stop in stopping {
            done = done.and(stop.await.unwrap_or(Ok(())));
        }
        done
    }

    /// Closes the sessions nobody uses and lets nobody open new ones.
    pub(crate) fn forget(&self) {
        self.calls.retain(|_, _| false);
        self.streams.retain(|_, _| false);
    }
}

impl Opener {
    /// Locks, temporary tables and settings belong to a session; behind such a pooler they would be somebody else's.
    fn check_is_not_pooled(&self) -> Result<()> {
        if self.is_pooled.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::InvalidRequest, POOLED));
        }
        Ok(())
    }

    async fn ready(&self) -> Result<&(tokio_postgres::Config, MakeRustlsConnect)> {
        let make = || async {
            let dsn = self.dsn.clone();
            let made = tokio::task::spawn_blocking(move || {
                let mut config = dsn.config.clone();
                config.ssl_mode(tls::wanted(dsn.ssl_mode)).connect_timeout(CONNECT).keepalives_idle(IDLE);
                if config.get_password().is_none()
                    && let Some(password) = password_of_file(&dsn)
                {
                    config.password(password);
                }
                tls::connector(&dsn).map(|tls| (config, tls))
            });
            made.await.map_err(|error| Error::new(ErrorKind::Internal, "could not set up TLS").with_source(error))?
        };
        self.ready.get_or_try_init(make).await
    }

    async fn open(&self, limited: bool) -> Result<Session> {
        let (config, tls) = self.ready().await?;
        let failed = |error| of_driver(format!("could not connect to {}", self.dsn), error);
        let (client, connection) = config.connect(tls.clone()).await.map_err(failed)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = %of_driver("a session ended", error), "the server or the network closed it");
            }
        });
        let mark = Uuid::new_v4().to_string();
        let limit = if limited { self.timeouts.statement.as_millis() } else { 0 };
        let lock = self.timeouts.lock.as_millis();
        // A commit that is answered is on disk, whatever the server's default is.
        let settings = format!(
            "SET statement_timeout = {limit}; SET lock_timeout = {lock}; SET standard_conforming_strings = on; \
             SET idle_in_transaction_session_timeout = '10min'; SET palanquin.session = '{mark}'; \
             SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        );
        client.batch_execute(&settings).await.map_err(failed)?;
        Ok(Session { client, mark, has_staging: false, is_broken: false })
    }
}

impl Manager for Connector {
    type Type = Session;
    type Error = Error;

    async fn create(&self) -> Result<Session> {
        self.opener.open(self.limited).await
    }

    async fn recycle(&self, session: &mut Session, metrics: &Metrics) -> RecycleResult<Error> {
        if session.is_closed() || session.is_broken {
            return Err(RecycleError::message("the session is closed"));
        }
        if metrics.recycle_count >= DOUBTED && metrics.last_used() < IDLE {
            return Ok(());
        }
        let asked = session.is_another().await;
        if asked.map_err(|error| of_driver("the session does not answer", error))? {
            self.opener.is_pooled.store(true, Ordering::Relaxed);
            return Err(RecycleError::message("the session is another one than it was"));
        }
        Ok(())
    }
}

fn of_pool(error: PoolError<Error>) -> Error {
    match error {
        PoolError::Backend(error) => error,
        PoolError::Timeout(TimeoutType::Wait) => {
            let detail = format!("no session with the server became free within {} s", WAIT.as_secs());
            Error::new(ErrorKind::Busy, detail)
        }
        PoolError::Timeout(_) => {
            let detail = format!("the server did not answer within {} s", CONNECT.as_secs());
            Error::new(ErrorKind::Unavailable, detail)
        }
        PoolError::Closed => Error::new(ErrorKind::BackendClosed, "the backend was closed"),
        error => Error::new(ErrorKind::Internal, "no session could be had").with_source(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_session_that_was_handed_to_others_meanwhile_is_explained() {
        let Ok(address) = std::env::var("PALANQUIN_TEST_POSTGRES") else {
            return println!("PALANQUIN_TEST_POSTGRES is not set: nothing to connect to");
        };
        let timeouts = Timeouts { statement: IDLE, lock: IDLE };
        let server = Server::new(Dsn::parse(&address).unwrap(), timeouts, 1, 1);
        drop(server.session().await.unwrap());
        // What a pooler does when it gives the server's session to the next client.
        server.session().await.unwrap().batch_execute("DISCARD ALL").await.unwrap();
        let error = server.session().await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert!(error.what().contains("pgbouncer"), "{error}");
    }
}
