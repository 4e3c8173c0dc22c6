use super::client::{Client, Database, Described, Place};
use super::collection::ServerCollection;
use super::names::is_name;
use super::{log, settings};
use crate::beside::{Beside, is_beside, is_old};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use palanquin_engine::contract::{
    Check, Collection, CollectionInfo, CollectionSpec, Condition, EmbedderIdentity, Error, ErrorKind, Finding, Health,
    LogEntry, MaintenanceState, OpenMode, Palace, Result, Severity,
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// What a collection is called.
const NAMES: &str = "a Chroma server takes collection names of 3 to 512 letters, digits, '.', '_' and '-' that begin and end \
                     with a letter or digit, have no two full stops in a row, and are no IP address";
/// Widest vectors that are written; a collection's width is a number of 32 bits, and each write must fit into a body.
const WIDEST: u32 = 65_536;
/// Collections asked for their rows at a time.
const COUNTED_AT_ONCE: usize = 4;

/// What a server has to say of a collection that is to be made.
pub(crate) fn remarks(spec: &CollectionSpec) -> Vec<Check> {
    let mut remarks = Vec::new();
    if !is_name(&spec.name) || is_beside(&spec.name) {
        remarks.push(Check::fails("name", NAMES, "Give it another name with --rename-collection."));
    }
    if spec.dimension > WIDEST {
        let found = format!("its vectors have {} components; {WIDEST} is the most that is written", spec.dimension);
        remarks.push(Check::fails("width", found, "Choose another target, or leave the collection out."));
    }
    remarks
}

/// One database of a server.
#[derive(Clone)]
pub(crate) struct Addressed {
    pub(crate) client: Client,
    pub(crate) database: Database,
    /// Which copy it is, of a palace that shares the database with the one whose place it is to take.
    pub(crate) beside: Option<Beside>,
    /// The palace as its user calls it.
    pub(crate) shown: String,
}

impl Addressed {
    /// A failure, told of this palace and collection.
    pub(super) fn named(&self, error: Error, collection: &str) -> Error {
        error.in_palace(&self.shown).in_collection(collection)
    }

    /// What a collection of this palace is called in the database; `None` if it cannot be.
    pub(super) fn name_in_database(&self, name: &str) -> Option<String> {
        let whole = match &self.beside {
            Some(beside) => beside.name_of(name),
            None if is_beside(name) => return None,
            None => name.to_owned(),
        };
        // Names a server never takes may still mean another path to it.
        (is_name(name) && is_name(&whole)).then_some(whole)
    }

    /// The collection as one of this palace, by its name in it; `None` if it is none.
    fn own(&self, mut described: Described) -> Option<Described> {
        match &self.beside {
            Some(beside) => described.name = beside.collection(&described.name)?.to_owned(),
            None if is_beside(&described.name) => return None,
            None => {}
        }
        Some(described)
    }

    pub(super) async fn find(&self, name: &str) -> Result<Option<Described>> {
        let Some(whole) = self.name_in_database(name) else { return Ok(None) };
        Ok(self.client.collection(&self.database, &whole).await?.and_then(|described| self.own(described)))
    }

    /// Makes a collection; `None` if one of that name is there.
    pub(super) async fn make(&self, name: &str, metadata: &Map<String, Value>) -> Result<Option<Described>> {
        let unfit = || Error::new(ErrorKind::InvalidRequest, NAMES);
        let whole = self.name_in_database(name).ok_or_else(unfit)?;
        let made = self.client.make_collection(&self.database, &whole, metadata).await?;
        Ok(made.and_then(|described| self.own(described)))
    }

    /// How many collections of the database are set aside, while a palace is replaced or after that was cut off.
    pub(super) async fn set_aside(&self) -> Result<usize> {
        let listed = self.client.collections(&self.database).await?;
        Ok(listed.iter().filter(|described| is_old(&described.name)).count())
    }

    /// Every collection of the palace but its migration log, by name.
    pub(super) async fn listed(&self) -> Result<Vec<Described>> {
        let listed = self.client.collections(&self.database).await?;
        let mut listed: Vec<_> = listed.into_iter().filter_map(|described| self.own(described)).collect();
        listed.retain(|described| described.name != log::COLLECTION);
        listed.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(listed)
    }

    pub(super) fn place(&self, described: &Described) -> Place {
        Place { database: self.database.clone(), id: described.id.clone() }
    }
}

/// An open palace on a server.
pub(crate) struct ServerPalace {
    addressed: Addressed,
    mode: OpenMode,
}

impl ServerPalace {
    pub(crate) fn new(addressed: Addressed, mode: OpenMode) -> Self {
        Self { addressed, mode }
    }

    fn check_writable(&self) -> Result<()> {
        if self.mode.is_writable() {
            return Ok(());
        }
        let error = Error::new(ErrorKind::InvalidRequest, "the palace was opened for reading only");
        Err(error.in_palace(&self.addressed.shown))
    }

    fn opened(&self, described: Described) -> ServerCollection {
        ServerCollection::new(self.addressed.clone(), described, self.mode.is_writable())
    }

    async fn listed(&self) -> Result<Vec<Described>> {
        self.addressed.listed().await.map_err(|error| error.in_palace(&self.addressed.shown))
    }

    async fn make(&self, spec: &CollectionSpec) -> Result<ServerCollection> {
        self.check_writable()?;
        let fail = |kind, detail: String| Err(Error::new(kind, detail));
        if self.addressed.name_in_database(&spec.name).is_none() || spec.name == log::COLLECTION {
            return fail(ErrorKind::InvalidRequest, NAMES.to_owned());
        }
        if spec.dimension > WIDEST {
            let detail = format!("vectors of {} components; up to {WIDEST} are written", spec.dimension);
            return fail(ErrorKind::InvalidRequest, detail);
        }
        let there = match self.addressed.find(&spec.name).await? {
            Some(there) => there,
            None => {
                let metadata = settings::new(spec);
                match self.addressed.make(&spec.name, &metadata).await? {
                    Some(made) => made,
                    // Made by another just now, or by a request whose answer was lost.
                    None => self.addressed.find(&spec.name).await?.ok_or_else(|| {
                        Error::new(ErrorKind::Busy, "a collection of this name was made and dropped again just now")
                    })?,
                }
            }
        };
        if there.incarnation() != spec.incarnation {
            return fail(ErrorKind::PalaceExists, "a collection of this name is there already".to_owned());
        }
        match there.width() {
            Some(width) if width != spec.dimension => {
                let detail = format!("the collection was made for vectors of {width}, not {}", spec.dimension);
                fail(ErrorKind::DimensionMismatch, detail)
            }
            _ => Ok(self.opened(there)),
        }
    }
}

/// What is said where collections were set aside and are there still.
fn interrupted(old: usize) -> Option<Finding> {
    (old > 0).then(|| Finding {
        severity: Severity::Warning,
        name: "replacement_interrupted".to_owned(),
        summary: format!(
            "of the palace that is replaced {old} {} still set aside (palanquin-old-…): unless a migrate --overwrite runs \
             just now, give the same command again, which goes on with it",
            if old == 1 { "collection is" } else { "collections are" }
        ),
        rows: Vec::new(),
    })
}

#[async_trait]
impl Palace for ServerPalace {
    async fn collections(&self) -> Result<Vec<CollectionInfo>> {
        let counted = self.listed().await?.into_iter().map(|described| {
            let collection = self.opened(described);
            async move { collection.info_now().await }
        });
        // One that is dropped meanwhile is not listed.
        let infos = stream::iter(counted).buffered(COUNTED_AT_ONCE).try_filter_map(async |info| Ok(info));
        infos.try_collect().await
    }

    async fn collection(&self, name: &str) -> Result<Arc<dyn Collection>> {
        let named = |error| self.addressed.named(error, name);
        let found = if name == log::COLLECTION { None } else { self.addressed.find(name).await.map_err(named)? };
        let missing = || Error::new(ErrorKind::CollectionNotInitialized, "the palace has no such collection");
        Ok(Arc::new(self.opened(found.ok_or_else(|| named(missing()))?)))
    }

    async fn create_collection(&self, spec: &CollectionSpec) -> Result<Arc<dyn Collection>> {
        let made = self.make(spec).await;
        Ok(Arc::new(made.map_err(|error| self.addressed.named(error, &spec.name))?))
    }

    async fn health(&self) -> Health {
        let looked = async {
            self.addressed.client.heartbeat().await?;
            self.addressed.set_aside().await
        };
        match looked.await {
            Ok(old) => Health { findings: interrupted(old).into_iter().collect(), ..Health::healthy() },
            Err(error) => {
                Health { condition: Condition::Unavailable, reason: Some(error.what()), findings: Vec::new() }
            }
        }
    }

    async fn maintenance_state(&self) -> Result<MaintenanceState> {
        let client = &self.addressed.client;
        let mut collections = Map::new();
        for described in self.listed().await? {
            let mut settings = described.metadata.clone().unwrap_or_default();
            settings.retain(|key, _| key.starts_with("hnsw:"));
            let metric = described.metric().name();
            let state = json!({"id": described.id, "width": described.width(), "metric": metric, "settings": settings});
            collections.insert(described.name, state);
        }
        let version = client.version().await.map_err(|error| error.in_palace(&self.addressed.shown))?;
        Ok(MaintenanceState::from([
            ("api_version".to_owned(), json!(version)),
            ("rows_at_once".to_owned(), json!(client.rows_at_once().await)),
            ("collections".to_owned(), Value::Object(collections)),
        ]))
    }

    async fn record_identity(&self, collection: &str, identity: &EmbedderIdentity) -> Result<()> {
        self.check_writable()?;
        let named = |error| self.addressed.named(error, collection);
        let found = self.addressed.find(collection).await.map_err(named)?;
        let missing = || Error::new(ErrorKind::CollectionNotInitialized, "the palace has no such collection");
        let described = found.ok_or_else(|| named(missing()))?;
        let metadata = settings::with_identity(&described, identity);
        self.addressed.client.put_metadata(&self.addressed.place(&described), &metadata).await.map_err(named)
    }

    async fn migration_log(&self) -> Result<Vec<LogEntry>> {
        log::read(&self.addressed).await.map_err(|error| error.in_palace(&self.addressed.shown))
    }

    async fn append_to_migration_log(&self, entry: &LogEntry) -> Result<()> {
        self.check_writable()?;
        log::append(&self.addressed, entry).await.map_err(|error| error.in_palace(&self.addressed.shown))
    }
}
