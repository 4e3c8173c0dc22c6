use rand::Rng;
use std::time::Duration;

/// Exponential backoff with jitter: `base · 2^(attempt-1)`, at most `cap`, of which up to `jitter` is taken off at random.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// Delay before the first retry.
    pub base: Duration,
    /// Longest delay.
    pub cap: Duration,
    /// Share of the delay left to chance, 0 to 1.
    pub jitter: f64,
}

impl Backoff {
    /// Half a second, doubling up to half a minute.
    pub const DEFAULT: Self = Self { base: Duration::from_millis(500), cap: Duration::from_secs(30), jitter: 0.2 };

    /// Delay before retry number `attempt` (from 1), with chance from `rng`.
    pub fn delay(&self, attempt: u32, rng: &mut impl Rng) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let delay = self.base.saturating_mul(1 << doublings).min(self.cap);
        delay.mul_f64(1.0 - self.jitter.clamp(0.0, 1.0) * rng.random::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn delays_double_up_to_the_cap_and_jitter_only_shortens() {
        let mut rng = StdRng::seed_from_u64(7);
        for attempt in 1..=40 {
            let full = Duration::from_millis(500 * (1 << (attempt - 1).min(10))).min(Duration::from_secs(30));
            let delay = Backoff::DEFAULT.delay(attempt, &mut rng);
            assert!(delay <= full && delay >= full.mul_f64(0.8), "attempt {attempt}: {delay:?}");
        }
    }
}
