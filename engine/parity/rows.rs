use super::{Difference, End, Fold};
use crate::contract::{Collection, Error, ErrorKind, Fidelity, KeyRange, Result, ScanOrder, ScanRequest};
use crate::rows::{Row, RowDigest};
use futures::TryStreamExt;
use std::collections::{HashMap, HashSet};

/// Largest difference of a component, in units of the last place, that a store of `ulp` fidelity may show.
const TOLERATED_ULPS: u32 = 4;

/// What must be kept of a row to say in which field it differs.
struct Kept {
    document: Option<blake3::Hash>,
    metadata: blake3::Hash,
    embedding: Option<Vec<f32>>,
    copies: u32,
}

impl Kept {
    fn of(row: Row<'_>) -> Self {
        Self {
            document: row.document.map(|document| blake3::hash(document.as_bytes())),
            metadata: blake3::hash(row.metadata.as_bytes()),
            embedding: row.embedding.map(<[f32]>::to_vec),
            copies: 1,
        }
    }
}

/// What a look at single rows found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) differences: Vec<Difference>,
    pub(super) within_tolerance: u64,
}

/// Compares the rows of some buckets one by one; `progress` hears of each batch as of 0 further rows. Holds the rows of those buckets of one end in memory.
pub(super) async fn compare_rows(
    source: &dyn Collection,
    target: &dyn Collection,
    fidelity: Fidelity,
    buckets: &HashSet<usize>,
    batch_rows: usize,
    progress: &(dyn Fn(End, u64) + Send + Sync),
) -> Result<Found> {
    let mut kept: HashMap<String, Kept> = HashMap::new();
    let mut found = Found::default();
    let told = || progress(End::Source, 0);
    each_row(source, buckets, batch_rows, told, |row| {
        kept.entry(row.id.to_owned()).and_modify(|kept| kept.copies += 1).or_insert_with(|| Kept::of(row));
    })
    .await?;
    let mut seen: HashMap<String, u32> = HashMap::new();
    let told = || progress(End::Target, 0);
    each_row(target, buckets, batch_rows, told, |row| {
        let copies = seen.entry(row.id.to_owned()).or_default();
        *copies += 1;
        if *copies > 1 {
            return;
        }
        let id = row.id.to_owned();
        match kept.get(row.id) {
            None => found.differences.push(Difference::Extra { id }),
            Some(kept) => {
                let (fields, tolerated) = differing_fields(kept, row, fidelity);
                if !fields.is_empty() {
                    found.differences.push(Difference::Different { id, fields });
                } else if tolerated {
                    found.within_tolerance += 1;
                }
            }
        }
    })
    .await?;
    for (id, kept) in &kept {
        match seen.get(id) {
            None => found.differences.push(Difference::Missing { id: id.clone() }),
            Some(&copies) if copies != kept.copies => found.differences.push(Difference::Duplicate { id: id.clone() }),
            Some(_) => {}
        }
    }
    found.differences.sort_by(|a, b| a.id().cmp(b.id()));
    Ok(found)
}

async fn each_row(
    end: &dyn Collection,
    buckets: &HashSet<usize>,
    batch_rows: usize,
    told: impl Fn(),
    mut look: impl FnMut(Row<'_>),
) -> Result<()> {
    let mut batches = end.scan(ScanRequest { range: KeyRange::ALL, order: ScanOrder::Any, batch_rows });
    while let Some(batch) = batches.try_next().await? {
        told();
        batch.rows().filter(|row| buckets.contains(&Fold::bucket_of(row.id))).for_each(&mut look);
    }
    Ok(())
}

/// Fields that differ, and whether the vectors differ within tolerance.
fn differing_fields(source: &Kept, target: Row<'_>, fidelity: Fidelity) -> (Vec<String>, bool) {
    let target = Kept::of(target);
    let mut fields = Vec::new();
    if source.document != target.document {
        fields.push("document".to_owned());
    }
    if source.metadata != target.metadata {
        fields.push("metadata".to_owned());
    }
    let mut tolerated = false;
    match (&source.embedding, &target.embedding) {
        (Some(a), Some(b)) if bits_equal(a, b) => {}
        (Some(a), Some(b)) if fidelity == Fidelity::Ulp && within_ulps(a, b) => tolerated = true,
        (None, None) => {}
        _ => fields.push("embedding".to_owned()),
    }
    (fields, tolerated)
}

fn bits_equal(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

fn within_ulps(a: &[f32], b: &[f32]) -> bool {
    let order = |x: f32| {
        let bits = x.to_bits() as i32;
        if bits < 0 { i32::MIN.wrapping_sub(bits) } else { bits }
    };
    a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| order(a).abs_diff(order(b)) <= TOLERATED_ULPS)
}

/// Folds every row of one end; `progress` hears of each batch.
pub(super) async fn fold_rows(
    end: &dyn Collection,
    which: End,
    batch_rows: usize,
    progress: &(dyn Fn(End, u64) + Send + Sync),
) -> Result<(Fold, u64)> {
    let mut batches = end.scan(ScanRequest { range: KeyRange::ALL, order: ScanOrder::Any, batch_rows });
    let (mut fold, mut without_vector) = (Fold::default(), 0);
    while let Some(batch) = batches.try_next().await? {
        let rows = batch.len() as u64;
        // Hashing a few MiB takes milliseconds: too long for a thread that serves other tasks.
        let hashed = tokio::task::spawn_blocking(move || {
            let mut bare = 0;
            for row in batch.rows() {
                fold.add(row.id, RowDigest::of(row));
                bare += u64::from(row.embedding.is_none());
            }
            (fold, bare)
        });
        let (folded, bare) = hashed
            .await
            .map_err(|error| Error::new(ErrorKind::Internal, "comparing rows failed").with_source(error))?;
        fold = folded;
        without_vector += bare;
        progress(which, rows);
    }
    Ok((fold, without_vector))
}

impl Difference {
    /// The row's id.
    pub fn id(&self) -> &str {
        match self {
            Self::Missing { id } | Self::Extra { id } | Self::Different { id, .. } | Self::Duplicate { id } => id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_last_bits_are_tolerated_and_no_more() {
        let next = |x: f32, ulps: u32| f32::from_bits(x.to_bits() + ulps);
        assert!(within_ulps(&[0.5, -0.5], &[next(0.5, 4), next(-0.5, 4)]));
        assert!(!within_ulps(&[0.5], &[next(0.5, 5)]));
        assert!(within_ulps(&[0.0], &[-0.0]));
        assert!(!within_ulps(&[0.5], &[-0.5]));
        assert!(!within_ulps(&[0.5], &[0.5, 0.5]));
    }
}
