use super::bar::bar;
use super::cells::{self, plain, toned};
use super::page_text::PageText;
use super::{events, palace_page, progress};
use crate::dashboard::acts::pause::word;
use crate::dashboard::format;
use crate::dashboard::model::Model;
use crate::dashboard::text;
use crate::dashboard::theme::{Theme, Tone};
use crate::output::{self, share_done, words};
use palanquin_actors::board::{ActStatus, Limiter, LinkView};
use palanquin_engine::link::{LinkId, LinkKind, LinkState, Phase};
use ratatui::text::Line;

/// Events of the link that its page shows; the panel of events has the others.
const EVENTS: usize = 50;
/// Widest progress bar.
const WIDEST_BAR: usize = 80;

/// Everything there is to say about one link.
pub(super) fn lines(model: &Model, id: &LinkId, width: usize) -> Vec<Line<'static>> {
    let mut page = PageText::new(model.theme(), width);
    let Some(link) = model.shown().link(id) else {
        page.line(Line::from("This link is no longer here."));
        return page.finish();
    };
    standing(model, link, &mut page);
    copy(model, link, &mut page);
    if link.kind == LinkKind::Mirror {
        changes(model, link, &mut page);
    }
    if link.parity.is_some() {
        parity(link, &mut page);
    }
    if let Some(view) = &link.maintenance {
        page.heading("Maintenance");
        page.value("running", &output::plain::maintenance(view), Tone::Plain);
    }
    if !link.findings.is_empty() {
        palace_page::findings(&link.findings, &mut page);
    }
    history(model, link, &mut page);
    page.finish()
}

fn standing(model: &Model, link: &LinkView, page: &mut PageText) {
    let theme = page.theme;
    let sign = theme.link(&link.state);
    let since = format::duration(format::seconds_between(link.since_ms, model.shown_now_ms()));
    page.pieces("state", vec![cells::sign(sign, &theme), toned(format!("  for {since}"), Tone::Dim, &theme)]);
    match &link.state {
        LinkState::Waiting { reason, next_try_at_ms, .. } => {
            let next = format::duration(format::seconds_until(*next_try_at_ms, model.shown_now_ms()));
            page.value("because", reason, Tone::Warn);
            page.value(
                "next try",
                &format!("in {next}, after {}", format::counted(link.attempt.into(), "failure")),
                Tone::Plain,
            );
        }
        LinkState::Halted { reason, advice, .. } => {
            page.value("because", reason, Tone::Bad);
            page.value("what to do", advice, Tone::Plain);
        }
        state => {
            if let Some(reason) = state.reason() {
                page.value("because", reason, sign.tone);
            }
        }
    }
    if let (Some(phase), false) = (link.state.phase(), matches!(link.state, LinkState::Working { .. })) {
        page.value("goes on with", phase.word(), Tone::Plain);
    }
    page.value("source", &link.source, Tone::Plain);
    page.value("target", &link.target, Tone::Plain);
    let restarts = if link.restarts > 0 { Tone::Warn } else { Tone::Plain };
    page.value("restarts", &link.restarts.to_string(), restarts);
    if let Some((words, tone)) = last_act(model, link) {
        page.value("last act", &words, tone);
    }
}

fn last_act(model: &Model, link: &LinkView) -> Option<(String, Tone)> {
    if model.pending.contains_key(&link.id) {
        return progress::act(model, link);
    }
    let act = link.act.as_ref()?;
    let at = format::clock(act.at_ms, &model.zone);
    let (status, tone) = match &act.status {
        ActStatus::Queued => ("queued".to_owned(), Tone::Held),
        ActStatus::Done => ("done".to_owned(), Tone::Plain),
        ActStatus::Refused(reason) => (format!("refused: {reason}"), Tone::Bad),
    };
    Some((format!("{} at {at}: {status}", word(act.kind)), tone))
}

fn copy(model: &Model, link: &LinkView, page: &mut PageText) {
    let theme = page.theme;
    let verifying = link.state.phase() == Some(Phase::Verifying);
    page.heading(if verifying { "Verification" } else { "Copy" });
    if let Some(share) = share_done(link) {
        let percent = format::percent(share);
        let width = page.width.saturating_sub(percent.len() + 2).min(WIDEST_BAR);
        let sign = theme.link(&link.state);
        page.line(Line::from(vec![toned(bar(share, width, &theme), sign.tone, &theme), plain(format!("  {percent}"))]));
    }
    let rows = match link.rows_total {
        Some(total) => format!("{} of {}", format::count(link.rows_done), format::count(total)),
        None if link.is_filtered => format!("{}, of those that pass the filter", format::count(link.rows_done)),
        None => format!("{}, not planned yet", format::count(link.rows_done)),
    };
    page.value("rows", &rows, Tone::Plain);
    page.value("bytes", &format::bytes(link.bytes_done), Tone::Plain);
    page.value("partitions", &format!("{} of {}", link.partitions_done, link.partitions_total), Tone::Plain);
    rates(model, link, page);
    match (&link.state, format::eta(&link.eta)) {
        (LinkState::Working { phase: Phase::Copying | Phase::Verifying }, Ok(eta)) => {
            page.value("ETA", &eta, Tone::Plain)
        }
        (LinkState::Working { phase: Phase::Copying | Phase::Verifying }, Err(reason)) => {
            page.value("ETA", &format!("none: {reason}"), Tone::Plain);
        }
        (LinkState::Paused { .. } | LinkState::Waiting { .. } | LinkState::Halted { .. }, _) => {
            page.value("ETA", &format!("none: {}", link.state.word()), Tone::Plain);
        }
        _ => {}
    }
    let credit = format!("{} of {} in use", format::bytes(link.credit_used), format::bytes(link.credit_total));
    page.value("credit", &credit, Tone::Plain);
    if let Some(limiter) = link.limiter {
        page.value("pace set by", pace(limiter), Tone::Plain);
    }
    if link.dead_letters > 0 {
        let words = format!("{} set aside", format::counted(link.dead_letters, "row"));
        page.value("dead letters", &words, Tone::Bad);
    }
    if link.converted > 0 {
        page.value("converted", &format::counted(link.converted, "row"), Tone::Warn);
    }
}

