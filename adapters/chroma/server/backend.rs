use super::client::{Client, ServerOptions};
use super::names::database_of;
use super::palace::{Addressed, ServerPalace};
use super::replace;
use async_trait::async_trait;
use palanquin_engine::contract::{
    Backend, Capabilities, Check, CollectionSpec, Descriptor, Error, ErrorKind, Fidelity, Metric, OpenMode,
    OpenOptions, Palace, PalaceRef, Purpose, Replaces, Result, SpecVersion, token,
};
use palanquin_engine::rows::Row;
use std::path::Path;
use std::sync::Arc;

/// Palaces on one Chroma server. A palace's namespace is its tenant, its id its database.
pub struct ChromaServerBackend {
    descriptor: Descriptor,
    client: Client,
}

impl ChromaServerBackend {
    /// No I/O (§2.6); the server is spoken to when a palace is opened.
    pub fn new(options: ServerOptions) -> Self {
        let descriptor = Descriptor {
            name: "chroma_server",
            spec_version: SpecVersion::CURRENT,
            capabilities: Capabilities::of([
                token::EMBEDDINGS_IN,
                token::EMBEDDINGS_PASSTHROUGH,
                token::EMBEDDINGS_OUT,
                token::METADATA_FILTERS,
                token::RANGE_FILTERS,
                token::MIGRATION_EXPORT,
                token::REQUIRES_EXTERNAL_SERVICE,
                token::SERVER_MODE,
                token::NAMESPACE_ISOLATION,
            ]),
            maintenance_kinds: &[],
            metrics: &[Metric::L2, Metric::Cosine, Metric::Ip],
            capture: None,
            fidelity: Fidelity::Ulp,
            conversions: &[],
            keeps_settings: true,
            replaces: Replaces::InSteps,
            readers: 2,
            // The server writes one batch of a collection after the other.
            writers: 1,
        };
        Self { descriptor, client: Client::new(options) }
    }

    fn addressed(&self, palace: &PalaceRef) -> Addressed {
        let (database, beside) = database_of(palace, &self.client.options().tenant);
        Addressed { client: self.client.clone(), shown: palace.to_string(), database, beside }
    }
}

#[async_trait]
impl Backend for ChromaServerBackend {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn detect(&self, _: &Path) -> bool {
        false
    }

    async fn open(&self, palace: &PalaceRef, options: OpenOptions) -> Result<Arc<dyn Palace>> {
        let addressed = self.addressed(palace);
        let opened = open(addressed, options.mode).await.map_err(|error| error.in_palace(palace))?;
        Ok(Arc::new(opened))
    }

    async fn preflight(&self, palace: &PalaceRef, purpose: Purpose) -> Vec<Check> {
        let Addressed { client, database, .. } = self.addressed(palace);
        let version = match client.version().await {
            Ok(version) => version,
            Err(error) => return vec![Check::fails("server", error.what(), error.advice())],
        };
        let mut checks = vec![Check::passes("server", format!("it answers, with version {version} of its API"))];
        checks.push(match client.has_database(&database.tenant, &database.name).await {
            Ok(true) => Check::passes("database", format!("{} is there", database.name)),
            Ok(false) if purpose == Purpose::Target => {
                Check::passes("database", format!("{} would be made", database.name))
            }
            Ok(false) => Check::fails(
                "database",
                format!("tenant {} has no database {}", database.tenant, database.name),
                "Check the address: ?tenant= and &database= name them.",
            ),
            Err(error) => Check::fails("database", error.what(), error.advice()),
        });
        checks
    }

    fn remarks(&self, spec: &CollectionSpec) -> Vec<Check> {
        super::remarks(spec)
    }

    fn refusal(&self, metric: Metric, row: Row<'_>) -> Option<String> {
        super::refusal(metric, row)
    }

    async fn replace(&self, target: &PalaceRef, staging: &PalaceRef) -> Result<()> {
        let done = replace::replace(&self.addressed(target), &self.addressed(staging)).await;
        done.map_err(|error| error.in_palace(target))
    }

    async fn finish_replacing(&self, target: &PalaceRef, staging: &PalaceRef) -> Result<bool> {
        let done = replace::finish(&self.addressed(target), &self.addressed(staging)).await;
        done.map_err(|error| error.in_palace(target))
    }
}

async fn open(addressed: Addressed, mode: OpenMode) -> Result<ServerPalace> {
    let (client, database) = (&addressed.client, &addressed.database);
    if !client.has_database(&database.tenant, &database.name).await? {
        if mode != OpenMode::Create {
            let detail = format!("tenant {} has no database {}", database.tenant, database.name);
            return Err(Error::new(ErrorKind::PalaceNotFound, detail));
        }
        client.make_database(&database.tenant, &database.name).await?;
    }
    if addressed.beside.is_none() && mode.is_writable() && addressed.set_aside().await? > 0 {
        // Whatever is written now could be taken for what is being replaced.
        let detail = "it is being replaced, or that was cut off: collections of it are set aside (palanquin-old-…); unless a \
                      migrate --overwrite runs just now, the same command again goes on with it";
        return Err(Error::new(ErrorKind::InUse, detail));
    }
    if addressed.beside.is_some() {
        if mode == OpenMode::Create {
            replace::prepare(&addressed).await?;
        } else if !replace::is_there(&addressed).await? {
            let detail = format!("database {} has no copy of this name", database.name);
            return Err(Error::new(ErrorKind::PalaceNotFound, detail));
        }
    }
    Ok(ServerPalace::new(addressed, mode))
}
