use super::gather::{Inspected, Inspection};
use crate::format::{count, counted};
use crate::output::{tree, words};
use palanquin_engine::contract::{Condition, IdentityState};
use palanquin_engine::rows::shown;
use std::fmt::Write;

/// The inspection as a page for people.
pub(super) fn of(inspection: &Inspection) -> String {
    let mut page = String::new();
    let mut fact = |name: &str, value: &str| {
        let _ = writeln!(page, "{name:<13}{value}");
    };
    fact("palace", &inspection.palace);
    fact("backend", &format!("{} ({})", inspection.backend, inspection.selected_by));
    let health = &inspection.health;
    let condition = match health.condition {
        Condition::Healthy => "healthy",
        Condition::Degraded => "degraded",
        Condition::Unavailable => "unavailable",
    };
    match &health.reason {
        Some(reason) => fact("health", &format!("{condition}: {reason}")),
        None => fact("health", condition),
    }
    fact("capture", words::capture(inspection.capture));
    fact("vectors", words::fidelity(inspection.fidelity));
    fact("metrics", &inspection.metrics.iter().map(|metric| metric.name()).collect::<Vec<_>>().join(", "));
    fact("capabilities", &wrapped(&inspection.capabilities));
    let _ = writeln!(page, "\ncollections");
    if inspection.collections.is_empty() {
        let _ = writeln!(page, "  none");
    }
    for collection in &inspection.collections {
        let _ = writeln!(page, "{}", line(collection, inspection));
    }
    if !health.findings.is_empty() {
        let _ = writeln!(page, "\nfindings");
        for finding in &health.findings {
            let severity = format!("{:?}", finding.severity).to_lowercase();
            let _ = writeln!(page, "  {severity:<8} {}: {}", finding.name, finding.summary);
            if !finding.rows.is_empty() {
                let _ = writeln!(
                    page,
                    "           rows {}",
                    finding.rows.iter().map(|id| shown(id)).collect::<Vec<_>>().join(", ")
                );
            }
        }
    }
    if !inspection.checks.is_empty() {
        let _ = writeln!(page, "\nchecks");
        for check in &inspection.checks {
            page.push_str(&words::check("", check));
        }
    }
    let _ = writeln!(page, "\nmaintenance");
    if inspection.maintenance_kinds.is_empty() {
        let _ = writeln!(page, "  none: backend {} advertises no kind", inspection.backend);
    }
    for kind in inspection.maintenance_kinds {
        let _ = writeln!(page, "  {:<10} {}", kind.name, kind.effect);
    }
    if !inspection.maintenance_state.is_empty() {
        let _ = writeln!(page, "\nstate");
        page.push_str(&tree::of(&inspection.maintenance_state, 1));
    }
    if !inspection.migration_log.is_empty() {
        let _ = writeln!(page, "\nmigration log");
        for entry in &inspection.migration_log {
            let _ = writeln!(page, "  {}  {}", entry.at, entry.kind);
        }
        let _ = writeln!(page, "  `palanquin history` shows each in full");
    }
    page
}

fn line(Inspected { info, rows_are_exact, identity_state }: &Inspected, inspection: &Inspection) -> String {
    let about = if *rows_are_exact { "" } else { "about " };
    let width =
        info.dimension.map_or_else(|| "no vectors yet".to_owned(), |width| format!("width {}", count(width.into())));
    let metric = info.metric.map_or("metric not declared", |metric| metric.name());
    let name_width = inspection.collections.iter().map(|one| one.info.name.chars().count()).max().unwrap_or(0);
    format!(
        "  {:<name_width$}  {about}{}, {width}, {metric}, model {}",
        info.name,
        counted(info.rows, "row"),
        model(info.identity.as_ref().map(ToString::to_string), *identity_state)
    )
}

fn model(recorded: Option<String>, state: Option<IdentityState>) -> String {
    match (recorded.filter(|name| !name.is_empty()), state) {
        (None, _) => "unknown (none is recorded)".to_owned(),
        (Some(recorded), None) => format!("{recorded} (recorded; compare with --model NAME)"),
        (Some(recorded), Some(state)) => format!("{recorded} ({state})"),
    }
}

/// Tokens over as many lines as they need, indented to the column of values.
fn wrapped(tokens: &[String]) -> String {
    let mut text = String::new();
    let mut column = 0;
    for token in tokens {
        if column > 0 && column + token.len() > 64 {
            text.push_str(&format!("\n{:13}", ""));
            column = 0;
        } else if column > 0 {
            text.push(' ');
        }
        text.push_str(token);
        column += token.len() + 1;
    }
    text
}
