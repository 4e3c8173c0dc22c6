use crate::rows::RowDigest;

/// Buckets a collection's ids are spread over.
const BUCKETS: usize = 4096;

/// Row digests of a collection, folded without regard to order over buckets of ids; 160 KiB, whatever the collection's size.
///
/// A bucket is a count and the sum of its digests as four 64-bit lanes, so a row that stands twice does not cancel out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    buckets: Vec<Bucket>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bucket {
    rows: u64,
    sum: [u64; 4],
}

impl Default for Fold {
    fn default() -> Self {
        Self { buckets: vec![Bucket::default(); BUCKETS] }
    }
}

impl Fold {
    /// Adds a row.
    pub fn add(&mut self, id: &str, digest: RowDigest) {
        let bucket = &mut self.buckets[Self::bucket_of(id)];
        bucket.rows += 1;
        for (lane, bytes) in bucket.sum.iter_mut().zip(digest.0.as_chunks::<8>().0) {
            *lane = lane.wrapping_add(u64::from_le_bytes(*bytes));
        }
    }

    /// Rows added.
    pub fn rows(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.rows).sum()
    }

    /// Buckets that differ from `other`'s, with how many rows the larger of each pair holds.
    pub fn differing(&self, other: &Self) -> Vec<(usize, u64)> {
        let pairs = self.buckets.iter().zip(&other.buckets).enumerate();
        pairs.filter(|(_, (a, b))| a != b).map(|(index, (a, b))| (index, a.rows.max(b.rows))).collect()
    }

    /// Which bucket an id belongs to.
    pub fn bucket_of(id: &str) -> usize {
        let hash = blake3::hash(id.as_bytes());
        usize::from(u16::from_le_bytes([hash.as_bytes()[0], hash.as_bytes()[1]])) % BUCKETS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Row;

    fn fold(ids: &[&str]) -> Fold {
        let mut fold = Fold::default();
        for id in ids {
            fold.add(id, RowDigest::of(Row { id, document: None, metadata: "{}", embedding: None }));
        }
        fold
    }

    #[test]
    fn the_order_of_rows_does_not_matter() {
        assert_eq!(fold(&["a", "b", "c"]), fold(&["c", "a", "b"]));
    }

    #[test]
    fn a_row_that_stands_twice_is_seen() {
        assert_eq!(fold(&["a", "b"]).differing(&fold(&["a", "b", "b"])), [(Fold::bucket_of("b"), 2)]);
        assert_ne!(fold(&["b", "b"]).differing(&fold(&[])), []);
    }
}
