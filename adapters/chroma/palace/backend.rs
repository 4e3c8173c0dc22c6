use super::blocking::unlocked;
use super::open::ChromaPalace;
use super::preflight;
use crate::connection::{Database, is_palace};
use crate::directory;
use crate::feed::memory::Memories;
use crate::server;
use crate::writer_lock;
use async_trait::async_trait;
use palanquin_engine::contract::{
    Backend, Capabilities, CaptureLevel, Check, CollectionSpec, Descriptor, Error, ErrorKind, Fidelity, Metric,
    OpenMode, OpenOptions, Palace, PalaceRef, Purpose, Replaces, Result, SpecVersion, token,
};
use palanquin_engine::rows::Row;
use std::path::Path;
use std::sync::Arc;

/// Chroma palaces in a local directory: read without Chroma, and written by a Chroma server that runs meanwhile.
#[derive(Debug)]
pub struct ChromaBackend {
    descriptor: Descriptor,
    memories: Memories,
    salvaging: bool,
}

impl ChromaBackend {
    /// The backend; nothing is touched.
    pub fn new() -> Self {
        let descriptor = Descriptor {
            name: "chroma",
            spec_version: SpecVersion::CURRENT,
            capabilities: Capabilities::of([
                token::EMBEDDINGS_IN,
                token::EMBEDDINGS_PASSTHROUGH,
                token::EMBEDDINGS_OUT,
                token::MIGRATION_EXPORT,
                token::METADATA_FILTERS,
                token::RANGE_FILTERS,
                token::CHANGE_FEED,
                token::LOCAL_MODE,
            ]),
            maintenance_kinds: &[],
            metrics: &[Metric::L2, Metric::Cosine, Metric::Ip],
            capture: Some(CaptureLevel::Log),
            fidelity: Fidelity::Ulp,
            conversions: &[],
            keeps_settings: true,
            replaces: Replaces::Directory,
            readers: 2,
            writers: 1,
        };
        Self { descriptor, memories: Memories::default(), salvaging: false }
    }

    /// The backend that salvages: a row that has lost its vector is given the newest one found in the indexes MemPalace has
    /// set aside (`.drift-*`, `.corrupt-*`), and says so ([`RowBatch::salvaged`](palanquin_engine::rows::RowBatch::salvaged)).
    /// An index that cannot be read is taken for lost, where the other backend refuses the collection.
    pub fn salvaging() -> Self {
        Self { salvaging: true, ..Self::new() }
    }
}

impl Default for ChromaBackend {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Backend for ChromaBackend {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn detect(&self, path: &Path) -> bool {
        is_palace(path)
    }

    fn owns(&self, entry: &Path) -> bool {
        crate::layout::belongings::is_chromas(entry)
    }

    async fn open(&self, palace: &PalaceRef, options: OpenOptions) -> Result<Arc<dyn Palace>> {
        if palace.namespace.is_some() {
            let detail = "a Chroma directory has no namespaces";
            return Err(Error::new(ErrorKind::UnsupportedCapability, detail).in_palace(palace));
        }
        let Some(folder) = palace.local_path.clone() else {
            let detail = "a Chroma palace in a directory needs its path";
            return Err(Error::new(ErrorKind::PalaceNotFound, detail).in_palace(palace));
        };
        let (at, name, memories, salvaging) =
            (folder.clone(), palace.to_string(), self.memories.clone(), self.salvaging);
        let reading = move || {
            let database = Database::find(&at, name.clone())?;
            let palace = ChromaPalace::open(database, memories.clone(), salvaging)?;
            Ok(Arc::new(palace) as Arc<dyn Palace>)
        };
        if options.mode == OpenMode::Read {
            return unlocked(reading).await;
        }
        directory::open(folder, options.mode, palace.to_string(), Arc::new(reading)).await
    }

    async fn preflight(&self, palace: &PalaceRef, purpose: Purpose) -> Vec<Check> {
        if purpose == Purpose::Target {
            let Some(folder) = palace.local_path.clone() else { return Vec::new() };
            return unlocked(move || Ok(directory::preflight(&folder))).await.unwrap_or_default();
        }
        let Some(folder) = palace.local_path.clone() else { return Vec::new() };
        let (name, salvaging) = (palace.to_string(), self.salvaging);
        let looked = unlocked(move || {
            let holder = std::env::home_dir().and_then(|home| writer_lock::holder(&home, &folder));
            Ok(preflight::checks(&folder, name, holder, purpose, salvaging))
        });
        looked.await.unwrap_or_else(|error| vec![Check::fails("readable", error.what(), error.advice())])
    }

    fn remarks(&self, spec: &CollectionSpec) -> Vec<Check> {
        server::remarks(spec)
    }

    fn refusal(&self, metric: Metric, row: Row<'_>) -> Option<String> {
        server::refusal(metric, row)
    }

    async fn close_palace(&self, palace: &PalaceRef) -> Result<()> {
        let (palace, memories) = (palace.clone(), self.memories.clone());
        unlocked(move || {
            if let Some(Ok(file)) = palace.local_path.as_deref().map(Database::file_in) {
                memories.forget(file);
            }
            Ok(())
        })
        .await
    }
}
