//! What a state looks like: a word, a symbol and a colour, in one place. The word alone says it all.

use palanquin_actors::board::{Connection, PalaceView, RunState, Trend};
use palanquin_engine::contract::{Condition, IdentityState, MaintenanceStatus, Severity};
use palanquin_engine::link::{LinkState, Phase};
use ratatui::style::{Color, Modifier, Style};

/// Looks of a screen; cheap to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Theme {
    /// The symbols, Unicode or ASCII.
    pub(crate) glyphs: &'static Glyphs,
    color: bool,
}

/// What a piece of text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tone {
    /// Labels, separators, what does not matter now.
    Dim,
    /// Neither good nor bad.
    Plain,
    /// Where the operator is.
    Accent,
    /// As it should be, for good.
    Good,
    /// On its way.
    Busy,
    /// Stopped on request.
    Held,
    /// Wants a look.
    Warn,
    /// Needs the operator.
    Bad,
}

/// A state as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sign {
    /// One column wide.
    pub(crate) symbol: &'static str,
    /// The state's own word.
    pub(crate) word: &'static str,
    /// Its colour.
    pub(crate) tone: Tone,
}

/// Everything drawn that is not text from outside or a plain letter.
#[derive(Debug)]
pub(crate) struct Glyphs {
    pub(crate) ellipsis: &'static str,
    pub(crate) arrow: &'static str,
    pub(crate) dot: &'static str,
    pub(crate) crumb: &'static str,
    pub(crate) marker: &'static str,
    pub(crate) rule: &'static str,
    pub(crate) rule_focused: &'static str,
    pub(crate) corners: [&'static str; 4],
    pub(crate) upright: &'static str,
    pub(crate) level: &'static str,
    /// Filled in eighths or, if there is one only, wholly; last is full.
    pub(crate) bar: &'static [&'static str],
    pub(crate) bar_empty: &'static str,
    /// Lowest to highest.
    pub(crate) spark: &'static [&'static str],
    pub(crate) trend: [&'static str; 3],
    pub(crate) problem: &'static str,
    pub(crate) fine: &'static str,
    states: [&'static str; 14],
}

const UNICODE: Glyphs = Glyphs {
    ellipsis: "…",
    arrow: "→",
    dot: "·",
    crumb: "›",
    marker: "▌",
    rule: "─",
    rule_focused: "━",
    corners: ["╭", "╮", "╰", "╯"],
    upright: "│",
    level: "─",
    bar: &["▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"],
    bar_empty: "░",
    spark: &["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    trend: ["↗", "→", "↘"],
    problem: "▲",
    fine: "✓",
    states: ["○", "◔", "►", "≡", "»", "●", "‖", "↻", "✗", "▽", "◇", "✓", "=", "◆"],
};

const ASCII: Glyphs = Glyphs {
    ellipsis: "..",
    arrow: "->",
    dot: "|",
    crumb: ">",
    marker: ">",
    rule: "-",
    rule_focused: "=",
    corners: ["+", "+", "+", "+"],
    upright: "|",
    level: "-",
    bar: &["#"],
    bar_empty: ".",
    spark: &["_", ".", "-", "=", "+", "#"],
    trend: ["^", "=", "v"],
    problem: "!",
    fine: "+",
    states: [".", "?", ">", "=", "}", "*", "|", "~", "X", "v", "-", "+", "o", "m"],
};

/// Places in [`Glyphs::states`].
#[derive(Clone, Copy)]
enum Symbol {
    Planned,
    Checking,
    Copying,
    Verifying,
    CatchingUp,
    Live,
    Paused,
    Waiting,
    Halted,
    Draining,
    Interrupted,
    Done,
    Noop,
    Maintaining,
}

impl Theme {
    pub(crate) fn new(ascii: bool, color: bool) -> Self {
        Self { glyphs: if ascii { &ASCII } else { &UNICODE }, color }
    }

    /// The style of a tone. Only the sixteen colours of the terminal's own palette, and none if there is to be none.
    pub(crate) fn style(&self, tone: Tone) -> Style {
        let (color, modifier) = match tone {
            Tone::Dim => (Color::Reset, Modifier::DIM),
            Tone::Plain => (Color::Reset, Modifier::empty()),
            Tone::Accent => (Color::Cyan, Modifier::BOLD),
            Tone::Good => (Color::Green, Modifier::empty()),
            Tone::Busy => (Color::Cyan, Modifier::empty()),
            Tone::Held => (Color::Magenta, Modifier::empty()),
            Tone::Warn => (Color::Yellow, Modifier::empty()),
            Tone::Bad => (Color::Red, Modifier::BOLD),
        };
        let style = Style::new().add_modifier(modifier);
        if self.color && color != Color::Reset { style.fg(color) } else { style }
    }

    /// A badge: stands out without any colour.
    pub(crate) fn badge(&self, tone: Tone) -> Style {
        self.style(tone).add_modifier(Modifier::REVERSED)
    }

    fn sign(&self, symbol: Symbol, word: &'static str, tone: Tone) -> Sign {
        Sign { symbol: self.glyphs.states[symbol as usize], word, tone }
    }

    pub(crate) fn link(&self, state: &LinkState) -> Sign {
        let (symbol, tone) = match state {
            LinkState::Planned => (Symbol::Planned, Tone::Dim),
            LinkState::Working { phase: Phase::Checking } => (Symbol::Checking, Tone::Busy),
            LinkState::Working { phase: Phase::Copying } => (Symbol::Copying, Tone::Busy),
            LinkState::Working { phase: Phase::Verifying } => (Symbol::Verifying, Tone::Busy),
            LinkState::Working { phase: Phase::Maintaining } => (Symbol::Maintaining, Tone::Busy),
            LinkState::Working { phase: Phase::CatchingUp } => (Symbol::CatchingUp, Tone::Busy),
            LinkState::Working { phase: Phase::Live } => (Symbol::Live, Tone::Good),
            LinkState::Paused { .. } => (Symbol::Paused, Tone::Held),
            LinkState::Waiting { .. } => (Symbol::Waiting, Tone::Warn),
            LinkState::Halted { .. } => (Symbol::Halted, Tone::Bad),
            LinkState::Draining { .. } => (Symbol::Draining, Tone::Held),
            LinkState::Interrupted { .. } => (Symbol::Interrupted, Tone::Held),
            LinkState::Done { verified: true } => (Symbol::Done, Tone::Good),
            LinkState::Done { verified: false } => (Symbol::Done, Tone::Plain),
        };
        self.sign(symbol, state.word(), tone)
    }

    /// A palace's connection and, once it is open, its health.
    pub(crate) fn palace(&self, palace: &PalaceView) -> Sign {
        let (symbol, word, tone) = match (&palace.connection, &palace.health) {
            (Connection::Opening, _) => (Symbol::Checking, "opening", Tone::Busy),
            (Connection::Open, None) => (Symbol::Live, "open", Tone::Good),
            (Connection::Open, Some(health)) => return self.condition(health.condition),
            (Connection::Waiting { .. }, _) => (Symbol::Waiting, "waiting", Tone::Warn),
            (Connection::Failed { .. }, _) => (Symbol::Halted, "failed", Tone::Bad),
            (Connection::Closed, _) => (Symbol::Planned, "closed", Tone::Dim),
        };
        self.sign(symbol, word, tone)
    }

    pub(crate) fn condition(&self, condition: Condition) -> Sign {
        match condition {
            Condition::Healthy => self.sign(Symbol::Live, "healthy", Tone::Good),
            Condition::Degraded => Sign { symbol: self.glyphs.problem, word: "degraded", tone: Tone::Warn },
            Condition::Unavailable => self.sign(Symbol::Halted, "unavailable", Tone::Bad),
        }
    }

    pub(crate) fn severity(&self, severity: Severity) -> Sign {
        match severity {
            Severity::Info => Sign { symbol: self.glyphs.dot, word: "info", tone: Tone::Plain },
            Severity::Warning => Sign { symbol: self.glyphs.problem, word: "warning", tone: Tone::Warn },
            Severity::Error => self.sign(Symbol::Halted, "error", Tone::Bad),
        }
    }

    pub(crate) fn identity(&self, state: IdentityState) -> Sign {
        match state {
            IdentityState::KnownMatch => Sign { symbol: self.glyphs.fine, word: "known_match", tone: Tone::Good },
            IdentityState::KnownMismatch => self.sign(Symbol::Halted, "known_mismatch", Tone::Bad),
            IdentityState::Unknown => Sign { symbol: "?", word: "unknown", tone: Tone::Dim },
        }
    }

    /// How a maintenance run stands, in the words of the contract once it has ended.
    pub(crate) fn run(&self, state: &RunState) -> Sign {
        let ended = |status: &MaintenanceStatus| match status {
            MaintenanceStatus::Ran => (Symbol::Done, "ran", Tone::Good),
            MaintenanceStatus::Noop => (Symbol::Noop, "noop", Tone::Plain),
            MaintenanceStatus::AlreadyRunning => (Symbol::CatchingUp, "already_running", Tone::Held),
        };
        let (symbol, word, tone) = match state {
            RunState::Queued => (Symbol::Planned, "queued", Tone::Held),
            RunState::Running { .. } => (Symbol::Copying, "running", Tone::Busy),
            RunState::Cancelling => (Symbol::Draining, "cancelling", Tone::Held),
            RunState::Cancelled { .. } => (Symbol::Interrupted, "cancelled", Tone::Held),
            RunState::Ended { status, .. } => ended(status),
            RunState::Failed { .. } => (Symbol::Halted, "failed", Tone::Bad),
        };
        self.sign(symbol, word, tone)
    }

    pub(crate) fn trend(&self, trend: Trend) -> Sign {
        let [growing, holding, draining] = self.glyphs.trend;
        match trend {
            Trend::Growing => Sign { symbol: growing, word: "growing", tone: Tone::Warn },
            Trend::Holding => Sign { symbol: holding, word: "holding", tone: Tone::Plain },
            Trend::Draining => Sign { symbol: draining, word: "draining", tone: Tone::Good },
        }
    }

    /// The tone of a state that is only known by its word, as in an event.
    pub(crate) fn word(&self, word: &str) -> Tone {
        // A maintenance run's state comes after its kind.
        let state = if word == "catching up" { word } else { word.rsplit(' ').next().unwrap_or(word) };
        match state {
            "live" | "done" | "open" | "healthy" | "ran" => Tone::Good,
            "waiting" | "degraded" => Tone::Warn,
            "halted" | "failed" | "unavailable" => Tone::Bad,
            "paused" | "draining" | "interrupted" | "queued" | "already_running" | "cancelling" | "cancelled" => {
                Tone::Held
            }
            "checking" | "copying" | "verifying" | "maintaining" | "catching up" | "opening" | "running" => Tone::Busy,
            _ => Tone::Plain,
        }
    }
}
