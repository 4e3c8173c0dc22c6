//! What a backend says of itself, in words.

use palanquin_engine::contract::{CaptureLevel, Check, Fidelity, Standing};

/// How a palace's changes can be followed.
pub(crate) fn capture(level: Option<CaptureLevel>) -> &'static str {
    match level {
        Some(CaptureLevel::Log) => "log: every change, in order, from the store's own log",
        Some(CaptureLevel::Version) => "version: the difference between two versions",
        Some(CaptureLevel::Scan) => "scan: comparison of row digests at an interval",
        None => "none: its changes cannot be followed",
    }
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
    let mut lines = format!("  {standing:<8} {about:<7} {:<12} {}\n", check.name, check.found);
    if let Some(fix) = &check.fix {
        lines.push_str(&format!("  {:<29} {fix}\n", ""));
    }
    lines
}

/// Whether a check stands in the way.
pub(crate) fn fails(check: &Check) -> bool {
    check.standing == Standing::Fails
}
