use super::{share_done, words};
use crate::format::{bytes, count, duration, millis, percent, rate};
use palanquin_actors::board::{EventEntry, LinkView, MaintenanceView};
use palanquin_engine::contract::MaintenanceStep;
use palanquin_engine::link::{Eta, LinkState, Phase};

/// A link in one line, as `gh-ost` writes it: state, rows, rate, ETA or why there is none.
pub(crate) fn progress(link: &LinkView) -> String {
    let mut parts = vec![format!("{} {}", link.kind, link.state)];
    // Of a comparison it tells how much is compared, below.
    let share = share_done(link).filter(|_| link.state.phase() != Some(Phase::Verifying));
    let share = share.map_or_else(String::new, |share| format!(" {}", percent(share)));
    let rows = match link.rows_total {
        Some(total) => Some(format!("rows {}/{}{share}", count(link.rows_done), count(total))),
        None if link.is_filtered && link.partitions_total > 0 => Some(format!(
            "rows {} that pass the filter; partitions {}/{}{share}",
            count(link.rows_done),
            link.partitions_done,
            link.partitions_total
        )),
        None => None,
    };
    if let Some(rows) = rows {
        parts.push(rows);
        parts.push(bytes(link.bytes_done));
    }
    match &link.state {
        LinkState::Working { phase: Phase::Copying } => {
            if let Some(recent) = link.rates.recent {
                parts.push(rate(recent));
            }
            parts.push(match &link.eta {
                Eta::Seconds(seconds) => format!("ETA {}", duration(*seconds)),
                Eta::Unknown(reason) => format!("ETA N/A ({reason})"),
            });
        }
        LinkState::Working { phase: Phase::Verifying } => {
            if let Some(parity) = &link.parity {
                let done = parity.source_rows + parity.target_rows;
                let share = share_done(link).map_or_else(String::new, |share| format!(" {}", percent(share)));
                parts.push(format!("compared {}/{}{share} on both ends", count(done), count(parity.total_rows)));
            }
        }
        LinkState::Working { phase: Phase::Maintaining } => {
            parts.extend(link.maintenance.as_ref().map(maintenance));
        }
        LinkState::Working { phase: Phase::CatchingUp | Phase::Live } => {
            if let Some(capture) = &link.capture {
                parts.push(format!("capture {}", words::captured(capture)));
                parts.extend(capture.last_round.as_ref().map(|round| format!("last round {}", words::round(round))));
            }
            parts.push(format!("changes {}", count(link.changes_applied)));
            if let Some(lag) = &link.lag {
                parts.push(format!("lag {} rows, {}", count(lag.rows), millis(lag.millis)));
            }
        }
        _ => {}
    }
    parts.join("; ")
}

/// How far the maintenance after a copy is.
pub(crate) fn maintenance(view: &MaintenanceView) -> String {
    match &view.step {
        Some(MaintenanceStep { doing, done, total: Some(total) }) => {
            format!("{}: {doing}, {}/{}", view.kind, count(*done), count(*total))
        }
        Some(MaintenanceStep { doing, .. }) => format!("{}: {doing}", view.kind),
        None => view.kind.to_owned(),
    }
}

/// An event in one line.
pub(crate) fn event(entry: &EventEntry) -> String {
    let event = &entry.event;
    let mut line = format!("{}: ", event.who);
    if !event.from.is_empty() {
        line.push_str(&format!("{} -> ", event.from));
    }
    line.push_str(&event.to);
    if !event.reason.is_empty() {
        line.push_str(&format!(": {}", event.reason));
    }
    if let Some(at) = event.next_try_at_ms {
        line.push_str(&format!(" (next try in {})", millis(u64::try_from(at - event.at_ms).unwrap_or(0))));
    }
    line
}
