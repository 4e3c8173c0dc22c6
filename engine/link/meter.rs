use serde::{Deserialize, Serialize};

/// Time constant of the recent rate, in seconds.
const RECENT_SECONDS: f64 = 10.0;
/// Share of the work below which an ETA would be a guess.
const ETA_FLOOR: f64 = 0.01;

/// Rows per second, measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Exponentially weighted over about ten seconds.
    pub recent: Option<f64>,
    /// Since the work began.
    pub mean: Option<f64>,
}

/// When the work will be done, or why that cannot be said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Eta {
    /// In so many seconds, by the recent rate.
    Seconds(u64),
    /// Not known, for this reason.
    Unknown(String),
}

/// Turns acknowledged rows into rates. Time is given to it, in milliseconds; it has no clock.
#[derive(Clone, Debug)]
pub struct Meter {
    started_ms: i64,
    last_ms: i64,
    rows: u64,
    recent: Option<f64>,
    pending: u64,
}

impl Meter {
    /// Starts counting.
    pub fn start(now_ms: i64) -> Self {
        Self { started_ms: now_ms, last_ms: now_ms, rows: 0, recent: None, pending: 0 }
    }

    /// Counts rows that became durable.
    pub fn add(&mut self, rows: u64, now_ms: i64) {
        self.rows += rows;
        self.pending += rows;
        let elapsed = (now_ms - self.last_ms) as f64 / 1000.0;
        if elapsed <= 0.0 {
            return;
        }
        let rate = self.pending as f64 / elapsed;
        let weight = 1.0 - (-elapsed / RECENT_SECONDS).exp();
        self.recent = Some(self.recent.map_or(rate, |recent| recent + weight * (rate - recent)));
        self.pending = 0;
        self.last_ms = now_ms;
    }

    /// The rates as of now; the recent one decays while nothing arrives.
    pub fn rates(&self, now_ms: i64) -> Rates {
        let quiet = ((now_ms - self.last_ms) as f64 / 1000.0).max(0.0);
        let decay = if quiet > 1.0 { (-(quiet - 1.0) / RECENT_SECONDS).exp() } else { 1.0 };
        let total = (now_ms - self.started_ms) as f64 / 1000.0;
        Rates {
            recent: self.recent.map(|recent| recent * decay),
            mean: (total > 0.0 && self.rows > 0).then(|| self.rows as f64 / total),
        }
    }

    /// When `total` rows will be done if `done` are, by the recent rate.
    pub fn eta(&self, done: u64, total: u64, now_ms: i64) -> Eta {
        let unknown = |reason: &str| Eta::Unknown(reason.to_owned());
        if done >= total {
            return Eta::Seconds(0);
        }
        if (done as f64) < total as f64 * ETA_FLOOR {
            return unknown("less than 1 % done");
        }
        match self.rates(now_ms).recent {
            Some(rate) if rate >= 0.5 => Eta::Seconds(((total - done) as f64 / rate).ceil() as u64),
            Some(_) => unknown("no rows lately"),
            None => unknown("not measured yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_is_reported_as_it_is() {
        let mut meter = Meter::start(0);
        for second in 1..=60 {
            meter.add(500, second * 1000);
        }
        let rates = meter.rates(60_000);
        assert_eq!(rates.mean, Some(500.0));
        assert!((rates.recent.unwrap() - 500.0).abs() < 1e-6);
        assert_eq!(meter.eta(30_000, 40_000, 60_000), Eta::Seconds(20));
    }

    #[test]
    fn the_recent_rate_follows_a_slowdown_and_silence() {
        let mut meter = Meter::start(0);
        for second in 1..=60 {
            meter.add(if second <= 30 { 1000 } else { 10 }, second * 1000);
        }
        assert!(meter.rates(60_000).recent.unwrap() < 100.0);
        assert!(meter.rates(200_000).recent.unwrap() < 0.5);
        assert_eq!(meter.eta(30_300, 40_000, 200_000), Eta::Unknown("no rows lately".into()));
    }

    #[test]
    fn no_eta_below_one_percent() {
        let mut meter = Meter::start(0);
        meter.add(5, 1000);
        assert_eq!(meter.eta(5, 1000, 1000), Eta::Unknown("less than 1 % done".into()));
    }
}
