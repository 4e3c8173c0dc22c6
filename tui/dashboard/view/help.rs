use super::cells::{self, Side, plain, toned};
use super::{frame_box, rule};
use crate::dashboard::keys::TABLE;
use crate::dashboard::layout;
use crate::dashboard::model::{Model, Place};
use crate::dashboard::theme::{Sign, Theme, Tone};
use crate::dashboard::{keys::Key, text};
use palanquin_actors::board::RunState;
use palanquin_engine::contract::MaintenanceStatus;
use palanquin_engine::link::{LinkState, Phase};
use ratatui::Frame;
use ratatui::style::Stylize;
use ratatui::text::{Line, Span};
use std::collections::BTreeMap;

pub(super) fn draw(model: &Model, scroll: usize, frame: &mut Frame<'_>) {
    let (body, inside) = (layout::screen(model.size).body, layout::help(model.size));
    let theme = model.theme();
    let lines = lines(model, inside.width);
    let seen = rule::seen(scroll, inside.height.into(), lines.len(), "lines");
    frame_box::draw(&theme, "Help", &seen, body, frame);
    for (y, line) in lines.into_iter().skip(scroll).take(inside.height.into()).enumerate() {
        cells::put(line, inside, y as u16, frame);
    }
}

/// The key table and what the signs mean.
pub(super) fn lines(model: &Model, width: u16) -> Vec<Line<'static>> {
    let theme = model.theme();
    let mut lines = Vec::new();
    let groups = [("Lists and pages", false), ("Questions, and the menu of maintenance", true)];
    for (title, dialog) in groups {
        heading(title, &mut lines);
        for binding in TABLE {
            let reading = binding.places.iter().any(|place| matches!(place, Place::Overview | Place::Page));
            if reading == dialog {
                continue;
            }
            let keys = binding.keys.iter().map(|key| Key::name(*key)).collect::<Vec<_>>().join(" ");
            let key_width = if dialog { 22 } else { 12 };
            let keys = cells::pad(keys, key_width, Side::Left);
            let room = usize::from(width).saturating_sub(key_width + 1);
            let help = text::cut(binding.help, room, theme.glyphs.ellipsis);
            lines.push(Line::from(vec![plain(keys).bold(), plain(" "), plain(help)]));
        }
    }
    heading("Signs of links", &mut lines);
    signs(&theme, usize::from(width), &mut lines);
    heading("Signs of maintenance", &mut lines);
    run_signs(&theme, usize::from(width), &mut lines);
    lines
}

fn heading(title: &str, lines: &mut Vec<Line<'static>>) {
    if !lines.is_empty() {
        lines.push(Line::default());
    }
    lines.push(Line::from(plain(title).bold().underlined()));
}

fn signs(theme: &Theme, width: usize, lines: &mut Vec<Line<'static>>) {
    let phase = Phase::Copying;
    let (reason, advice) = (String::new(), String::new());
    let working =
        [Phase::Checking, Phase::Copying, Phase::Verifying, Phase::Maintaining, Phase::CatchingUp, Phase::Live];
    let means = |state: &LinkState| match state {
        LinkState::Planned => "known, not begun",
        LinkState::Working { phase: Phase::Checking } => "opening and comparing both ends, planning",
        LinkState::Working { phase: Phase::Copying } => "copying rows",
        LinkState::Working { phase: Phase::Verifying } => "comparing both ends row by row",
        LinkState::Working { phase: Phase::Maintaining } => "building the target's indexes",
        LinkState::Working { phase: Phase::CatchingUp } => "replaying what changed during the copy",
        LinkState::Working { phase: Phase::Live } => "following changes as they happen",
        LinkState::Paused { .. } => "stopped by the operator",
        LinkState::Waiting { .. } => "failed; tries again by itself",
        LinkState::Halted { .. } => "needs the operator",
        LinkState::Draining { .. } => "on the way out",
        LinkState::Interrupted { .. } => "drained; the same command continues it",
        LinkState::Done { .. } => "a migration that has ended",
    };
    let mut states = vec![LinkState::Planned];
    states.extend(working.map(|phase| LinkState::Working { phase }));
    states.extend([
        LinkState::Paused { phase },
        LinkState::Waiting { phase, reason: reason.clone(), next_try_at_ms: 0 },
        LinkState::Halted { phase, reason, advice },
        LinkState::Draining { phase },
        LinkState::Interrupted { phase },
        LinkState::Done { verified: true },
    ]);
    for state in states {
        explain(theme.link(&state), 13, means(&state), width, theme, lines);
    }
}

fn run_signs(theme: &Theme, width: usize, lines: &mut Vec<Line<'static>>) {
    let ended = |status| RunState::Ended { status, stats: BTreeMap::new() };
    let runs = [
        (RunState::Queued, "waits for the run before it"),
        (RunState::Running { step: None }, "being done; everything else goes on"),
        (RunState::Cancelling, "being stopped, in the store too"),
        (RunState::Cancelled { reason: String::new() }, "cancelled; nothing of it runs, the palace is whole"),
        (ended(MaintenanceStatus::Ran), "done, and durable"),
        (ended(MaintenanceStatus::Noop), "there was nothing to do"),
        (ended(MaintenanceStatus::AlreadyRunning), "another run held the work; this one did nothing"),
        (RunState::Failed { reason: String::new(), advice: String::new() }, "failed; its page says why and what to do"),
    ];
    for (state, meaning) in runs {
        explain(theme.run(&state), 17, meaning, width, theme, lines);
    }
}

fn explain(sign: Sign, word: usize, meaning: &str, width: usize, theme: &Theme, lines: &mut Vec<Line<'static>>) {
    let meaning = text::cut(meaning, width.saturating_sub(word + 1), theme.glyphs.ellipsis);
    let word = cells::pad(format!("{} {}", sign.symbol, sign.word), word, Side::Left);
    lines.push(Line::from(vec![toned(word, sign.tone, theme), Span::raw(" "), toned(meaning, Tone::Plain, theme)]));
}
