use crate::board::Limiter;
use crate::credit::Credit;
use crate::supervise::Heartbeat;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Longest sleep without a sign of life.
const BEAT_EVERY: Duration = Duration::from_secs(5);
/// Rows of a page to which a source that answers too slowly is brought down before reading pauses.
const SMALLEST_PAGE: usize = 32;
/// Longest pause after a page for the source's sake.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What holds a link back beside credit: rates the operator has set, and consideration for a source in use. Clones are
/// the same; it outlives the link's restarts.
#[derive(Clone, Debug)]
pub(crate) struct Limits(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    rows: Option<Bucket>,
    bytes: Option<Bucket>,
    politeness: Option<Mutex<Politeness>>,
    /// How many wait for each of the three.
    waiting: [AtomicUsize; 3],
}

impl Limits {
    pub(crate) fn new(rows: Option<u64>, bytes: Option<u64>, source_latency: Option<Duration>) -> Self {
        let bucket = |rate: Option<u64>| rate.map(|rate| Bucket::new(rate.max(1)));
        Self(Arc::new(Shared {
            rows: bucket(rows),
            bytes: bucket(bytes),
            politeness: source_latency.map(|limit| Mutex::new(Politeness::new(limit))),
            waiting: Default::default(),
        }))
    }

    /// Rows a page may have, at most, so that no page alone exceeds a second's rate or the source's patience.
    pub(crate) fn page_rows(&self, most: usize) -> usize {
        let rate = self.0.rows.as_ref().map_or(usize::MAX, Bucket::burst);
        let polite = self.0.politeness.as_ref().map_or(usize::MAX, |politeness| lock(politeness).page);
        most.min(rate).min(polite).max(1)
    }

    /// Bytes a page should have, at most.
    pub(crate) fn page_bytes(&self, most: usize) -> usize {
        most.min(self.0.bytes.as_ref().map_or(usize::MAX, Bucket::burst))
    }

    /// Waits until so much may pass.
    pub(crate) async fn pass(&self, heartbeat: &Heartbeat, rows: usize, bytes: usize) {
        if let Some(bucket) = &self.0.rows {
            self.wait(Limiter::RowsPerSecond, heartbeat, bucket.take(rows, Instant::now())).await;
        }
        if let Some(bucket) = &self.0.bytes {
            self.wait(Limiter::BytesPerSecond, heartbeat, bucket.take(bytes, Instant::now())).await;
        }
    }

    /// Hears how long the source took for a page of so many rows, and waits for its sake where that was too long.
    pub(crate) async fn was_read(&self, heartbeat: &Heartbeat, rows: usize, took: Duration) {
        let Some(politeness) = &self.0.politeness else { return };
        let pause = lock(politeness).after(rows, took);
        self.wait(Limiter::SourceLatency, heartbeat, pause).await;
    }

    /// What the link waits for now; the source's own speed if for nothing.
    pub(crate) fn limiter(&self, credit: &Credit) -> Limiter {
        let held_back = [Limiter::RowsPerSecond, Limiter::BytesPerSecond, Limiter::SourceLatency];
        let waiting =
            held_back.into_iter().zip(&self.0.waiting).find(|(_, waiting)| waiting.load(Ordering::Relaxed) > 0);
        match waiting {
            Some((limiter, _)) => limiter,
            None if credit.is_short() => Limiter::Target,
            None => Limiter::Source,
        }
    }

