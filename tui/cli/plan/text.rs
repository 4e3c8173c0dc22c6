use super::checks::About;
use super::gather::{MigrationPlan, Planned};
use crate::format::{bytes, count, counted, duration, millis};
use crate::output::words;
use std::fmt::Write;

/// The plan as a page for people.
pub(super) fn of(plan: &MigrationPlan) -> String {
    let mut page = String::new();
    let mut fact = |name: &str, value: &str| {
        let _ = writeln!(page, "{name:<12}{value}");
    };
    fact("source", &plan.source);
    fact("target", &plan.target);
    let filtered = if plan.unfiltered { " before the filter" } else { "" };
    fact("rows", &format!("{}{filtered}, about {}", counted(plan.rows, "row"), bytes(plan.bytes)));
    fact("time", &time(plan));
    let lossless = if plan.lossless { "yes" } else { "no" };
    fact("lossless", &format!("{lossless}: {}", plan.lossless_because));
    let maintenance = if plan.maintenance.is_empty() { "none".to_owned() } else { plan.maintenance.join(", ") };
    fact("afterwards", &format!("maintenance of the target: {maintenance}"));
    let _ = writeln!(page, "\ncollections");
    let widest = plan.collections.iter().map(|planned| planned.name.chars().count()).max().unwrap_or(0);
    for planned in &plan.collections {
        let _ = writeln!(page, "  {:<widest$}  {}", planned.name, collection(planned));
    }
    if !plan.conversions.is_empty() {
        let _ = writeln!(page, "\nwhat the target would change");
        for conversion in &plan.conversions {
            let _ = writeln!(
                page,
                "  {}: {} of the {} probed{}",
                conversion.does,
                count(conversion.probed_rows),
                counted(plan.probed_rows, "row"),
                if plan.probed_rows < plan.rows { "; the others were not looked at" } else { "" },
            );
        }
    }
    if !plan.gaps.is_empty() {
        let _ = writeln!(page, "\nwhat the target cannot");
        for gap in &plan.gaps {
            let _ = writeln!(page, "  {:<32} {}", gap.token, gap.means);
        }
    }
    let _ = writeln!(page, "\nchecks");
    for planned in &plan.checks {
        let about = match planned.about {
            About::Source => "source",
            About::Target => "target",
            About::Copy => "copy",
        };
        page.push_str(&words::check(about, &planned.check));
    }
    let failing = plan.checks.iter().filter(|planned| words::fails(&planned.check)).count();
    let _ = match failing {
        0 => writeln!(page, "\nnothing is in the way; nothing was written"),
        failing => writeln!(page, "\n{} in the way; nothing was written", count(failing as u64)),
    };
    page
}

fn time(plan: &MigrationPlan) -> String {
    match plan.read_seconds {
        Some(seconds) => format!(
            "about {} to read the source once, by a probe of {} in {}; it is read again to be compared, and what the \
             target takes to write is not measured",
            duration(seconds),
            counted(plan.probed_rows, "row"),
            millis(plan.probed_millis)
        ),
        None => "not known: there was nothing to probe".to_owned(),
    }
}

fn collection(planned: &Planned) -> String {
    let width = planned.dimension.map_or_else(|| "no vectors yet".to_owned(), |width| format!("width {width}"));
    let metric = planned.metric.map_or("metric not declared", |metric| metric.name());
    let model = planned.model.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let recorded = match &planned.target_model {
        Some(recorded) if planned.model.as_ref() != Some(recorded) => format!(", recorded in the target as {recorded}"),
        _ => String::new(),
    };
    format!(
        "{}, {}, {width}, {metric}, model {model}{recorded} ({}), {}",
        counted(planned.rows, "row"),
        bytes(planned.bytes),
        planned.identity_state,
        counted(planned.partitions as u64, "partition"),
    )
}
