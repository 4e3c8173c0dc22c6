use super::Between;
use super::collection::InterposedCollection;
use async_trait::async_trait;
use palanquin_engine::contract::{
    Collection, CollectionInfo, CollectionSpec, Cursor, EmbedderIdentity, Health, LogEntry, MaintenanceResult,
    MaintenanceState, Palace, Progress, Result,
};
use std::sync::Arc;

pub(super) struct InterposedPalace {
    pub(super) behind: Arc<dyn Palace>,
    pub(super) between: Arc<dyn Between>,
}

impl InterposedPalace {
    fn collection_of(&self, behind: Arc<dyn Collection>) -> Arc<dyn Collection> {
        Arc::new(InterposedCollection { behind, between: Arc::clone(&self.between) })
    }
}

#[async_trait]
impl Palace for InterposedPalace {
    async fn collections(&self) -> Result<Vec<CollectionInfo>> {
        self.between.collections(self.behind.as_ref()).await
    }

    async fn collection(&self, name: &str) -> Result<Arc<dyn Collection>> {
        self.between.collection(self.behind.as_ref(), name).await.map(|behind| self.collection_of(behind))
    }

    async fn create_collection(&self, spec: &CollectionSpec) -> Result<Arc<dyn Collection>> {
        self.between.create_collection(self.behind.as_ref(), spec).await.map(|behind| self.collection_of(behind))
    }

    async fn health(&self) -> Health {
        self.behind.health().await
    }

    async fn maintenance_state(&self) -> Result<MaintenanceState> {
        self.between.maintenance_state(self.behind.as_ref()).await
    }

    async fn run_maintenance(&self, kind: &str, progress: &Progress) -> Result<MaintenanceResult> {
        self.between.run_maintenance(self.behind.as_ref(), kind, progress).await
    }

    async fn record_identity(&self, collection: &str, identity: &EmbedderIdentity) -> Result<()> {
        self.between.record_identity(self.behind.as_ref(), collection, identity).await
    }

    async fn migration_log(&self) -> Result<Vec<LogEntry>> {
        self.behind.migration_log().await
    }

    async fn append_to_migration_log(&self, entry: &LogEntry) -> Result<()> {
        self.between.append_to_migration_log(self.behind.as_ref(), entry).await
    }

    async fn confirm(&self, positions: &[(String, Cursor)]) -> Result<()> {
        self.between.confirm(self.behind.as_ref(), positions).await
    }

    async fn close(&self) -> Result<()> {
        self.behind.close().await
    }
}
