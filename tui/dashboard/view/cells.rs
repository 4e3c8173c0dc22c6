use crate::dashboard::text;
use crate::dashboard::theme::{Sign, Theme, Tone};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Which end of a cell its text stands at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// Exactly `width` columns of the text.
pub(super) fn fit(value: &str, width: usize, side: Side, theme: &Theme) -> String {
    pad(text::cut(value, width, theme.glyphs.ellipsis), width, side)
}

/// Fills up to `width` columns with spaces.
pub(super) fn pad(value: String, width: usize, side: Side) -> String {
    let space = " ".repeat(width.saturating_sub(text::width(&value)));
    match side {
        Side::Left => value + &space,
        Side::Right => space + &value,
    }
}

/// A state: symbol and word.
pub(super) fn sign(sign: Sign, theme: &Theme) -> Span<'static> {
    Span::styled(format!("{} {}", sign.symbol, sign.word), theme.style(sign.tone))
}

pub(super) fn plain(value: impl Into<String>) -> Span<'static> {
    Span::raw(value.into())
}

pub(super) fn toned(value: impl Into<String>, tone: Tone, theme: &Theme) -> Span<'static> {
    Span::styled(value.into(), theme.style(tone))
}

/// With less room than this, the part of a line that does not fit is left out instead of cut.
const WORTH_CUTTING: usize = 16;

/// Parts with dots between them, at most `width` columns of it.
pub(super) fn joined(parts: Vec<(String, Tone)>, width: usize, theme: &Theme) -> Line<'static> {
    let mut line = Line::default();
    for (index, (value, tone)) in parts.into_iter().enumerate() {
        let between = if index == 0 { String::new() } else { format!(" {} ", theme.glyphs.dot) };
        let room = width.saturating_sub(line.width() + text::width(&between));
        if index > 0 && room < text::width(&value).min(WORTH_CUTTING) {
            break;
        }
        line.push_span(toned(between, Tone::Dim, theme));
        line.push_span(toned(text::cut(&value, room, theme.glyphs.ellipsis), tone, theme));
    }
    line
}

/// Two pieces of a line, one at each end; the left one gives way.
pub(super) fn ends(left: Line<'static>, right: Line<'static>, width: usize) -> Line<'static> {
    let room = width.saturating_sub(right.width());
    let mut line = Line::default();
    for span in left.spans {
        let used = line.width();
        let value = text::cut(&span.content, room.saturating_sub(used + 1), "");
        line.push_span(Span::styled(value, span.style));
    }
    let space = room.saturating_sub(line.width());
    line.push_span(Span::raw(" ".repeat(space)));
    line.spans.extend(right.spans);
    line
}

/// Writes a line into a row of an area.
pub(super) fn put(line: Line<'_>, area: Rect, y: u16, frame: &mut Frame<'_>) {
    if y < area.height {
        frame.render_widget(line, Rect::new(area.x, area.y + y, area.width, 1).intersection(frame.area()));
    }
}

/// Makes an area blank.
pub(super) fn clear(area: Rect, frame: &mut Frame<'_>) {
    let area = area.intersection(frame.area());
    frame.render_widget(ratatui::widgets::Clear, area);
}

/// Makes every span of a line bold.
pub(super) fn bold(mut line: Line<'static>) -> Line<'static> {
    line.style = line.style.patch(Style::new().bold());
    line
}
