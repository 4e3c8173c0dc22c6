use super::Between;
use super::palace::InterposedPalace;
use async_trait::async_trait;
use palanquin_engine::contract::{
    Backend, Check, CollectionSpec, Descriptor, Metric, OpenOptions, Palace, PalaceRef, Purpose, Result, Slot,
};
use palanquin_engine::rows::Row;
use std::path::Path;
use std::sync::Arc;

struct InterposedBackend {
    behind: Arc<dyn Backend>,
    between: Arc<dyn Between>,
    descriptor: Descriptor,
}

/// The backend with `between` in front of it, of the palaces it opens and of their collections.
pub fn interpose(behind: Arc<dyn Backend>, between: Arc<dyn Between>) -> Arc<dyn Backend> {
    let descriptor = between.descriptor(behind.descriptor());
    Arc::new(InterposedBackend { behind, between, descriptor })
}

#[async_trait]
impl Backend for InterposedBackend {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn detect(&self, path: &Path) -> bool {
        self.behind.detect(path)
    }

    async fn open(&self, palace: &PalaceRef, options: OpenOptions) -> Result<Arc<dyn Palace>> {
        let behind = self.between.open(self.behind.as_ref(), palace, options).await?;
        Ok(Arc::new(InterposedPalace { behind, between: Arc::clone(&self.between) }))
    }

    async fn preflight(&self, palace: &PalaceRef, purpose: Purpose) -> Vec<Check> {
        self.behind.preflight(palace, purpose).await
    }

    fn remarks(&self, spec: &CollectionSpec) -> Vec<Check> {
        self.behind.remarks(spec)
    }

    fn refusal(&self, metric: Metric, row: Row<'_>) -> Option<String> {
        self.behind.refusal(metric, row)
    }

    async fn replace(&self, target: &PalaceRef, staging: &PalaceRef) -> Result<()> {
        self.behind.replace(target, staging).await
    }

    async fn finish_replacing(&self, target: &PalaceRef, staging: &PalaceRef) -> Result<bool> {
        self.behind.finish_replacing(target, staging).await
    }

    async fn slots(&self, palace: &PalaceRef) -> Result<Vec<Slot>> {
        self.behind.slots(palace).await
    }

    async fn drop_slot(&self, palace: &PalaceRef, name: &str) -> Result<()> {
        self.behind.drop_slot(palace, name).await
    }

    async fn release(&self, palace: &PalaceRef, consumer: &str) -> Result<Vec<String>> {
        self.behind.release(palace, consumer).await
    }

    async fn close_palace(&self, palace: &PalaceRef) -> Result<()> {
        self.behind.close_palace(palace).await
    }
}
