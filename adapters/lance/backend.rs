use crate::code::CodePalace;
use crate::durability::{Disk, FileSync};
use crate::error::Place;
use crate::home::directory::{self, Standing};
use crate::home::store::{Address, address};
use crate::layout;
use crate::maintenance::{self, Upkeep};
use crate::palace::LancePalace;
use crate::preflight;
use async_trait::async_trait;
use palanquin_engine::contract::{
    Backend, Capabilities, CaptureLevel, Check, CollectionSpec, Descriptor, ErrorKind, Fidelity, Metric, OpenMode,
    OpenOptions, Palace, PalaceRef, Purpose, Replaces, Result, SpecVersion, token,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Palaces in LanceDB databases: in a directory (`local_path`, or an id that is a `file://` URI), or in an object store
/// (an id like `s3://bucket/prefix`, built in with the cargo features `aws`, `gcs` and `azure`; `memory://name` always,
/// until the process ends).
///
/// It does not advertise `supports_contains_fast`: `$contains` is evaluated inside the scan, for Lance's full-text index
/// knows words and not parts of a text. Nor `supports_estimated_count`: counting reads the manifest alone.
pub struct LanceBackend {
    descriptor: Descriptor,
    sync: Arc<dyn FileSync>,
    upkeep: Upkeep,
}

impl LanceBackend {
    /// No I/O (§2.6).
    pub fn new() -> Self {
        Self::with_sync(Arc::new(Disk))
    }

    pub(crate) fn with_sync(sync: Arc<dyn FileSync>) -> Self {
        let capabilities = Capabilities::of([
            token::EMBEDDINGS_IN,
            token::EMBEDDINGS_PASSTHROUGH,
            token::EMBEDDINGS_OUT,
            token::UPDATE,
            token::METADATA_FILTERS,
            token::RANGE_FILTERS,
            token::MIGRATION_EXPORT,
            token::CHANGE_FEED,
            token::SYNC,
            token::SERVER_SIDE_INDEXES,
            token::LOCAL_MODE,
            token::SERVER_MODE,
        ]);
        let descriptor = Descriptor {
            name: "lance",
            spec_version: SpecVersion { major: 1, minor: 0 },
            capabilities,
            maintenance_kinds: &maintenance::KINDS,
            metrics: &[Metric::Cosine, Metric::L2, Metric::Ip],
            capture: Some(CaptureLevel::Version),
            fidelity: Fidelity::Exact,
            conversions: &[],
            keeps_settings: false,
            replaces: Replaces::Directory,
            readers: 2,
            writers: 1,
        };
        Self { descriptor, sync, upkeep: Upkeep::default() }
    }

    #[cfg(test)]
    pub(crate) fn with_upkeep(self, upkeep: Upkeep) -> Self {
        Self { upkeep, ..self }
    }
}

impl Default for LanceBackend {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Backend for LanceBackend {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn detect(&self, path: &Path) -> bool {
        matches!(directory::look(path), Ok(Standing::Palace | Standing::Code(_)))
    }

    fn owns(&self, entry: &Path) -> bool {
        directory::is_ours(entry)
    }

    /// Of an object store only an attempt can tell.
    async fn preflight(&self, palace: &PalaceRef, purpose: Purpose) -> Vec<Check> {
        let path = match (&palace.local_path, address(&palace.id)) {
            (Some(path), _) => path.clone(),
            (None, Address::Path(path)) => PathBuf::from(path),
            _ => return Vec::new(),
        };
        let checked = tokio::task::spawn_blocking(move || preflight::of_directory(&path, purpose)).await;
        checked.unwrap_or_default()
    }

    fn remarks(&self, spec: &CollectionSpec) -> Vec<Check> {
        let problem = layout::name_problem(&spec.name);
        let check = |problem| {
            let found = format!("as the name of a table it {problem}");
            Check::fails("name", found, "Give it another name with --rename-collection.")
        };
        problem.map(check).into_iter().collect()
    }

    async fn open(&self, palace: &PalaceRef, options: OpenOptions) -> Result<Arc<dyn Palace>> {
        let (place, mode) = (Place::palace(palace), options.mode);
        if palace.namespace.is_some() {
            return Err(place.error(ErrorKind::UnsupportedCapability, "a Lance palace has no namespaces"));
        }
        let path = match (&palace.local_path, address(&palace.id)) {
            (Some(path), _) => path.clone(),
            (None, Address::Path(path)) => PathBuf::from(path),
            (None, Address::Uri(uri)) => {
                let palace = LancePalace::connect_store(uri, mode, place.clone(), self.sync.clone()).await?;
                let is_there = mode == OpenMode::Create
                    || !palace.names().await?.is_empty()
                    || !palace.migration_log().await?.is_empty();
                if !is_there {
                    return Err(place.error(ErrorKind::PalaceNotFound, "no Lance palace is there"));
                }
                return Ok(Arc::new(palace.with_upkeep(self.upkeep.clone())));
            }
            (None, Address::Missing { scheme, feature }) => {
                let detail = format!("palaces at {scheme}:// need a build with the cargo feature {feature:?}");
                return Err(place.error(ErrorKind::UnsupportedCapability, detail));
            }
            (None, Address::Unknown) => {
                let detail = "a Lance palace needs a directory or the URI of an object store, and neither is given";
                return Err(place.error(ErrorKind::PalaceNotFound, detail));
            }
        };
        let sync = self.sync.clone();
        let looked = tokio::task::spawn_blocking({
            let place = place.clone();
            move || prepare(&path, mode, &place, sync.as_ref()).map(|code| (path, code))
        });
        let (path, code) = looked.await.map_err(|error| place.join("could not look at the directory", error))??;
        if let Some(tables) = code {
            return Ok(Arc::new(CodePalace::connect(path, tables, mode, place).await?));
        }
        let palace = LancePalace::connect(path, mode, place, self.sync.clone()).await?;
        Ok(Arc::new(palace.with_upkeep(self.upkeep.clone())))
    }
}

/// Makes the directory where that is asked for. Tells where the tables are in a palace of mempalace-code.
fn prepare(path: &Path, mode: OpenMode, place: &Place, sync: &dyn FileSync) -> Result<Option<PathBuf>> {
    let standing = directory::look(path).map_err(|error| place.io("could not look at the directory", error))?;
    match standing {
        Standing::Other(found) => {
            return Err(place.error(ErrorKind::NotAPalace, format!("not a Lance palace: {found}")));
        }
        Standing::Vacant if mode != OpenMode::Create => {
            return Err(place.error(ErrorKind::PalaceNotFound, "no Lance palace is there"));
        }
        Standing::Vacant => {
            directory::make(path, sync).map_err(|error| place.io("could not make the directory", error))?;
        }
        Standing::Code(tables) => return Ok(Some(tables)),
        Standing::Palace => {}
    }
    if mode != OpenMode::Read {
        directory::probe_writable(path).map_err(|error| place.io("the directory cannot be written", error))?;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{contents, kind, row, rows, spec};
    use palanquin_engine::contract::{Condition, EmbedderIdentity, LogEntry, Progress};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    async fn open(path: &Path, mode: OpenMode) -> Result<Arc<dyn Palace>> {
        LanceBackend::new().open(&PalaceRef::local(path), mode.into()).await
    }

    #[tokio::test]
    async fn a_path_without_a_palace_is_not_found_and_nothing_is_made() {
        let directory = tempfile::tempdir().unwrap();
        for path in [directory.path().join("nothing"), directory.path().to_owned()] {
            for mode in [OpenMode::Read, OpenMode::Write] {
                assert_eq!(kind(open(&path, mode).await), ErrorKind::PalaceNotFound);
            }
            assert!(!LanceBackend::new().detect(&path));
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_file_and_a_directory_of_something_else_are_not_palaces() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("chroma.sqlite3");
        fs::write(&file, "x").unwrap();
        for mode in [OpenMode::Read, OpenMode::Write, OpenMode::Create] {
            for path in [file.as_path(), directory.path()] {
                assert_eq!(kind(open(path, mode).await), ErrorKind::NotAPalace, "{path:?}");
            }
            assert_eq!(kind(open(&file.join("below"), mode).await), ErrorKind::InvalidRequest);
        }
    }

    #[tokio::test]
    async fn a_reference_without_a_path_or_with_a_namespace_is_refused() {
        let no_path = PalaceRef { id: "p".into(), local_path: None, namespace: None };
        assert_eq!(kind(LanceBackend::new().open(&no_path, OpenMode::Create.into()).await), ErrorKind::PalaceNotFound);
        let directory = tempfile::tempdir().unwrap();
        let namespaced = PalaceRef { namespace: Some("n".into()), ..PalaceRef::local(directory.path()) };
        assert_eq!(
            kind(LanceBackend::new().open(&namespaced, OpenMode::Create.into()).await),
            ErrorKind::UnsupportedCapability
        );
    }

    #[tokio::test]
    async fn creating_is_idempotent_and_makes_private_directories() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/päl ace%20?#");
        let palace = open(&path, OpenMode::Create).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        palace.create_collection(&spec("c", 4)).await.unwrap();
        assert!(LanceBackend::new().detect(&path));
        let again = open(&path, OpenMode::Create).await.unwrap();
        assert_eq!(again.collections().await.unwrap().len(), 1);
        assert!(open(&path, OpenMode::Read).await.is_ok());
    }

    #[tokio::test]
    async fn opening_to_read_writes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let palace = open(directory.path(), OpenMode::Create).await.unwrap();
        palace.create_collection(&spec("c", 4)).await.unwrap();
        let before = crate::testing::tree(directory.path());
        let palace = open(directory.path(), OpenMode::Read).await.unwrap();
        let collection = palace.collection("c").await.unwrap();
        assert_eq!(collection.count().await.unwrap(), 0);
        assert_eq!(kind(palace.create_collection(&spec("d", 4)).await), ErrorKind::InvalidRequest);
        palace.maintenance_state().await.unwrap();
        assert_eq!(crate::testing::tree(directory.path()), before);
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_written_is_denied() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("locked");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o500)).unwrap();
        if fs::write(path.join("probe"), "").is_ok() {
            return;
        }
        for below in [path.clone(), path.join("palace")] {
            assert_eq!(kind(open(&below, OpenMode::Create).await), ErrorKind::PermissionDenied);
        }
    }

    fn at(id: &str) -> PalaceRef {
        PalaceRef { id: id.to_owned(), local_path: None, namespace: None }
    }

    #[tokio::test]
    async fn a_palace_in_memory_is_one_to_every_handle_and_no_other() {
        let name = format!("memory://{}", uuid::Uuid::new_v4());
        let (palace, other) = (at(&name), at(&format!("{name}-other")));
        let open = async |palace: &PalaceRef, mode: OpenMode| LanceBackend::new().open(palace, mode.into()).await;
        assert_eq!(kind(open(&palace, OpenMode::Write).await), ErrorKind::PalaceNotFound);
        let made = open(&palace, OpenMode::Create).await.unwrap();
        let collection = made.create_collection(&spec("c", 4)).await.unwrap();
        collection.upsert(rows(&[row("a", 0), row("b", 1)])).await.unwrap();
        drop((made, collection));

        let again = open(&palace, OpenMode::Write).await.unwrap();
        let collection = again.collection("c").await.unwrap();
        collection.upsert(rows(&[row("a", 2)])).await.unwrap();
        assert_eq!(contents(collection.as_ref()).await.into_values().collect::<Vec<_>>(), [row("a", 2), row("b", 1)]);
        let identity = EmbedderIdentity { model_name: "minilm".into(), dimension: 4 };
        again.record_identity("c", &identity).await.unwrap();
        assert_eq!(again.collections().await.unwrap()[0].identity, Some(identity.clone()));
        again.append_to_migration_log(&LogEntry::embedder_set("c", None, &identity)).await.unwrap();
        assert_eq!(open(&palace, OpenMode::Read).await.unwrap().migration_log().await.unwrap().len(), 1);
        assert_eq!(again.health().await.condition, Condition::Healthy);
        for kind in maintenance::KINDS {
            again.run_maintenance(kind.name, &Progress::unheard()).await.unwrap();
        }
        assert_eq!(again.maintenance_state().await.unwrap()["c"]["fragments"], 1);
        assert_eq!(collection.count().await.unwrap(), 2);

        let stranger = open(&other, OpenMode::Create).await.unwrap();
        assert!(stranger.collections().await.unwrap().is_empty());
        assert!(stranger.migration_log().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_file_uri_is_a_directory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("palace");
        let uri = at(&format!("file://{}", path.display()));
        let palace = LanceBackend::new().open(&uri, OpenMode::Create.into()).await.unwrap();
        palace.create_collection(&spec("c", 4)).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(open(&path, OpenMode::Read).await.unwrap().collections().await.unwrap().len(), 1);
    }

    #[cfg(not(feature = "aws"))]
    #[tokio::test]
    async fn a_store_that_is_not_built_in_is_refused_by_the_feature_it_needs() {
        let error = LanceBackend::new().open(&at("s3://bucket/palace"), OpenMode::Create.into()).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::UnsupportedCapability);
        assert!(error.what().contains("\"aws\""), "{}", error.what());
    }
}
