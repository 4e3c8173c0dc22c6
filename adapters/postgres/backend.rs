use crate::connection::{Dsn, Server, Timeouts, Variables};
use crate::error::Place;
use crate::feed;
use crate::layout::{Names, marker};
use crate::maintenance;
use crate::palace;
use crate::preflight;
use async_trait::async_trait;
use palanquin_engine::contract::{
    Backend, Capabilities, CaptureLevel, Check, CollectionSpec, Conversion, Descriptor, ErrorKind, Fidelity, Metric,
    OpenMode, OpenOptions, Palace, PalaceRef, Purpose, Replaces, Result, Slot, SpecVersion, Standing, token,
};
use palanquin_engine::rows::Row;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A server, and what is said of all palaces on it.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// The server and database. Complete: the environment is only looked at by [`Self::from_environment`] and
    /// [`Self::to`].
    pub dsn: Dsn,
    /// MemPalace's tenant for palaces whose reference carries none (`MEMPALACE_PGVECTOR_NAMESPACE`).
    pub namespace: Option<String>,
    /// MemPalace's name for palaces that several machines share; it stands in place of the palace's id
    /// (`MEMPALACE_PGVECTOR_SHARED_NAMESPACE`).
    pub shared_namespace: Option<String>,
    /// Sessions for calls, and as many again for scans.
    pub sessions: usize,
    /// What a statement may take that is no scan and no maintenance.
    pub statement_timeout: Duration,
    /// What is waited for a lock.
    pub lock_timeout: Duration,
    /// `maintenance_work_mem` for building a vector index, in MiB; the server's own setting unless given. An index that
    /// does not fit is built several times slower.
    pub index_memory_mib: Option<u32>,
}

impl PostgresOptions {
    /// Exactly this server, with the usual limits.
    pub fn of(dsn: Dsn) -> Self {
        Self {
            dsn,
            namespace: None,
            shared_namespace: None,
            sessions: 8,
            statement_timeout: Duration::from_secs(600),
            lock_timeout: Duration::from_secs(30),
            index_memory_mib: None,
        }
    }

    /// The server of a connection string; what the string leaves out (host, user, password, namespaces, …) comes from
    /// `PG*`, the password file and `MEMPALACE_PGVECTOR_*`. Reads the environment, no file.
    ///
    /// # Errors
    /// `InvalidRequest` for an environment that makes no sense.
    pub fn to(dsn: Dsn) -> Result<Self> {
        Self::in_environment(&process_variables(), |variables| variables.completed(dsn))
    }

    /// The server the environment names: `MEMPALACE_POSTGRES_DSN`, `MEMPALACE_PGVECTOR_DSN`, or `PG*`. Reads the
    /// environment, no file.
    ///
    /// # Errors
    /// `InvalidRequest` for an environment that makes no sense.
    pub fn from_environment() -> Result<Self> {
        Self::in_environment(&process_variables(), |variables| variables.dsn())
    }

    fn in_environment(variables: &Variables<'_>, dsn: impl FnOnce(&Variables<'_>) -> Result<Dsn>) -> Result<Self> {
        Ok(Self {
            namespace: variables.get("MEMPALACE_PGVECTOR_NAMESPACE"),
            shared_namespace: variables.get("MEMPALACE_PGVECTOR_SHARED_NAMESPACE"),
            ..Self::of(dsn(variables)?)
        })
    }
}

fn process_variables() -> Variables<'static> {
    Variables(&|name| std::env::var(name).ok())
}

/// Palaces in one Postgres database.
pub struct PostgresBackend {
    descriptor: Descriptor,
    options: PostgresOptions,
    server: Server,
}

impl PostgresBackend {
    /// No I/O (§2.6); the server is connected to when a palace is opened.
    pub fn new(options: PostgresOptions) -> Self {
        let timeouts = Timeouts { statement: options.statement_timeout, lock: options.lock_timeout };
        let server = Server::new(options.dsn.clone(), timeouts, options.sessions, options.sessions);
        Self { descriptor: descriptor(), options, server }
    }

