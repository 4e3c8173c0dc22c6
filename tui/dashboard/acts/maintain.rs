use super::toast;
use crate::dashboard::keys::Movement;
use crate::dashboard::model::{AskedRun, MaintenanceDialog, Model, Overlay, Stage};
use crate::dashboard::theme::Tone;
use crate::dashboard::update::Cmd;
use crate::dashboard::{format, text};
use palanquin_actors::Command;
use palanquin_actors::board::{MaintenanceRun, PalaceView, RunState, Snapshot};
use palanquin_engine::contract::MaintenanceStatus;

/// Opens the menu of the kinds that the palace in hand can be maintained by, or says why there is none.
pub(super) fn open(model: &mut Model) {
    let refusal = model.maintenance_refusal();
    let Some(palace) = model.palace_in_hand() else {
        return toast(model, Tone::Warn, "select a palace first");
    };
    let (address, kinds, backend) = (palace.address.clone(), palace.maintenance_kinds, palace.backend);
    match refusal {
        Some(reason) => toast(model, Tone::Warn, reason),
        None if kinds.is_empty() => {
            toast(model, Tone::Warn, format!("backend {backend} has no maintenance: it advertises no kind"));
        }
        None => {
            model.overlay = Some(Overlay::Maintenance(MaintenanceDialog {
                palace: address,
                kinds,
                chosen: 0,
                scroll: 0,
                stage: Stage::Choosing,
            }));
        }
    }
}

/// Moves to another kind, or through a text that is too long for its place.
pub(super) fn go(dialog: &mut MaintenanceDialog, movement: Movement) {
    let last = dialog.kinds.len().saturating_sub(1);
    let choosing = dialog.stage == Stage::Choosing;
    let chosen = match movement {
        Movement::Down if choosing => (dialog.chosen + 1).min(last),
        Movement::Up if choosing => dialog.chosen.saturating_sub(1),
        Movement::First if choosing => 0,
        Movement::Last if choosing => last,
        Movement::Down | Movement::PageDown => return dialog.scroll = dialog.scroll.saturating_add(1),
        Movement::Up | Movement::PageUp => return dialog.scroll = dialog.scroll.saturating_sub(1),
        Movement::First => return dialog.scroll = 0,
        Movement::Last => return dialog.scroll = usize::MAX,
    };
    if chosen != dialog.chosen {
        dialog.chosen = chosen;
        dialog.scroll = 0;
    }
}

/// Goes on from the menu to the question.
pub(super) fn ask(model: &mut Model) {
    if let Some(Overlay::Maintenance(dialog)) = &mut model.overlay {
        dialog.stage = Stage::Asking { yes: false };
        dialog.scroll = 0;
    }
}

pub(super) fn switch(dialog: &mut MaintenanceDialog) {
    if let Stage::Asking { yes } = &mut dialog.stage {
        *yes = !*yes;
    }
}

/// Closes the question and has the engine run what it was about.
pub(super) fn run(model: &mut Model) -> Vec<Cmd> {
    let Some(Overlay::Maintenance(dialog)) = model.overlay.take() else { return Vec::new() };
    if let Some(reason) = model.maintenance_refusal() {
        toast(model, Tone::Warn, reason);
        return Vec::new();
    }
    let kind = dialog.kind().name;
    let palace = model.live.palaces.iter().find(|palace| palace.address == dialog.palace);
    let before = palace.and_then(|palace| newest(palace, kind));
    if model.frozen.is_some() {
        toast(model, Tone::Plain, format!("{kind} asked; the view is frozen"));
    }
    model.asked_runs.retain(|asked| asked.palace != dialog.palace || asked.kind != kind);
    model.asked_runs.push(AskedRun { palace: dialog.palace.clone(), kind, sent_ms: model.now_ms, before });
    // What he has begun he wants to see the end of.
    model.options.close_when_done = false;
    model.done_since_ms = None;
    model.page_scroll = 0;
    vec![Cmd::Send(Command::Maintain { palace: dialog.palace, kind: kind.to_owned() })]
}

/// Takes what a new snapshot says on the runs that were asked for, and tells of those that have ended.
pub(crate) fn acknowledge(model: &mut Model, snapshot: &Snapshot) {
    let palace = |address: &str| snapshot.palaces.iter().find(|palace| palace.address == address);
    model.asked_runs.retain(|asked| {
        palace(&asked.palace).is_some_and(|palace| match newest(palace, asked.kind) {
            None => true,
            newest => newest == asked.before,
        })
    });
    let mut ended = None;
    for before in &model.live.palaces {
        let Some(palace) = palace(&before.address) else { continue };
        let is_news = |run: &&MaintenanceRun| {
            let known = before.runs.iter().find(|known| known.number == run.number);
            !run.is_under_way() && known.is_none_or(MaintenanceRun::is_under_way)
        };
        ended = palace.runs.iter().rfind(is_news).map(|run| told(palace, run)).or(ended);
    }
    if let Some((words, tone)) = ended {
        toast(model, tone, words);
    }
}

fn newest(palace: &PalaceView, kind: &str) -> Option<u64> {
    palace.runs.iter().filter(|run| run.kind == kind).map(|run| run.number).max()
}

/// The end of a run in a few words.
fn told(palace: &PalaceView, run: &MaintenanceRun) -> (String, Tone) {
    let place = text::shorten(&palace.address, 32, "..");
    let took = run.began_at_ms.zip(run.ended_at_ms).map(|(began, ended)| ended.saturating_sub(began).max(0));
    let time = match took {
        Some(millis @ 100..) => format!(" in {}", format::millis(millis.unsigned_abs())),
        _ => String::new(),
    };
    match &run.state {
        RunState::Ended { status, .. } => {
            let tone = if *status == MaintenanceStatus::Ran { Tone::Good } else { Tone::Plain };
            (format!("{} {status}{time} on {place}", run.kind), tone)
        }
        RunState::Failed { reason, .. } => (format!("{} failed: {reason}", run.kind), Tone::Bad),
        RunState::Cancelled { .. } => (format!("{} cancelled{time} on {place}", run.kind), Tone::Plain),
        RunState::Queued | RunState::Running { .. } | RunState::Cancelling => (String::new(), Tone::Plain),
    }
}
