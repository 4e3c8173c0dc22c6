use super::fold::Fold;
use super::found::Found;
use super::merge::{judged, merge};
use super::settle::{Marks, settle};
use super::vectors::{Criterion, SAME_COSINE, TOLERATED_ULPS};
use super::{CollectionParity, Difference, ParityReport, SampleTaken};
use crate::contract::{Collection, Error, ErrorKind, KeyRange, Partition, Result, ScanOrder, ScanRequest};
use crate::rows::RowDigest;
use futures::TryStreamExt;
use std::fmt;
use std::sync::Arc;

/// Ranges of ids a collection is folded over, about.
const RANGES: u64 = 1_024;
/// Rows of a range, at least.
const RANGE_ROWS: u64 = 100;
/// Differences listed by id in a report, at most; the rest is counted.
const LISTED: usize = 1_000;

/// One end of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The palace that was read.
    Source,
    /// The palace that was written.
    Target,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
        })
    }
}

/// Hears of rows that were read of an end for the first time, a batch at a time, and of batches read again as of 0 rows.
pub type Heard<'a> = &'a (dyn Fn(End, u64) + Send + Sync);

/// A collection that stands on both ends.
#[derive(Clone)]
pub struct Compared {
    /// Its name in the source.
    pub name: String,
    /// Its name in the target.
    pub target_name: String,
    /// On the source, as the target is to hold it.
    pub source: Arc<dyn Collection>,
    /// On the target.
    pub target: Arc<dyn Collection>,
}

/// How rows are compared.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// When two vectors count as the same.
    pub vectors: Criterion,
    /// Rows read at once.
    pub batch_rows: usize,
}

/// What the comparison of one collection has found.
#[derive(Clone, Debug)]
pub struct Comparison {
    pub(super) name: String,
    pub(super) target_name: String,
    pub(super) source_rows: u64,
    pub(super) target_rows: u64,
    pub(super) without_vector: u64,
    pub(super) digests: Option<(String, String)>,
    pub(super) sample: Option<SampleTaken>,
    pub(super) found: Found,
    pub(super) compared_again: u64,
    /// Rows that never lay still.
    pub(super) moving: u64,
    pub(super) inconclusive: Vec<String>,
    /// The ends whose store does not tell which rows were changed.
    pub(super) silent: Vec<End>,
}

/// Compares collections row by row: every row of both ends is read anew.
///
/// # Errors
/// The first failure of either end; nothing is concluded then.
pub async fn compare(
    ends: (&str, &str),
    collections: &[Compared],
    manner: Manner,
    heard: Heard<'_>,
) -> Result<ParityReport> {
    let mut report = ParityReport::begin(ends, manner, false);
    for compared in collections {
        report.add(&compare_collection(compared, manner, heard).await?);
    }
    Ok(report)
}

/// Compares every row of a collection. Digests of both ends are folded over the same ranges of ids; ranges that are equal
/// cost nothing more, the others are read again in the order of ids and compared row by row.
///
/// # Errors
/// The first failure of either end.
pub async fn compare_collection(compared: &Compared, manner: Manner, heard: Heard<'_>) -> Result<Comparison> {
    let (source, target) = (&compared.source, &compared.target);
    let before = Marks::of(compared, heard).await?;
    let silent = before.silent().collect();
    let rows = source.info().await?.rows;
    let cut = source.cut(rows.div_ceil(RANGES).max(RANGE_ROWS)).await?;
    let (left, right) = futures::try_join!(
        fold(source.as_ref(), End::Source, &cut, manner, heard),
        fold(target.as_ref(), End::Target, &cut, manner, heard),
    )?;
    let differing = left.differing(&right);
    let mut found = Found::default();
    if manner.vectors != Criterion::Unseen {
        found.vectors.add_exact(differing.equal_vectors);
    }
    for range in &differing.ranges {
        let request = || ScanRequest { range: range.clone(), order: ScanOrder::ById, batch_rows: manner.batch_rows };
        merge((source.scan(request()), target.scan(request())), manner.vectors, heard, &mut found).await?;
    }
    let settled = settle(compared, manner, before, None, heard, &mut found).await?;
    let (source_rows, target_rows) = match settled.again {
        0 => (left.rows(), right.rows()),
        _ => futures::try_join!(source.count(), target.count())?,
    };
    Ok(Comparison {
        name: compared.name.clone(),
        target_name: compared.target_name.clone(),
        source_rows,
        target_rows,
        without_vector: left.rows() - left.vectors(),
        digests: Some((left.digest(), right.digest())),
        sample: None,
        found,
        compared_again: settled.again,
        moving: settled.moving,
        inconclusive: settled.inconclusive,
        silent,
    })
}

