use super::cells::{ends, plain, put, toned};
use crate::dashboard::format;
use crate::dashboard::layout;
use crate::dashboard::model::Model;
use crate::dashboard::text;
use crate::dashboard::theme::{Sign, Theme, Tone};
use ratatui::Frame;
use ratatui::style::Stylize;
use ratatui::text::{Line, Span};

pub(super) fn draw(model: &Model, frame: &mut Frame<'_>) {
    let area = layout::screen(model.size).header;
    let theme = model.theme();
    let width = usize::from(area.width);
    let compact = area.height < 2;
    let mut right = badges(model, compact, &theme);
    if compact && model.has_problems() {
        right.extend([toned(format!("{} {}", theme.glyphs.problem, model.problems()), Tone::Bad, &theme), plain("  ")]);
    }
    right.push(as_of(model, compact, &theme));
    right.push(plain(" "));
    let right = Line::from(right);
    let title = text::clean(&model.options.title).into_owned();
    let room = width.saturating_sub(right.width());
    let left = Line::from(vec![
        plain(" Palanquin").bold(),
        plain("  "),
        plain(if room < 26 { String::new() } else { text::cut(&title, room - 14, theme.glyphs.ellipsis) }),
    ]);
    put(ends(left, right, width), area, 0, frame);
    if !compact {
        put(ends(counts(model, &theme), problems(model, &theme), width), area, 1, frame);
    }
}

fn badges(model: &Model, compact: bool, theme: &Theme) -> Vec<Span<'static>> {
    let mut badges: Vec<(String, Tone)> = Vec::new();
    if let Some(leaving) = model.leaving {
        let seconds = format::seconds_between(leaving.since_ms, model.now_ms);
        badges.push((format!("DRAINING {}", format::duration(seconds)), Tone::Held));
    }
    if let Some(frozen) = &model.frozen {
        let updates = format::counted(frozen.updates, "update");
        let words = if compact { format!("FROZEN +{}", frozen.updates) } else { format!("FROZEN, {updates} since") };
        badges.push((words, Tone::Warn));
    }
    if model.disconnected {
        badges.push((if compact { "GONE" } else { "ENGINE GONE" }.to_owned(), Tone::Bad));
    }
    if model.options.read_only {
        badges.push((if compact { "RO" } else { "READ-ONLY" }.to_owned(), Tone::Plain));
    }
    let spans = badges.into_iter();
    spans.flat_map(|(words, tone)| [Span::styled(format!(" {words} "), theme.badge(tone)), plain("  ")]).collect()
}

fn as_of(model: &Model, compact: bool, theme: &Theme) -> Span<'static> {
    let at_ms = model.shown().at_ms;
    if at_ms == 0 {
        return toned("no data yet", Tone::Dim, theme);
    }
    let clock = format::clock(at_ms, &model.zone);
    match model.quiet_ms() {
        Some(quiet) => {
            let quiet = format::duration(quiet.unsigned_abs() / 1000);
            toned(
                if compact { format!("{quiet} old") } else { format!("as of {clock}, {quiet} ago") },
                Tone::Warn,
                theme,
            )
        }
        None if compact => plain(clock),
        None => plain(format!("as of {clock}")),
    }
}

/// Links by state, worst first.
fn counts(model: &Model, theme: &Theme) -> Line<'static> {
    let mut counts: Vec<(Sign, u64)> = Vec::new();
    for link in &model.shown().links {
        let sign = theme.link(&link.state);
        match counts.iter_mut().find(|(known, _)| known.word == sign.word) {
            Some((_, n)) => *n += 1,
            None => counts.push((sign, 1)),
        }
    }
    counts.sort_by_key(|(sign, _)| std::cmp::Reverse(sign.tone));
    if counts.is_empty() {
        return Line::from(vec![plain(" "), toned("no links", Tone::Dim, theme)]);
    }
    let spans = counts.into_iter().flat_map(|(sign, n)| {
        [plain(" "), toned(format!("{} {} {}", sign.symbol, format::count(n), sign.word), sign.tone, theme), plain(" ")]
    });
    Line::from(spans.collect::<Vec<_>>())
}

fn problems(model: &Model, theme: &Theme) -> Line<'static> {
    let snapshot = model.shown();
    let word = match model.problems() {
        0 if snapshot.links.is_empty() && snapshot.palaces.is_empty() => return Line::default(),
        0 => toned(format!("{} no problems ", theme.glyphs.fine), Tone::Good, theme),
        n => toned(format!("{} {} ", theme.glyphs.problem, format::counted(n as u64, "problem")), Tone::Bad, theme),
    };
    Line::from(word)
}
