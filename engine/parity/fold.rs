use crate::contract::{KeyRange, Partition};
use crate::rows::RowDigest;
use std::sync::Arc;

/// Scans of single ranges a comparison makes, about: ranges that lie closer together are read as one.
const SCANS: usize = 64;

/// Row digests of a collection, folded without regard to order over ranges of ids; its size is that of the bounds.
///
/// A range is a count and the sum of its digests as four 64-bit lanes, so a row that stands twice does not cancel out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// Last id of each range but the last, ascending.
    bounds: Arc<[String]>,
    ranges: Vec<Sum>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    rows: u64,
    lanes: [u64; 4],
    /// Rows that have a vector, whether or not it is in the digest.
    vectors: u64,
}

/// What is left to look at where two folds are not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differing {
    /// The ranges, ascending; neighbours are joined.
    pub ranges: Vec<KeyRange>,
    /// Rows of all other ranges, of one end.
    pub equal_rows: u64,
    /// Those of them that have a vector.
    pub equal_vectors: u64,
}

impl Sum {
    fn is_same(&self, other: &Self) -> bool {
        (self.rows, self.lanes) == (other.rows, other.lanes)
    }

    fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.vectors += other.vectors;
        for (lane, more) in self.lanes.iter_mut().zip(other.lanes) {
            *lane = lane.wrapping_add(more);
        }
    }
}

fn one(digest: RowDigest, has_vector: bool) -> Sum {
    let mut lanes = [0; 4];
    for (lane, bytes) in lanes.iter_mut().zip(digest.0.as_chunks::<8>().0) {
        *lane = u64::from_le_bytes(*bytes);
    }
    Sum { rows: 1, lanes, vectors: has_vector.into() }
}

impl Fold {
    /// Over the ranges of a cut. Both ends of a comparison are folded over the same ones.
    pub fn over(partitions: &[Partition]) -> Self {
        let mut bounds: Vec<String> = partitions.iter().filter_map(|partition| partition.range.upto.clone()).collect();
        bounds.sort_unstable();
        bounds.dedup();
        Self { ranges: vec![Sum::default(); bounds.len() + 1], bounds: bounds.into() }
    }

    /// Adds a row. What its digest is of is the caller's choice, the same for both ends.
    pub fn add(&mut self, id: &str, digest: RowDigest, has_vector: bool) {
        let range = self.bounds.partition_point(|bound| bound.as_str() < id);
        self.ranges[range].add(&one(digest, has_vector));
    }

    /// Rows added.
    pub fn rows(&self) -> u64 {
        self.all().rows
    }

    /// Rows added that have a vector.
    pub fn vectors(&self) -> u64 {
        self.all().vectors
    }

    /// The digest of all rows together, in hexadecimal; it depends neither on their order nor on the ranges.
    pub fn digest(&self) -> String {
        self.all().lanes.iter().map(|lane| format!("{lane:016x}")).collect()
    }

    /// What is not the same in `other`.
    pub fn differing(&self, other: &Self) -> Differing {
        let gap = (self.ranges.len() / SCANS).max(1);
        let mut runs: Vec<(usize, usize)> = Vec::new();
        let pairs = self.ranges.iter().zip(&other.ranges).enumerate();
        for (range, _) in pairs.filter(|(_, (a, b))| !a.is_same(b)) {
            match runs.last_mut() {
                Some((_, last)) if range - *last <= gap => *last = range,
                _ => runs.push((range, range)),
            }
        }
        let mut inside = Sum::default();
        runs.iter().flat_map(|&(first, last)| &self.ranges[first..=last]).for_each(|range| inside.add(range));
        let bound = |index: Option<usize>| index.and_then(|index| self.bounds.get(index).cloned());
        let range =
            |&(first, last): &(usize, usize)| KeyRange { after: bound(first.checked_sub(1)), upto: bound(Some(last)) };
        Differing {
            ranges: runs.iter().map(range).collect(),
            equal_rows: self.rows() - inside.rows,
            equal_vectors: self.vectors() - inside.vectors,
        }
    }

    fn all(&self) -> Sum {
        let mut all = Sum::default();
        self.ranges.iter().for_each(|range| all.add(range));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Row;

    fn cut(bounds: &[&str]) -> Vec<Partition> {
        let ends = bounds.iter().map(|bound| Some((*bound).to_owned())).chain([None]);
        let after = std::iter::once(None).chain(bounds.iter().map(|bound| Some((*bound).to_owned())));
        after.zip(ends).map(|(after, upto)| Partition { range: KeyRange { after, upto }, rows: 1 }).collect()
    }

    fn fold(bounds: &[&str], ids: &[&str]) -> Fold {
        let mut fold = Fold::over(&cut(bounds));
        for id in ids {
            fold.add(id, RowDigest::of(Row { id, document: None, metadata: "{}", embedding: None }), false);
        }
        fold
    }

    #[test]
    fn neither_the_order_of_rows_nor_the_ranges_change_the_digest() {
        assert_eq!(fold(&["b"], &["a", "b", "c"]), fold(&["b"], &["c", "a", "b"]));
        assert_eq!(fold(&[], &["a", "b"]).digest(), fold(&["a"], &["b", "a"]).digest());
        assert_ne!(fold(&[], &["a", "b"]).digest(), fold(&[], &["a"]).digest());
    }

    #[test]
    fn a_row_that_stands_twice_is_seen_in_its_range_alone() {
        let twice = fold(&["b", "d"], &["a", "c", "c", "e"]);
        let differing = fold(&["b", "d"], &["a", "c", "e"]).differing(&twice);
        assert_eq!(differing.ranges, [KeyRange { after: Some("b".into()), upto: Some("d".into()) }]);
        assert_eq!(differing.equal_rows, 2);
    }

    #[test]
    fn neighbours_are_one_range_and_the_outermost_are_open() {
        let all = fold(&["b", "d", "f"], &["a", "c", "e", "g"]);
        let differing = all.differing(&fold(&["b", "d", "f"], &["e"]));
        let (first, last) = (Some("d".to_owned()), Some("f".to_owned()));
        let ranges = [KeyRange { after: None, upto: first }, KeyRange { after: last, upto: None }];
        assert_eq!((differing.ranges.as_slice(), differing.equal_rows), (ranges.as_slice(), 1));
        assert_eq!(all.differing(&all), Differing { ranges: Vec::new(), equal_rows: 4, equal_vectors: 0 });
    }
}
