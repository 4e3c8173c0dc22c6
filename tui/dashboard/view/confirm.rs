use super::{cells, frame_box};
use crate::dashboard::layout;
use crate::dashboard::model::Model;
use crate::dashboard::text;
use crate::dashboard::theme::Tone;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

/// Asks before links are interrupted.
pub(super) fn draw(model: &Model, yes: bool, frame: &mut Frame<'_>) {
    let body = layout::screen(model.size).body;
    let theme = model.theme();
    let width = body.width.min(70);
    let inner = usize::from(width.saturating_sub(4));
    let words = text::wrap(&question(model), inner);
    let height = (words.len() as u16 + 4).min(body.height);
    let area = Rect::new(body.x + (body.width - width) / 2, body.y + (body.height - height) / 2, width, height);
    frame_box::draw(&theme, "Quit?", "", area, frame);
    let inside = Rect::new(area.x + 2, area.y + 1, width.saturating_sub(4), height.saturating_sub(2));
    for (y, line) in words.into_iter().enumerate() {
        cells::put(Line::from(line), inside, y as u16, frame);
    }
    let button = |words: &str, focused: bool| {
        let modifier = if focused { Modifier::REVERSED | Modifier::BOLD } else { Modifier::empty() };
        Span::styled(format!(" {words} "), Style::new().add_modifier(modifier))
    };
    let pointer = |focused: bool| cells::toned(if focused { theme.glyphs.marker } else { " " }, Tone::Accent, &theme);
    let buttons = [pointer(yes), button("[y] quit", yes), Span::raw("   "), pointer(!yes), button("[N] cancel", !yes)];
    cells::put(Line::from(buttons.to_vec()).centered(), inside, inside.height.saturating_sub(1), frame);
}

/// Which links would be interrupted, and what becomes of them.
fn question(model: &Model) -> String {
    let mut counts: Vec<(&'static str, usize)> = Vec::new();
    for link in model.live.links.iter().filter(|link| !link.state.is_final()) {
        match counts.iter_mut().find(|(word, _)| *word == link.state.word()) {
            Some((_, n)) => *n += 1,
            None => counts.push((link.state.word(), 1)),
        }
    }
    let total: usize = counts.iter().map(|(_, n)| n).sum();
    let clause = |(index, (word, n)): (usize, &(&str, usize))| match (index, n) {
        (0, 1) => format!("1 link is {word}"),
        (0, n) => format!("{n} links are {word}"),
        (_, 1) => format!("1 is {word}"),
        (_, n) => format!("{n} are {word}"),
    };
    let clauses = counts.iter().enumerate().map(clause).collect::<Vec<_>>().join(", ");
    match (total, model.options.read_only) {
        (0, _) => "No link is working any more.".to_owned(),
        (_, true) => format!("{clauses}. This screen is read-only: nothing is sent to the engine."),
        (1, false) => format!("{clauses}. It drains, and the same command continues it."),
        (_, false) => format!("{clauses}. They drain, and the same command continues them."),
    }
}
