//! What a backend says of itself, in words.

use palanquin_engine::contract::{CaptureLevel, Fidelity};

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
