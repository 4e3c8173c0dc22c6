use super::toast;
use crate::dashboard::model::{CancelQuestion, Model, Overlay};
use crate::dashboard::theme::Tone;
use crate::dashboard::update::Cmd;
use palanquin_actors::Command;

/// Asks whether the run of the palace in hand is to be cancelled, or says why there is nothing to ask.
pub(super) fn ask(model: &mut Model) {
    let words = match (model.palace_in_hand(), model.run_to_cancel(), model.maintenance_refusal()) {
        (None, ..) => "select a palace first",
        (_, None, _) => "no maintenance of this palace is under way",
        (_, _, Some(reason)) => reason,
        (_, Some((palace, run)), None) => {
            let question =
                CancelQuestion { palace: palace.address.clone(), run: run.number, kind: run.kind.clone(), yes: false };
            model.overlay = Some(Overlay::Cancel(question));
            return;
        }
    };
    toast(model, Tone::Warn, words);
}

/// Closes the question and has the engine cancel what it was about; a run that has ended meanwhile stays as it ended.
pub(super) fn send(model: &mut Model) -> Vec<Cmd> {
    let Some(Overlay::Cancel(CancelQuestion { palace, run, kind, .. })) = model.overlay.take() else {
        return Vec::new();
    };
    if let Some(reason) = model.maintenance_refusal() {
        toast(model, Tone::Warn, reason);
        return Vec::new();
    }
    let frozen = if model.frozen.is_some() { "; the view is frozen" } else { "" };
    toast(model, Tone::Plain, format!("cancelling {kind} asked{frozen}"));
    vec![Cmd::Send(Command::CancelMaintenance { palace, run })]
}
