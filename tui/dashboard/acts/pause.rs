use super::toast;
use crate::dashboard::model::{Model, Pending};
use crate::dashboard::theme::Tone;
use crate::dashboard::update::Cmd;
use palanquin_actors::Command;
use palanquin_actors::board::{ActKind, ActStatus, LinkView, Snapshot};

/// Asks the engine to pause the link in hand, or to resume it; or says why not.
pub(super) fn ask(model: &mut Model) -> Option<Cmd> {
    let Some(link) = model.link_in_hand() else {
        toast(model, Tone::Warn, "select a link first");
        return None;
    };
    let (id, before) = (link.id.clone(), link.act.clone());
    match model.next_act(link) {
        Ok(kind) => {
            if model.frozen.is_some() {
                toast(model, Tone::Plain, format!("{} asked; the view is frozen", word(kind)));
            }
            model.pending.insert(id.clone(), Pending { kind, sent_ms: model.now_ms, before });
            Some(Cmd::Send(Command::Act { link: id, kind }))
        }
        Err(reason) => {
            toast(model, Tone::Warn, reason);
            None
        }
    }
}

/// What was asked of a link and is not in force yet, whether the board shows it or not.
pub(crate) fn asked(model: &Model, link: &LinkView) -> Option<ActKind> {
    let queued = link.act.as_ref().filter(|act| act.status == ActStatus::Queued).map(|act| act.kind);
    model.pending.get(&link.id).map(|pending| pending.kind).or(queued)
}

/// Takes what a new snapshot says on the acts that were sent.
pub(crate) fn acknowledge(model: &mut Model, snapshot: &Snapshot) {
    let mut refusal = None;
    for link in &snapshot.links {
        if model.pending.get(&link.id).is_some_and(|pending| pending.before != link.act) {
            model.pending.remove(&link.id);
        }
        let Some(act) = &link.act else { continue };
        let ActStatus::Refused(reason) = &act.status else { continue };
        if model.live.link(&link.id).is_some_and(|before| before.act != link.act) {
            refusal = Some(format!("{} refused: {reason}", word(act.kind)));
        }
    }
    if model.pending.len() > snapshot.links.len() {
        model.pending.retain(|id, _| snapshot.link(id).is_some());
    }
    if let Some(text) = refusal {
        toast(model, Tone::Bad, text);
    }
}

/// An act in a word.
pub(crate) fn word(kind: ActKind) -> &'static str {
    match kind {
        ActKind::Pause => "pause",
        ActKind::Resume => "resume",
    }
}
