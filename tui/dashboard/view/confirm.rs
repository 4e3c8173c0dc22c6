use super::cells;
use super::dialog::{Dialog, buttons};
use crate::dashboard::model::Model;
use crate::dashboard::text;
use ratatui::Frame;
use ratatui::text::Line;

/// Asks before links are interrupted or maintenance is cut off.
pub(super) fn draw(model: &Model, yes: bool, frame: &mut Frame<'_>) {
    let theme = model.theme();
    let words = text::wrap(&question(model), Dialog::width(model));
    let dialog = Dialog::new(model, words.len() + 2);
    let inside = dialog.inside;
    dialog.draw(&theme, "Quit?", "", frame);
    let last = inside.height.saturating_sub(1);
    for (y, line) in words.into_iter().enumerate().take(last.into()) {
        cells::put(Line::from(line), inside, y as u16, frame);
    }
    cells::put(buttons("[y] quit", "[N] cancel", yes, &theme), inside, last, frame);
}

/// Which links would be interrupted and which maintenance cut off, and what becomes of them.
fn question(model: &Model) -> String {
    let sentences = [links(model), maintenance(model)];
    let sentences: Vec<String> = sentences.into_iter().flatten().collect();
    match (sentences.is_empty(), model.options.read_only) {
        (true, _) => "Nothing is working any more.".to_owned(),
        (false, false) => sentences.join(" "),
        (false, true) => format!("{} This screen is read-only: nothing is sent to the engine.", sentences.join(" ")),
    }
}

fn links(model: &Model) -> Option<String> {
    let mut counts: Vec<(&'static str, usize)> = Vec::new();
    for link in model.live.links.iter().filter(|link| !link.state.is_final()) {
        match counts.iter_mut().find(|(word, _)| *word == link.state.word()) {
            Some((_, n)) => *n += 1,
            None => counts.push((link.state.word(), 1)),
        }
    }
    let total: usize = counts.iter().map(|(_, n)| n).sum();
    let clause = |(index, (word, n)): (usize, &(&str, usize))| match (index, n) {
        (0, 1) => format!("1 link is {word}"),
        (0, n) => format!("{n} links are {word}"),
        (_, 1) => format!("1 is {word}"),
        (_, n) => format!("{n} are {word}"),
    };
    let clauses = counts.iter().enumerate().map(clause).collect::<Vec<_>>().join(", ");
    match (total, model.options.read_only) {
        (0, _) => None,
        (_, true) => Some(format!("{clauses}.")),
        (1, false) => Some(format!("{clauses}. It drains, and the same command continues it.")),
        (_, false) => Some(format!("{clauses}. They drain, and the same command continues them.")),
    }
}

fn maintenance(model: &Model) -> Option<String> {
    let ellipsis = model.theme().glyphs.ellipsis;
    let clause = |(index, (palace, run)): (usize, (&palanquin_actors::board::PalaceView, _))| {
        let run: &palanquin_actors::board::MaintenanceRun = run;
        let word = model.theme().run(&run.state).word;
        match index {
            0 => format!("{} is {word} on {}", run.kind, text::shorten(&palace.address, 40, ellipsis)),
            _ => format!("{} is {word}", run.kind),
        }
    };
    let clauses: Vec<String> = model.maintained().enumerate().map(clause).collect();
    match (clauses.len(), model.options.read_only) {
        (0, _) => None,
        (_, true) => Some(format!("{}.", clauses.join(", "))),
        (1, false) => Some(format!("{}. It is cut off, which leaves the palace whole.", clauses[0])),
        (_, false) => Some(format!("{}. They are cut off, which leaves the palaces whole.", clauses.join(", "))),
    }
}
