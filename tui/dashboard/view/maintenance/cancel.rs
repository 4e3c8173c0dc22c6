use crate::dashboard::model::{CancelQuestion, Model};
use crate::dashboard::text;
use crate::dashboard::theme::Tone;
use crate::dashboard::view::cells::{self, plain, toned};
use crate::dashboard::view::dialog::{Dialog, buttons};
use palanquin_actors::board::RunState;
use ratatui::Frame;
use ratatui::style::Stylize;
use ratatui::text::Line;

/// Asks before a run is cancelled, with what it is doing; "let it run" has the focus.
pub(in crate::dashboard::view) fn draw(model: &Model, question: &CancelQuestion, frame: &mut Frame<'_>) {
    let theme = model.theme();
    let mut lines = lines(model, question, Dialog::width(model));
    let dialog = Dialog::new(model, lines.len() + 2);
    let inside = dialog.inside;
    let last = inside.height.saturating_sub(1);
    if lines.len() > usize::from(last) {
        // Where there is little room, words come before blank lines.
        lines.retain(|line| line.width() > 0);
    }
    dialog.draw(&theme, &format!("Cancel {}?", question.kind), "", frame);
    for (y, line) in lines.into_iter().enumerate().take(last.into()) {
        cells::put(line, inside, y as u16, frame);
    }
    cells::put(buttons("[y] cancel it", "[N] let it run", question.yes, &theme), inside, last, frame);
}

fn lines(model: &Model, question: &CancelQuestion, width: usize) -> Vec<Line<'static>> {
    let theme = model.theme();
    let address = text::shorten(&question.palace, width, theme.glyphs.ellipsis);
    let mut lines: Vec<Line<'static>> = Vec::new();
    let asked = text::wrap(&format!("Cancel {} on {address}?", question.kind), width);
    lines.extend(asked.into_iter().map(|line| Line::from(plain(line).bold())));
    let palaces = &model.live.palaces;
    let palace = palaces.iter().find(|palace| palace.address == question.palace);
    let run = palace.and_then(|palace| palace.runs.iter().find(|run| run.number == question.run));
    let (now, then, tone) = match run.map(|run| &run.state) {
        Some(RunState::Queued) => {
            ("It waits for the run before it.".to_owned(), "It is taken off the list.", Tone::Plain)
        }
        Some(RunState::Running { step }) => {
            let doing =
                step.as_ref().map_or("It has not told a step yet.".to_owned(), |step| format!("Now: {}.", step.doing));
            let then = "It is stopped, in the store too. The palace stays whole; another run does the rest.";
            (doing, then, Tone::Plain)
        }
        Some(RunState::Cancelling) => ("It is being cancelled already.".to_owned(), "", Tone::Held),
        Some(_) | None => ("It has ended meanwhile.".to_owned(), "", Tone::Warn),
    };
    for words in [now.as_str(), then].into_iter().filter(|words| !words.is_empty()) {
        lines.push(Line::default());
        lines.extend(text::wrap(words, width).into_iter().map(|line| Line::from(toned(line, tone, &theme))));
    }
    lines
}
