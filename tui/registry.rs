//! The one place where adapters are registered, and a palace's backend is selected.

use crate::{configuration, output};
use palanquin_actors::PalaceSource;
use palanquin_chroma::{ChromaBackend, ChromaServerBackend, ServerOptions};
use palanquin_config::{Address, Found, Given, Place};
use palanquin_engine::contract::{
    Backend, BackendChoice, Error, ErrorKind, Result, SelectedBy, enforce, select_backend,
};
use palanquin_lance::LanceBackend;
use palanquin_postgres::{Dsn, PostgresBackend, PostgresOptions};
use std::path::Path;
use std::sync::Arc;

/// The backends that need to know a server; what stands in [`Registry`] speaks for them and opens nothing.
pub(crate) const POSTGRES: &str = "postgres";
/// Chroma directories.
pub(crate) const CHROMA: &str = "chroma";
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

    /// Their names.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|backend| backend.descriptor().name).collect()
    }

    /// Where the palace is that a command was given. Where a path of the same spelling is there too, it says which won.
    pub(crate) fn locate(&self, given: &Given) -> Result<Found> {
        let configuration = configuration::current();
        let found = configuration.find(given, configuration::variable)?;
        if let (Some(name), Some(path)) = (&found.name, &found.passed_over) {
            let file = configuration.path().unwrap_or(Path::new("")).display();
            output::complain(&format!(
                "{name} is the palace of that name in {file}; write ./{name} for {}",
                path.display()
            ));
        }
        Ok(found)
    }

    /// The palace that is to be read, and what chose its backend (§3.3).
    pub(crate) fn found(&self, found: &Found, backend: Option<&str>) -> Result<(PalaceSource, SelectedBy)> {
        let environment = configuration::variable("MEMPALACE_BACKEND");
        let address = &found.address;
        let choice = BackendChoice {
            explicit: backend.or(address.backend.as_deref()),
            configured: found.configured.as_deref(),
            environment: environment.as_deref(),
            path: address.path(),
        };
        let (backend, by) = select_backend(&self.0, choice)?;
        let palace = match (&address.place, backend.descriptor().name) {
            (Place::Postgres(postgres), POSTGRES) => {
                let mut options = PostgresOptions::to(Dsn::parse(&postgres.dsn)?)?;
                options.shared_namespace = postgres.shared_namespace.clone().or(options.shared_namespace);
                palace(address, address.to_string(), Arc::new(PostgresBackend::new(options)))
            }
            (Place::ChromaServer(server), CHROMA_SERVER) => {
                let options = ServerOptions::to(&server.server)?;
                palace(address, address.to_string(), Arc::new(ChromaServerBackend::new(options)))
            }
            (Place::Postgres(_) | Place::ChromaServer(_), name) => {
                let detail = format!("it is on a server, which backend {name} ({by}) cannot open");
                return Err(Error::new(ErrorKind::InvalidRequest, detail).in_palace(address));
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

    /// The palace that is to be read.
    pub(crate) fn source(&self, found: &Found) -> Result<PalaceSource> {
        self.found(found, None).map(|(palace, _)| palace)
    }

    /// The palace that is to be made. Detection is never for new palaces, and neither is the default of a backend that
    /// cannot be written: the backend must be named.
    pub(crate) fn target(&self, found: &Found) -> Result<PalaceSource> {
        let environment = configuration::variable("MEMPALACE_BACKEND").filter(|name| !name.is_empty());
        if found.address.backend.is_none() && found.configured.is_none() && environment.is_none() {
            let detail = format!("say which backend the target is for, as in lance:{}", found.address);
            return Err(Error::new(ErrorKind::InvalidRequest, detail));
        }
        self.source(found)
    }
}

/// Backends that have a palace of their own in this one's directory.
pub(crate) fn neighbours(palace: &PalaceSource) -> Vec<&'static str> {
    let Some(path) = &palace.palace.local_path else { return Vec::new() };
    let own = palace.backend.descriptor().name;
    let mut others = Registry::new().0;
    others.retain(|other| other.descriptor().name != own && other.detect(path));
    others.iter().map(|other| other.descriptor().name).collect()
}

/// The same palace, of which rows that have lost their vector are given one of an index that was set aside. It is told
/// apart by its address, so that a link that salvages is another link than one that does not.
///
/// # Errors
/// `InvalidRequest` for anything but a Chroma directory.
pub(crate) fn salvaging(source: PalaceSource) -> Result<PalaceSource> {
    let backend = ChromaBackend::salvaging();
    if source.backend.descriptor().name != backend.descriptor().name || source.palace.local_path.is_none() {
        let detail = "only a Chroma directory has indexes to salvage vectors from";
        return Err(Error::new(ErrorKind::InvalidRequest, detail).in_palace(&source.address));
    }
    let address = format!("{}?salvage", source.address);
    Ok(PalaceSource { address, backend: enforce(Arc::new(backend)), ..source })
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