    fn opening(&self, palace: &PalaceRef, options: OpenOptions) -> Result<palace::Opening> {
        let place = Place::palace(palace);
        let names = Names::of(palace, self.options.namespace.as_deref(), self.options.shared_namespace.as_deref());
        let names = names.map_err(|error| place.name(error))?;
        Ok(palace::Opening {
            names,
            local_path: palace.local_path.clone(),
            mode: options.mode,
            server: self.server.clone(),
            index_memory_mib: self.options.index_memory_mib,
            place,
            consumer: options.consumer,
        })
    }
}

fn descriptor() -> Descriptor {
    Descriptor {
        name: "postgres",
        spec_version: SpecVersion { major: 1, minor: 0 },
        capabilities: Capabilities::of([
            token::EMBEDDINGS_IN,
            token::EMBEDDINGS_PASSTHROUGH,
            token::EMBEDDINGS_OUT,
            token::ESTIMATED_COUNT,
            token::UPDATE,
            token::METADATA_FILTERS,
            token::RANGE_FILTERS,
            token::SERVER_SIDE_INDEXES,
            token::MIGRATION_EXPORT,
            token::CHANGE_FEED,
            token::SYNC,
            token::REQUIRES_EXTERNAL_SERVICE,
            token::SERVER_MODE,
            token::NAMESPACE_ISOLATION,
        ]),
        maintenance_kinds: maintenance::KINDS,
        metrics: &[Metric::Cosine, Metric::L2, Metric::Ip],
        capture: Some(CaptureLevel::Log),
        fidelity: Fidelity::Exact,
        conversions: &[Conversion::NulInText],
        keeps_settings: false,
        replaces: Replaces::AtOnce,
        readers: 4,
        writers: 2,
    }
}

#[async_trait]
impl Backend for PostgresBackend {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn detect(&self, path: &Path) -> bool {
        marker::is_there(path)
    }

    async fn open(&self, palace: &PalaceRef, options: OpenOptions) -> Result<Arc<dyn Palace>> {
        Ok(Arc::new(self.opening(palace, options)?.open().await?))
    }

    async fn preflight(&self, palace: &PalaceRef, purpose: Purpose) -> Vec<Check> {
        let opening = match self.opening(palace, OpenMode::Read.into()) {
            Ok(opening) => opening,
            Err(error) => return vec![Check::fails("names", error.what(), error.advice())],
        };
        let mut checks = preflight::checks(&opening, purpose, self.options.sessions).await;
        if purpose == Purpose::Followed {
            match opening.open().await {
                Ok(palace) => checks.extend(feed::preflight(&palace.0).await),
                // Nothing is there yet to be followed, or what is in the way was told already.
                Err(error) if error.kind() == ErrorKind::PalaceNotFound => {}
                Err(_) if checks.iter().any(|check| check.standing == Standing::Fails) => {}
                Err(error) => checks.push(Check::fails("change_log", error.what(), error.advice())),
            }
        }
        checks
    }

    fn remarks(&self, spec: &CollectionSpec) -> Vec<Check> {
        preflight::remarks(spec)
    }

    fn refusal(&self, _: Metric, row: Row<'_>) -> Option<String> {
        let is_finite = row.embedding.is_none_or(|vector| vector.iter().all(|component| component.is_finite()));
        (!is_finite)
            .then(|| format!("row {:?}: its vector has a component that is infinite or not a number (NaN)", row.id))
    }

    async fn replace(&self, target: &PalaceRef, staging: &PalaceRef) -> Result<()> {
        // Neither need be whole for this: a target may not be there yet.
        let staging = self.opening(staging, OpenMode::Write.into())?.open().await?;
        let target = self.opening(target, OpenMode::Write.into())?.unopened().await?;
        palace::replace(&target, &staging.0).await
    }

    async fn slots(&self, palace: &PalaceRef) -> Result<Vec<Slot>> {
        let place = Place::palace(palace);
        let session = self.server.session().await.map_err(|error| place.name(error))?;
        feed::slots(&session).await.map_err(|error| place.sql("could not list the replication slots", error))
    }

    async fn drop_slot(&self, palace: &PalaceRef, name: &str) -> Result<()> {
        feed::drop_slot(&self.server, &Place::palace(palace), name).await
    }

    async fn release(&self, palace: &PalaceRef, consumer: &str) -> Result<Vec<String>> {
        feed::release(&self.server, &Place::palace(palace), consumer).await
    }

    async fn close_palace(&self, _palace: &PalaceRef) -> Result<()> {
        self.server.forget();
        self.server.stopped().await
    }
}
