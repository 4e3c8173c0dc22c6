use crate::link::LinkOptions;
use crate::link::limits::Limits;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Rows of the first page of a collection, of whose rows nothing is known yet.
const FIRST: usize = 100;
/// A page grows so many times over at once, at most.
const GROWTH: usize = 16;

/// How many rows are read at once: as many as are of about the wanted bytes, by the pages read so far.
#[derive(Debug)]
pub(super) struct PageSize {
    most: usize,
    bytes: usize,
    limits: Limits,
    rows: AtomicUsize,
}

impl PageSize {
    /// For a collection read by so many readers at once.
    pub(super) fn new(options: &LinkOptions, limits: &Limits, readers: usize) -> Self {
        let most = options.batch_rows.max(1);
        // One page of each reader, and what is being written meanwhile.
        let share = usize::try_from(options.credit_bytes).unwrap_or(usize::MAX) / (2 * readers.max(1));
        let bytes = limits.page_bytes(options.batch_bytes.min(share.max(1)));
        Self { most, bytes, limits: limits.clone(), rows: AtomicUsize::new(most.min(FIRST)) }
    }

    /// Rows of the next page.
    pub(super) fn rows(&self) -> usize {
        self.limits.page_rows(self.rows.load(Ordering::Relaxed))
    }

    /// Hears of a page.
    pub(super) fn was(&self, rows: usize, bytes: usize) {
        if rows > 0 {
            let fitting = (self.bytes as u128 * rows as u128 / bytes.max(1) as u128).min(usize::MAX as u128) as usize;
            let now = self.rows.load(Ordering::Relaxed);
            self.rows.store(fitting.min(now.saturating_mul(GROWTH)).clamp(1, self.most), Ordering::Relaxed);
        }
    }

    /// Whether a scan by pages of so many rows is worth beginning anew.
    pub(super) fn calls_for_another(&self, used: usize) -> bool {
        let wanted = self.rows();
        wanted < used.div_ceil(2) || wanted >= used.saturating_mul(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn page(options: LinkOptions) -> PageSize {
        PageSize::new(&options, &Limits::new(None, None, None), 1)
    }

    #[test]
    fn pages_of_small_rows_grow_to_the_most_and_pages_of_large_rows_shrink_to_one() {
        let options = LinkOptions { batch_rows: 1_000, batch_bytes: 1 << 20, ..LinkOptions::default() };
        let pages = page(options);
        assert_eq!(pages.rows(), FIRST);
        pages.was(FIRST, FIRST * 100);
        assert_eq!(pages.rows(), 1_000);
        assert!(pages.calls_for_another(FIRST) && !pages.calls_for_another(1_000));
        pages.was(1_000, 1_000 * (64 << 10));
        assert_eq!(pages.rows(), 16);
        pages.was(16, 16 << 20);
        assert_eq!(pages.rows(), 1);
        pages.was(1, 1 << 30);
        assert_eq!(pages.rows(), 1, "never none");
        pages.was(1, 100);
        assert_eq!(pages.rows(), 16, "and back in steps");
    }

    #[test]
    fn a_page_is_no_larger_than_half_a_readers_share_of_the_credit_or_a_seconds_rate() {
        let options = LinkOptions { credit_bytes: 4_000, batch_rows: 1_000, ..LinkOptions::default() };
        let pages = PageSize::new(&options, &Limits::new(None, None, None), 2);
        pages.was(10, 1_000);
        assert_eq!(pages.rows(), 10);
        let limits = Limits::new(Some(5), None, Some(Duration::from_secs(1)));
        assert_eq!(PageSize::new(&LinkOptions::default(), &limits, 1).rows(), 5);
    }
}