    async fn wait(&self, limiter: Limiter, heartbeat: &Heartbeat, time: Duration) {
        if time.is_zero() {
            return;
        }
        let place = match limiter {
            Limiter::RowsPerSecond => 0,
            Limiter::BytesPerSecond => 1,
            _ => 2,
        };
        let _waiting = Waiting::begin(&self.0.waiting[place]);
        let until = Instant::now() + time;
        while Instant::now() < until {
            tokio::time::sleep_until(until.min(Instant::now() + BEAT_EVERY)).await;
            heartbeat.beat();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// That somebody waits, for as long as it lives.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A token bucket of one second's worth. It may be overdrawn, and who overdraws it waits until it is level: whatever is
/// taken at once, the rate holds over time.
#[derive(Debug)]
struct Bucket {
    per_second: f64,
    level: Mutex<Level>,
}

#[derive(Debug)]
struct Level {
    tokens: f64,
    as_of: Option<Instant>,
}

impl Bucket {
    fn new(per_second: u64) -> Self {
        Self { per_second: per_second as f64, level: Mutex::new(Level { tokens: 0.0, as_of: None }) }
    }

    fn burst(&self) -> usize {
        self.per_second as usize
    }

    /// Takes tokens and says how long to wait for them.
    fn take(&self, tokens: usize, now: Instant) -> Duration {
        let mut level = lock(&self.level);
        let since = level.as_of.map_or(0.0, |as_of| now.saturating_duration_since(as_of).as_secs_f64());
        level.as_of = Some(now);
        level.tokens = (level.tokens + since * self.per_second).min(self.per_second) - tokens as f64;
        Duration::from_secs_f64((-level.tokens).max(0.0) / self.per_second)
    }
}

/// Keeps a source's reads quick: smaller pages while one takes too long, then pauses that double; both are taken back as
/// it gets quicker.
#[derive(Debug)]
struct Politeness {
    limit: Duration,
    page: usize,
    pause: Duration,
}

impl Politeness {
    fn new(limit: Duration) -> Self {
        Self { limit, page: usize::MAX, pause: Duration::ZERO }
    }

    /// The pause after a page of so many rows that took so long.
    fn after(&mut self, rows: usize, took: Duration) -> Duration {
        if took > self.limit {
            if rows > SMALLEST_PAGE {
                self.page = self.page.min((rows / 2).max(SMALLEST_PAGE));
            } else {
                self.pause = (self.pause * 2).max(took).min(LONGEST_PAUSE);
            }
        } else {
            self.pause = if self.pause < self.limit { Duration::ZERO } else { self.pause / 2 };
            if self.pause.is_zero() && took < self.limit / 2 && rows >= self.page {
                self.page = self.page.saturating_mul(2);
            }
        }
        self.pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    const SEED: u64 = 26;

    #[tokio::test(start_paused = true)]
    async fn the_rate_holds_over_time_whatever_is_taken_at_once_and_by_whomever() {
        println!("seed {SEED}");
        let mut rng = StdRng::seed_from_u64(SEED);
        let limits = Limits::new(Some(100), Some(1 << 20), None);
        let began = Instant::now();
        let takers: Vec<_> = (0..4)
            .map(|_| {
                let (limits, rows) = (limits.clone(), (0..50).map(|_| rng.random_range(1..40)).collect::<Vec<usize>>());
                tokio::spawn(async move {
                    for &rows in &rows {
                        limits.pass(&Heartbeat::default(), rows, rows).await;
                    }
                    rows.iter().sum::<usize>()
                })
            })
            .collect();
        let mut passed = 0;
        for taker in takers {
            passed += taker.await.unwrap();
        }
        let seconds = began.elapsed().as_secs_f64();
        assert!(passed as f64 <= 100.0 * seconds + 1.0, "{passed} rows in {seconds} s");
        assert!(passed as f64 >= 100.0 * (seconds - 1.0), "{passed} rows in {seconds} s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_wait_shows_signs_of_life_and_what_it_waits_for() {
        let limits = Limits::new(None, Some(1), None);
        let (credit, heartbeat) = (Credit::of_bytes(1), Heartbeat::default());
        let mut watchdog = crate::supervise::Watchdog::new(heartbeat.clone(), Duration::from_secs(6));
        let waiting = {
            let (limits, heartbeat) = (limits.clone(), heartbeat.clone());
            tokio::spawn(async move { limits.pass(&heartbeat, 1, 600).await })
        };
        let mut looks = 0;
        while !waiting.is_finished() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(watchdog.stalled_for().is_none());
            looks += 1;
            if looks == 300 {
                assert_eq!(limits.limiter(&credit), Limiter::BytesPerSecond);
            }
        }
        assert!((599..=602).contains(&looks), "{looks}");
        assert_eq!(limits.limiter(&credit), Limiter::Source);
    }

    #[test]
    fn a_slow_source_gets_smaller_pages_then_pauses_and_gets_both_back() {
        let (limit, slow, quick) = (Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(10));
        let mut politeness = Politeness::new(limit);
        let mut page = 1_000;
        while page > SMALLEST_PAGE {
            assert_eq!(politeness.after(page, slow), Duration::ZERO);
            assert!(politeness.page < page);
            page = politeness.page;
        }
        assert_eq!(politeness.after(page, slow), slow);
        assert_eq!(politeness.after(page, slow), slow * 2);
        for _ in 0..20 {
            politeness.after(page, slow);
        }
        assert_eq!(politeness.pause, LONGEST_PAUSE);
        let mut pages = 0;
        while politeness.page < 1_000 {
            politeness.after(politeness.page, quick);
            pages += 1;
            assert!(pages < 100);
        }
        assert_eq!(politeness.pause, Duration::ZERO);
    }

    #[tokio::test]
    async fn without_limits_nothing_waits() {
        use futures::FutureExt;
        let limits = Limits::new(None, None, None);
        assert!(limits.pass(&Heartbeat::default(), usize::MAX, usize::MAX).now_or_never().is_some());
        assert!(limits.was_read(&Heartbeat::default(), 1, Duration::MAX).now_or_never().is_some());
        assert_eq!(limits.page_rows(1_000), 1_000);
    }
}
