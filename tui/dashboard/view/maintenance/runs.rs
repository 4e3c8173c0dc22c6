use super::word::unanswered;
use crate::dashboard::format;
use crate::dashboard::model::{Model, news_of_runs, runs_under_way};
use crate::dashboard::theme::Tone;
use crate::dashboard::view::bar::bar;
use crate::dashboard::view::cells::{self, plain, toned};
use crate::dashboard::view::figures;
use crate::dashboard::view::page_text::PageText;
use palanquin_actors::board::{MaintenanceRun, PalaceView, RunState};
use palanquin_engine::contract::{MaintenanceStatus, MaintenanceStep};
use ratatui::style::Stylize;
use ratatui::text::{Line, Span};

/// Widest progress bar.
const WIDEST_BAR: usize = 60;

/// What is asked for, under way or has just ended.
pub(in crate::dashboard::view) fn news(model: &Model, palace: &PalaceView, page: &mut PageText) {
    let mut under_way: Vec<&MaintenanceRun> = runs_under_way(palace).collect();
    under_way.sort_by_key(|run| run.state == RunState::Queued);
    let ended = news_of_runs(palace, model.shown_now_ms());
    let mut asked = model.asked_runs(&palace.address).peekable();
    if under_way.is_empty() && ended.is_empty() && asked.peek().is_none() {
        return;
    }
    page.heading("Maintenance");
    for run in &under_way {
        let before = under_way.first().filter(|first| first.number != run.number);
        write(model, run, before.map(|first| first.kind.as_str()), page);
    }
    for asked in asked {
        let (words, tone) = unanswered(model, asked.sent_ms);
        let theme = page.theme;
        let dot = toned(format!("{} {words}", theme.glyphs.dot), tone, &theme);
        page.line(Line::from(vec![dot, plain("  "), plain(asked.kind).bold()]));
    }
    for run in ended {
        write(model, run, None, page);
    }
}

/// Runs that ended before the news, newest first.
pub(in crate::dashboard::view) fn earlier(model: &Model, palace: &PalaceView, page: &mut PageText) {
    let news = news_of_runs(palace, model.shown_now_ms());
    let is_earlier = |run: &&MaintenanceRun| !run.is_under_way() && news.iter().all(|known| known.number != run.number);
    let runs: Vec<&MaintenanceRun> = palace.runs.iter().rev().filter(is_earlier).collect();
    if runs.is_empty() {
        return;
    }
    page.heading(&format!("Earlier maintenance {}", runs.len()));
    for run in runs {
        write(model, run, None, page);
    }
}

/// A run: its state and kind, how long and when, then what it is doing or what came of it.
fn write(model: &Model, run: &MaintenanceRun, after: Option<&str>, page: &mut PageText) {
    let theme = page.theme;
    let before = vec![
        cells::sign(theme.run(&run.state), &theme),
        Span::raw("  "),
        plain(cells::fit(&run.kind, crate::dashboard::text::width(&run.kind).min(24), cells::Side::Left, &theme))
            .bold(),
        Span::raw("  "),
    ];
    page.paragraph(before, &when(model, run, after, page.width >= 60), Tone::Dim);
    match &run.state {
        RunState::Queued => {}
        RunState::Running { step: None } => said("it has not told a step yet", Tone::Dim, page),
        RunState::Running { step: Some(step) } => progress(step, page),
        RunState::Cancelling => said("it is being stopped, in the store too", Tone::Dim, page),
        RunState::Cancelled { reason } => {
            said(&format!("{reason}; nothing of it runs any more, and the palace is whole"), Tone::Plain, page);
        }
        RunState::Ended { status, stats } => {
            match status {
                MaintenanceStatus::Ran => {}
                MaintenanceStatus::Noop => said("there was nothing to do", Tone::Plain, page),
                MaintenanceStatus::AlreadyRunning => {
                    said("another run holds the work; this one did nothing", Tone::Plain, page);
                }
            }
            figures::write(stats, 2, page);
        }
        RunState::Failed { reason, advice } => {
            let label = |words: &'static str| vec![toned(words, Tone::Dim, &theme)];
            page.paragraph(label("  because     "), reason, Tone::Bad);
            page.paragraph(label("  what to do  "), advice, Tone::Plain);
        }
    }
}

fn said(words: &str, tone: Tone, page: &mut PageText) {
    page.paragraph(vec![Span::raw("  ")], words, tone);
}

fn when(model: &Model, run: &MaintenanceRun, after: Option<&str>, wide: bool) -> String {
    let now_ms = model.shown_now_ms();
    let lasted = |from: i64, to: i64| format::duration(format::seconds_between(from, to));
    // Where there is little room, ages say enough.
    let asked = if wide { format!(", asked {}", format::clock(run.asked_at_ms, &model.zone)) } else { String::new() };
    match (&run.state, run.began_at_ms, run.ended_at_ms) {
        (RunState::Queued, ..) => {
            let waits = after.map(|kind| format!("; begins when {kind} has ended")).unwrap_or_default();
            format!("for {}{waits}", lasted(run.asked_at_ms, now_ms))
        }
        (RunState::Running { .. } | RunState::Cancelling, began, _) => {
            format!("for {}{asked}", lasted(began.unwrap_or(run.asked_at_ms), now_ms))
        }
        (_, Some(began), Some(ended)) => {
            format!("{}, took {}{asked}", format::ago(ended, now_ms), took(began, ended))
        }
        (RunState::Failed { .. } | RunState::Cancelled { .. }, None, Some(ended)) => {
            format!("{}, before it began{asked}", format::ago(ended, now_ms))
        }
        (_, None, Some(ended)) => format!("{}{asked}", format::ago(ended, now_ms)),
        (_, _, None) => asked.trim_start_matches(", ").to_owned(),
    }
}

/// What is being done, and how far that is where the whole is known.
fn progress(step: &MaintenanceStep, page: &mut PageText) {
    let theme = page.theme;
    said(&step.doing, Tone::Plain, page);
    let done = format::count(step.done);
    let Some(total) = step.total.filter(|total| *total > 0) else {
        return said(&format!("{} done; how many there are is not known", steps(step.done)), Tone::Dim, page);
    };
    // It ends when the store says so, not when the steps are counted.
    let share = format::permille(step.done, total).unwrap_or(0).min(999);
    let words = format!("{}  {done} of {}", format::percent(share), steps(total));
    let width = page.width.saturating_sub(words.len() + 4).min(WIDEST_BAR);
    page.line(Line::from(vec![
        plain("  "),
        toned(bar(share, width, &theme), Tone::Busy, &theme),
        plain(format!("  {words}")),
    ]));
}

/// How long it was done for; with milliseconds where there is nothing else.
fn took(began_ms: i64, ended_ms: i64) -> String {
    match ended_ms.saturating_sub(began_ms).max(0).unsigned_abs() {
        millis @ 0..100 => format!("{millis} ms"),
        millis => format::millis(millis),
    }
}

fn steps(n: u64) -> String {
    format::counted(n, "step")
}
