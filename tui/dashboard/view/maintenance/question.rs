use crate::dashboard::model::{MaintenanceDialog, Model};
use crate::dashboard::text;
use crate::dashboard::theme::Tone;
use crate::dashboard::view::cells::{self, plain, toned};
use crate::dashboard::view::dialog::{Dialog, buttons};
use crate::dashboard::view::rule;
use palanquin_actors::board::Connection;
use ratatui::Frame;
use ratatui::style::Stylize;
use ratatui::text::Line;

/// Asks before a kind is run, with what it does; "cancel" has the focus.
pub(super) fn draw(model: &Model, question: &MaintenanceDialog, yes: bool, frame: &mut Frame<'_>) {
    let theme = model.theme();
    let (dialog, lines, room) = shape(model, question);
    let inside = dialog.inside;
    let seen = rule::seen(question.scroll, room, lines.len(), "lines, j/k");
    dialog.draw(&theme, &format!("Run {}?", question.kind().name), &seen, frame);
    for (y, line) in lines.into_iter().skip(question.scroll).take(room).enumerate() {
        cells::put(line, inside, y as u16, frame);
    }
    cells::put(buttons("[y] run", "[N] cancel", yes, &theme), inside, inside.height.saturating_sub(1), frame);
}

pub(super) fn most_scroll(model: &Model, question: &MaintenanceDialog) -> usize {
    let (_, lines, room) = shape(model, question);
    lines.len().saturating_sub(room)
}

/// The box, its text, and the lines there are for it above the buttons.
fn shape(model: &Model, question: &MaintenanceDialog) -> (Dialog, Vec<Line<'static>>, usize) {
    let mut lines = text(model, question, Dialog::width(model));
    let dialog = Dialog::new(model, lines.len() + 2);
    let height = usize::from(dialog.inside.height);
    if lines.len() + 2 <= height {
        return (dialog, lines, height - 2);
    }
    // Where there is little room, words come before blank lines.
    lines.retain(|line| line.width() > 0);
    (dialog, lines, height.saturating_sub(1))
}

fn text(model: &Model, question: &MaintenanceDialog, width: usize) -> Vec<Line<'static>> {
    let theme = model.theme();
    let kind = question.kind();
    let address = text::shorten(&question.palace, width, theme.glyphs.ellipsis);
    let mut lines: Vec<Line<'static>> = Vec::new();
    let asked = text::wrap(&format!("Run {} on {address}?", kind.name), width);
    lines.extend(asked.into_iter().map(|line| Line::from(plain(line).bold())));
    lines.push(Line::default());
    lines.extend(text::wrap(kind.effect, width).into_iter().map(Line::from));
    let palace = model.live.palaces.iter().find(|palace| palace.address == question.palace);
    let mut note = |words: String, tone: Tone| {
        lines.push(Line::default());
        lines.extend(text::wrap(&words, width).into_iter().map(|line| Line::from(toned(line, tone, &theme))));
    };
    match palace {
        None => note("This palace is no longer here.".to_owned(), Tone::Warn),
        Some(palace) => {
            if palace.runs.iter().any(|run| run.kind == kind.name && run.is_under_way()) {
                let words = "One is under way already: another would do nothing (already_running).";
                note(words.to_owned(), Tone::Warn);
            } else if let Some(run) = palace.runs.iter().find(|run| run.is_under_way()) {
                note(format!("It begins when {} has ended.", run.kind), Tone::Held);
            }
            if palace.connection != Connection::Open {
                note("The palace is not open now; the run opens it by itself, or fails.".to_owned(), Tone::Warn);
            }
        }
    }
    lines
}
