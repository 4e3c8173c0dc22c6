use async_trait::async_trait;
use palanquin_engine::contract::{Backend, Metadata, PalaceRef};
use std::sync::Arc;

/// A fresh piece of storage for one test, and the adapter under test on it. Only two methods are needed.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The adapter, newly made, on this storage and not enforced. Each call stands for another process: two of them
    /// share what is stored and nothing else.
    fn backend(&self) -> Arc<dyn Backend>;

    /// Names a palace: equal names the same palace, different names different ones, and no palace is there before the
    /// test makes it. The name becomes [`PalaceRef::id`] as it is; names are chosen to hurt (`team-a` and `team.a`,
    /// `A` and `a`, `../x`, quotes, NUL). A store of directories gives each name a directory of its own.
    fn palace(&self, name: &str) -> PalaceRef;

    /// What the store cannot hold by its nature.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// Looks at the storage by other means than the adapter: all there is, but what belongs to the palace `except`, as
    /// text. Equal pictures mean that nothing was written in between. Files with sizes and contents, say, or tables with
    /// their rows. `None` where nobody can look.
    async fn picture(&self, except: Option<&PalaceRef>) -> Option<String> {
        let _ = except;
        None
    }

    /// A backend whose storage cannot be reached: a port nobody listens on, a directory that cannot be. Making it must
    /// succeed, for construction does no I/O (§2.6).
    fn unreachable(&self) -> Option<Arc<dyn Backend>> {
        None
    }

    /// Brings the palace into the condition a maintenance kind is for, where ordinary writing does not: called after
    /// the test has written, replaced and deleted rows in several batches.
    async fn make_work_for(&self, kind: &str, palace: &PalaceRef) {
        let _ = (kind, palace);
    }

    /// How much there is to do for a maintenance kind, seen by other means than the adapter: bytes or dead rows that
    /// `compact` would reclaim, rows no index covers for `reindex`, rows the statistics do not know for `analyze`. A run
    /// must make it less. `None` where nobody can look.
    async fn work_left(&self, kind: &str, palace: &PalaceRef) -> Option<u64> {
        let _ = (kind, palace);
        None
    }

    /// Rows (or any unit that grows with the rows looked at) the store has read so far, on behalf of all backends. With
    /// it the claims to be cheap are checked by what was read, without it by time.
    fn rows_read(&self) -> Option<u64> {
        None
    }
}

/// What a store cannot hold by its nature.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The widest vectors.
    pub widest: u32,
    /// What becomes of U+0000 in documents, metadata and ids.
    pub nul: NulInText,
    /// Rows of the largest batch that is tried.
    pub largest_batch: usize,
    /// Whether a row may be without a vector; if not, one that is must be refused by name.
    pub rows_without_vector: bool,
    /// Which metadata a row may have; what is not held must be refused by name. Asked of one key at a time too.
    pub holds: fn(&Metadata) -> bool,
}

impl Default for Limits {
    /// Any width, NUL kept, 100 000 rows, rows without vectors, any metadata.
    fn default() -> Self {
        Self {
            widest: u32::MAX,
            nul: NulInText::Kept,
            largest_batch: 100_000,
            rows_without_vector: true,
            holds: |_| true,
        }
    }
}

/// What becomes of U+0000 in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NulInText {
    /// It comes back, or the row is refused by name.
    Kept,
    /// It comes back as this text, everywhere.
    ReplacedBy(&'static str),
}