/// Folds every row of one end.
async fn fold(end: &dyn Collection, which: End, cut: &[Partition], manner: Manner, heard: Heard<'_>) -> Result<Fold> {
    let request = ScanRequest { range: KeyRange::ALL, order: ScanOrder::Any, batch_rows: manner.batch_rows };
    let mut batches = end.scan(request);
    let mut fold = Fold::over(cut);
    let mut next = batches.try_next().await?;
    while let Some(batch) = next {
        let rows = batch.len() as u64;
        // Hashing a few MiB takes milliseconds: too long for a thread that serves other tasks.
        let hashed = tokio::task::spawn_blocking(move || {
            for row in batch.rows() {
                fold.add(row.id, RowDigest::of(judged(row, manner.vectors)), row.embedding.is_some());
            }
            fold
        });
        // The next batch is read meanwhile.
        let (read, hashed) = futures::join!(batches.try_next(), hashed);
        let failed = |error| Error::new(ErrorKind::Internal, "comparing rows failed").with_source(error);
        fold = hashed.map_err(failed)?;
        heard(which, rows);
        next = read?;
    }
    Ok(fold)
}

impl Comparison {
    /// The differences by id that were kept, ascending; all of them if [`is_complete`](Self::is_complete).
    pub fn differences(&self) -> &[Difference] {
        self.found.kept()
    }

    /// Whether every difference is among those kept.
    pub fn is_complete(&self) -> bool {
        self.found.is_complete()
    }

    /// What stands in a report.
    pub fn parity(&self) -> CollectionParity {
        let found = &self.found;
        let kept = found.kept();
        let copies = kept.iter().filter_map(|difference| match difference {
            Difference::Duplicate { source, .. } => Some(*source),
            _ => None,
        });
        let (of_duplicates, duplicates) = copies.fold((0, 0), |(rows, ids), copies| (rows + copies, ids + 1));
        let unequal =
            found.counts.missing + found.counts.different + of_duplicates + found.counts.duplicate - duplicates;
        let looked_at = self.sample.map_or(self.source_rows, |sample| sample.rows);
        CollectionParity {
            name: self.name.clone(),
            target_name: (self.name != self.target_name).then(|| self.target_name.clone()),
            source_rows: self.source_rows,
            target_rows: self.target_rows,
            equal: looked_at.saturating_sub(unequal + self.moving),
            within_tolerance: found.within_tolerance,
            counts: found.counts,
            differences: kept.iter().take(LISTED).cloned().collect(),
            unlisted: found.counts.total() - kept.len().min(LISTED) as u64,
            without_vector: self.without_vector,
            vectors: found.vectors.report(),
            source_digest: self.digests.as_ref().map(|(source, _)| source.clone()),
            target_digest: self.digests.as_ref().map(|(_, target)| target.clone()),
            sample: self.sample,
            compared_again: self.compared_again,
            inconclusive: self.inconclusive.clone(),
        }
    }
}

impl ParityReport {
    /// A report that has nothing in it but how rows are compared.
    pub fn begin((source, target): (&str, &str), manner: Manner, is_of_a_sample: bool) -> Self {
        let fields =
            if manner.vectors == Criterion::Unseen { "document, metadata" } else { "document, metadata, vector" };
        let mut compared = vec![if is_of_a_sample {
            format!("number of rows, and of the sampled rows {fields}, both ends read anew")
        } else {
            format!("number of rows, set of ids, and the digest of every row (id, {fields}), both ends read anew")
        }];
        let mut not_compared = Vec::new();
        match manner.vectors {
            Criterion::Bits => compared.push("vectors bit by bit".to_owned()),
            Criterion::Ulps => compared.push(format!(
                "vectors bit by bit; where they differ, by at most {TOLERATED_ULPS} units in the last place of a component"
            )),
            Criterion::Cosine => compared.push(format!(
                "vectors: the same from a cosine of {SAME_COSINE} on (§8); those whose bits are not the same are counted"
            )),
            Criterion::Unseen => not_compared.push("vectors: only ids, documents and metadata were looked at".to_owned()),
        }
        if is_of_a_sample {
            not_compared.push("rows beside the sample, and which rows stand in the target alone".to_owned());
        }
        Self {
            source: source.to_owned(),
            target: target.to_owned(),
            collections: Vec::new(),
            uncopied: Vec::new(),
            only_in_target: Vec::new(),
            compared,
            not_compared,
            search: None,
        }
    }

    /// Adds what was found of a collection.
    pub fn add(&mut self, comparison: &Comparison) {
        for end in &comparison.silent {
            let silence =
                format!("whether the {end} was changed meanwhile, beyond its number of rows: its store does not tell");
            if !self.not_compared.contains(&silence) {
                self.not_compared.push(silence);
            }
        }
        if comparison.compared_again > 0 {
            let (name, again) = (&comparison.name, comparison.compared_again);
            self.compared.push(format!("{again} rows of {name} once more: they were changed while they were compared"));
        }
        if comparison.moving > 0 {
            let (name, moving) = (&comparison.name, comparison.moving);
            self.not_compared.push(format!("{moving} rows of {name}: they were being changed all the time"));
        }
        self.collections.push(comparison.parity());
    }

    /// Adds a collection that could not be read to its end.
    pub fn add_unread(&mut self, compared: &Compared, error: &Error) {
        let comparison = Comparison {
            name: compared.name.clone(),
            target_name: compared.target_name.clone(),
            source_rows: 0,
            target_rows: 0,
            without_vector: 0,
            digests: None,
            sample: None,
            found: Found::default(),
            compared_again: 0,
            moving: 0,
            inconclusive: vec![format!("it could not be compared to its end: {}", error.what())],
            silent: Vec::new(),
        };
        self.add(&comparison);
    }
}
