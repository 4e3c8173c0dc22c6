use crate::link::LinkOptions;
use std::time::Duration;

/// A commit that takes longer is too large for the target.
const LONGEST: Duration = Duration::from_secs(5);
/// Commits are never made smaller than this for the target's sake.
const FEWEST_BYTES: usize = 256 << 10;

/// How much is made durable at once: as much as the options and the credit allow, less while the target takes long.
#[derive(Clone, Copy, Debug)]
pub(super) struct CommitSize {
    rows: usize,
    most_bytes: usize,
    bytes: usize,
}

impl CommitSize {
    /// For one of so many writers within a budget of credit.
    pub(super) fn new(options: &LinkOptions, credit: u64, writers: usize) -> Self {
        // Half the credit at most, so that the source can be read on while commits are under way.
        let share = usize::try_from(credit).unwrap_or(usize::MAX) / (2 * writers.max(1));
        let most_bytes = options.commit_bytes.min(share);
        Self { rows: options.commit_rows, most_bytes, bytes: most_bytes }
    }

    /// Whether that is enough for a commit.
    pub(super) fn is_reached(&self, rows: usize, bytes: usize) -> bool {
        rows >= self.rows || bytes >= self.bytes
    }

    /// Hears how long the target took for so many bytes.
    pub(super) fn took(&mut self, bytes: usize, time: Duration) {
        if time > LONGEST {
            self.bytes = (bytes.min(self.bytes) / 2).max(FEWEST_BYTES.min(self.most_bytes));
        } else if time < LONGEST / 2 && bytes >= self.bytes / 2 {
            self.bytes = self.bytes.saturating_mul(2).min(self.most_bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_target_gets_smaller_commits_and_a_quick_one_larger_ones_again() {
        let mut size = CommitSize::new(&LinkOptions::default(), 64 << 20, 1);
        let most = size.bytes;
        assert_eq!(most, 24 << 20);
        for _ in 0..20 {
            size.took(size.bytes, Duration::from_secs(20));
        }
        assert_eq!(size.bytes, FEWEST_BYTES);
        assert!(size.is_reached(1, FEWEST_BYTES) && !size.is_reached(1, FEWEST_BYTES - 1));
        for _ in 0..20 {
            size.took(size.bytes, Duration::from_millis(100));
        }
        assert_eq!(size.bytes, most);
    }

    #[test]
    fn writers_share_half_the_credit() {
        let size = CommitSize::new(&LinkOptions::default(), 64 << 20, 4);
        assert_eq!(size.bytes, 8 << 20);
        assert!(size.is_reached(LinkOptions::default().commit_rows, 0), "rows count too");
    }
}
