use super::approximate;
use super::fields::{Fields, vector, vector_column};
use super::pushdown::of_filter;
use crate::collection::Pinned;
use crate::scan::{self, id_column, read_failed};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use futures::{StreamExt, TryStreamExt};
use palanquin_engine::contract::{ErrorKind, Filter, Metric, QueryRequest, QueryResult, Result, reference};
use std::sync::Arc;

/// Batches measured at once. They are read in one stream; each is measured on a thread of its own.
const MEASURED_AT_ONCE: usize = 4;

/// The nearest rows to each vector (§1), exactly: the filter is looked at inside the scan, and each row that passes is
/// measured by the contract's own [`reference::distance`]. Lance's own search computes in 32 bits, in which the length
/// of a vector of zeros or of very large components is no number, and of rows at the same distance it returns any.
///
/// Once the operator has had the vectors indexed, which is a matter of large collections, a search without a filter is
/// approximate: the index comes up with candidates, which are measured in the same way. Where it comes up with fewer
/// than are wanted, the exact search answers. With a filter every row is looked at in any case.
pub(crate) async fn query(pinned: &Pinned, request: &QueryRequest) -> Result<QueryResult> {
    let wanted = request.results;
    let mut nearest: Vec<Option<Nearest>> = request.embeddings.iter().map(|_| None).collect();
    if wanted > 0 && request.filter.is_all() && approximate::is_indexed(pinned).await? {
        for (vector, nearest) in request.embeddings.iter().zip(&mut nearest) {
            let measure = Measure::of(pinned, vec![vector.clone()], wanted);
            *nearest = approximate::search(measure, wanted).await?;
        }
    }
    let missing: Vec<usize> = (0..nearest.len()).filter(|vector| nearest[*vector].is_none()).collect();
    if wanted > 0 && !missing.is_empty() {
        let vectors = missing.iter().map(|vector| request.embeddings[*vector].clone()).collect();
        let found = search(Measure::of(pinned, vectors, wanted), &request.filter).await?;
        missing.into_iter().zip(found).for_each(|(vector, found)| nearest[vector] = Some(found));
    }
    let nearest = nearest.into_iter().map(|nearest| nearest.unwrap_or_else(|| Nearest::of(wanted))).collect();
    collected(pinned, request, nearest).await
}

/// A row that was measured. Of equally distant rows the lesser id is nearer.
#[derive(Clone, Debug)]
struct Hit {
    distance: f32,
    id: String,
    address: u64,
}

/// The nearest rows so far to one vector, nearest first.
pub(super) struct Nearest {
    hits: Vec<Hit>,
    wanted: usize,
}

impl Nearest {
    pub(super) fn of(wanted: usize) -> Self {
        Self { hits: Vec::new(), wanted }
    }

    pub(super) fn len(&self) -> usize {
        self.hits.len()
    }

    /// Those of another share of the rows.
    pub(super) fn take(&mut self, other: Self) {
        other.hits.into_iter().for_each(|hit| self.offer(hit.distance, &hit.id, hit.address));
    }

    fn offer(&mut self, distance: f32, id: &str, address: u64) {
        let is_nearer = |hit: &Hit| hit.distance.total_cmp(&distance).then_with(|| hit.id.as_str().cmp(id)).is_lt();
        let at = self.hits.partition_point(is_nearer);
        if at < self.wanted {
            self.hits.insert(at, Hit { distance, id: id.to_owned(), address });
            self.hits.truncate(self.wanted);
        }
    }
}

