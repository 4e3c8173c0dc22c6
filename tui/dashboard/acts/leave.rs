use super::toast;
use crate::dashboard::Ending;
use crate::dashboard::model::{Leaving, Model, Overlay};
use crate::dashboard::theme::Tone;
use crate::dashboard::update::Cmd;
use palanquin_actors::Command;
use palanquin_engine::link::LinkState;

/// How long the last frame stays once everything is done.
const LAST_FRAME_MS: i64 = 1000;

/// Leaves if nothing would be left behind, else asks.
pub(super) fn ask(model: &mut Model) -> Vec<Cmd> {
    if model.leaving.is_some() {
        toast(model, Tone::Plain, "draining; ^C leaves at once");
        return Vec::new();
    }
    if !works(model) && !maintains(model) {
        return end(model);
    }
    model.overlay = Some(Overlay::Quit { yes: false });
    Vec::new()
}

/// The first time asks, the second confirms, the third does not wait for the links.
pub(super) fn insist(model: &mut Model) -> Vec<Cmd> {
    match (model.leaving, &model.overlay) {
        (Some(_), _) => end(model),
        (None, Some(Overlay::Quit { .. })) => confirm(model),
        (None, _) => ask(model),
    }
}

/// Drains the links and stays until they have. A read-only screen sends nothing: it leaves.
pub(super) fn confirm(model: &mut Model) -> Vec<Cmd> {
    model.overlay = None;
    if model.options.read_only || !works(model) {
        return end(model);
    }
    model.leaving = Some(Leaving { since_ms: model.now_ms });
    model.frozen = None;
    vec![Cmd::Send(Command::Drain)]
}

/// Notes when every link has come to be done, and that one no longer is.
pub(crate) fn watch_done(model: &mut Model) {
    let links = &model.live.links;
    let done = !links.is_empty() && links.iter().all(|link| matches!(link.state, LinkState::Done { .. }));
    model.done_since_ms = match (done && model.options.close_when_done, model.done_since_ms) {
        (true, since) => since.or(Some(model.now_ms)),
        (false, _) => None,
    };
}

/// When it closes by itself, if it does. A frozen view is being read, and maintenance is never cut off unasked.
pub(crate) fn closes_at_ms(model: &Model) -> Option<i64> {
    let busy = model.frozen.is_some()
        || matches!(model.overlay, Some(Overlay::Maintenance(_) | Overlay::Cancel(_)))
        || maintains(model);
    model.done_since_ms.filter(|_| !busy).map(|since| since + LAST_FRAME_MS)
}

/// How the dashboard ends now, if it does.
pub(crate) fn due(model: &Model) -> Option<Ending> {
    if model.leaving.is_some() && !works(model) {
        return Some(Ending::Quit);
    }
    (closes_at_ms(model)? <= model.now_ms).then_some(Ending::Finished)
}

/// Whether a link would be interrupted by leaving.
fn works(model: &Model) -> bool {
    !model.disconnected && model.live.links.iter().any(|link| !link.state.is_final())
}

/// Whether maintenance would be cut off by leaving.
fn maintains(model: &Model) -> bool {
    !model.disconnected && model.maintained().next().is_some()
}

fn end(model: &mut Model) -> Vec<Cmd> {
    model.ending = Some(Ending::Quit);
    vec![Cmd::End(Ending::Quit)]
}
