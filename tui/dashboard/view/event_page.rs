use super::cells::{plain, toned};
use super::page_text::PageText;
use crate::dashboard::format;
use crate::dashboard::model::Model;
use crate::dashboard::text;
use crate::dashboard::theme::Tone;
use ratatui::text::Line;

/// Everything there is to say about one event.
pub(super) fn lines(model: &Model, number: u64, width: usize) -> Vec<Line<'static>> {
    let theme = model.theme();
    let mut page = PageText::new(theme, width);
    let Some(entry) = model.event(number) else {
        page.line(Line::from("This event is too old: newer ones have taken its place."));
        return page.finish();
    };
    let event = &entry.event;
    page.value("who", &event.who, Tone::Plain);
    let now_ms = model.shown_now_ms();
    let when = format!("{} ({})", format::date_and_clock(event.at_ms, &model.zone), format::ago(event.at_ms, now_ms));
    page.value("when", &when, Tone::Plain);
    let (from, to) = (text::clean(&event.from).into_owned(), text::clean(&event.to).into_owned());
    let mut change =
        vec![plain(from), plain(" "), plain(theme.glyphs.arrow), plain(" "), toned(to, theme.word(&event.to), &theme)];
    if event.from.is_empty() {
        change.drain(..2);
    }
    page.pieces("change", change);
    page.value("why", if event.reason.is_empty() { "-" } else { &event.reason }, Tone::Plain);
    if event.attempt > 0 {
        page.value("attempt", &event.attempt.to_string(), Tone::Plain);
    }
    if let Some(next) = event.next_try_at_ms {
        page.value("next try", &format::date_and_clock(next, &model.zone), Tone::Plain);
    }
    page.value("number", &format::count(entry.number), Tone::Dim);
    page.finish()
}
