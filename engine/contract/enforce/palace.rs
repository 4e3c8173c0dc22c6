use super::Standing;
use super::collection::EnforcedCollection;
use super::identity;
use crate::contract::{
    Collection, CollectionInfo, CollectionSpec, Condition, Cursor, EmbedderIdentity, ErrorKind, Health, IdentityState,
    LogEntry, MaintenanceResult, MaintenanceState, MaintenanceStatus, Palace, Progress, Result, kind,
};
use async_trait::async_trait;
use std::sync::Arc;

pub(super) struct EnforcedPalace {
    palace: Arc<dyn Palace>,
    standing: Arc<Standing>,
}

impl EnforcedPalace {
    pub(super) fn new(palace: Arc<dyn Palace>, standing: Standing) -> Self {
        Self { palace, standing: Arc::new(standing) }
    }

    async fn guarded(&self, collection: Arc<dyn Collection>, name: &str) -> Result<Arc<dyn Collection>> {
        let unrecorded = identity::check(&self.standing, self.palace.as_ref(), collection.as_ref()).await?;
        let (palace, standing) = (Arc::clone(&self.palace), Arc::clone(&self.standing));
        Ok(Arc::new(EnforcedCollection::new(collection, name, palace, standing, unrecorded)))
    }

    /// What was unknown is recorded by a reindex too (§1.5). A collection that is known to be of another model, or is of
    /// another width, is left as it is: the reindex was of the palace, not of that model's collections.
    async fn record_what_was_unknown(&self) -> Result<()> {
        for info in self.palace.collections().await? {
            if info.identity.is_some_and(|identity| !identity.model_name.is_empty()) {
                continue;
            }
            let collection = self.palace.collection(&info.name).await?;
            match identity::check(&self.standing, self.palace.as_ref(), collection.as_ref()).await {
                Ok(Some(unrecorded)) => self.palace.record_identity(&info.name, &unrecorded).await?,
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::DimensionMismatch => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Palace for EnforcedPalace {
    async fn collections(&self) -> Result<Vec<CollectionInfo>> {
        self.standing.check_open()?;
        self.palace.collections().await
    }

    async fn collection(&self, name: &str) -> Result<Arc<dyn Collection>> {
        self.standing.check_open()?;
        let collection = self.palace.collection(name).await?;
        self.guarded(collection, name).await
    }

    async fn create_collection(&self, spec: &CollectionSpec) -> Result<Arc<dyn Collection>> {
        self.standing.check_writable()?;
        let embedder = self.standing.options.embedder.as_ref();
        let fail = |kind, detail: String| Err(self.standing.error(kind, detail).in_collection(&spec.name));
        if spec.dimension == 0 {
            return fail(ErrorKind::InvalidRequest, "vectors of no components".to_owned());
        }
        for identity in [spec.identity.as_ref(), embedder].into_iter().flatten() {
            if identity.dimension != 0 && identity.dimension != spec.dimension {
                let detail = format!("vectors of {} components cannot be of {identity}", spec.dimension);
                return fail(ErrorKind::DimensionMismatch, detail);
            }
        }
        if let (Some(asked), Some(embedder)) = (&spec.identity, embedder)
            && EmbedderIdentity::compare(Some(asked), Some(embedder)) == IdentityState::KnownMismatch
        {
            return fail(ErrorKind::EmbedderIdentityMismatch, format!("made for {asked}, the embedder is {embedder}"));
        }
        let mut spec = spec.clone();
        let named = embedder.filter(|embedder| !embedder.model_name.is_empty());
        spec.identity = spec
            .identity
            .or_else(|| named.map(|embedder| EmbedderIdentity { dimension: spec.dimension, ..embedder.clone() }));
        let collection = self.palace.create_collection(&spec).await?;
        self.guarded(collection, &spec.name).await
    }

    async fn health(&self) -> Health {
        match self.standing.check_open() {
            Ok(()) => self.palace.health().await,
            Err(error) => {
                Health { condition: Condition::Unavailable, reason: Some(error.what()), findings: Vec::new() }
            }
        }
    }

    async fn maintenance_state(&self) -> Result<MaintenanceState> {
        self.standing.check_open()?;
        self.palace.maintenance_state().await
    }

    async fn run_maintenance(&self, kind: &str, progress: &Progress) -> Result<MaintenanceResult> {
        self.standing.check_open()?;
        let known = self.standing.descriptor.maintenance_kind(kind);
        known.map_err(|error| error.in_palace(&self.standing.palace))?;
        self.standing.check_writable()?;
        let result = self.palace.run_maintenance(kind, progress).await?;
        if kind == kind::REINDEX && result.status == MaintenanceStatus::Ran {
            self.record_what_was_unknown().await?;
        }
        Ok(result)
    }

    async fn record_identity(&self, collection: &str, identity: &EmbedderIdentity) -> Result<()> {
        self.standing.check_writable()?;
        self.palace.record_identity(collection, identity).await
    }

    async fn migration_log(&self) -> Result<Vec<LogEntry>> {
        self.standing.check_open()?;
        self.palace.migration_log().await
    }

    async fn append_to_migration_log(&self, entry: &LogEntry) -> Result<()> {
        self.standing.check_writable()?;
        self.palace.append_to_migration_log(entry).await
    }

    async fn confirm(&self, positions: &[(String, Cursor)]) -> Result<()> {
        self.standing.check_open()?;
        self.palace.confirm(positions).await
    }

    async fn close(&self) -> Result<()> {
        self.standing.gate.close();
        self.palace.close().await
    }
}
