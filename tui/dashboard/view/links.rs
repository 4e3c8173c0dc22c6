use super::cells::{self, Side};
use super::columns::{Column, Columns, MARK};
use super::progress::Hidden;
use super::{overview, progress};
use crate::dashboard::layout::PanelArea;
use crate::dashboard::model::Model;
use crate::dashboard::text;
use crate::dashboard::theme::{Theme, Tone};
use palanquin_actors::board::LinkView;
use ratatui::Frame;
use ratatui::text::{Line, Span};

/// The columns; with two lines a row, the second one takes the figures and the addresses get their room.
fn columns(lines_per_row: u16) -> [Column; 6] {
    let [rows, done, rate, eta] = if lines_per_row == 2 { [132, 60, 92, 60] } else { [112, 40, 66, 58] };
    [
        Column { head: "STATE", width: 13, side: Side::Left, from: 0 },
        Column { head: "SOURCE TO TARGET", width: 0, side: Side::Left, from: 0 },
        Column { head: "ROWS", width: 21, side: Side::Right, from: rows },
        Column { head: "DONE", width: 6, side: Side::Right, from: done },
        Column { head: "RATE", width: 9, side: Side::Right, from: rate },
        Column { head: "ETA/LAG", width: 10, side: Side::Right, from: eta },
    ]
}

pub(super) fn draw(model: &Model, area: &PanelArea, frame: &mut Frame<'_>) {
    let theme = model.theme();
    let links = &model.shown().links;
    if links.is_empty() {
        overview::draw_empty(model, area, "no links yet", frame);
        return;
    }
    let columns = columns(area.lines_per_row);
    let columns = Columns::new(&columns, area.rows.width.into());
    overview::draw_heads(columns.heads(&theme), area, frame);
    let build = |index: usize| row(model, &links[index], &columns, area, &theme);
    overview::draw_rows(model, area, model.links.index(), model.links.offset(), build, frame);
}

fn row(model: &Model, link: &LinkView, columns: &Columns<'_>, area: &PanelArea, theme: &Theme) -> [Line<'static>; 2] {
    let sign = theme.link(&link.state);
    let state = (format!("{} {}", sign.symbol, sign.word), sign.tone);
    let [rows, share, rate, eta] = [2, 3, 4, 5].map(|column| columns.width(column) == 0);
    let hidden = Hidden { rows, share, rate, eta };
    let (note, urgent) = progress::note(model, link, hidden, theme);
    let name = |width| ends_of(link, width, theme);
    if urgent && area.lines_per_row == 1 {
        return [columns.noted(state, name, note, theme), Line::default()];
    }
    let cells = vec![
        state,
        (name(columns.width(1)), Tone::Plain),
        (progress::rows(link), Tone::Plain),
        (progress::percent(link), Tone::Plain),
        (progress::rate(link), Tone::Plain),
        progress::eta_or_lag(model, link, theme),
    ];
    let indent = columns.indent();
    let room = usize::from(area.rows.width).saturating_sub(MARK + indent);
    let mut second = Line::from(Span::raw(" ".repeat(indent)));
    second.spans.extend(cells::joined(note, room, theme).spans);
    [columns.line(cells, theme), second]
}

/// `source → target` in so many columns; the shorter one gives what it does not need to the other.
pub(super) fn ends_of(link: &LinkView, width: usize, theme: &Theme) -> String {
    let (arrow, ellipsis) = (theme.glyphs.arrow, theme.glyphs.ellipsis);
    let room = width.saturating_sub(text::width(arrow) + 2);
    let (source, target) = (text::clean(&link.source), text::clean(&link.target));
    let (wants, other) = (text::width(&source), text::width(&target));
    let half = room / 2;
    let first = if wants <= half { wants } else { wants.min(room.saturating_sub(other).max(half)) };
    let source = text::shorten(&source, first, ellipsis);
    let target = text::shorten(&target, room.saturating_sub(first), ellipsis);
    format!("{source} {arrow} {target}")
}
