//! What stands where on a screen of a given size. `update` asks it how far to scroll, `view` where to draw.
//!
//! ```text
//! header        title, time, badges; counts by state
//! body          overview: palaces, links, events, each a rule, column heads and rows; or one page
//! context bar   the keys that work now
//! ```

use super::model::{Model, Panel};
use ratatui::layout::Rect;

/// Below this nothing useful can be shown.
pub(crate) const SMALLEST: (u16, u16) = (40, 8);
/// Lower than this, the overview shows one panel at a time.
const STACKED_FROM: u16 = 14;
/// Lower than this, the header is one line.
const TALL_FROM: u16 = 16;
/// Events the overview shows at least, before lists are given two lines a row.
const EVENTS_WANTED: u16 = 4;

/// The three parts of every screen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    pub(crate) header: Rect,
    pub(crate) body: Rect,
    pub(crate) bar: Rect,
}

/// One list of the overview.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PanelArea {
    pub(crate) panel: Panel,
    pub(crate) rule: Rect,
    pub(crate) heads: Rect,
    pub(crate) rows: Rect,
    pub(crate) lines_per_row: u16,
}

impl PanelArea {
    /// Rows that fit.
    pub(crate) fn capacity(&self) -> usize {
        usize::from(self.rows.height / self.lines_per_row.max(1))
    }
}

/// Whether the terminal is large enough to show anything but that it is not.
pub(crate) fn is_large_enough((columns, rows): (u16, u16)) -> bool {
    columns >= SMALLEST.0 && rows >= SMALLEST.1
}

pub(crate) fn screen((columns, rows): (u16, u16)) -> Screen {
    let header = if rows >= TALL_FROM { 2 } else { 1 };
    let (header, bar) = (header.min(rows), u16::from(rows > header));
    Screen {
        header: Rect::new(0, 0, columns, header),
        body: Rect::new(0, header, columns, rows - header - bar),
        bar: Rect::new(0, rows - bar, columns, bar),
    }
}

/// Where the text of a page goes, below its rule.
pub(crate) fn page(size: (u16, u16)) -> Rect {
    let body = screen(size).body;
    Rect::new(
        1.min(body.width),
        body.y + 1.min(body.height),
        body.width.saturating_sub(2),
        body.height.saturating_sub(1),
    )
}

/// Where the text of the help goes, inside its frame.
pub(crate) fn help(size: (u16, u16)) -> Rect {
    let body = screen(size).body;
    Rect::new(
        2.min(body.width),
        body.y + 1.min(body.height),
        body.width.saturating_sub(4),
        body.height.saturating_sub(2),
    )
}

/// The panels on the screen: all of them, or the one with the focus if there is no room for more.
pub(crate) fn overview(model: &Model) -> Vec<PanelArea> {
    let body = screen(model.size).body;
    let len = |panel| u16::try_from(len(model, panel)).unwrap_or(u16::MAX);
    if body.height < STACKED_FROM {
        let heads = u16::from(model.focus != Panel::Events && body.height >= 6);
        let rows = body.height.saturating_sub(1 + heads);
        let lines = if model.focus != Panel::Events && len(model.focus).saturating_mul(2) <= rows { 2 } else { 1 };
        return vec![area(model.focus, body, 0, heads, rows, lines)];
    }
    let content = body.height - 5;
    let (palaces, links) = (len(Panel::Palaces).max(1), len(Panel::Links).max(1));
    let fits = |&(p, l): &(u16, u16)| {
        let lists = u32::from(palaces) * u32::from(p) + u32::from(links) * u32::from(l);
        lists + u32::from(EVENTS_WANTED) <= u32::from(content)
    };
    let (lines, palace_rows, link_rows) = match [(2, 2), (1, 2), (1, 1)].into_iter().find(fits) {
        Some((p, l)) => ((p, l), palaces * p, links * l),
        None => {
            let share = content / 4;
            let link_rows = links.min(content - share - palaces.min(share));
            ((1, 1), palaces.min(content - share - link_rows), link_rows)
        }
    };
    let event_rows = content - palace_rows - link_rows;
    let links_at = palace_rows + 2;
    vec![
        area(Panel::Palaces, body, 0, 1, palace_rows, lines.0),
        area(Panel::Links, body, links_at, 1, link_rows, lines.1),
        area(Panel::Events, body, links_at + link_rows + 2, 0, event_rows, 1),
    ]
}

/// Rows in a panel.
pub(crate) fn len(model: &Model, panel: Panel) -> usize {
    let snapshot = model.shown();
    match panel {
        Panel::Palaces => snapshot.palaces.len(),
        Panel::Links => snapshot.links.len(),
        Panel::Events => snapshot.events.len(),
    }
}

fn area(panel: Panel, body: Rect, top: u16, heads: u16, rows: u16, lines_per_row: u16) -> PanelArea {
    let at = |y: u16, height: u16| Rect::new(body.x, body.y + y, body.width, height).intersection(body);
    PanelArea { panel, rule: at(top, 1), heads: at(top + 1, heads), rows: at(top + 1 + heads, rows), lines_per_row }
}
