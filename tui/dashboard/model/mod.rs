//! What the dashboard knows: plain data, changed by `update`, read by `view`.

mod facts;
mod history;
mod maintenance;
mod overlay;
mod selection;
mod wake;

pub(crate) use facts::{link_problem, palace_identity, palace_problem, palace_rows};
pub(crate) use history::History;
pub(crate) use maintenance::{
    AskedRun, CancelQuestion, MaintenanceDialog, Stage, last_run, news_of_runs, runs_under_way,
};
pub(crate) use overlay::{Leaving, Overlay, Pending, Toast};
pub(crate) use selection::Selection;

use super::theme::Theme;
use super::{Ending, Options};
use jiff::tz::TimeZone;
use palanquin_actors::board::{ActKind, EventEntry, LinkView, PalaceView, Snapshot};
use palanquin_engine::link::{LinkId, LinkState};
use std::collections::HashMap;
use std::sync::Arc;

/// Where keys go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Overview,
    Page,
    Help,
    /// The question before leaving.
    Dialog,
    /// The menu of maintenance kinds.
    Menu,
    /// The question before maintenance.
    Question,
    /// The question before a maintenance run is cancelled.
    Cancelling,
}

/// A part of the overview.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Panel {
    Palaces,
    Links,
    Events,
}

impl Panel {
    /// From top to bottom.
    pub(crate) const ALL: [Self; 3] = [Self::Palaces, Self::Links, Self::Events];
}

/// A page over the overview.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    Palace(String),
    Link(LinkId),
    Event(u64),
}

/// A view the operator holds still.
#[derive(Clone, Debug)]
pub(crate) struct Frozen {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) at_ms: i64,
    /// Snapshots seen since.
    pub(crate) updates: u64,
}

/// Everything there is to draw.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) options: Options,
    pub(crate) zone: TimeZone,
    pub(crate) now_ms: i64,
    /// Columns and rows of the terminal.
    pub(crate) size: (u16, u16),
    /// The newest snapshot; what is shown unless the view is frozen.
    pub(crate) live: Arc<Snapshot>,
    pub(crate) frozen: Option<Frozen>,
    /// The board has gone: nothing new will come.
    pub(crate) disconnected: bool,
    pub(crate) focus: Panel,
    /// The operator has gone to it; until then it is where there is something.
    pub(crate) focus_is_chosen: bool,
    pub(crate) palaces: Selection<String>,
    pub(crate) links: Selection<LinkId>,
    pub(crate) events: Selection<u64>,
    /// The newest event stays selected.
    pub(crate) follow: bool,
    pub(crate) page: Option<Page>,
    pub(crate) page_scroll: usize,
    pub(crate) overlay: Option<Overlay>,
    pub(crate) toast: Option<Toast>,
    /// Acts the operator asked for that the board does not show yet.
    pub(crate) pending: HashMap<LinkId, Pending>,
    /// Maintenance the operator asked for that the board does not show yet.
    pub(crate) asked_runs: Vec<AskedRun>,
    pub(crate) history: History,
    pub(crate) leaving: Option<Leaving>,
    /// Since when every link is done.
    pub(crate) done_since_ms: Option<i64>,
    pub(crate) ending: Option<Ending>,
}

impl Model {
    pub(crate) fn new(options: Options, zone: TimeZone, size: (u16, u16), now_ms: i64) -> Self {
        Self {
            options,
            zone,
            now_ms,
            size,
            live: Arc::default(),
            frozen: None,
            disconnected: false,
            focus: Panel::Links,
            focus_is_chosen: false,
            palaces: Selection::default(),
            links: Selection::default(),
            events: Selection::default(),
            follow: true,
            page: None,
            page_scroll: 0,
            overlay: None,
            toast: None,
            pending: HashMap::new(),
            asked_runs: Vec::new(),
            history: History::default(),
            leaving: None,
            done_since_ms: None,
            ending: None,
        }
    }

