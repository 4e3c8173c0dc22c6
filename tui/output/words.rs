//! What a backend and a mirror say of themselves, in words.

use crate::format;
use palanquin_actors::board::{CaptureView, Round};
use palanquin_engine::contract::{CaptureLevel, Check, Fidelity, Standing};

/// How a palace's changes can be followed.
pub(crate) fn capture(level: Option<CaptureLevel>) -> &'static str {
    match level {
        Some(CaptureLevel::Log) => "log: every change, in order, from the store's own log",
        Some(CaptureLevel::Version) => "version: the difference between two versions",
        Some(CaptureLevel::Scan) => "scan: comparison of row digests at an interval",
        None => "none: its changes can only be found by comparison, with --capture scan",
    }
}

/// How a mirror learns of changes: `log`, or `scan every 1m 00s`.
pub(crate) fn captured(capture: &CaptureView) -> String {
    match capture.interval_ms {
        Some(interval) => format!("{} every {}", capture.level, format::duration(interval / 1000)),
        None => capture.level.to_string(),
    }
}

/// What a round of comparison took and found.
pub(crate) fn round(round: &Round) -> String {
    let (rows, changes) = (format::counted(round.rows, "row"), format::counted(round.changes, "change"));
    format!("{rows} read in {}, {changes}", format::millis(round.took_ms))
}

/// How vectors come back.
pub(crate) fn fidelity(fidelity: Fidelity) -> &'static str {
    match fidelity {
        Fidelity::Exact => "come back bit for bit",
        Fidelity::Ulp => "come back within one unit in the last place",
    }
}

/// A preflight check in a line, with a second one for what to do about it.
pub(crate) fn check(about: &str, check: &Check) -> String {
    let standing = match check.standing {
        Standing::Passes => "ok",
        Standing::Warns => "warning",
        Standing::Fails => "FAILS",
    };
    let mut lines = format!("  {standing:<8} {about:<7} {:<16} {}\n", check.name, check.found);
    if let Some(fix) = &check.fix {
        lines.push_str(&format!("  {:<33} {fix}\n", ""));
    }
    lines
}

/// Whether a check stands in the way.
pub(crate) fn fails(check: &Check) -> bool {
    check.standing == Standing::Fails
}