/// The nearest of the rows that pass, to each of the vectors.
async fn search(measure: Measure, filter: &Filter) -> Result<Vec<Nearest>> {
    let pinned = measure.pinned.clone();
    let failed = |error| pinned.place.store("could not begin to read the vectors", error);
    let mut scanner = scan::scanner(&pinned);
    scanner.project(&["id", "embedding"]).map_err(failed)?.with_row_address();
    if let Some(filter) = of_filter(filter) {
        scanner.filter_expr(filter);
    }
    let mut nearest = measure.none();
    let batches = scanner.try_into_stream().await.map_err(failed)?;
    let mut measured = batches
        .map(|batch| {
            let measure = measure.clone();
            async move {
                match batch {
                    Ok(batch) => measure.batch(batch).await,
                    Err(error) => Err(read_failed(&measure.pinned, error).await),
                }
            }
        })
        .buffer_unordered(MEASURED_AT_ONCE);
    while let Some(found) = measured.try_next().await? {
        nearest.iter_mut().zip(found).for_each(|(nearest, found)| nearest.take(found));
    }
    Ok(nearest)
}

/// What is needed to measure rows.
#[derive(Clone)]
pub(super) struct Measure {
    pinned: Pinned,
    metric: Metric,
    vectors: Arc<Vec<Vec<f32>>>,
    wanted: usize,
}

impl Measure {
    fn of(pinned: &Pinned, vectors: Vec<Vec<f32>>, wanted: usize) -> Self {
        let metric = pinned.layout.metric.unwrap_or(Metric::L2);
        Self { pinned: pinned.clone(), metric, vectors: Arc::new(vectors), wanted }
    }

    pub(super) fn pinned(&self) -> &Pinned {
        &self.pinned
    }

    pub(super) fn metric(&self) -> Metric {
        self.metric
    }

    pub(super) fn only_vector(&self) -> Option<&[f32]> {
        if let [only] = self.vectors.as_slice() { Some(only) } else { None }
    }

    fn none(&self) -> Vec<Nearest> {
        self.vectors.iter().map(|_| Nearest::of(self.wanted)).collect()
    }

    /// The nearest of a batch to each vector, found on a thread of its own.
    pub(super) async fn batch(self, batch: RecordBatch) -> Result<Vec<Nearest>> {
        let place = self.pinned.place.clone();
        let measured = tokio::task::spawn_blocking(move || self.nearest_in(&batch)).await;
        measured.map_err(|error| place.join("could not measure the distances", error))?
    }

    fn nearest_in(&self, batch: &RecordBatch) -> Result<Vec<Nearest>> {
        let addresses = batch.column_by_name("_rowaddr").and_then(|column| column.as_primitive_opt::<UInt64Type>());
        let Some(addresses) = addresses else {
            return Err(self.pinned.place.error(ErrorKind::Internal, "a batch came back without row addresses"));
        };
        let (ids, vectors) = (id_column(&self.pinned, batch)?, vector_column(&self.pinned, batch)?);
        let mut nearest = self.none();
        for row in 0..batch.num_rows() {
            let Some(embedding) = vector(vectors, row) else { continue };
            for (wanted, nearest) in self.vectors.iter().zip(nearest.iter_mut()) {
                let distance = reference::distance(self.metric, wanted, embedding);
                nearest.offer(distance, ids.value(row), addresses.value(row));
            }
        }
        Ok(nearest)
    }
}

async fn collected(pinned: &Pinned, request: &QueryRequest, nearest: Vec<Nearest>) -> Result<QueryResult> {
    let include = request.include;
    let mut result = QueryResult { embeddings: include.embeddings.then(Vec::new), ..QueryResult::default() };
    for Nearest { hits, .. } in nearest {
        let addresses = hits.iter().map(|hit| hit.address).collect();
        let fields = if include.documents || include.metadatas || include.embeddings {
            Fields::of(pinned, addresses, include).await?
        } else {
            Fields::default()
        };
        result.distances.push(if include.distances {
            hits.iter().map(|hit| hit.distance).collect()
        } else {
            Vec::new()
        });
        result.ids.push(hits.into_iter().map(|hit| hit.id).collect());
        result.documents.push(fields.documents);
        result.metadatas.push(fields.metadatas);
        if let Some(embeddings) = &mut result.embeddings {
            embeddings.push(fields.embeddings);
        }
    }
    Ok(result)
}
