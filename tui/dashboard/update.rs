//! The model's next state from a message: no I/O, no clock. What is to be done outside comes back as commands.

use super::acts::{self, leave};
use super::layout;
use super::model::{Model, Panel};
use super::theme::Tone;
use super::{Ending, keys, view};
use crossterm::event::KeyEvent;
use palanquin_actors::Command;
use palanquin_actors::board::Snapshot;
use std::sync::Arc;

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) enum Msg {
    /// What time it is, milliseconds since the epoch; comes before any other message that was received then.
    Clock {
        now_ms: i64,
    },
    Key(KeyEvent),
    Resize(u16, u16),
    Snapshot(Arc<Snapshot>),
    /// The board has gone.
    BoardClosed,
    /// There is no shell that a suspended program could come back from.
    NoShell,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cmd {
    Send(Command),
    /// Stop this process until the shell continues it.
    Suspend,
    /// Draw every cell anew.
    Redraw,
    End(Ending),
}

pub(crate) fn update(model: &mut Model, msg: Msg) -> Vec<Cmd> {
    let mut cmds = match msg {
        Msg::Clock { now_ms } => {
            model.now_ms = now_ms;
            model.toast.take_if(|toast| toast.until_ms <= now_ms);
            Vec::new()
        }
        Msg::Key(key) => keys::act(&key, model.place()).map(|act| acts::perform(model, act)).unwrap_or_default(),
        Msg::Resize(columns, rows) => {
            model.size = (columns, rows);
            Vec::new()
        }
        Msg::Snapshot(snapshot) => {
            absorb(model, snapshot);
            Vec::new()
        }
        Msg::BoardClosed => {
            model.disconnected = true;
            Vec::new()
        }
        Msg::NoShell => {
            acts::toast(model, Tone::Warn, "there is no shell to suspend to");
            Vec::new()
        }
    };
    settle(model);
    if model.ending.is_none() {
        model.ending = leave::due(model);
        cmds.extend(model.ending.map(Cmd::End));
    }
    cmds
}

fn absorb(model: &mut Model, snapshot: Arc<Snapshot>) {
    model.history.sample(&snapshot);
    acts::pause::acknowledge(model, &snapshot);
    acts::maintain::acknowledge(model, &snapshot);
    if let Some(frozen) = &mut model.frozen {
        frozen.updates += 1;
    }
    model.live = snapshot;
    leave::watch_done(model);
}

/// Keeps selections on their rows and on the screen, and scrolling within the text.
fn settle(model: &mut Model) {
    let snapshot = model.frozen.as_ref().map_or(&model.live, |frozen| &frozen.snapshot).clone();
    let (palaces, links, events) = (&snapshot.palaces, &snapshot.links, &snapshot.events);
    if !model.focus_is_chosen {
        model.focus = if links.is_empty() && !palaces.is_empty() { Panel::Palaces } else { Panel::Links };
    }
    model.palaces.find_again(palaces.len(), |index| palaces[index].address.clone());
    model.links.find_again(links.len(), |index| links[index].id.clone());
    if model.follow {
        model.events.select(usize::MAX, events.len(), |index| events[index].number);
    } else {
        model.events.find_again(events.len(), |index| events[index].number);
    }
    for area in layout::overview(model) {
        match area.panel {
            Panel::Palaces => model.palaces.scroll(palaces.len(), area.capacity()),
            Panel::Links => model.links.scroll(links.len(), area.capacity()),
            Panel::Events => model.events.scroll(events.len(), area.capacity()),
        }
    }
    view::clamp_scroll(model);
}
