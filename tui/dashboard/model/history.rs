use palanquin_actors::board::Snapshot;
use palanquin_engine::link::{LinkId, LinkState};
use std::collections::{HashMap, VecDeque};

/// Seconds of the recent past that are kept.
const KEPT: usize = 240;

/// Recent rates of each link, one sample a second, by the time of the snapshots they came with.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    samples: HashMap<LinkId, VecDeque<(i64, f64)>>,
}

impl History {
    pub(crate) fn sample(&mut self, snapshot: &Snapshot) {
        let second = snapshot.at_ms / 1000;
        if self.samples.len() > snapshot.links.len() {
            self.samples.retain(|id, _| snapshot.link(id).is_some());
        }
        for link in &snapshot.links {
            let (LinkState::Working { .. }, Some(rate)) = (&link.state, link.rates.recent) else { continue };
            let samples = match self.samples.get_mut(&link.id) {
                Some(samples) => samples,
                None => self.samples.entry(link.id.clone()).or_default(),
            };
            match samples.back_mut() {
                Some((last, value)) if *last == second => *value = rate,
                Some((last, _)) if *last > second => {}
                _ => samples.push_back((second, rate)),
            }
            if samples.len() > KEPT {
                samples.pop_front();
            }
        }
    }

    /// The `seconds` before a time, oldest first; `None` where nothing was published.
    pub(crate) fn recent(&self, link: &LinkId, until_ms: i64, seconds: usize) -> Vec<Option<f64>> {
        let last = until_ms / 1000;
        let first = last - seconds as i64 + 1;
        let mut out = vec![None; seconds];
        for (second, rate) in self.samples.get(link).into_iter().flatten() {
            if (first..=last).contains(second) {
                out[(second - first) as usize] = Some(*rate);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use crate::dashboard::fixtures;

    use super::*;

    #[test]
    fn samples_are_kept_by_the_second_of_their_snapshot() {
        let mut history = History::default();
        let mut snapshot = fixtures::copying();
        let id = snapshot.links[0].id.clone();
        for (at_ms, rate) in [(10_000, 5.0), (10_900, 7.0), (12_000, 9.0)] {
            snapshot.at_ms = at_ms;
            std::sync::Arc::make_mut(&mut snapshot.links[0]).rates.recent = Some(rate);
            history.sample(&snapshot);
        }
        assert_eq!(history.recent(&id, 12_500, 4), [None, Some(7.0), None, Some(9.0)]);
        snapshot.links.clear();
        history.sample(&snapshot);
        assert_eq!(history.recent(&id, 12_500, 1), [None]);
    }
}
