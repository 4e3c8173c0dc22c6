use crate::dashboard::format;
use crate::dashboard::model::{Model, last_run, runs_under_way};
use crate::dashboard::theme::{Theme, Tone};
use palanquin_actors::board::{MaintenanceRun, PalaceView, RunState};

/// After so long a run that was asked for and is not on the board is said to have no answer.
const ANSWER_MS: i64 = 3000;

/// Maintenance of a palace in a few words: what is asked, under way or queued, else what ended last. The last value is
/// whether something is under way.
pub(in crate::dashboard::view) fn brief(
    model: &Model,
    palace: &PalaceView,
    theme: &Theme,
) -> Option<(String, Tone, bool)> {
    let mut under_way: Vec<&MaintenanceRun> = runs_under_way(palace).collect();
    // What is being done comes before what waits for it.
    under_way.sort_by_key(|run| run.state == RunState::Queued);
    if let Some(run) = under_way.first() {
        let more = if under_way.len() > 1 { format!(", {} queued", under_way.len() - 1) } else { String::new() };
        let sign = theme.run(&run.state);
        return Some((format!("{}{more}", of_run(model, run, theme)), sign.tone, true));
    }
    if let Some(asked) = model.asked_runs(&palace.address).next() {
        let (words, tone) = unanswered(model, asked.sent_ms);
        return Some((format!("{} {words}", asked.kind), tone, true));
    }
    let run = last_run(palace)?;
    let tone = if matches!(run.state, RunState::Failed { .. }) { Tone::Bad } else { Tone::Dim };
    Some((of_run(model, run, theme), tone, false))
}

/// The newest run of a kind in a few words.
pub(super) fn of_kind(model: &Model, palace: &PalaceView, kind: &str, theme: &Theme) -> Option<(String, Tone)> {
    if let Some(asked) = model.asked_runs(&palace.address).find(|asked| asked.kind == kind) {
        return Some(unanswered(model, asked.sent_ms));
    }
    let runs = || palace.runs.iter().filter(|run| run.kind == kind);
    let run = runs().find(|run| run.is_under_way()).or_else(|| runs().max_by_key(|run| run.number))?;
    let sign = theme.run(&run.state);
    Some((format!("{} {}{}", sign.symbol, sign.word, beside(model, run)), sign.tone))
}

/// `► compact running 12/40`, `✓ compact ran 3m 12s ago`.
fn of_run(model: &Model, run: &MaintenanceRun, theme: &Theme) -> String {
    let sign = theme.run(&run.state);
    format!("{} {} {}{}", sign.symbol, run.kind, sign.word, beside(model, run))
}

fn beside(model: &Model, run: &MaintenanceRun) -> String {
    match &run.state {
        RunState::Running { step: Some(step) } => match step.total {
            Some(total) => format!(" {}/{}", format::count(step.done), format::count(total)),
            None => String::new(),
        },
        RunState::Queued | RunState::Running { step: None } | RunState::Cancelling => String::new(),
        RunState::Ended { .. } | RunState::Failed { .. } | RunState::Cancelled { .. } => {
            run.ended_at_ms.map_or(String::new(), |at_ms| format!(" {}", format::ago(at_ms, model.shown_now_ms())))
        }
    }
}

/// What there is to say of a run that the board does not show yet.
pub(super) fn unanswered(model: &Model, sent_ms: i64) -> (String, Tone) {
    let waited = model.now_ms.saturating_sub(sent_ms);
    match waited >= ANSWER_MS {
        true => (format!("asked, no answer for {}", format::duration(waited.unsigned_abs() / 1000)), Tone::Warn),
        false => ("asked".to_owned(), Tone::Held),
    }
}
