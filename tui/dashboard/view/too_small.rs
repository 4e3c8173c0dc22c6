use super::cells;
use crate::dashboard::layout::SMALLEST;
use crate::dashboard::text;
use ratatui::Frame;
use ratatui::text::Line;

pub(super) fn draw(frame: &mut Frame<'_>) {
    let area = frame.area();
    let (columns, rows) = SMALLEST;
    let words = format!("too small: needs {columns}x{rows}");
    for (y, line) in text::wrap(&words, area.width.into()).into_iter().enumerate().take(area.height.into()) {
        cells::put(Line::from(line), area, y as u16, frame);
    }
}
