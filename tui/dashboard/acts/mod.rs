//! What the operator does: each act changes the model and says what is to be done outside.

mod cancel;
mod freeze;
pub(crate) mod leave;
pub(crate) mod maintain;
mod navigate;
pub(crate) mod pause;

pub(crate) use pause::asked;

use super::keys::Act;
use super::model::{Model, Overlay, Stage, Toast};
use super::theme::Tone;
use super::update::Cmd;

/// How long a toast stays.
const TOAST_MS: i64 = 5000;

pub(crate) fn perform(model: &mut Model, act: Act) -> Vec<Cmd> {
    match act {
        Act::Open => navigate::open(model),
        Act::Back => navigate::back(model),
        Act::NextPanel => navigate::panel(model, 1),
        Act::PreviousPanel => navigate::panel(model, 2),
        Act::Move(movement) => navigate::go(model, movement),
        Act::NextProblem => navigate::next_problem(model),
        Act::Help => navigate::help(model),
        Act::Freeze => freeze::toggle(model),
        Act::Maintain => maintain::open(model),
        Act::CancelRun => cancel::ask(model),
        Act::Ask => maintain::ask(model),
        Act::PauseOrResume => return pause::ask(model).into_iter().collect(),
        Act::Quit => return leave::ask(model),
        Act::QuitHard => return leave::insist(model),
        Act::Yes => return say_yes(model),
        Act::PressButton if yes_has_the_focus(model) => return say_yes(model),
        Act::PressButton | Act::No => model.overlay = None,
        Act::SwitchButton => switch_button(model),
        Act::Suspend => return vec![Cmd::Suspend],
        Act::Redraw => return vec![Cmd::Redraw],
    }
    Vec::new()
}

fn say_yes(model: &mut Model) -> Vec<Cmd> {
    match model.overlay {
        Some(Overlay::Maintenance(_)) => maintain::run(model),
        Some(Overlay::Cancel(_)) => cancel::send(model),
        _ => leave::confirm(model),
    }
}

fn yes_has_the_focus(model: &Model) -> bool {
    match &model.overlay {
        Some(Overlay::Quit { yes }) => *yes,
        Some(Overlay::Maintenance(dialog)) => dialog.stage == Stage::Asking { yes: true },
        Some(Overlay::Cancel(question)) => question.yes,
        Some(Overlay::Help { .. }) | None => false,
    }
}

fn switch_button(model: &mut Model) {
    match &mut model.overlay {
        Some(Overlay::Quit { yes }) => *yes = !*yes,
        Some(Overlay::Maintenance(dialog)) => maintain::switch(dialog),
        Some(Overlay::Cancel(question)) => question.yes = !question.yes,
        Some(Overlay::Help { .. }) | None => {}
    }
}

pub(crate) fn toast(model: &mut Model, tone: Tone, text: impl Into<String>) {
    model.toast = Some(Toast { text: text.into(), tone, until_ms: model.now_ms + TOAST_MS });
}
