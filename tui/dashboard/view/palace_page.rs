use super::cells::{self, Side, fit, toned};
use super::page_text::PageText;
use super::palaces;
use crate::dashboard::model::Model;
use crate::dashboard::theme::Tone;
use crate::dashboard::{format, text};
use palanquin_actors::board::{CollectionView, PalaceView};
use palanquin_engine::contract::{CaptureLevel, Finding};
use ratatui::text::{Line, Span};
use serde_json::Value;

/// Everything there is to say about one palace.
pub(super) fn lines(model: &Model, address: &str, width: usize) -> Vec<Line<'static>> {
    let theme = model.theme();
    let mut page = PageText::new(theme, width);
    let Some(palace) = model.palace(address) else {
        page.line(Line::from("This palace is no longer here."));
        return page.finish();
    };
    standing(model, palace, &mut page);
    if let Some(health) = palace.health.as_ref().filter(|health| !health.findings.is_empty()) {
        findings(&health.findings, &mut page);
    }
    collections(palace, &mut page);
    maintenance(model, palace, &mut page);
    page.finish()
}

fn standing(model: &Model, palace: &PalaceView, page: &mut PageText) {
    let theme = page.theme;
    let sign = theme.palace(palace);
    page.pieces("state", vec![cells::sign(sign, &theme)]);
    if let Some(reason) = palaces::reason(model, palace) {
        page.value("because", &reason, sign.tone);
    }
    page.value("address", &palace.address, Tone::Plain);
    page.value("backend", palace.backend, Tone::Plain);
    page.value("checked", &checked(model, palace), Tone::Plain);
    let capture = match palace.capture {
        Some(CaptureLevel::Log) => "log: every change, in order, from the store's own log",
        Some(CaptureLevel::Version) => "version: the difference between two versions",
        Some(CaptureLevel::Scan) => "scan: comparison of row digests at an interval",
        None => "none: it cannot be followed",
    };
    page.value("capture", capture, Tone::Plain);
    let restarts = if palace.restarts > 0 { Tone::Warn } else { Tone::Plain };
    page.value("restarts", &palace.restarts.to_string(), restarts);
    page.value("capabilities", &list(&palace.capabilities), Tone::Plain);
    page.value(
        "can maintain",
        &list(&palace.maintenance_kinds.iter().map(|kind| kind.name.to_owned()).collect::<Vec<_>>()),
        Tone::Plain,
    );
}

/// Findings with the rows they name.
pub(super) fn findings(findings: &[Finding], page: &mut PageText) {
    let theme = page.theme;
    page.heading(&format!("Findings {}", findings.len()));
    for finding in findings {
        let sign = theme.severity(finding.severity);
        let before = vec![cells::sign(sign, &theme), Span::raw("  ")];
        page.paragraph(before, &format!("{}: {}", finding.name, finding.summary), Tone::Plain);
        if !finding.rows.is_empty() {
            page.paragraph(vec![toned("  rows  ", Tone::Dim, &theme)], &finding.rows.join(", "), Tone::Dim);
        }
    }
}

fn collections(palace: &PalaceView, page: &mut PageText) {
    page.heading(&format!("Collections {}", palace.collections.len()));
    if palace.collections.is_empty() {
        page.line(Line::from(toned("not counted yet", Tone::Dim, &page.theme)));
        return;
    }
    let theme = page.theme;
    let wide = page.width >= 76;
    let name = palace.collections.iter().map(|collection| text::width(&collection.name)).max();
    let name = name.unwrap_or(0).clamp(4, page.width.saturating_sub(if wide { 54 } else { 28 }).max(8));
    let heads = ["ROWS", "WIDTH", "METRIC", "MODEL"].map(str::to_owned);
    let line = |first: &str, cells: [String; 4], sign: Span<'static>, tone: Tone| {
        let [rows, dimension, metric, model] = cells;
        let mut text = fit(first, name, Side::Left, &theme) + " " + &fit(&rows, 11, Side::Right, &theme) + "  ";
        if wide {
            text += &fit(&dimension, 5, Side::Right, &theme);
            text += &format!("  {}  ", fit(&metric, 6, Side::Left, &theme));
            text += &(fit(&model, 16, Side::Left, &theme) + "  ");
        }
        Line::from(vec![toned(text, tone, &theme), sign])
    };
    page.line(line("NAME", heads, toned("IDENTITY", Tone::Dim, &theme), Tone::Dim));
    for collection in &palace.collections {
        let sign = cells::sign(theme.identity(collection.identity_state), &theme);
        page.line(line(&collection.name, figures(collection), sign, Tone::Plain));
    }
}

fn figures(collection: &CollectionView) -> [String; 4] {
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    [
        format::count(collection.rows),
        or_dash(collection.dimension.map(|dimension| dimension.to_string())),
        or_dash(collection.metric.map(|metric| metric.to_string())),
        or_dash(collection.identity.as_ref().map(ToString::to_string)),
    ]
}

fn maintenance(model: &Model, palace: &PalaceView, page: &mut PageText) {
    page.heading(&format!("Condition, checked {}", checked(model, palace)));
    let mut figures = Vec::new();
    for (key, value) in &palace.maintenance {
        flatten(key.replace('_', " "), value, &mut figures);
    }
    if figures.is_empty() {
        page.line(Line::from(toned("nothing reported", Tone::Dim, &page.theme)));
    }
    let width = figures.iter().map(|(key, _)| text::width(key)).max().unwrap_or(0).clamp(12, 12.max(page.width / 3));
    for (key, value) in figures {
        let label = toned(fit(&key, width, Side::Left, &page.theme) + "  ", Tone::Dim, &page.theme);
        page.paragraph(vec![label], &value, Tone::Plain);
    }
}

/// A value by its key; the parts of an object each by the keys that lead to it.
fn flatten(key: String, value: &Value, figures: &mut Vec<(String, String)>) {
    let words = match value {
        Value::Object(parts) => {
            for (part, value) in parts {
                flatten(format!("{key} {}", part.replace('_', " ")), value, figures);
            }
            return;
        }
        Value::String(text) => text.clone(),
        Value::Number(number) => number.as_u64().map_or_else(|| number.to_string(), format::count),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Null => "-".to_owned(),
        Value::Array(_) => value.to_string(),
    };
    figures.push((key, words));
}

fn checked(model: &Model, palace: &PalaceView) -> String {
    match palace.checked_at_ms {
        Some(at_ms) => format::ago(at_ms, model.shown_now_ms()),
        None => "not yet".to_owned(),
    }
}

fn list(words: &[String]) -> String {
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}
