//! The contract suite on palaces in directories, and on palaces in an object store, which is the one in memory.

use crate::LanceBackend;
use crate::maintenance::Upkeep;
use async_trait::async_trait;
use palanquin_contract::Store;
use palanquin_engine::contract::{Backend, PalaceRef, kind};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A clock that goes by itself until it is stopped.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicI64>);

impl Clock {
    /// Makes what has been committed so far old, and nothing that comes after it.
    fn let_pass(&self, time: Duration) {
        self.0.store(now() + time.as_millis() as i64, Ordering::SeqCst);
    }

    fn upkeep(&self) -> Upkeep {
        let stopped = self.0.clone();
        let clock = move || match stopped.load(Ordering::SeqCst) {
            0 => now(),
            at => at,
        };
        Upkeep { now: Arc::new(clock), ..Upkeep::default() }
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

fn file_name(palace: &str) -> String {
    palace.bytes().map(|byte| format!("{byte:02x}")).collect()
}

mod directories {
    use super::*;

    struct Directories {
        root: tempfile::TempDir,
        clock: Clock,
    }

    impl Directories {
        fn new() -> Self {
            Self { root: tempfile::tempdir().unwrap(), clock: Clock::default() }
        }

        fn path(&self, palace: &PalaceRef) -> PathBuf {
            palace.local_path.clone().unwrap()
        }
    }

    /// Every file with its contents.
    fn picture(path: &Path, except: Option<&Path>, into: &mut String) {
        let mut entries: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries.into_iter().filter(|path| Some(path.as_path()) != except) {
            if path.is_dir() {
                picture(&path, except, into);
            } else {
                into.push_str(&format!("{} {:?}\n", path.display(), fs::read(&path).unwrap()));
            }
        }
    }

    #[async_trait]
    impl Store for Directories {
        fn backend(&self) -> Arc<dyn Backend> {
            Arc::new(LanceBackend::new().with_upkeep(self.clock.upkeep()))
        }

        fn palace(&self, name: &str) -> PalaceRef {
            PalaceRef { id: name.to_owned(), ..PalaceRef::local(self.root.path().join(file_name(name))) }
        }

        async fn picture(&self, except: Option<&PalaceRef>) -> Option<String> {
            let mut all = String::new();
            picture(self.root.path(), except.map(|palace| self.path(palace)).as_deref(), &mut all);
            Some(all)
        }

        async fn make_work_for(&self, kind: &str, _palace: &PalaceRef) {
            if kind == "prune" {
                self.clock.let_pass(Upkeep::default().grace);
            }
        }

        async fn work_left(&self, kind: &str, palace: &PalaceRef) -> Option<u64> {
            let path = self.path(palace);
            if kind == "prune" {
                return Some(fs::read_dir(path.join("mempalace_drawers.lance/_versions")).unwrap().count() as u64);
            }
            let connection = lancedb::connect(path.to_str().unwrap()).execute().await.unwrap();
            let table = connection.open_table("mempalace_drawers").execute().await.unwrap();
            if kind == kind::COMPACT {
                let stats = table.stats().await.unwrap();
                return Some((stats.fragment_stats.num_fragments + stats.num_deleted_rows.unwrap_or(0)) as u64);
            }
            let on_ids = table.list_indices().await.unwrap().into_iter().find(|index| index.columns == ["id"]);
            match on_ids {
                Some(index) => index.num_unindexed_rows,
                None => Some(table.count_rows(None).await.unwrap() as u64),
            }
        }
    }

    palanquin_contract::suite!(Directories::new());
}

mod object_store {
    use super::*;

    struct InMemory {
        prefix: String,
        clock: Clock,
    }

    impl InMemory {
        fn new() -> Self {
            let prefix = format!("memory://{}", uuid::Uuid::new_v4());
            Self { prefix, clock: Clock::default() }
        }
    }

    #[async_trait]
    impl Store for InMemory {
        fn backend(&self) -> Arc<dyn Backend> {
            Arc::new(LanceBackend::new().with_upkeep(self.clock.upkeep()))
        }

        fn palace(&self, name: &str) -> PalaceRef {
            PalaceRef { id: format!("{}/{}", self.prefix, file_name(name)), local_path: None, namespace: None }
        }

        async fn make_work_for(&self, kind: &str, _palace: &PalaceRef) {
            if kind == "prune" {
                self.clock.let_pass(Upkeep::default().grace);
            }
        }
    }

    palanquin_contract::suite!(InMemory::new());
}
