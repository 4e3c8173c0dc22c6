use crate::collection::Pinned;
use crate::scan;
use futures::TryStreamExt;
use palanquin_engine::contract::{KeyRange, Partition, Result};

/// Ids held while cutting; with no more rows than that the cut is exact.
const SAMPLE: u64 = 1 << 16;

/// Cuts every id there can be into ranges of about `rows_per_partition` rows, from one pass over the ids.
///
/// A larger table is sampled: one id, at a place that follows no pattern, out of each stretch of rows, so that neither
/// an order nor a rhythm in how the rows are stored bends the cut. A cut only decides how even the shares are.
pub(crate) async fn cut(pinned: &Pinned, rows_per_partition: u64) -> Result<Vec<Partition>> {
    let total = pinned.dataset.count_rows(None).await;
    let total = total.map_err(|error| pinned.place.store("could not count the rows", error))? as u64;
    if total == 0 {
        return Ok(vec![Partition { range: KeyRange::ALL, rows: 0 }]);
    }
    let mut sample = Sample::of(total);
    let mut batches = scan::ids(pinned, &KeyRange::ALL, false).await?;
    loop {
        match batches.try_next().await {
            Ok(Some(batch)) => scan::id_column(pinned, &batch)?.iter().flatten().for_each(|id| sample.see(id)),
            Ok(None) => return Ok(partitions(sample.ids, total, rows_per_partition.max(1))),
            Err(error) => return Err(scan::read_failed(pinned, error).await),
        }
    }
}

struct Sample {
    stretch: u64,
    seen: u64,
    wanted: u64,
    ids: Vec<String>,
}

impl Sample {
    fn of(total: u64) -> Self {
        let stretch = total.div_ceil(SAMPLE).max(1);
        Self { stretch, seen: 0, wanted: scattered(0) % stretch, ids: Vec::new() }
    }

    fn see(&mut self, id: &str) {
        if self.seen % self.stretch == self.wanted {
            self.ids.push(id.to_owned());
        }
        self.seen += 1;
        if self.seen.is_multiple_of(self.stretch) {
            self.wanted = scattered(self.seen) % self.stretch;
        }
    }
}

/// SplitMix64: the same table is cut the same way every time.
fn scattered(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// Partitions whose bounds are sampled ids; `rows` is exact if the sample is everything.
fn partitions(mut sample: Vec<String>, total: u64, rows_per_partition: u64) -> Vec<Partition> {
    sample.sort_unstable();
    let sampled = sample.len() as u64;
    let rows_before = |index: u64| (u128::from(index) * u128::from(total) / u128::from(sampled.max(1))) as u64;
    let mut partitions = Vec::new();
    let (mut after, mut begin) = (None, 0u64);
    let shares = total.div_ceil(rows_per_partition).min(sampled.max(1));
    for share in 1..shares {
        // The share ends after this many of the sampled ids; equal ids cannot be parted.
        let end = (u128::from(share) * u128::from(sampled) / u128::from(shares)) as u64;
        let Some(bound) = end.checked_sub(1).and_then(|last| sample.get(last as usize)) else { continue };
        if after.as_ref().is_some_and(|after| after >= bound) || end <= begin {
            continue;
        }
        let end = begin + sample[begin as usize..].iter().take_while(|id| *id <= bound).count() as u64;
        let range = KeyRange { after: after.replace(bound.clone()), upto: Some(bound.clone()) };
        partitions.push(Partition { range, rows: rows_before(end) - rows_before(begin) });
        begin = end;
    }
    let rows = total - rows_before(begin);
    partitions.push(Partition { range: KeyRange { after, upto: None }, rows });
    partitions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(n: u64) -> Vec<String> {
        (0..n).map(|n| format!("id-{:020}", scattered(n))).collect()
    }

    #[test]
    fn ranges_meet_without_gap_or_overlap_and_are_even() {
        for (rows, per) in [(1, 1), (1, 10), (10, 3), (1000, 100), (1001, 100), (999, 100), (500, 1), (7, 1000)] {
            let all = ids(rows);
            let partitions = partitions(all.clone(), rows, per);
            assert_eq!(partitions[0].range.after, None);
            assert_eq!(partitions[partitions.len() - 1].range.upto, None);
            for pair in partitions.windows(2) {
                assert_eq!(pair[0].range.upto, pair[1].range.after);
            }
            assert_eq!(partitions.len() as u64, rows.div_ceil(per));
            for partition in &partitions {
                let inside = all.iter().filter(|id| partition.range.contains(id)).count() as u64;
                assert_eq!(partition.rows, inside);
                assert!(inside <= per);
            }
        }
    }

    #[test]
    fn a_sample_is_bounded_and_cuts_large_tables_evenly() {
        let rows = 5 * SAMPLE + 17;
        let all = ids(rows);
        let mut sample = Sample::of(rows);
        all.iter().for_each(|id| sample.see(id));
        assert!(sample.ids.len() as u64 <= SAMPLE, "{}", sample.ids.len());
        let partitions = partitions(sample.ids, rows, 20_000);
        assert_eq!(partitions.iter().map(|partition| partition.rows).sum::<u64>(), rows);
        for partition in &partitions {
            let inside = all.iter().filter(|id| partition.range.contains(id)).count();
            assert!((15_000..25_000).contains(&inside), "{inside}");
        }
    }

    #[test]
    fn an_id_that_is_there_twice_is_never_parted() {
        let partitions = partitions(vec!["a".into(), "b".into(), "b".into(), "b".into(), "c".into()], 5, 1);
        let rows: Vec<u64> = partitions.iter().map(|partition| partition.rows).collect();
        assert_eq!(rows.iter().sum::<u64>(), 5);
        assert_eq!(partitions.iter().filter(|partition| partition.range.contains("b")).count(), 1);
    }
}
