use super::cells::{self, Side};
use super::columns::{Column, Columns, MARK};
use super::{figures, maintenance, overview};
use crate::dashboard::layout::PanelArea;
use crate::dashboard::model::{Model, palace_identity, palace_problem, palace_rows};
use crate::dashboard::theme::{Theme, Tone};
use crate::dashboard::{format, text};
use palanquin_actors::board::{Connection, PalaceView};
use palanquin_engine::contract::{IdentityState, MaintenanceState};
use ratatui::Frame;
use ratatui::text::{Line, Span};
use serde_json::Value;
use std::collections::BTreeMap;

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
    let maintained = || maintenance::brief(model, palace, theme).is_some_and(|(_, _, under_way)| under_way);
    if area.lines_per_row == 1 && (palace_problem(palace) || maintained()) {
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
    let brief = maintenance::brief(model, palace, theme);
    let is_under_way = brief.as_ref().is_some_and(|(_, _, under_way)| *under_way);
    let mut brief = brief.map(|(words, tone, _)| (words, tone));
    parts.extend(brief.take_if(|_| is_under_way));
    if let Some(reason) = reason(model, palace) {
        parts.push((reason, theme.palace(palace).tone));
    }
    parts.extend(brief);
    parts.extend(identity(palace));
    let condition = condition(&palace.maintenance);
    if !condition.is_empty() {
        parts.push((condition, Tone::Dim));
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

/// How the models of its collections compare with the other end's: the worst of them.
fn identity(palace: &PalaceView) -> Option<(String, Tone)> {
    let state = palace_identity(palace)?;
    let mut models: Vec<&str> =
        palace.collections.iter().filter_map(|c| c.identity.as_ref()).map(|i| i.canonical_model()).collect();
    models.sort_unstable();
    models.dedup();
    let models = models.join(", ");
    let without = palace.collections.iter().filter(|collection| collection.identity.is_none()).count();
    Some(match state {
        IdentityState::KnownMismatch => (format!("model {state}: {models}"), Tone::Bad),
        IdentityState::KnownMatch => (format!("model {state}: {models}"), Tone::Dim),
        IdentityState::Unknown if without == 0 => (format!("model {state}: {models}, not compared yet"), Tone::Dim),
        IdentityState::Unknown => {
            let collections = format::counted(without as u64, "collection");
            (format!("model {state}: none recorded in {collections}"), Tone::Dim)
        }
    })
}

/// Figures that add up over collections.
const ADDITIVE: [&str; 5] = ["bytes", "rows", "fragments", "tuples", "files"];

/// The first figures of a store's condition: `v12, 3 fragments`. Those of its collections are added up.
fn condition(state: &MaintenanceState) -> String {
    let version = state.get("version").and_then(Value::as_u64).map(|version| format!("v{version}"));
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, value) in state {
        match value {
            Value::Number(number) if name != "version" => {
                sums.extend(number.as_u64().map(|n| (name.as_str(), n)));
            }
            Value::Object(parts) => {
                let adds_up = |name: &str| name.rsplit('_').next().is_some_and(|word| ADDITIVE.contains(&word));
                for (name, n) in parts.iter().filter(|(name, _)| adds_up(name)) {
                    let Some(n) = n.as_u64().filter(|_| name != "rows") else { continue };
                    let sum = sums.entry(name).or_default();
                    *sum = sum.saturating_add(n);
                }
            }
            _ => {}
        }
    }
    let figures = sums.into_iter().map(|(name, n)| {
        let figure = figures::figure(name, &Value::from(n));
        if name == "bytes" { figure } else { format!("{figure} {}", name.replace('_', " ")) }
    });
    version.into_iter().chain(figures).take(3).collect::<Vec<_>>().join(", ")
}
