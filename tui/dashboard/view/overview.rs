use super::cells::{self, put, toned};
use super::{events, links, palaces, rule};
use crate::dashboard::layout::{self, PanelArea};
use crate::dashboard::model::{Model, Panel};
use crate::dashboard::theme::Tone;
use ratatui::Frame;
use ratatui::text::{Line, Span};

/// ```text
/// ── Palaces 2 ──────────────
/// ━━ Links 3 ━━━━━━━━━━━━━━━━   the panel with the focus
/// ── Events 12 ──────────────
/// ```
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>) {
    let areas = layout::overview(model);
    let alone = areas.len() == 1;
    for area in areas {
        draw_rule(model, &area, alone, frame);
        match area.panel {
            Panel::Palaces => palaces::draw(model, &area, frame),
            Panel::Links => links::draw(model, &area, frame),
            Panel::Events => events::draw(model, &area, frame),
        }
    }
}

fn draw_rule(model: &Model, area: &PanelArea, alone: bool, frame: &mut Frame<'_>) {
    let theme = model.theme();
    let offset = match area.panel {
        Panel::Palaces => model.palaces.offset(),
        Panel::Links => model.links.offset(),
        Panel::Events => model.events.offset(),
    };
    let seen = rule::seen(offset, area.capacity(), layout::len(model, area.panel), "");
    let seen = seen.trim_end();
    if !alone {
        rule::draw(&theme, &title(model, area.panel), seen, model.focus == area.panel, area.rule, frame);
        return;
    }
    let mut tabs: Vec<Span<'static>> = Vec::new();
    for panel in Panel::ALL {
        if !tabs.is_empty() {
            tabs.push(Span::raw("  "));
        }
        let name = title(model, panel);
        tabs.push(match panel == model.focus {
            true => toned(format!("[{name}]"), Tone::Accent, &theme),
            false => toned(name, Tone::Plain, &theme),
        });
    }
    rule::draw_spans(&theme, tabs, if area.rule.width < 60 { "" } else { seen }, true, area.rule, frame);
}

fn title(model: &Model, panel: Panel) -> String {
    let name = match panel {
        Panel::Palaces => "Palaces",
        Panel::Links => "Links",
        Panel::Events => "Events",
    };
    format!("{name} {}", layout::len(model, panel))
}

/// Draws the rows that can be seen, each of one or two lines; builds no others.
pub(super) fn draw_rows(
    model: &Model,
    area: &PanelArea,
    selected: usize,
    offset: usize,
    build: impl Fn(usize) -> [Line<'static>; 2],
    frame: &mut Frame<'_>,
) {
    let theme = model.theme();
    let len = layout::len(model, area.panel);
    let lines = usize::from(area.lines_per_row);
    for (place, index) in (offset..len).take(area.capacity()).enumerate() {
        let marked = index == selected && model.focus == area.panel;
        let mark = || cells::toned(if marked { theme.glyphs.marker } else { " " }, Tone::Accent, &theme);
        for (n, mut line) in build(index).into_iter().take(lines).enumerate() {
            line.spans.insert(0, mark());
            line.spans.insert(1, Span::raw(" "));
            let line = if marked && n == 0 { cells::bold(line) } else { line };
            put(line, area.rows, (place * lines + n) as u16, frame);
        }
    }
}

/// Says why a list is empty.
pub(super) fn draw_empty(model: &Model, area: &PanelArea, words: &str, frame: &mut Frame<'_>) {
    let place = if area.heads.height > 0 { area.heads } else { area.rows };
    put(Line::from(vec![Span::raw("  "), toned(words, Tone::Dim, &model.theme())]), place, 0, frame);
}

/// Column heads, in line with the cells below them.
pub(super) fn draw_heads(mut heads: Line<'static>, area: &PanelArea, frame: &mut Frame<'_>) {
    heads.spans.insert(0, Span::raw("  "));
    put(heads, area.heads, 0, frame);
}
