use super::{Model, Page};
use crate::dashboard::acts::leave;
use palanquin_actors::board::{Connection, PalaceView};
use palanquin_engine::link::{LinkState, Phase};

/// After so long without a snapshot the header says how old what it shows is, while a link should be moving.
pub(crate) const QUIET_MS: i64 = 10_000;

impl Model {
    /// When the screen would change by the passing of time alone, milliseconds since the epoch.
    pub(crate) fn next_wake_ms(&self) -> Option<i64> {
        let toast = self.toast.as_ref().map(|toast| toast.until_ms);
        let done = leave::closes_at_ms(self);
        let second = self.shows_time().then(|| self.now_ms + 1000 - self.now_ms.rem_euclid(1000));
        [toast, done, second].into_iter().flatten().min()
    }

    /// Whether an age or a countdown can be seen.
    fn shows_time(&self) -> bool {
        if self.frozen.is_some() {
            return false;
        }
        if !self.pending.is_empty()
            || !self.asked_runs.is_empty()
            || self.leaving.is_some()
            || matches!(self.page, Some(Page::Palace(_) | Page::Link(_)))
        {
            return true;
        }
        let passing =
            |palace: &PalaceView| matches!(palace.connection, Connection::Waiting { .. }) || !palace.runs.is_empty();
        self.live.palaces.iter().any(|palace| passing(palace)) || self.live.links.iter().any(|link| passes(&link.state))
    }

    /// For how long nothing was published although a link should be moving.
    pub(crate) fn quiet_ms(&self) -> Option<i64> {
        let snapshot = self.shown();
        let moving = |state: &LinkState| matches!(state, LinkState::Working { phase } if *phase != Phase::Live);
        let quiet = self.shown_now_ms().saturating_sub(snapshot.at_ms);
        (quiet >= QUIET_MS && snapshot.links.iter().any(|link| moving(&link.state))).then_some(quiet)
    }
}

fn passes(state: &LinkState) -> bool {
    matches!(state, LinkState::Waiting { .. } | LinkState::Working { .. } | LinkState::Draining { .. })
}
