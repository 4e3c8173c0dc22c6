use super::BATCH_ROWS;
use super::read::Fields;
use crate::contract::{Collection, KeyRange, Metric, QueryRequest, QueryResult, Result, ScanOrder, ScanRequest};
use crate::rows::RowBatch;
use futures::TryStreamExt;

/// The distance of two vectors of one width; lower is closer. By cosine a vector of zeros is as far from everything as
/// one at a right angle.
pub fn distance(metric: Metric, one: &[f32], other: &[f32]) -> f32 {
    let pairs = || one.iter().zip(other).map(|(one, other)| (f64::from(*one), f64::from(*other)));
    let product: f64 = pairs().map(|(one, other)| one * other).sum();
    let distance = match metric {
        Metric::L2 => pairs().map(|(one, other)| (one - other).powi(2)).sum(),
        Metric::Ip => 1.0 - product,
        Metric::Cosine => {
            let (one, other): (f64, f64) =
                pairs().fold((0.0, 0.0), |sums, pair| (sums.0 + pair.0.powi(2), sums.1 + pair.1.powi(2)));
            let lengths = one.sqrt() * other.sqrt();
            if lengths == 0.0 { 1.0 } else { 1.0 - product / lengths }
        }
    };
    distance as f32
}

/// The nearest rows so far to one vector, nearest first.
struct Nearest {
    hits: Vec<(f32, Fields)>,
    wanted: usize,
}

impl Nearest {
    /// Takes the row's fields only if it is among the nearest. Of equally distant rows the lesser id is nearer.
    fn offer(&mut self, distance: f32, id: &str, fields: impl FnOnce() -> Fields) {
        let at = self.hits.partition_point(|(known, fields)| {
            known.total_cmp(&distance).then_with(|| fields.id.as_str().cmp(id)).is_lt()
        });
        if at < self.wanted {
            self.hits.insert(at, (distance, fields()));
            self.hits.truncate(self.wanted);
        }
    }
}

/// What [`Collection::query`] answers of what a scan gives: exact.
///
/// # Errors
/// Those of the scan; `Corrupt` for a row whose metadata is no JSON object.
pub async fn query<C: Collection + ?Sized>(collection: &C, request: &QueryRequest) -> Result<QueryResult> {
    let metric = collection.info().await?.metric.unwrap_or(Metric::L2);
    let mut nearest: Vec<_> =
        request.embeddings.iter().map(|_| Nearest { hits: Vec::new(), wanted: request.results }).collect();
    if !nearest.is_empty() && request.results > 0 {
        let order = ScanOrder::Any;
        let scan = ScanRequest { range: KeyRange::ALL, order, batch_rows: BATCH_ROWS };
        let mut batches = collection.scan_passing(scan, &request.filter);
        while let Some(batch) = batches.try_next().await? {
            search(metric, request, &batch, &mut nearest)?;
        }
    }
    Ok(collected(request, nearest))
}

fn search(metric: Metric, request: &QueryRequest, batch: &RowBatch, nearest: &mut [Nearest]) -> Result<()> {
    for row in batch.rows() {
        let Some(embedding) = row.embedding else { continue };
        if !request.filter.matches(row)? {
            continue;
        }
        for (vector, nearest) in request.embeddings.iter().zip(nearest.iter_mut()) {
            nearest.offer(distance(metric, vector, embedding), row.id, || Fields::of(row));
        }
    }
    Ok(())
}

fn collected(request: &QueryRequest, nearest: Vec<Nearest>) -> QueryResult {
    let include = request.include;
    let mut result = QueryResult { embeddings: include.embeddings.then(Vec::new), ..QueryResult::default() };
    for Nearest { hits, .. } in nearest {
        result.metadatas.push(if include.metadatas {
            hits.iter().map(|(_, fields)| fields.metadata()).collect()
        } else {
            Vec::new()
        });
        result.distances.push(if include.distances {
            hits.iter().map(|(distance, _)| *distance).collect()
        } else {
            Vec::new()
        });
        let (mut ids, mut documents, mut embeddings) = (Vec::new(), Vec::new(), Vec::new());
        for (_, fields) in hits {
            ids.push(fields.id);
            documents.push(fields.document);
            embeddings.push(fields.embedding);
        }
        result.ids.push(ids);
        result.documents.push(if include.documents { documents } else { Vec::new() });
        if let Some(all) = &mut result.embeddings {
            all.push(embeddings);
        }
    }
    result
}
