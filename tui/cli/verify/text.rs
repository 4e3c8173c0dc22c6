use super::work::Verified;
use crate::format::{count, counted};
use crate::output::parity;
use palanquin_engine::parity::{Repaired, SearchParity};

/// What was found, for people.
pub(super) fn of(Verified { report, repaired }: &Verified) -> String {
    let mut lines = vec![
        format!("verify: {}", report.conclusion()),
        format!("  source  {}", report.source),
        format!("  target  {}", report.target),
    ];
    if let Some(repaired) = repaired {
        lines.push(format!("  repaired  {}", repair(repaired)));
    }
    lines.extend(parity(report, &[]));
    if let Some(search) = &report.search {
        searches(search, &mut lines);
    }
    lines.join("\n")
}

/// What a repair has done.
pub(super) fn repair(repaired: &Repaired) -> String {
    let left = match repaired.left {
        0 => String::new(),
        left => format!("; {} only the target has left there: remove them with --delete-extra", counted(left, "row")),
    };
    format!("{} copied again, {} removed{left}", counted(repaired.copied, "row"), count(repaired.removed))
}

fn searches(search: &SearchParity, lines: &mut Vec<String>) {
    let how = |approximate| match approximate {
        Some(true) => "by an approximate index",
        Some(false) => "exactly",
        None => "exactly or not, which its condition does not tell",
    };
    for of in &search.collections {
        lines.push(format!(
            "  {}: {} for {} each (seed {}): {:.1} % of the source's hits found in the target, {:.1} % at the least; {:.1} % of ranks agree",
            of.name,
            counted(of.probes, "search").replace("searchs", "searches"),
            counted(of.hits, "hit"),
            of.seed,
            of.overlap * 100.0,
            of.least_overlap * 100.0,
            of.same_rank * 100.0,
        ));
        let (source, target) = (how(of.source_is_approximate), how(of.target_is_approximate));
        lines.push(format!("          the source searches {source}, the target {target}"));
    }
}
