use super::word;
use crate::dashboard::model::{MaintenanceDialog, Model};
use crate::dashboard::text;
use crate::dashboard::theme::{Theme, Tone};
use crate::dashboard::view::cells::{self, Side, fit, plain, toned};
use crate::dashboard::view::dialog::Dialog;
use crate::dashboard::view::rule;
use ratatui::Frame;
use ratatui::text::{Line, Span};

/// Where the parts of the menu are.
struct Shape {
    dialog: Dialog,
    /// Kinds that fit.
    kinds: usize,
    /// Blank lines between them and the text.
    gap: usize,
    /// Lines for the text.
    room: usize,
    effect: Vec<String>,
}

fn shape(model: &Model, menu: &MaintenanceDialog) -> Shape {
    let width = Dialog::width(model);
    let effects = menu.kinds.iter().map(|kind| text::wrap(kind.effect, width).len());
    // As high as the longest text wants, so that it stands still while the operator looks around.
    let dialog = Dialog::new(model, menu.kinds.len() + 1 + effects.max().unwrap_or(1));
    let height = usize::from(dialog.inside.height);
    let effect = text::wrap(menu.kind().effect, width);
    let gap = usize::from(menu.kinds.len() + 1 + effect.len() <= height);
    let kinds = menu.kinds.len().min(height.saturating_sub(gap + effect.len()).max(height / 2)).max(1);
    Shape { dialog, kinds, gap, room: height.saturating_sub(kinds + gap), effect }
}

pub(super) fn most_scroll(model: &Model, menu: &MaintenanceDialog) -> usize {
    let shape = shape(model, menu);
    shape.effect.len().saturating_sub(shape.room)
}

/// The advertised kinds, how the newest run of each stands, and what the chosen one does.
pub(super) fn draw(model: &Model, menu: &MaintenanceDialog, frame: &mut Frame<'_>) {
    let theme = model.theme();
    let shape = shape(model, menu);
    let inside = shape.dialog.inside;
    let room = usize::from(inside.width).saturating_sub(11);
    let title = format!("Maintain {}", text::shorten(&menu.palace, room, theme.glyphs.ellipsis));
    let mut seen = rule::seen(menu.scroll, shape.room, shape.effect.len(), "lines, PgDn");
    if seen.is_empty() {
        seen = rule::seen(first(menu, shape.kinds), shape.kinds, menu.kinds.len(), "kinds");
    }
    shape.dialog.draw(&theme, &title, &seen, frame);
    let shown = menu.kinds.iter().enumerate().skip(first(menu, shape.kinds)).take(shape.kinds);
    for (y, (index, kind)) in shown.enumerate() {
        let line = kind_line(model, menu, kind.name, index == menu.chosen, inside.width.into(), &theme);
        cells::put(line, inside, y as u16, frame);
    }
    for (y, line) in shape.effect.into_iter().skip(menu.scroll).take(shape.room).enumerate() {
        cells::put(Line::from(line), inside, (shape.kinds + shape.gap + y) as u16, frame);
    }
}

/// The first kind shown, so that the chosen one is.
fn first(menu: &MaintenanceDialog, capacity: usize) -> usize {
    (menu.chosen + 1).saturating_sub(capacity)
}

fn kind_line(
    model: &Model,
    menu: &MaintenanceDialog,
    kind: &str,
    chosen: bool,
    width: usize,
    theme: &Theme,
) -> Line<'static> {
    let names = menu.kinds.iter().map(|kind| text::width(kind.name)).max().unwrap_or(0).min(width / 2);
    let mut line = Line::from(vec![
        toned(if chosen { theme.glyphs.marker } else { " " }, Tone::Accent, theme),
        Span::raw(" "),
        plain(fit(kind, names, Side::Left, theme)),
    ]);
    if chosen {
        line = cells::bold(line);
    }
    let palace = model.shown().palaces.iter().find(|palace| palace.address == menu.palace);
    if let Some((words, tone)) = palace.and_then(|palace| word::of_kind(model, palace, kind, theme)) {
        let room = width.saturating_sub(names + 5);
        line.push_span(Span::raw("   "));
        line.push_span(toned(text::cut(&words, room, theme.glyphs.ellipsis), tone, theme));
    }
    line
}
