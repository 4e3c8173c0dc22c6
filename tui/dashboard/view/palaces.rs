use super::cells::{self, Side};
use super::columns::{Column, Columns, MARK};
use super::overview;
use crate::dashboard::layout::PanelArea;
use crate::dashboard::model::{Model, palace_identity, palace_problem, palace_rows};
use crate::dashboard::theme::{Theme, Tone};
use crate::dashboard::{format, text};
use palanquin_actors::board::{Connection, PalaceView};
use palanquin_engine::contract::{IdentityState, MaintenanceState};
use ratatui::Frame;
use ratatui::text::{Line, Span};
use serde_json::Value;

const COLUMNS: &[Column] = &[
    Column { head: "STATE", width: 13, side: Side::Left, from: 0 },
    Column { head: "PALACE", width: 0, side: Side::Left, from: 0 },
    Column { head: "BACKEND", width: 8, side: Side::Left, from: 64 },
    Column { head: "CAPTURE", width: 7, side: Side::Left, from: 72 },
    Column { head: "ROWS", width: 11, side: Side::Right, from: 44 },
];

pub(super) fn draw(model: &Model, area: &PanelArea, frame: &mut Frame<'_>) {
    let theme = model.theme();
    let palaces = &model.shown().palaces;
    if palaces.is_empty() {
        overview::draw_empty(model, area, "no palaces yet", frame);
        return;
    }
    let columns = Columns::new(COLUMNS, area.rows.width.into());
    overview::draw_heads(columns.heads(&theme), area, frame);
    let build = |index: usize| row(model, &palaces[index], &columns, area, &theme);
    overview::draw_rows(model, area, model.palaces.index(), model.palaces.offset(), build, frame);
}

fn row(
    model: &Model,
    palace: &PalaceView,
    columns: &Columns<'_>,
    area: &PanelArea,
    theme: &Theme,
) -> [Line<'static>; 2] {
    let sign = theme.palace(palace);
    let state = (format!("{} {}", sign.symbol, sign.word), sign.tone);
    let name = |width| text::shorten(&palace.address, width, theme.glyphs.ellipsis);
    if area.lines_per_row == 1 && palace_problem(palace) {
        return [columns.noted(state, name, note(model, palace, theme), theme), Line::default()];
    }
    let rows = palace_rows(palace).map_or("-".to_owned(), format::count);
    let capture = palace.capture.map_or("-".to_owned(), |capture| capture.to_string());
    let cells = vec![
        state,
        (name(columns.width(1)), Tone::Plain),
        (palace.backend.to_owned(), Tone::Plain),
        (capture, Tone::Plain),
        (rows, Tone::Plain),
    ];
    let indent = columns.indent();
    let mut second = Line::from(Span::raw(" ".repeat(indent)));
    let room = usize::from(area.rows.width).saturating_sub(MARK + indent);
    second.spans.extend(cells::joined(note(model, palace, theme), room, theme).spans);
    [columns.line(cells, theme), second]
}

/// What is to be said of a palace besides its figures: what is wrong first.
fn note(model: &Model, palace: &PalaceView, theme: &Theme) -> Vec<(String, Tone)> {
    let mut parts = Vec::new();
    if let Some(reason) = reason(model, palace) {
        parts.push((reason, theme.palace(palace).tone));
    }
    if let Some(state) = palace_identity(palace) {
        let tone = if state == IdentityState::KnownMismatch { Tone::Bad } else { Tone::Dim };
        let words = match state {
            IdentityState::KnownMatch => "same model",
            IdentityState::KnownMismatch => "model mismatch",
            IdentityState::Unknown => "model not compared",
        };
        let mut models: Vec<&str> =
            palace.collections.iter().filter_map(|c| c.identity.as_ref()).map(|i| i.canonical_model()).collect();
        models.sort_unstable();
        models.dedup();
        let models = if models.is_empty() { String::new() } else { format!(": {}", models.join(", ")) };
        parts.push((format!("{words}{models}"), tone));
    }
    let maintenance = maintenance(&palace.maintenance);
    if !maintenance.is_empty() {
        parts.push((maintenance, Tone::Dim));
    }
    if palace.restarts > 0 {
        parts.push((format!("restarted {}x", palace.restarts), Tone::Warn));
    }
    if parts.is_empty() {
        let word = if palace.checked_at_ms.is_some() { "checked: nothing to report" } else { "not checked yet" };
        parts.push((word.to_owned(), Tone::Dim));
    }
    parts
}

/// Why a palace is in its state, where that needs saying.
pub(super) fn reason(model: &Model, palace: &PalaceView) -> Option<String> {
    match &palace.connection {
        Connection::Waiting { reason, next_try_at_ms } => {
            let seconds = format::seconds_until(*next_try_at_ms, model.shown_now_ms());
            Some(format!("{reason}; next try in {}", format::duration(seconds)))
        }
        Connection::Failed { reason } => Some(reason.clone()),
        _ => palace.health.as_ref()?.reason.clone(),
    }
}

/// The first figures of a store's condition: `v12, 3 fragments`.
pub(super) fn maintenance(state: &MaintenanceState) -> String {
    let version = state.get("version").and_then(Value::as_u64).map(|version| format!("v{version}"));
    let figures = state.iter().filter(|(key, _)| *key != "version").filter_map(|(key, value)| match value {
        Value::Number(number) => {
            let number = number.as_u64().map_or_else(|| number.to_string(), format::count);
            Some(format!("{number} {}", key.replace('_', " ")))
        }
        _ => None,
    });
    version.into_iter().chain(figures).take(3).collect::<Vec<_>>().join(", ")
}
