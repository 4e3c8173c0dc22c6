//! How far a link is, in the words its state calls for.

use crate::dashboard::acts::asked;
use crate::dashboard::acts::pause::word;
use crate::dashboard::format;
use crate::dashboard::model::Model;
use crate::dashboard::theme::{Theme, Tone};
use crate::output::{plain, share_done, words};
use palanquin_actors::board::{ActKind, ActStatus, Lag, LinkView};
use palanquin_engine::link::{LinkState, Phase};

/// A refusal is shown beside the link for so long.
const REFUSAL_MS: i64 = 60_000;
/// A figure older than this is shown with its age.
const OLD_MS: i64 = 5000;
/// After so long an act that got no answer is said to have none.
const ANSWER_MS: i64 = 3000;

/// `n/N`, or as much of it as is known.
pub(super) fn rows(link: &LinkView) -> String {
    match link.rows_total {
        Some(total) => format!("{}/{}", format::count(link.rows_done), format::count(total)),
        None if link.is_filtered => format!("{} filtered", format::count(link.rows_done)),
        None if link.rows_done > 0 => format::count(link.rows_done),
        None => "-".to_owned(),
    }
}

pub(super) fn percent(link: &LinkView) -> String {
    share_done(link).map_or("-".to_owned(), format::percent)
}

pub(super) fn rate(link: &LinkView) -> String {
    match (&link.state, link.rates.recent) {
        (LinkState::Working { .. } | LinkState::Draining { .. }, Some(rate)) => format::rate(rate),
        _ => "-".to_owned(),
    }
}

/// When it will be done; for a mirror that follows, how far it is behind; else what it waits for.
pub(super) fn eta_or_lag(model: &Model, link: &LinkView, theme: &Theme) -> (String, Tone) {
    let follows = matches!(link.state.phase(), Some(Phase::CatchingUp | Phase::Live));
    match (&link.state, &link.lag) {
        (LinkState::Done { verified: true }, _) => ("verified".to_owned(), Tone::Good),
        (LinkState::Done { verified: false }, _) => ("unverified".to_owned(), Tone::Plain),
        (LinkState::Waiting { next_try_at_ms, .. }, _) => {
            let seconds = format::seconds_until(*next_try_at_ms, model.shown_now_ms());
            (format!("try {}", format::duration(seconds)), Tone::Warn)
        }
        (LinkState::Working { .. }, Some(lag)) if follows => {
            let trend = theme.trend(lag.trend);
            // Between two rounds nobody knows what has changed.
            if let Some(round) = link.capture.as_ref().and_then(|capture| capture.last_round) {
                return (format::ago(round.began_at_ms, model.shown_now_ms()), Tone::Plain);
            }
            if lag.rows == 0 {
                return ("up to date".to_owned(), Tone::Good);
            }
            (format!("{} {}", format::millis(lag.millis), trend.symbol), trend.tone)
        }
        (LinkState::Working { phase: Phase::Copying | Phase::Verifying }, _) => match format::eta(&link.eta) {
            Ok(eta) => (eta, Tone::Plain),
            Err(_) => ("no ETA".to_owned(), Tone::Dim),
        },
        _ => ("-".to_owned(), Tone::Dim),
    }
}

/// `12 rows, 0.4 s behind, draining`, or that there is none; with its age if it is old.
pub(super) fn lag(model: &Model, lag: &Lag, theme: &Theme) -> (String, Tone) {
    let trend = theme.trend(lag.trend);
    let now_ms = model.shown_now_ms();
    let measured = match now_ms.saturating_sub(lag.measured_at_ms) >= OLD_MS {
        true => format!(", measured {}", format::ago(lag.measured_at_ms, now_ms)),
        false => String::new(),
    };
    if lag.rows == 0 {
        return (format!("up to date{measured}"), Tone::Plain);
    }
    let rows = format::counted(lag.rows, "row");
    let tone = if trend.tone == Tone::Warn { Tone::Warn } else { Tone::Plain };
    (format!("{rows}, {} behind, {} {}{measured}", format::millis(lag.millis), trend.word, trend.symbol), tone)
}

/// What the operator asked of a link and how far that has come, while it is news.
pub(super) fn act(model: &Model, link: &LinkView) -> Option<(String, Tone)> {
    if let Some(pending) = model.pending.get(&link.id) {
        let waited = model.now_ms.saturating_sub(pending.sent_ms);
        return Some(match waited >= ANSWER_MS {
            true => {
                let waited = format::duration(waited.unsigned_abs() / 1000);
                (format!("{} asked, no answer for {waited}", word(pending.kind)), Tone::Warn)
            }
            false => (format!("{} asked", word(pending.kind)), Tone::Held),
        });
    }
    let act = link.act.as_ref()?;
    match &act.status {
        ActStatus::Queued => Some((format!("{} queued", word(act.kind)), Tone::Held)),
        ActStatus::Refused(reason) if model.shown_now_ms().saturating_sub(act.at_ms) < REFUSAL_MS => {
            Some((format!("{} refused: {reason}", word(act.kind)), Tone::Bad))
        }
        _ => None,
    }
}