    /// The snapshot on the screen.
    pub(crate) fn shown(&self) -> &Snapshot {
        self.frozen.as_ref().map_or(&self.live, |frozen| &frozen.snapshot)
    }

    /// The time that ages and countdowns on the screen refer to.
    pub(crate) fn shown_now_ms(&self) -> i64 {
        self.frozen.as_ref().map_or(self.now_ms, |frozen| frozen.at_ms)
    }

    pub(crate) fn theme(&self) -> Theme {
        Theme::new(self.options.ascii, self.options.color)
    }

    pub(crate) fn place(&self) -> Place {
        match (&self.overlay, &self.page) {
            (Some(Overlay::Quit { .. }), _) => Place::Dialog,
            (Some(Overlay::Help { .. }), _) => Place::Help,
            (Some(Overlay::Cancel(_)), _) => Place::Cancelling,
            (Some(Overlay::Maintenance(dialog)), _) => match dialog.stage {
                Stage::Choosing => Place::Menu,
                Stage::Asking { .. } => Place::Question,
            },
            (None, Some(_)) => Place::Page,
            (None, None) => Place::Overview,
        }
    }

    /// The link that acts are for: the one on the page, or the selected one while the panel of links has the focus.
    pub(crate) fn link_in_hand(&self) -> Option<&LinkView> {
        let id = match &self.page {
            Some(Page::Link(id)) => id,
            Some(_) => return None,
            None if self.focus == Panel::Links => self.links.key()?,
            None => return None,
        };
        self.live.link(id)
    }

    /// The page of what is selected.
    pub(crate) fn selected_page(&self) -> Option<Page> {
        match self.focus {
            Panel::Palaces => self.palaces.key().cloned().map(Page::Palace),
            Panel::Links => self.links.key().cloned().map(Page::Link),
            Panel::Events => self.events.key().copied().map(Page::Event),
        }
    }

    pub(crate) fn palace(&self, address: &str) -> Option<&PalaceView> {
        self.shown().palaces.iter().map(AsRef::as_ref).find(|palace| palace.address == address)
    }

    pub(crate) fn event(&self, number: u64) -> Option<&EventEntry> {
        self.shown().events.iter().map(AsRef::as_ref).find(|entry| entry.number == number)
    }

    /// What `p` would ask of the link in hand, or why it would not.
    pub(crate) fn next_act(&self, link: &LinkView) -> Result<ActKind, &'static str> {
        if self.options.read_only {
            return Err("read-only: nothing is sent to the engine");
        }
        if self.disconnected {
            return Err("the engine has gone: nothing can be sent to it");
        }
        match (&link.state, super::acts::asked(self, link)) {
            (LinkState::Done { .. }, _) => Err("it is done"),
            (LinkState::Interrupted { .. }, _) => Err("it has been drained; the same command continues it"),
            (LinkState::Draining { .. }, _) => Err("it is draining"),
            (_, Some(ActKind::Pause)) => Ok(ActKind::Resume),
            (_, Some(ActKind::Resume)) => Ok(ActKind::Pause),
            (LinkState::Paused { .. } | LinkState::Halted { .. }, None) => Ok(ActKind::Resume),
            (_, None) => Ok(ActKind::Pause),
        }
    }

    /// The word for it in the context bar, while there is a link in hand that it could be done to.
    pub(crate) fn pause_label(&self) -> Option<&'static str> {
        match self.next_act(self.link_in_hand()?).ok()? {
            ActKind::Pause => Some("pause"),
            ActKind::Resume => Some("resume"),
        }
    }

    pub(crate) fn problems(&self) -> usize {
        let snapshot = self.shown();
        let palaces = snapshot.palaces.iter().filter(|palace| palace_problem(palace)).count();
        palaces + snapshot.links.iter().filter(|link| link_problem(link)).count()
    }

    pub(crate) fn has_problems(&self) -> bool {
        let snapshot = self.shown();
        snapshot.links.iter().any(|link| link_problem(link)) || snapshot.palaces.iter().any(|p| palace_problem(p))
    }
}
