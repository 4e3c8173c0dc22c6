use super::cells::{self, Side, fit, plain, toned};
use super::page_text::PageText;
use super::{capabilities, collections, figures, maintenance, palaces};
use crate::dashboard::format;
use crate::dashboard::model::{Model, last_run, news_of_runs};
use crate::dashboard::text;
use crate::dashboard::theme::Tone;
use crate::output::words;
use palanquin_actors::board::{Connection, PalaceView};
use palanquin_engine::contract::Finding;
use palanquin_engine::rows::shown;
use ratatui::style::Stylize;
use ratatui::text::{Line, Span};

/// Everything there is to say about one palace: what is going on first.
pub(super) fn lines(model: &Model, address: &str, width: usize) -> Vec<Line<'static>> {
    let theme = model.theme();
    let mut page = PageText::new(theme, width);
    let Some(palace) = model.palace(address) else {
        page.line(Line::from("This palace is no longer here."));
        return page.finish();
    };
    maintenance::news(model, palace, &mut page);
    page.gap();
    standing(model, palace, &mut page);
    if let Some(health) = palace.health.as_ref().filter(|health| !health.findings.is_empty()) {
        findings(&health.findings, &mut page);
    }
    collections::write(palace, &mut page);
    condition(model, palace, &mut page);
    kinds(palace, &mut page);
    capabilities::write(&palace.capabilities, &mut page);
    maintenance::earlier(model, palace, &mut page);
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
    page.value("connection", &format!("{}, {}", connection(palace), checked(model, palace)), Tone::Plain);
    if let (Some(health), false) = (&palace.health, palace.connection == Connection::Open) {
        let was = theme.condition(health.condition);
        page.pieces("health was", vec![cells::sign(was, &theme)]);
    }
    if palace.restarts > 0 {
        page.value("restarts", &palace.restarts.to_string(), Tone::Warn);
    }
    page.value("capture", words::capture(palace.capture), Tone::Plain);
    page.value("vectors", words::fidelity(palace.fidelity), Tone::Plain);
    page.value("metrics", &list(palace.metrics.iter().map(|metric| metric.name())), Tone::Plain);
    let now_ms = model.shown_now_ms();
    if let Some(run) = last_run(palace).filter(|_| news_of_runs(palace, now_ms).is_empty()) {
        let sign = theme.run(&run.state);
        let when = run.ended_at_ms.map_or(String::new(), |at_ms| format!(" {}", format::ago(at_ms, now_ms)));
        let kind = text::cut(&run.kind, 24, theme.glyphs.ellipsis);
        page.pieces("last run", vec![plain(kind + " "), cells::sign(sign, &theme), toned(when, Tone::Dim, &theme)]);
    }
}

fn connection(palace: &PalaceView) -> &'static str {
    match palace.connection {
        Connection::Opening => "opening",
        Connection::Open => "open",
        Connection::Waiting { .. } => "waiting",
        Connection::Failed { .. } => "failed",
        Connection::Closed => "closed",
    }
}

fn checked(model: &Model, palace: &PalaceView) -> String {
    match palace.checked_at_ms {
        Some(at_ms) => format!("checked {}", format::ago(at_ms, model.shown_now_ms())),
        None => "not checked yet".to_owned(),
    }
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
            page.paragraph(
                vec![toned("  rows  ", Tone::Dim, &theme)],
                &finding.rows.iter().map(|id| shown(id)).collect::<Vec<_>>().join(", "),
                Tone::Dim,
            );
        }
    }
}

/// The store's condition in its own terms.
fn condition(model: &Model, palace: &PalaceView, page: &mut PageText) {
    page.heading(&format!("Condition of the store, {}", checked(model, palace)));
    if palace.maintenance.is_empty() {
        page.line(Line::from(toned("nothing reported", Tone::Dim, &page.theme)));
    }
    figures::write(&palace.maintenance, 0, page);
}

/// What can be run on it, and what that does.
fn kinds(palace: &PalaceView, page: &mut PageText) {
    let theme = page.theme;
    page.heading(&format!("Maintenance kinds {}", palace.maintenance_kinds.len()));
    if palace.maintenance_kinds.is_empty() {
        let words = format!("none: backend {} advertises no kind", palace.backend);
        page.line(Line::from(toned(words, Tone::Dim, &theme)));
    }
    let name = palace.maintenance_kinds.iter().map(|kind| text::width(kind.name)).max().unwrap_or(0);
    let name = name.min(page.width / 3);
    for kind in palace.maintenance_kinds {
        let before = vec![plain(fit(kind.name, name, Side::Left, &theme)).bold(), Span::raw("  ")];
        page.paragraph(before, kind.effect, Tone::Plain);
    }
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words = words.collect::<Vec<_>>().join(", ");
    if words.is_empty() { "none".to_owned() } else { words }
}
