use super::Exit;
use palanquin_engine::link::Backoff;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Which exits are followed by a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Every one but a shutdown.
    Permanent,
    /// Failures and panics.
    Transient,
    /// None.
    Temporary,
}

impl Restart {
    /// Whether a worker that ended so is restarted.
    pub fn follows(self, exit: &Exit) -> bool {
        match (self, exit) {
            (_, Exit::Shutdown) | (Self::Temporary, _) => false,
            (Self::Permanent, _) => true,
            (Self::Transient, exit) => *exit != Exit::Normal,
        }
    }
}

/// Restarts allowed within a sliding window; one more gives the child up.
#[derive(Clone, Copy, Debug)]
pub struct Intensity {
    /// Restarts.
    pub max: usize,
    /// Window.
    pub within: Duration,
}

/// How a child is supervised.
#[derive(Clone, Debug)]
pub struct ChildSpec {
    /// Its name in events.
    pub id: String,
    /// Which exits are followed by a restart.
    pub restart: Restart,
    /// How many are too many.
    pub intensity: Intensity,
    /// How long to wait before each.
    pub backoff: Backoff,
    /// Seed of the jitter.
    pub seed: u64,
}

impl ChildSpec {
    /// A permanent child: 5 restarts in 5 minutes, from half a second to half a minute apart.
    pub fn permanent(id: impl Into<String>, seed: u64) -> Self {
        Self {
            id: id.into(),
            restart: Restart::Permanent,
            intensity: Intensity { max: 5, within: Duration::from_secs(300) },
            backoff: Backoff::DEFAULT,
            seed,
        }
    }
}

/// Restarts in the window so far.
#[derive(Debug, Default)]
pub(super) struct Window(VecDeque<Instant>);

impl Window {
    /// Counts a restart; the number in the window with it, or `None` if that is too many.
    pub(super) fn count(&mut self, intensity: Intensity, now: Instant) -> Option<u32> {
        while self.0.front().is_some_and(|&first| now.duration_since(first) > intensity.within) {
            self.0.pop_front();
        }
        if self.0.len() >= intensity.max {
            return None;
        }
        self.0.push_back(now);
        Some(self.0.len() as u32)
    }
}