fn pace(limiter: Limiter) -> &'static str {
    match limiter {
        Limiter::Source => "the source",
        Limiter::Target => "the target",
        Limiter::RowsPerSecond => "the limit of rows per second",
        Limiter::BytesPerSecond => "the limit of bytes per second",
        Limiter::SourceLatency => "the source's latency, above its limit",
    }
}

fn rates(model: &Model, link: &LinkView, page: &mut PageText) {
    let theme = page.theme;
    let one = |rate: Option<f64>| rate.map_or("-".to_owned(), format::rate);
    let words = format!("{} recent, {} mean", progress::rate(link), one(link.rates.mean));
    let room = page.value_width().saturating_sub(text::width(&words) + 3).min(60);
    let samples = model.history.recent(&link.id, model.shown().at_ms, room);
    let spark = sparkline(&samples, &theme);
    page.pieces("rate", vec![plain(words), plain("   "), toned(spark, Tone::Busy, &theme)]);
}

fn changes(model: &Model, link: &LinkView, page: &mut PageText) {
    page.heading("Changes");
    if let Some(capture) = &link.capture {
        page.value("capture", &words::captured(capture), Tone::Plain);
        if let Some(round) = &capture.last_round {
            let began = format::ago(round.began_at_ms, model.shown_now_ms());
            page.value("last round", &format!("{}; begun {began}", words::round(round)), Tone::Plain);
        }
    }
    match &link.lag {
        Some(figure) => {
            let (words, tone) = progress::lag(model, figure, &page.theme);
            page.value("lag", &words, tone);
        }
        None => page.value("lag", "not known before the copy is done", Tone::Dim),
    }
    page.value("applied", &format::count(link.changes_applied), Tone::Plain);
}

fn parity(link: &LinkView, page: &mut PageText) {
    let Some(parity) = &link.parity else { return };
    page.heading("Parity");
    let (source, target) = (format::count(parity.source_rows), format::count(parity.target_rows));
    let compared =
        format!("{source} of the source, {target} of the target; {} to compare", format::count(parity.total_rows));
    page.value("compared", &compared, Tone::Plain);
    let (differences, tone) = match parity.differences {
        Some(0) => ("none".to_owned(), Tone::Good),
        Some(n) => (format::count(n), Tone::Bad),
        None => ("not known before it ends".to_owned(), Tone::Dim),
    };
    page.value("differences", &differences, tone);
    if let Some(verdict) = &parity.verdict {
        page.value("verdict", verdict, tone);
    }
}

fn history(model: &Model, link: &LinkView, page: &mut PageText) {
    let theme = page.theme;
    let entries = model.shown().events.iter().filter(|entry| entry.event.who.contains(&link.id.0));
    let all: Vec<_> = entries.collect();
    let older = all.len().saturating_sub(EVENTS);
    page.heading(&format!("Events of this link {}", all.len()));
    if all.is_empty() {
        page.line(Line::from(toned("none yet", Tone::Dim, &theme)));
    }
    if older > 0 {
        page.line(Line::from(toned(format!("{older} older ones not shown"), Tone::Dim, &theme)));
    }
    let now_ms = model.shown_now_ms();
    let today = all.iter().all(|entry| format::same_day(entry.event.at_ms, now_ms, &model.zone));
    let arrow = text::width(theme.glyphs.arrow);
    let change = all[older..].iter().map(|entry| events::change_width(&entry.event, arrow)).max().unwrap_or(0);
    let shape = events::Shape { width: page.width, today, who: 0, change: change.min(events::most_change(page.width)) };
    for entry in &all[older..] {
        page.line(events::line(model, &entry.event, &shape, &theme));
    }
}

/// One column a sample, as high as it is compared with the highest.
fn sparkline(samples: &[Option<f64>], theme: &Theme) -> String {
    let levels = theme.glyphs.spark;
    let highest = samples.iter().flatten().copied().fold(0.0, f64::max);
    let level = |sample: &Option<f64>| match sample {
        Some(value) if highest > 0.0 => {
            let step = (value / highest * (levels.len() - 1) as f64).round() as usize;
            levels[step.min(levels.len() - 1)]
        }
        Some(_) => levels[0],
        None => " ",
    };
    let line: String = samples.iter().map(level).collect();
    line.trim_start().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_leaves_gaps_where_nothing_was_published() {
        let theme = Theme::new(false, true);
        assert_eq!(sparkline(&[None, Some(1.0), None, Some(8.0)], &theme), "▂ █");
        assert_eq!(sparkline(&[Some(0.0), Some(0.0)], &theme), "▁▁");
    }
}
