use super::cells;
use crate::dashboard::model::Model;
use crate::dashboard::theme::Tone;
use crate::dashboard::{keys, layout, text};
use ratatui::Frame;
use ratatui::style::Stylize;
use ratatui::text::{Line, Span};

/// The keys that work now; the least important ones go first where there is no room.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>) {
    let area = layout::screen(model.size).bar;
    let theme = model.theme();
    let mut keys: Vec<_> = keys::bar(model).collect();
    let room = usize::from(area.width).saturating_sub(1);
    while keys.iter().map(|(key, label, _)| text::width(key) + text::width(label) + 3).sum::<usize>() > room {
        let Some((last, _)) = keys.iter().enumerate().max_by_key(|(_, (_, _, priority))| *priority) else { break };
        keys.remove(last);
    }
    let spans = keys.into_iter().flat_map(|(key, label, _)| {
        [Span::raw(key).bold(), Span::raw(" "), cells::toned(label, Tone::Dim, &theme), Span::raw("  ")]
    });
    let mut line = Line::from(" ");
    line.spans.extend(spans);
    cells::put(line, area, 0, frame);
}
