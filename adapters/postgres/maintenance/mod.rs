//! What keeps a table fast, and what the operator is told of a palace's condition (§7.3).
//!
//! `run` takes the locks and goes through the tables, `worker` runs one statement on a session of its own and tells how
//! far it is; `vector_index` is what there is to know of a table's index; `state` and `health` only look.

mod health;
mod run;
mod state;
pub(crate) mod vector_index;
mod worker;

pub(crate) use health::{ITERATIVE, health, version_of};
pub(crate) use run::run;
pub(crate) use state::state;

use palanquin_engine::contract::{MaintenanceKind, kind};

/// What is advertised, the cheapest first.
pub(crate) const KINDS: &[MaintenanceKind] = &[
    MaintenanceKind {
        name: kind::ANALYZE,
        effect: "Refreshes the planner's statistics (ANALYZE): seconds, beside readers and writers.",
    },
    MaintenanceKind {
        name: kind::COMPACT,
        effect: "Frees the space of dead rows for new ones and refreshes statistics (a plain VACUUM ANALYZE, never FULL), \
                 beside readers and writers. Where more than a twentieth of the rows of an HNSW index are dead, it is rebuilt \
                 first, which is faster than cleaning it.",
    },
    MaintenanceKind {
        name: kind::REINDEX,
        effect: "Builds the vector index (HNSW), or rebuilds it, beside readers and writers: minutes per 100 000 rows. \
                 With it searches are fast and approximate, and writes much slower.",
    },
];

/// The widest vectors pgvector can index.
pub(crate) const WIDEST_INDEXED: u32 = 2_000;
