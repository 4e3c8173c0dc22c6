use super::cells;
use crate::dashboard::model::Model;
use crate::dashboard::{layout, text};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// A short word at the right of the last line of the body.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>) {
    let Some(toast) = &model.toast else { return };
    let body = layout::screen(model.size).body;
    let theme = model.theme();
    let words = text::cut(&toast.text, usize::from(body.width).saturating_sub(4), theme.glyphs.ellipsis);
    let words = format!(" {words} ");
    let width = (text::width(&words) as u16).min(body.width);
    let area = Rect::new(body.right().saturating_sub(width + 1).max(body.x), body.bottom().saturating_sub(1), width, 1);
    cells::clear(area, frame);
    cells::put(Line::from(Span::styled(words, theme.badge(toast.tone))), area, 0, frame);
}
