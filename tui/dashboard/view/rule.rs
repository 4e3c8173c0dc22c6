use super::cells;
use crate::dashboard::theme::{Theme, Tone};
use crate::format::count;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// A line with a title at its left and a remark at its right. The one with the focus is heavier.
pub(super) fn draw(theme: &Theme, title: &str, remark: &str, focused: bool, area: Rect, frame: &mut Frame<'_>) {
    let name = cells::toned(title, if focused { Tone::Accent } else { Tone::Plain }, theme);
    draw_spans(theme, vec![name], remark, focused, area, frame);
}

/// The same with a title in pieces.
pub(super) fn draw_spans(
    theme: &Theme,
    title: Vec<Span<'static>>,
    remark: &str,
    focused: bool,
    area: Rect,
    frame: &mut Frame<'_>,
) {
    let (glyph, tone) =
        if focused { (theme.glyphs.rule_focused, Tone::Accent) } else { (theme.glyphs.rule, Tone::Dim) };
    let stroke = |columns: usize| cells::toned(glyph.repeat(columns), tone, theme);
    let mut left = Line::from(vec![stroke(2), Span::raw(" ")]);
    left.spans.extend(title);
    left.push_span(Span::raw(" "));
    let remark = if remark.is_empty() { String::new() } else { format!(" {remark} ") };
    let ends = if remark.is_empty() { 0 } else { 2 };
    let width = usize::from(area.width);
    let between = width.saturating_sub(left.width() + remark.len() + ends);
    left.push_span(stroke(between));
    left.push_span(cells::toned(remark, Tone::Dim, theme));
    left.push_span(stroke(ends));
    cells::put(left, area, 0, frame);
}

/// `13-24 of 500 links`, if not all of it can be seen.
pub(super) fn seen(offset: usize, capacity: usize, len: usize, noun: &str) -> String {
    if len <= capacity || capacity == 0 {
        return String::new();
    }
    let (first, last) = (offset + 1, (offset + capacity).min(len));
    format!("{}-{} of {} {noun}", count(first as u64), count(last as u64), count(len as u64))
}
