use super::nearest::{Measure, Nearest};
use crate::collection::Pinned;
use crate::maintenance::{VECTOR_INDEX, distance_type};
use crate::scan::{self, read_failed};
use arrow_array::Float32Array;
use futures::TryStreamExt;
use lance::index::DatasetIndexExt;
use palanquin_engine::contract::Result;

/// Partitions of the index that are searched.
const PARTITIONS: usize = 32;

/// Whether the operator had the vectors indexed.
pub(super) async fn is_indexed(pinned: &Pinned) -> Result<bool> {
    let segments = pinned.dataset.load_indices_by_name(VECTOR_INDEX).await;
    let segments = segments.map_err(|error| pinned.place.store("could not read the indexes", error))?;
    Ok(!segments.is_empty() && pinned.layout.metric.is_some())
}

/// The nearest rows to one vector among those the index comes up with and those it does not know yet, measured anew.
/// `None` if they are not as many as are wanted, or if the vector has no direction or no length in 32 bits, by which
/// the index cannot search.
pub(super) async fn search(measure: Measure, wanted: usize) -> Result<Option<Nearest>> {
    let pinned = measure.pinned().clone();
    let Some(vector) = measure.only_vector() else { return Ok(None) };
    let length: f32 = vector.iter().map(|component| component * component).sum();
    if !length.is_normal() {
        return Ok(None);
    }
    let failed = |error| pinned.place.store("could not search the index of the vectors", error);
    let mut scanner = scan::scanner(&pinned);
    let query = Float32Array::from(vector.to_vec());
    scanner.nearest("embedding", &query, wanted).map_err(failed)?;
    scanner.distance_metric(distance_type(measure.metric()).into()).nprobes(PARTITIONS);
    scanner.project(&["id", "embedding"]).map_err(failed)?.with_row_address();
    scanner.disable_scoring_autoprojection();
    let mut batches = scanner.try_into_stream().await.map_err(failed)?;
    let mut nearest = Nearest::of(wanted);
    loop {
        match batches.try_next().await {
            Ok(Some(batch)) => {
                measure.clone().batch(batch).await?.into_iter().for_each(|found| nearest.take(found));
            }
            Ok(None) => return Ok((nearest.len() == wanted).then_some(nearest)),
            Err(error) => return Err(read_failed(&pinned, error).await),
        }
    }
}
