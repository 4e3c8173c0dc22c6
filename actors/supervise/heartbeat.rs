use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// A driver's sign of life: a count that grows with every batch read or made durable.
#[derive(Clone, Debug, Default)]
pub struct Heartbeat(Arc<AtomicU64>);

impl Heartbeat {
    /// Something was done.
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Tells a driver that works slowly from one that hangs.
#[derive(Debug)]
pub struct Watchdog {
    heartbeat: Heartbeat,
    patience: Duration,
    seen: u64,
    since: Instant,
}

impl Watchdog {
    /// Watches from now on.
    pub fn new(heartbeat: Heartbeat, patience: Duration) -> Self {
        let seen = heartbeat.count();
        Self { heartbeat, patience, seen, since: Instant::now() }
    }

    /// How long there has been no beat, if that is longer than it has patience for.
    pub fn stalled_for(&mut self) -> Option<Duration> {
        let count = self.heartbeat.count();
        if count != self.seen {
            self.seen = count;
            self.since = Instant::now();
        }
        Some(self.since.elapsed()).filter(|quiet| *quiet > self.patience)
    }
}
