use super::rows::{Found, compare_rows, fold_rows};
use super::{CollectionParity, Difference, ParityReport};
use crate::contract::{Collection, Fidelity, Result};
use std::sync::Arc;

/// Rows looked at one by one in a pass, at most; those of one end are held in memory meanwhile.
const EXAMINED_ROWS: u64 = 20_000;
/// Passes over both ends to look at rows one by one, at most.
const PASSES: usize = 8;
/// Differences listed by id, at most; the rest is counted.
const LISTED_DIFFERENCES: usize = 1_000;

/// One end of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The palace that was read.
    Source,
    /// The palace that was written.
    Target,
}

/// A collection that stands on both ends.
#[derive(Clone)]
pub struct Compared {
    /// Its name.
    pub name: String,
    /// On the source.
    pub source: Arc<dyn Collection>,
    /// On the target.
    pub target: Arc<dyn Collection>,
}

/// Compares collections row by row: counts, ids, and the digest of every row, read anew from both ends.
///
/// `fidelity` is the lower of the two ends'. `progress` hears of every batch read in the first pass.
///
/// # Errors
/// The first failure of either end; nothing is concluded then.
pub async fn compare(
    (source, target): (&str, &str),
    collections: &[Compared],
    fidelity: Fidelity,
    batch_rows: usize,
    progress: &(dyn Fn(End, u64) + Send + Sync),
) -> Result<ParityReport> {
    let mut report = ParityReport {
        source: source.to_owned(),
        target: target.to_owned(),
        collections: Vec::new(),
        uncopied: Vec::new(),
        compared: vec![
            "number of rows, set of ids, and the digest of every row (id, document, metadata, vector), both ends read anew"
                .to_owned(),
        ],
        not_compared: Vec::new(),
    };
    match fidelity {
        Fidelity::Exact => report.compared.push("vectors bit by bit".to_owned()),
        Fidelity::Ulp => report.compared.push(
            "vectors bit by bit; where they differ, by at most 4 units in the last place of a component".to_owned(),
        ),
    }
    for compared in collections {
        report.collections.push(compare_collection(compared, fidelity, batch_rows, progress).await?);
    }
    Ok(report)
}

/// Differing buckets with their rows, in groups of a pass each.
fn passes(differing: Vec<(usize, u64)>) -> Vec<Vec<(usize, u64)>> {
    let mut passes: Vec<Vec<(usize, u64)>> = Vec::new();
    let mut room = 0;
    for (bucket, rows) in differing {
        match passes.last_mut() {
            Some(pass) if rows <= room => pass.push((bucket, rows)),
            _ => {
                passes.push(vec![(bucket, rows)]);
                room = EXAMINED_ROWS;
            }
        }
        room = room.saturating_sub(rows);
    }
    passes
}

async fn compare_collection(
    Compared { name, source, target }: &Compared,
    fidelity: Fidelity,
    batch_rows: usize,
    progress: &(dyn Fn(End, u64) + Send + Sync),
) -> Result<CollectionParity> {
    let (source, target) = (source.as_ref(), target.as_ref());
    let ((left, without_vector), (right, _)) = futures::try_join!(
        fold_rows(source, End::Source, batch_rows, progress),
        fold_rows(target, End::Target, batch_rows, progress),
    )?;
    let (mut found, mut not_examined) = (Found::default(), 0);
    for (pass, buckets) in passes(left.differing(&right)).into_iter().enumerate() {
        if pass >= PASSES {
            not_examined += buckets.iter().map(|(_, rows)| rows).sum::<u64>();
            continue;
        }
        let buckets = buckets.into_iter().map(|(bucket, _)| bucket).collect();
        let more = compare_rows(source, target, fidelity, &buckets, batch_rows, progress).await?;
        found.differences.extend(more.differences);
        found.within_tolerance += more.within_tolerance;
    }
    if found.differences.len() > LISTED_DIFFERENCES {
        not_examined += (found.differences.len() - LISTED_DIFFERENCES) as u64;
        found.differences.truncate(LISTED_DIFFERENCES);
    }
    let (source_rows, target_rows) = (left.rows(), right.rows());
    let unequal = found.differences.iter().filter(|row| !matches!(row, Difference::Extra { .. })).count() as u64;
    Ok(CollectionParity {
        name: name.clone(),
        source_rows,
        target_rows,
        equal: source_rows.saturating_sub(unequal + not_examined),
        within_tolerance: found.within_tolerance,
        differences: found.differences,
        not_examined,
        without_vector,
    })
}
