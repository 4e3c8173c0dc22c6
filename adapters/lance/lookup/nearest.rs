use super::fields::{Fields, vector, vector_column};
use super::pushdown::of_filter;
use crate::collection::Pinned;
use crate::scan::{self, id_column, read_failed};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use futures::{StreamExt, TryStreamExt};
use palanquin_engine::contract::{ErrorKind, Metric, QueryRequest, QueryResult, Result, reference};
use std::sync::Arc;

/// Batches measured at once. They are read in one stream; each is measured on a thread of its own.
const MEASURED_AT_ONCE: usize = 4;

/// The nearest rows to each vector, exactly (§1): the filter is looked at inside the scan, and each row that passes is
/// measured by the contract's own [`reference::distance`]. Lance's own search is not asked: it computes in 32 bits, in
/// which the length of a vector of zeros or of very large components is no number, and of rows at the same distance it
/// returns any.
pub(crate) async fn query(pinned: &Pinned, request: &QueryRequest) -> Result<QueryResult> {
    let mut nearest: Vec<Nearest> = request.embeddings.iter().map(|_| Nearest::of(request.results)).collect();
    if !nearest.is_empty() && request.results > 0 {
        search(pinned, request, &mut nearest).await?;
    }
    collected(pinned, request, nearest).await
}

/// A row that was measured. Of equally distant rows the lesser id is nearer.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    pub(super) distance: f32,
    pub(super) id: String,
    pub(super) address: u64,
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

    pub(super) fn offer(&mut self, distance: f32, id: &str, address: u64) {
        let is_nearer = |hit: &Hit| hit.distance.total_cmp(&distance).then_with(|| hit.id.as_str().cmp(id)).is_lt();
        let at = self.hits.partition_point(is_nearer);
        if at < self.wanted {
            self.hits.insert(at, Hit { distance, id: id.to_owned(), address });
            self.hits.truncate(self.wanted);
        }
    }
}

async fn search(pinned: &Pinned, request: &QueryRequest, nearest: &mut [Nearest]) -> Result<()> {
    let failed = |error| pinned.place.store("could not begin to read the vectors", error);
    let mut scanner = scan::scanner(pinned);
    scanner.project(&["id", "embedding"]).map_err(failed)?.with_row_address();
    if let Some(filter) = of_filter(&request.filter) {
        scanner.filter_expr(filter);
    }
    let measure = Measure::of(pinned, request);
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
        for (nearest, found) in nearest.iter_mut().zip(found) {
            for hit in found.hits {
                nearest.offer(hit.distance, &hit.id, hit.address);
            }
        }
    }
    Ok(())
}

/// What is needed to measure rows.
#[derive(Clone)]
struct Measure {
    pinned: Pinned,
    metric: Metric,
    vectors: Arc<Vec<Vec<f32>>>,
    wanted: usize,
}

impl Measure {
    fn of(pinned: &Pinned, request: &QueryRequest) -> Self {
        let metric = pinned.layout.metric.unwrap_or(Metric::L2);
        let vectors = Arc::new(request.embeddings.clone());
        Self { pinned: pinned.clone(), metric, vectors, wanted: request.results }
    }

    async fn batch(self, batch: RecordBatch) -> Result<Vec<Nearest>> {
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
        let mut nearest: Vec<Nearest> = self.vectors.iter().map(|_| Nearest::of(self.wanted)).collect();
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
