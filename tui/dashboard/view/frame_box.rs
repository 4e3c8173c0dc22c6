use super::cells::{clear, put, toned};
use crate::dashboard::text;
use crate::dashboard::theme::{Theme, Tone};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// A frame with a title, empty inside.
pub(super) fn draw(theme: &Theme, title: &str, remark: &str, area: Rect, frame: &mut Frame<'_>) {
    clear(area, frame);
    let [top_left, top_right, bottom_left, bottom_right] = theme.glyphs.corners;
    let edge = |text: String| toned(text, Tone::Accent, theme);
    let inner = usize::from(area.width.saturating_sub(2));
    let remark = if remark.is_empty() { String::new() } else { format!(" {remark} ") };
    let level = |columns: usize| theme.glyphs.level.repeat(columns);
    let rest = inner.saturating_sub(text::width(title) + 3);
    let top = format!("{top_left}{} {title} {}{top_right}", level(1), level(rest));
    put(Line::from(edge(top)), area, 0, frame);
    for y in 1..area.height.saturating_sub(1) {
        let side = || edge(theme.glyphs.upright.to_owned());
        put(Line::from(vec![side(), Span::raw(" ".repeat(inner)), side()]), area, y, frame);
    }
    let rest = inner.saturating_sub(remark.len() + 1);
    let bottom = format!("{bottom_left}{}{remark}{}{bottom_right}", level(rest), level(1));
    put(Line::from(edge(bottom)), area, area.height.saturating_sub(1), frame);
}
