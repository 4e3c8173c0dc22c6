//! The one place where adapters are registered, and a palace's backend is selected.

use palanquin_actors::PalaceSource;
use palanquin_chroma::{ChromaBackend, ChromaServerBackend, ServerOptions};
use palanquin_config::{Address, Place};
use palanquin_engine::contract::{
    Backend, BackendChoice, Error, ErrorKind, Result, SelectedBy, enforce, select_backend,
};
use palanquin_lance::LanceBackend;
use palanquin_postgres::{Dsn, PostgresBackend, PostgresOptions};
use std::path::Path;
use std::sync::Arc;

/// The backends that need to know a server; what stands in [`Registry`] speaks for them and opens nothing.
const POSTGRES: &str = "postgres";
const CHROMA_SERVER: &str = "chroma_server";

/// Every backend this program has.
pub(crate) struct Registry(Vec<Arc<dyn Backend>>);

impl Registry {
    pub(crate) fn new() -> Self {
        let mut backends: Vec<Arc<dyn Backend>> = vec![
            Arc::new(ChromaBackend::new()),
            Arc::new(ChromaServerBackend::new(ServerOptions::of("http://localhost:8000"))),
            Arc::new(LanceBackend::new()),
        ];
        backends.extend(
            Dsn::parse("postgresql://localhost/")
                .ok()
                .map(|dsn| Arc::new(PostgresBackend::new(PostgresOptions::of(dsn))) as Arc<dyn Backend>),
        );
        Self(backends.into_iter().map(enforce).collect())
    }

    /// Every backend, in the order they were registered.
    pub(crate) fn backends(&self) -> &[Arc<dyn Backend>] {
        &self.0
    }

    /// The palace at an address that is to be read, and what chose its backend (§3.3).
    pub(crate) fn found(&self, address: &Address, backend: Option<&str>) -> Result<(PalaceSource, SelectedBy)> {
        let environment = std::env::var("MEMPALACE_BACKEND").ok();
        let choice = BackendChoice {
            explicit: backend.or(address.backend.as_deref()),
            configured: None,
            environment: environment.as_deref(),
            path: address.path(),
        };
        let (backend, by) = select_backend(&self.0, choice)?;
        let palace = match (&address.place, backend.descriptor().name) {
            (Place::Postgres(postgres), _) => {
                let mut options = PostgresOptions::to(Dsn::parse(&postgres.dsn)?)?;
                options.shared_namespace = postgres.shared_namespace.clone().or(options.shared_namespace);
                palace(address, address.to_string(), Arc::new(PostgresBackend::new(options)))
            }
            (Place::ChromaServer(server), _) => {
                let options = ServerOptions::to(&server.server)?;
                palace(address, address.to_string(), Arc::new(ChromaServerBackend::new(options)))
            }
            (Place::Directory(path), POSTGRES) => in_environment(address, path)?,
            (Place::Directory(_), CHROMA_SERVER) => {
                let detail = "a palace on a Chroma server has an address like chroma+http://HOST:PORT";
                return Err(Error::new(ErrorKind::InvalidRequest, detail).in_palace(address));
            }
            (_, name) => palace(address, address.with_backend(name), backend),
        };
        Ok((palace, by))
    }

    /// The palace at an address that is to be read.
    pub(crate) fn source(&self, address: &Address) -> Result<PalaceSource> {
        self.found(address, None).map(|(palace, _)| palace)
    }

    /// The palace at an address that is to be made. Detection is never for new palaces, and neither is the default of a
    /// backend that cannot be written: the backend must be named.
    pub(crate) fn target(&self, address: &Address) -> Result<PalaceSource> {
        let environment = std::env::var("MEMPALACE_BACKEND").ok().filter(|name| !name.is_empty());
        if address.backend.is_none() && environment.is_none() {
            let detail = format!("say which backend the target is for, as in lance:{address}");
            return Err(Error::new(ErrorKind::InvalidRequest, detail));
        }
        self.source(address)
    }
}

/// A directory whose rows are in the database the environment names (`MEMPALACE_POSTGRES_DSN` and its like).
fn in_environment(address: &Address, path: &Path) -> Result<PalaceSource> {
    let options = PostgresOptions::from_environment()?;
    let shown = format!("{}?local_path={}", options.dsn, path.display());
    Ok(palace(address, shown, Arc::new(PostgresBackend::new(options))))
}

fn palace(address: &Address, shown: String, backend: Arc<dyn Backend>) -> PalaceSource {
    PalaceSource { address: shown, palace: address.palace_ref(), backend: enforce(backend) }
}
