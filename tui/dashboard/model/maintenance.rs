use super::{Model, Page, Panel};
use palanquin_actors::board::{MaintenanceRun, PalaceView, RunState};
use palanquin_engine::contract::MaintenanceKind;

/// A run that has ended stays at the top of its palace's page for so long.
const NEWS_MS: i64 = 600_000;
/// As many of them as the page's other facts leave room for.
const MOST_NEWS: usize = 3;

/// The menu of a palace's maintenance kinds, and the question before one is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MaintenanceDialog {
    /// Address of the palace.
    pub(crate) palace: String,
    /// What its backend advertises; at least one.
    pub(crate) kinds: &'static [MaintenanceKind],
    /// Place of the chosen kind.
    pub(crate) chosen: usize,
    /// Lines of the text that are above what is shown.
    pub(crate) scroll: usize,
    pub(crate) stage: Stage,
}

/// How far the operator has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Choosing,
    Asking {
        /// Whether "run" has the focus and not "cancel".
        yes: bool,
    },
}

impl MaintenanceDialog {
    pub(crate) fn kind(&self) -> MaintenanceKind {
        self.kinds[self.chosen.min(self.kinds.len() - 1)]
    }
}

/// The question before a run is cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CancelQuestion {
    /// Address of the palace.
    pub(crate) palace: String,
    /// The run's number.
    pub(crate) run: u64,
    pub(crate) kind: String,
    /// Whether "cancel it" has the focus and not "let it run".
    pub(crate) yes: bool,
}

/// A run that was asked for and is not on the board yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AskedRun {
    pub(crate) palace: String,
    pub(crate) kind: &'static str,
    pub(crate) sent_ms: i64,
    /// The newest run of its kind when it was sent; another one is the answer.
    pub(crate) before: Option<u64>,
}

impl Model {
    /// The palace that maintenance is for: the one on the page, or the selected one while the panel of palaces has the
    /// focus.
    pub(crate) fn palace_in_hand(&self) -> Option<&PalaceView> {
        let address = match &self.page {
            Some(Page::Palace(address)) => address,
            Some(_) => return None,
            None if self.focus == Panel::Palaces => self.palaces.key()?,
            None => return None,
        };
        self.live.palaces.iter().map(AsRef::as_ref).find(|palace| &palace.address == address)
    }

    /// Why no maintenance can be asked for now.
    pub(crate) fn maintenance_refusal(&self) -> Option<&'static str> {
        match self {
            Self { options, .. } if options.read_only => Some("read-only: nothing is sent to the engine"),
            Self { disconnected: true, .. } => Some("the engine has gone: nothing can be sent to it"),
            Self { leaving: Some(_), .. } => Some("draining: nothing new is begun"),
            _ => None,
        }
    }

    /// Whether `m` would open the menu.
    pub(crate) fn can_maintain(&self) -> bool {
        let kinds = self.palace_in_hand().is_some_and(|palace| !palace.maintenance_kinds.is_empty());
        kinds && self.maintenance_refusal().is_none()
    }

    /// The run that `x` would ask about: of the palace in hand the one being done, or else the first that waits. One that
    /// is being cancelled already is none.
    pub(crate) fn run_to_cancel(&self) -> Option<(&PalaceView, &MaintenanceRun)> {
        let palace = self.palace_in_hand()?;
        let runs = || palace.runs.iter();
        let working = runs().find(|run| matches!(run.state, RunState::Running { .. }));
        let run = working.or_else(|| runs().find(|run| run.state == RunState::Queued))?;
        Some((palace, run))
    }

    /// Whether `x` would ask.
    pub(crate) fn can_cancel(&self) -> bool {
        self.run_to_cancel().is_some() && self.maintenance_refusal().is_none()
    }

    /// Runs of a palace that the operator asked for and that the board does not show yet.
    pub(crate) fn asked_runs(&self, palace: &str) -> impl Iterator<Item = &AskedRun> {
        self.asked_runs.iter().filter(move |asked| asked.palace == palace)
    }

    /// Palaces with a run that has yet to end, each with its runs.
    pub(crate) fn maintained(&self) -> impl Iterator<Item = (&PalaceView, &MaintenanceRun)> {
        let palaces = self.live.palaces.iter().map(AsRef::as_ref);
        palaces.flat_map(|palace| runs_under_way(palace).map(move |run| (palace, run)))
    }
}

/// Runs that have yet to end, in the order they were asked for.
pub(crate) fn runs_under_way(palace: &PalaceView) -> impl Iterator<Item = &MaintenanceRun> {
    palace.runs.iter().filter(|run| run.is_under_way())
}

/// The run that ended last.
pub(crate) fn last_run(palace: &PalaceView) -> Option<&MaintenanceRun> {
    let ended = palace.runs.iter().filter(|run| !run.is_under_way());
    ended.max_by_key(|run| (run.ended_at_ms, run.number))
}

/// Runs that ended a short while ago, the last first.
pub(crate) fn news_of_runs(palace: &PalaceView, now_ms: i64) -> Vec<&MaintenanceRun> {
    let is_news = |run: &&MaintenanceRun| {
        !run.is_under_way() && run.ended_at_ms.is_some_and(|at_ms| now_ms.saturating_sub(at_ms) < NEWS_MS)
    };
    let mut news: Vec<&MaintenanceRun> = palace.runs.iter().filter(is_news).collect();
    news.sort_by_key(|run| std::cmp::Reverse((run.ended_at_ms, run.number)));
    news.truncate(MOST_NEWS);
    news
}
