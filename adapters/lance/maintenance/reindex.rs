use super::{ATTEMPTS, Did, Job};
use crate::collection::Pinned;
use crate::retry;
use lance::Dataset;
use lance::index::DatasetIndexExt;
use lance::table::format::IndexMetadata;
use lancedb::DistanceType;
use lancedb::index::Index;
use lancedb::index::vector::IvfFlatIndexBuilder;
use palanquin_engine::contract::{ErrorKind, Metric, Result};
use serde_json::{Map, Value, json};

/// The index of the vectors, by which it is told from one that somebody else built for reasons of their own.
pub(crate) const VECTOR_INDEX: &str = "palanquin_vectors";
const ID_INDEX: &str = "id_idx";

/// Builds what is missing and rebuilds what does not know every row: the index on the ids always, one of the vectors
/// where there are so many that searching them all takes long.
pub(super) async fn reindex(job: &Job<'_>) -> Result<Did> {
    let place = &job.handle.place;
    let count = async |filter: Option<String>| {
        let rows = job.pinned.dataset.count_rows(filter).await;
        rows.map(|rows| rows as u64).map_err(|error| place.store("could not count the rows", error))
    };
    if count(None).await? == 0 {
        return Ok(Did::nothing("it has no rows"));
    }
    let ids = build(job, "id", ID_INDEX, Index::BTree(Default::default())).await?;
    let wanted = job.palace.upkeep().vector_index_rows;
    let (vectors, why) = match job.pinned.layout.metric {
        None => (false, Some("the table declares no metric".to_owned())),
        Some(_) if count(Some("embedding IS NOT NULL".to_owned())).await? < wanted => {
            (false, Some(format!("fewer than {wanted} rows have vectors, and an exact search of them is fast")))
        }
        Some(metric) => {
            let index = Index::IvfFlat(IvfFlatIndexBuilder::default().distance_type(distance_type(metric)));
            match build(job, "embedding", VECTOR_INDEX, index).await {
                Ok(built) => (built, None),
                // Lance cannot index vectors whose length overflows 32 bits. They are searched exactly, as before.
                Err(error) if error.kind() == ErrorKind::Internal => (false, Some(error.what())),
                Err(error) => return Err(error),
            }
        }
    };
    if ids || vectors {
        job.durability.settle().await.map_err(|error| place.not_durable(error))?;
    }
    let told = |built| json!(if built { "built" } else { "up to date" });
    let mut figures = Map::from_iter([("ids".to_owned(), told(ids)), ("vectors".to_owned(), told(vectors))]);
    if let Some(why) = why {
        figures.insert("vectors".to_owned(), Value::String(format!("skipped: {why}")));
    }
    Ok(Did { ran: ids || vectors, figures })
}

/// Lance's name of a metric.
pub(crate) fn distance_type(metric: Metric) -> DistanceType {
    match metric {
        Metric::Cosine => DistanceType::Cosine,
        Metric::L2 => DistanceType::L2,
        Metric::Ip => DistanceType::Dot,
    }
}

/// Whether it had to be built.
async fn build(job: &Job<'_>, column: &str, name: &str, index: Index) -> Result<bool> {
    let place = &job.handle.place;
    retry::at_most(ATTEMPTS, || async {
        let pinned = job.handle.pin().await?;
        if unindexed(&pinned, name).await? == Some(0) {
            return Ok(false);
        }
        let table = &job.handle.table;
        let built = table.create_index(&[column], index.clone()).name(name.to_owned()).replace(true).execute().await;
        built.map(|()| true).map_err(|error| place.store(format!("could not build the index {name}"), error))
    })
    .await
}

/// Rows the index of that name does not know; `None` if there is none.
async fn unindexed(pinned: &Pinned, name: &str) -> Result<Option<u64>> {
    let indices = pinned.dataset.load_indices_by_name(name).await;
    let segments = indices.map_err(|error| pinned.place.store("could not read the indexes", error))?;
    Ok((!segments.is_empty()).then(|| unindexed_rows(&pinned.dataset, &segments)))
}

/// Rows in fragments that no segment of an index covers; whatever it covered then, as it is now.
pub(super) fn unindexed_rows(dataset: &Dataset, segments: &[IndexMetadata]) -> u64 {
    let is_covered = |fragment: u64| {
        let fragment = u32::try_from(fragment).unwrap_or(u32::MAX);
        segments
            .iter()
            .any(|segment| segment.fragment_bitmap.as_ref().is_some_and(|covered| covered.contains(fragment)))
    };
    let uncovered = dataset.manifest().fragments.iter().filter(|fragment| !is_covered(fragment.id));
    uncovered.map(|fragment| fragment.num_rows().unwrap_or(0) as u64).sum()
}