/// Figures for which the list has no column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hidden {
    pub(super) rows: bool,
    pub(super) share: bool,
    pub(super) rate: bool,
    pub(super) eta: bool,
}

/// What is to be said of a link besides its figures; the second value is whether that matters more than they do.
pub(super) fn note(model: &Model, link: &LinkView, hidden: Hidden, theme: &Theme) -> (Vec<(String, Tone)>, bool) {
    let mut parts: Vec<(String, Tone)> = act(model, link).into_iter().collect();
    let mut urgent = !parts.is_empty() || asked(model, link) == Some(ActKind::Pause);
    let copied = |parts: &mut Vec<(String, Tone)>| {
        if hidden.rows && link.rows_total.is_some() {
            parts.push((format!("{} rows", rows(link)), Tone::Plain));
        }
    };
    match &link.state {
        LinkState::Waiting { reason, next_try_at_ms, .. } => {
            urgent = true;
            let seconds = format::seconds_until(*next_try_at_ms, model.shown_now_ms());
            parts.push((reason.clone(), Tone::Warn));
            let next = format!("next try in {}", format::duration(seconds));
            let attempt = if link.attempt > 0 { format!("attempt {}, ", link.attempt) } else { String::new() };
            parts.push((attempt + &next, Tone::Plain));
        }
        LinkState::Halted { reason, advice, .. } => {
            urgent = true;
            parts.push((reason.clone(), Tone::Bad));
            parts.push((advice.clone(), Tone::Plain));
        }
        LinkState::Paused { phase } => {
            if hidden.share {
                parts.push((percent(link), Tone::Plain));
            }
            parts.push((format!("by the operator while {}", phase.word()), Tone::Held));
            copied(&mut parts);
        }
        LinkState::Working { phase: Phase::Copying } => {
            if hidden.share {
                parts.push((percent(link), Tone::Plain));
            }
            if let (true, Ok(eta)) = (hidden.eta, format::eta(&link.eta)) {
                parts.push((format!("ETA {eta}"), Tone::Plain));
            }
            if hidden.rate {
                parts.push((rate(link), Tone::Plain));
            }
            copied(&mut parts);
            if let Err(reason) = format::eta(&link.eta) {
                parts.push((format!("no ETA: {reason}"), Tone::Plain));
            }
            parts.push((format!("{}/{} partitions", link.partitions_done, link.partitions_total), Tone::Dim));
            parts.push((format::bytes(link.bytes_done), Tone::Dim));
        }
        LinkState::Working { phase: Phase::Verifying } => {
            if hidden.share {
                parts.push((percent(link), Tone::Plain));
            }
            if let Some(parity) = &link.parity {
                let compared = parity.source_rows.saturating_add(parity.target_rows);
                let (compared, total) = (format::count(compared), format::count(parity.total_rows));
                parts.push((format!("{compared}/{total} rows of both ends compared"), Tone::Plain));
            }
        }
        LinkState::Working { phase: Phase::Maintaining } => {
            parts.push(("both ends are equal".to_owned(), Tone::Good));
            parts.extend(link.maintenance.as_ref().map(|view| (plain::maintenance(view), Tone::Plain)));
        }
        LinkState::Working { phase: Phase::CatchingUp | Phase::Live } => {
            parts.extend(link.lag.as_ref().map(|figure| lag(model, figure, theme)));
            parts.push((format!("{} applied", format::counted(link.changes_applied, "change")), Tone::Dim));
            parts.extend(
                link.capture.as_ref().map(|capture| (format!("capture {}", words::captured(capture)), Tone::Dim)),
            );
        }
        LinkState::Done { verified } => {
            let verdict = link.parity.as_ref().and_then(|parity| parity.verdict.clone());
            let fallback = if *verified { "both ends are equal" } else { "not verified" };
            parts.push((verdict.unwrap_or_else(|| fallback.to_owned()), Tone::Plain));
            copied(&mut parts);
            parts.push((format::bytes(link.bytes_done), Tone::Dim));
        }
        LinkState::Draining { .. } => parts.push(("acknowledgements awaited".to_owned(), Tone::Held)),
        LinkState::Interrupted { .. } => {
            parts.push(("the same command continues it".to_owned(), Tone::Held));
            copied(&mut parts);
        }
        LinkState::Planned | LinkState::Working { phase: Phase::Checking } => {}
    }
    if !link.findings.is_empty() {
        let worst = link.findings.iter().map(|finding| finding.severity).max();
        let tone = worst.map_or(Tone::Dim, |severity| theme.severity(severity).tone);
        parts.push((format::counted(link.findings.len() as u64, "finding"), tone));
    }
    if link.restarts > 0 {
        parts.push((format!("restarted {}x", link.restarts), Tone::Warn));
    }
    parts.push((format!("{} {}", link.kind, link.id), Tone::Dim));
    (parts, urgent)
}
