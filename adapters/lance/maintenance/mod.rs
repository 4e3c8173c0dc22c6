//! The kinds of maintenance (§7.3): `compact`, `reindex` and `prune`, each of one collection.
//!
//! `run` takes the kind's lock, does it to one collection after the other, makes it durable and tells what it measured
//! before and after (`figures`). A collection that fails does not keep the others from their turn. There is no `analyze`:
//! Lance's planner keeps no statistics.

mod compact;
mod figures;
mod prune;
mod reindex;
#[cfg(test)]
mod tests;

use crate::collection::{Pinned, TableHandle};
use crate::durability::Durability;
use crate::palace::LancePalace;
use palanquin_engine::contract::{ErrorKind, MaintenanceKind, MaintenanceResult, Progress, Result, kind};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) use figures::figures;
pub(crate) use reindex::{VECTOR_INDEX, distance_type};

/// When something is worth doing.
#[derive(Clone)]
pub(crate) struct Upkeep {
    /// How long an old version is kept after another took its place.
    pub(crate) grace: Duration,
    /// So many vectors are worth an index.
    pub(crate) vector_index_rows: u64,
    /// The time, in milliseconds since the epoch.
    pub(crate) now: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self { grace: Duration::from_secs(24 * 60 * 60), vector_index_rows: 100_000, now: Arc::new(now) }
    }
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// Attempts at a step that writers come between; each does all of its work again.
const ATTEMPTS: u32 = 6;

const PRUNE: &str = "prune";

/// What is advertised, in the order it is worth running in.
pub(crate) const KINDS: [MaintenanceKind; 3] = [
    MaintenanceKind {
        name: kind::COMPACT,
        effect: "Rewrites small fragments, and fragments of which a tenth or more is deleted, into few large ones: \
                 reads and commits become faster. Needs room for what it rewrites; the old files go with the versions \
                 that use them, by prune. Readers and writers go on; mirrors do not notice.",
    },
    MaintenanceKind {
        name: kind::REINDEX,
        effect: "Builds the index on the ids, or rebuilds it once it does not know some rows: lookups by id become \
                 faster. From 100000 rows on it builds an index of the vectors too, which takes about as much room as \
                 the vectors do: searches without a filter are then approximate and no longer read every vector. \
                 Searches with a filter, and all searches in smaller collections, stay exact.",
    },
    MaintenanceKind {
        name: PRUNE,
        effect: "Removes versions that another took the place of more than 24 hours ago, with the files only they \
                 use, and so gives space back; tagged versions stay. A mirror that follows this palace and has been \
                 paused for longer than that loses its place and must compare everything anew.",
    },
];

/// Runs one kind over all collections.
pub(crate) async fn run(palace: &LancePalace, kind: &str, progress: &Progress) -> Result<MaintenanceResult> {
    let Some(kind) = KINDS.iter().map(|known| known.name).find(|known| *known == kind) else {
        let detail = format!("Lance palaces have no maintenance kind {kind:?}");
        return Err(palace.place().error(ErrorKind::UnsupportedMaintenanceKind, detail));
    };
    let locked = palace.home().lock_maintenance(kind).await;
    let locked = locked.map_err(|error| palace.place().io("could not lock the maintenance", error))?;
    let Some(_lock) = locked else { return Ok(MaintenanceResult::already_running(kind)) };

    let names = palace.names().await?;
    let total = Some(names.len() as u64);
    let mut collections = Map::new();
    let (mut ran, mut failed) = (false, None);
    for (done, name) in (0..).zip(&names) {
        progress.tell(format!("{} {name}", doing(kind)), done, total);
        match of_collection(palace, name, kind).await {
            Ok(did) => {
                ran |= did.ran;
                collections.insert(name.clone(), did.told());
            }
            Err(error) => {
                tracing::warn!(%error, kind, "maintenance of a collection failed");
                failed.get_or_insert(error);
            }
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let stats = BTreeMap::from([("collections".to_owned(), Value::Object(collections))]);
    Ok(if ran { MaintenanceResult::ran(kind, stats) } else { MaintenanceResult::noop(kind, stats) })
}

fn doing(kind: &str) -> &'static str {
    match kind {
        kind::COMPACT => "compacting",
        kind::REINDEX => "indexing",
        _ => "pruning",
    }
}

/// A collection that is being worked on.
struct Job<'a> {
    handle: &'a TableHandle,
    /// As it was before.
    pinned: Pinned,
    durability: Durability,
    palace: &'a LancePalace,
}

/// What was done to a collection.
struct Did {
    ran: bool,
    figures: Map<String, Value>,
}

impl Did {
    fn nothing(why: &str) -> Self {
        Self { ran: false, figures: Map::from_iter([("reason".to_owned(), json!(why))]) }
    }

    fn told(mut self) -> Value {
        self.figures.insert("status".to_owned(), json!(if self.ran { "ran" } else { "noop" }));
        Value::Object(self.figures)
    }
}

async fn of_collection(palace: &LancePalace, name: &str, kind: &str) -> Result<Did> {
    let handle = palace.table(name).await?;
    let pinned = match handle.pin().await {
        Ok(pinned) => pinned,
        // It is not ours, and what may be done to it is not ours to say.
        Err(error) if error.kind() == ErrorKind::UnsupportedFormat => return Ok(Did::nothing("not a table of rows")),
        Err(error) => return Err(error),
    };
    let before = figures(&pinned.dataset, &handle.place).await?;
    let job = Job { handle: &handle, pinned, durability: palace.durability(name), palace };
    let mut did = match kind {
        kind::COMPACT => compact::compact(&job).await?,
        kind::REINDEX => reindex::reindex(&job).await?,
        _ => prune::prune(&job).await?,
    };
    if did.ran {
        did.figures.insert("after".to_owned(), figures(handle.newest().await?.as_ref(), &handle.place).await?);
    }
    did.figures.insert("before".to_owned(), before);
    Ok(did)
}
