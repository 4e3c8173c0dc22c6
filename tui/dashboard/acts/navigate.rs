use super::{maintain, toast};
use crate::dashboard::keys::Movement;
use crate::dashboard::layout;
use crate::dashboard::model::{Model, Overlay, Panel, link_problem, palace_problem};
use crate::dashboard::theme::Tone;

/// Opens the page of what is selected.
pub(super) fn open(model: &mut Model) {
    if let Some(page) = model.selected_page() {
        model.page = Some(page);
        model.page_scroll = 0;
    }
}

/// Closes what lies on top; on the overview there is nothing to close.
pub(super) fn back(model: &mut Model) {
    if model.overlay.take().is_none() {
        model.page = None;
    }
}

pub(super) fn help(model: &mut Model) {
    model.overlay = match model.overlay {
        Some(Overlay::Help { .. }) => None,
        _ => Some(Overlay::Help { scroll: 0 }),
    };
}

/// Moves the focus by so many panels, round and round.
pub(super) fn panel(model: &mut Model, steps: usize) {
    model.focus_is_chosen = true;
    let at = Panel::ALL.iter().position(|panel| *panel == model.focus).unwrap_or(0);
    model.focus = Panel::ALL[(at + steps) % Panel::ALL.len()];
}

/// Moves within what takes the keys: the help, the page, or the list with the focus.
pub(super) fn go(model: &mut Model, movement: Movement) {
    let size = model.size;
    if let Some(Overlay::Help { scroll }) = &mut model.overlay {
        *scroll = scrolled(*scroll, movement, layout::help(size).height.into());
        return;
    }
    if let Some(Overlay::Maintenance(dialog)) = &mut model.overlay {
        return maintain::go(dialog, movement);
    }
    if model.page.is_some() {
        model.page_scroll = scrolled(model.page_scroll, movement, layout::page(size).height.into());
        return;
    }
    model.focus_is_chosen = true;
    let areas = layout::overview(model);
    let capacity = areas.iter().find(|area| area.panel == model.focus).map_or(1, |area| area.capacity().max(1));
    let index = match model.focus {
        Panel::Palaces => model.palaces.index(),
        Panel::Links => model.links.index(),
        Panel::Events => model.events.index(),
    };
    select(model, model.focus, scrolled(index, movement, capacity));
}

/// Selects the next palace or link that needs a look, in reading order, round and round.
pub(super) fn next_problem(model: &mut Model) {
    let snapshot = model.shown();
    let palaces = snapshot.palaces.iter().enumerate().filter(|(_, palace)| palace_problem(palace));
    let links = snapshot.links.iter().enumerate().filter(|(_, link)| link_problem(link));
    let places: Vec<(u8, usize)> =
        palaces.map(|(index, _)| (0, index)).chain(links.map(|(index, _)| (1, index))).collect();
    let here = match model.focus {
        Panel::Palaces => (0, model.palaces.index()),
        Panel::Links => (1, model.links.index()),
        Panel::Events => (2, 0),
    };
    match places.iter().find(|place| **place > here).or(places.first()) {
        Some(&(list, index)) => {
            model.focus_is_chosen = true;
            model.focus = if list == 0 { Panel::Palaces } else { Panel::Links };
            select(model, model.focus, index);
        }
        None => toast(model, Tone::Good, "no problems"),
    }
}

fn select(model: &mut Model, panel: Panel, index: usize) {
    let snapshot = model.frozen.as_ref().map_or(&model.live, |frozen| &frozen.snapshot).clone();
    let (palaces, links, events) = (&snapshot.palaces, &snapshot.links, &snapshot.events);
    match panel {
        Panel::Palaces => model.palaces.select(index, palaces.len(), |index| palaces[index].address.clone()),
        Panel::Links => model.links.select(index, links.len(), |index| links[index].id.clone()),
        Panel::Events => {
            model.events.select(index, events.len(), |index| events[index].number);
            model.follow = model.events.index() + 1 >= events.len();
        }
    }
}

fn scrolled(from: usize, movement: Movement, screenful: usize) -> usize {
    let screenful = screenful.max(1);
    match movement {
        Movement::Down => from.saturating_add(1),
        Movement::Up => from.saturating_sub(1),
        Movement::PageDown => from.saturating_add(screenful),
        Movement::PageUp => from.saturating_sub(screenful),
        Movement::First => 0,
        Movement::Last => usize::MAX,
    }
}
