use super::reindex;
use crate::error::Place;
use lance::Dataset;
use lance::index::DatasetIndexExt;
use palanquin_engine::contract::Result;
use serde_json::{Value, json};

/// A fragment of fewer rows is a small one; Lance counts so too.
const SMALL_FRAGMENT_ROWS: usize = 100_000;

/// The condition of a collection, from its manifest and from listing its versions; no row is read.
pub(crate) async fn figures(dataset: &Dataset, place: &Place) -> Result<Value> {
    let failed = |error| place.store("could not read the table's condition", error);
    let fragments = &dataset.manifest().fragments;
    let (mut rows, mut deleted, mut small, mut bytes) = (0, 0, 0, 0);
    for fragment in fragments.iter() {
        let alive = fragment.num_rows().unwrap_or(0);
        rows += alive;
        deleted += fragment.deletion_file.as_ref().and_then(|deletions| deletions.num_deleted_rows).unwrap_or(0);
        small += usize::from(alive < SMALL_FRAGMENT_ROWS);
        bytes +=
            fragment.files.iter().filter_map(|file| file.file_size_bytes.get()).map(|bytes| bytes.get()).sum::<u64>();
    }
    let described = dataset.describe_indices(None).await.map_err(failed)?;
    let indices: Vec<Value> = described
        .iter()
        .map(|index| {
            let ids = index.field_ids().iter().filter_map(|id| i32::try_from(*id).ok());
            let columns = ids.filter_map(|id| dataset.schema().field_by_id(id)).map(|field| field.name.as_str());
            json!({
                "name": index.name(),
                "type": index.index_type(),
                "columns": columns.collect::<Vec<_>>(),
                "unindexed_rows": reindex::unindexed_rows(dataset, index.metadata()),
                "bytes": index.total_size_bytes(),
            })
        })
        .collect();
    Ok(json!({
        "version": dataset.version_id(),
        "versions": versions(dataset, place).await?,
        "rows": rows,
        "deleted_rows": deleted,
        "fragments": fragments.len(),
        "small_fragments": small,
        "bytes": bytes,
        "indices": indices,
    }))
}

/// How many versions are kept; their manifests are counted, not read.
async fn versions(dataset: &Dataset, place: &Place) -> Result<u64> {
    let failed = |error| place.store("could not list the versions", error);
    let store = dataset.object_store(None).await.map_err(failed)?;
    let names = store.read_dir(dataset.versions_dir()).await.map_err(failed)?;
    let is_version = |name: &&String| name.strip_suffix(".manifest").is_some_and(|of| of.parse::<u64>().is_ok());
    Ok(names.iter().filter(is_version).count() as u64)
}
