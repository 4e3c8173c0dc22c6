use super::opened;
use crate::configuration;
use palanquin_actors::PalaceSource;
use palanquin_config::{ChromaAddress, Found, Place};
use palanquin_engine::contract::{OpenMode, PalaceRef, Result};
use palanquin_engine::link::LinkId;

/// A target in a database, and the palace of the copy in the same one.
pub(super) struct Database {
    /// A palace that never holds anything: what is put in another's place to empty it.
    nothing: PalaceRef,
}

impl Database {
    /// The copy's palace has no directory: marker and sidecar stay the target's.
    pub(super) fn of(target: &Found, wanted: &PalaceSource, request: &LinkId) -> (PalaceSource, Self) {
        // Where several palaces share tables by a name, the id is no part of that name, and the namespace tells them
        // apart.
        let shared = match &target.address.place {
            Place::ChromaServer(_) => false,
            Place::Postgres(postgres) if postgres.shared_namespace.is_some() => true,
            _ => configuration::variable("MEMPALACE_PGVECTOR_SHARED_NAMESPACE").is_some_and(|name| !name.is_empty()),
        };
        let beside = |mark: &str| {
            let PalaceRef { id, namespace, .. } = &wanted.palace;
            let namespace = match (namespace, shared) {
                (Some(namespace), true) => Some(format!("{namespace}.palanquin-{mark}-{request}")),
                (None, true) => Some(format!("palanquin-{mark}-{request}")),
                (namespace, false) => namespace.clone(),
            };
            PalaceRef { id: format!("{id}.palanquin-{mark}-{request}"), local_path: None, namespace }
        };
        let palace = beside("new");
        let address = match &target.address.place {
            Place::ChromaServer(server) => ChromaAddress { database: palace.id.clone(), ..server.clone() }.to_string(),
            _ => address_of(&wanted.address, &palace),
        };
        let staged = PalaceSource { address, palace, backend: wanted.backend.clone() };
        (staged, Self { nothing: beside("nothing") })
    }

    /// Empties the copy's palace by putting one in its place that holds nothing: a backend replaces palaces and drops
    /// none.
    pub(super) async fn clear(&self, staged: &PalaceSource) -> Result<()> {
        if opened(staged).await?.is_none() {
            return Ok(());
        }
        let nothing = staged.backend.open(&self.nothing, OpenMode::Create.into()).await?;
        nothing.close().await?;
        staged.backend.replace(&staged.palace, &self.nothing).await
    }
}

/// The address of another palace of the same Postgres database.
fn address_of(wanted: &str, palace: &PalaceRef) -> String {
    let database = wanted.split('?').next().unwrap_or(wanted);
    let encoded = |text: &str| text.replace('%', "%25").replace('&', "%26").replace('#', "%23").replace(' ', "%20");
    let mut address = format!("{database}?palace={}", encoded(&palace.id));
    if let Some(namespace) = &palace.namespace {
        address.push_str(&format!("&namespace={}", encoded(namespace)));
    }
    address
}
