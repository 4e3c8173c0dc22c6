//! Draws the model. Each file draws one thing; lists build only the rows that can be seen, pages are text that scrolls.

mod bar;
mod capabilities;
mod cells;
mod collections;
mod columns;
mod confirm;
mod context_bar;
mod dialog;
mod event_page;
mod events;
mod figures;
mod frame_box;
mod header;
mod help;
mod link_page;
mod links;
mod maintenance;
mod overview;
mod page_text;
mod palace_page;
mod palaces;
mod progress;
mod rule;
mod toast;
mod too_small;

use super::layout;
use super::model::{Model, Overlay, Page};
use ratatui::Frame;
use ratatui::text::Line;

/// Draws everything.
pub(crate) fn view(model: &Model, frame: &mut Frame<'_>) {
    if !layout::is_large_enough(model.size) {
        too_small::draw(frame);
        return;
    }
    header::draw(model, frame);
    match &model.page {
        None => overview::draw(model, frame),
        Some(page) => draw_page(model, page, frame),
    }
    match &model.overlay {
        Some(Overlay::Help { scroll }) => help::draw(model, *scroll, frame),
        Some(Overlay::Quit { yes }) => confirm::draw(model, *yes, frame),
        Some(Overlay::Maintenance(dialog)) => maintenance::draw(model, dialog, frame),
        Some(Overlay::Cancel(question)) => maintenance::draw_cancel(model, question, frame),
        None => {}
    }
    toast::draw(model, frame);
    context_bar::draw(model, frame);
}

/// Brings scrolling back within the text.
pub(crate) fn clamp_scroll(model: &mut Model) {
    let size = model.size;
    if !layout::is_large_enough(size) {
        return;
    }
    if let Some(page) = &model.page {
        let room = usize::from(layout::page(size).height);
        let lines = page_lines(model, page, layout::page(size).width).len();
        model.page_scroll = model.page_scroll.min(lines.saturating_sub(room));
    }
    if let Some(Overlay::Help { scroll }) = &model.overlay {
        let lines = help::lines(model, layout::help(size).width).len();
        let scroll = (*scroll).min(lines.saturating_sub(layout::help(size).height.into()));
        model.overlay = Some(Overlay::Help { scroll });
    }
    if let Some(Overlay::Maintenance(dialog)) = &model.overlay {
        let scroll = dialog.scroll.min(maintenance::most_scroll(model, dialog));
        if let Some(Overlay::Maintenance(dialog)) = &mut model.overlay {
            dialog.scroll = scroll;
        }
    }
}

fn page_lines(model: &Model, page: &Page, width: u16) -> Vec<Line<'static>> {
    let width = usize::from(width);
    match page {
        Page::Palace(address) => palace_page::lines(model, address, width),
        Page::Link(id) => link_page::lines(model, id, width),
        Page::Event(number) => event_page::lines(model, *number, width),
    }
}

fn draw_page(model: &Model, page: &Page, frame: &mut Frame<'_>) {
    let theme = model.theme();
    let (body, text) = (layout::screen(model.size).body, layout::page(model.size));
    let (panel, name) = match page {
        Page::Palace(address) => ("Palaces", address.clone()),
        Page::Link(id) => {
            ("Links", model.shown().link(id).map_or(id.to_string(), |link| format!("{} {id}", link.kind)))
        }
        Page::Event(number) => ("Events", number.to_string()),
    };
    let lines = page_lines(model, page, text.width);
    let seen = rule::seen(model.page_scroll, usize::from(text.height), lines.len(), "lines");
    let room = usize::from(body.width).saturating_sub(panel.len() + seen.len() + 16);
    let name = super::text::shorten(&name, room, theme.glyphs.ellipsis);
    rule::draw(&theme, &format!("{panel} {} {name}", theme.glyphs.crumb), &seen, true, body, frame);
    for (y, line) in lines.into_iter().skip(model.page_scroll).take(text.height.into()).enumerate() {
        cells::put(line, text, y as u16, frame);
    }
}
