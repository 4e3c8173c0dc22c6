//! Maintenance on the screen: [`menu`], [`question`] and [`cancel`] lie over it, [`runs`] is what has been asked for, is under way and
//! has ended, on the page of a palace; [`word`] says it in a few words where there is little room.

mod cancel;
mod menu;
mod question;
mod runs;
mod word;

pub(super) use cancel::draw as draw_cancel;
pub(super) use runs::{earlier, news};
pub(super) use word::brief;

use crate::dashboard::model::{MaintenanceDialog, Model, Stage};
use ratatui::Frame;

pub(super) fn draw(model: &Model, dialog: &MaintenanceDialog, frame: &mut Frame<'_>) {
    match dialog.stage {
        Stage::Choosing => menu::draw(model, dialog, frame),
        Stage::Asking { yes } => question::draw(model, dialog, yes, frame),
    }
}

/// How far the text of a dialog can be scrolled.
pub(super) fn most_scroll(model: &Model, dialog: &MaintenanceDialog) -> usize {
    match dialog.stage {
        Stage::Choosing => menu::most_scroll(model, dialog),
        Stage::Asking { .. } => question::most_scroll(model, dialog),
    }
}
