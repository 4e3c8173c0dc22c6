//! A database of its own for each test, on the servers `tests/postgres.sh with` has started.

use futures::future::BoxFuture;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio_postgres::{Client, NoTls};

/// A new database; dropped with its handle.
pub(crate) struct Database {
    server: String,
    name: String,
}

impl Database {
    /// On the server whose address the variable holds.
    pub(crate) async fn on(variable: &str) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var(variable)
            .unwrap_or_else(|_| panic!("{variable} is not set: run `tests/postgres.sh with cargo test …`"));
        let name = format!("test_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let statement = format!("CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy");
        connect(&server).await.batch_execute(&statement).await.expect("a database for the test");
        Self { server, name }
    }

    /// On the newer server.
    #[allow(dead_code, reason = "not every test binary uses both")]
    pub(crate) async fn new() -> Self {
        Self::on("PALANQUIN_TEST_POSTGRES").await
    }

    /// Its connection string.
    pub(crate) fn dsn(&self) -> String {
        let (address, _) = self.server.rsplit_once('/').expect("an address with a database");
        format!("{address}/{}", self.name)
    }

    /// How the adapter is told of it.
    #[allow(dead_code, reason = "not every test binary uses it")]
    pub(crate) fn options(&self) -> palanquin_postgres::PostgresOptions {
        let dsn = palanquin_postgres::Dsn::parse(&self.dsn()).expect("a connection string");
        palanquin_postgres::PostgresOptions { sessions: 4, ..palanquin_postgres::PostgresOptions::of(dsn) }
    }

    /// A session with it that is not the adapter's.
    pub(crate) async fn client(&self) -> Client {
        connect(&self.dsn()).await
    }
}

pub(crate) async fn connect(dsn: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await.expect("the test's server answers");
    tokio::spawn(connection);
    client
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let statement = format!("DROP DATABASE {name} WITH (FORCE)");
        let dropped: BoxFuture<'static, ()> = Box::pin(async move {
            let client = connect(&server).await;
            // A slot somebody reads by keeps a database from being dropped, whatever force is used.
            for _ in 0..100 {
                let ended = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots \
                             WHERE database = $1::text AND active";
                client.query(ended, &[&name]).await.ok();
                if client.batch_execute(&statement).await.is_ok() {
                    return;
                }
            }
        });
        let thread = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(dropped);
        });
        thread.join().ok();
    }
}
