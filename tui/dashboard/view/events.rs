use super::cells::{self, Side, fit, toned};
use super::overview;
use crate::dashboard::layout::PanelArea;
use crate::dashboard::model::Model;
use crate::dashboard::theme::{Theme, Tone};
use crate::dashboard::{format, text};
use palanquin_engine::link::Event;
use ratatui::Frame;
use ratatui::text::{Line, Span};

pub(super) fn draw(model: &Model, area: &PanelArea, frame: &mut Frame<'_>) {
    let events = &model.shown().events;
    if events.is_empty() {
        overview::draw_empty(model, area, "nothing has happened yet", frame);
        return;
    }
    let (offset, theme) = (model.events.offset(), model.theme());
    let seen = || events.iter().skip(offset).take(area.capacity()).map(|entry| &entry.event);
    let width = usize::from(area.rows.width);
    let arrow = text::width(theme.glyphs.arrow);
    let who = seen().map(|event| text::width(&event.who)).max().unwrap_or(0);
    let change = seen().map(|event| change_width(event, arrow)).max().unwrap_or(0);
    let now_ms = model.shown_now_ms();
    let shape = Shape {
        width,
        today: seen().all(|event| format::same_day(event.at_ms, now_ms, &model.zone)),
        who: who.min((width / 4).max(10)),
        change: change.min(most_change(width)),
    };
    let build = |index: usize| [line(model, &events[index].event, &shape, &theme), Line::default()];
    overview::draw_rows(model, area, model.events.index(), offset, build, frame);
}

/// Widths that all lines on the screen share.
pub(super) struct Shape {
    pub(super) width: usize,
    pub(super) today: bool,
    pub(super) who: usize,
    pub(super) change: usize,
}

/// Columns for `from → to`; where there is little room, for `→ to`.
pub(super) fn most_change(width: usize) -> usize {
    match width {
        100.. => 34,
        70.. => 26,
        _ => 18,
    }
}

/// Columns that it takes with an arrow so wide.
pub(super) fn change_width(event: &Event, arrow: usize) -> usize {
    let from = if event.from.is_empty() { 0 } else { text::width(&event.from) + 1 };
    from + arrow + 1 + text::width(beside(event))
}

/// What it changed to, without the word that what it changed from begins with too: `compact queued → running`.
fn beside(event: &Event) -> &str {
    match (event.from.split_once(' '), event.to.split_once(' ')) {
        (Some((one, _)), Some((other, state))) if one == other => state,
        _ => &event.to,
    }
}

/// One event on one line.
pub(super) fn line(model: &Model, event: &Event, shape: &Shape, theme: &Theme) -> Line<'static> {
    let (arrow, ellipsis) = (theme.glyphs.arrow, theme.glyphs.ellipsis);
    let time = match shape.today {
        true => format::clock(event.at_ms, &model.zone),
        false => format::day_and_minute(event.at_ms, &model.zone),
    };
    let mut line = Line::from(vec![toned(time, Tone::Dim, theme), Span::raw("  ")]);
    if shape.who > 0 {
        let who = text::shorten(&event.who, shape.who, ellipsis);
        line.push_span(Span::raw(cells::pad(who, shape.who, Side::Left) + "  "));
    }
    let tone = theme.word(&event.to);
    let (from, to) = match event.from.is_empty() || shape.width < 70 {
        true => (String::new(), event.to.as_str()),
        false => (format!("{} ", event.from), beside(event)),
    };
    let to = fit(&format!("{arrow} {to}"), shape.change.saturating_sub(text::width(&from)), Side::Left, theme);
    line.push_span(toned(text::clean(&from).into_owned(), Tone::Dim, theme));
    line.push_span(toned(to + "  ", tone, theme));
    let room = shape.width.saturating_sub(line.width() + 2);
    line.spans.extend(cells::joined(reason(model, event), room, theme).spans);
    line
}

fn reason(model: &Model, event: &Event) -> Vec<(String, Tone)> {
    let mut parts = Vec::new();
    if !event.reason.is_empty() {
        parts.push((event.reason.clone(), Tone::Plain));
    }
    if event.attempt > 0 {
        parts.push((format!("attempt {}", event.attempt), Tone::Dim));
    }
    if let Some(next) = event.next_try_at_ms {
        parts.push((format!("next try {}", format::clock(next, &model.zone)), Tone::Dim));
    }
    parts
}
