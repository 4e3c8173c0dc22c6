use super::checks::Standing;
use super::gather::MigrationPlan;
use crate::format::{bytes, count, counted, duration};
use std::fmt::Write;

/// The plan as a page for people.
pub(super) fn of(plan: &MigrationPlan) -> String {
    let mut page = String::new();
    let mut fact = |name: &str, value: &str| {
        let _ = writeln!(page, "{name:<10}{value}");
    };
    fact("source", &plan.source);
    fact("target", &plan.target);
    fact("rows", &format!("{}, about {}", counted(plan.rows, "row"), bytes(plan.bytes)));
    let reading = match plan.read_seconds {
        Some(seconds) => {
            format!("about {} to read, by a short probe; writing and comparing add to it", duration(seconds))
        }
        None => "not known: there was nothing to probe".to_owned(),
    };
    fact("time", &reading);
    let lossless = if plan.lossless { "yes" } else { "no" };
    fact("lossless", &format!("{lossless}: {}", plan.lossless_because));
    let _ = writeln!(page, "\ncollections");
    let widest = plan.collections.iter().map(|planned| planned.name.chars().count()).max().unwrap_or(0);
    for planned in &plan.collections {
        let width = planned.dimension.map_or_else(|| "no vectors yet".to_owned(), |width| format!("width {width}"));
        let metric = planned.metric.map_or("metric not declared", |metric| metric.name());
        let model = planned.model.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
        let _ = writeln!(
            page,
            "  {:<widest$}  {}, {}, {width}, {metric}, model {model}, {}",
            planned.name,
            counted(planned.rows, "row"),
            bytes(planned.bytes),
            counted(planned.partitions as u64, "partition"),
        );
    }
    let _ = writeln!(page, "\nchecks");
    for check in &plan.checks {
        let standing = match check.standing {
            Standing::Passes => "ok",
            Standing::Warns => "warning",
            Standing::Fails => "FAILS",
        };
        let _ = writeln!(page, "  {standing:<8} {:<12} {}", check.name, check.found);
        if let Some(fix) = &check.fix {
            let _ = writeln!(page, "  {:<21} {fix}", "");
        }
    }
    let failing = plan.checks.iter().filter(|check| check.standing == Standing::Fails).count();
    let _ = match failing {
        0 => writeln!(page, "\nnothing is in the way; nothing was written"),
        failing => writeln!(page, "\n{} in the way; nothing was written", count(failing as u64)),
    };
    page
}
