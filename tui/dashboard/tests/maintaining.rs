use super::*;
use crate::dashboard::model::{Overlay, Panel, Stage};
use palanquin_actors::Command;
use palanquin_actors::board::{MaintenanceRun, PalaceView, RunState};
use palanquin_engine::contract::MaintenanceStatus;
use palanquin_engine::link::LinkState;

/// Selects the Lance palace.
const LANCE: &str = "S-Tab j";

fn maintains(kind: &str) -> Vec<Cmd> {
    vec![Cmd::Send(Command::Maintain { palace: fixtures::LANCE.into(), kind: kind.into() })]
}

fn toast(model: &Model) -> &str {
    model.toast.as_ref().map_or("", |toast| toast.text.as_str())
}

fn change_lance(snapshot: &mut Snapshot, change: impl FnOnce(&mut PalaceView)) {
    let palace = snapshot.palaces.iter_mut().find(|palace| palace.address == fixtures::LANCE);
    change(Arc::make_mut(palace.unwrap()));
}

fn with_run(run: MaintenanceRun) -> Snapshot {
    fixtures::maintained(vec![run])
}

#[test]
fn m_opens_the_menu_of_the_advertised_kinds_only() {
    let mut model = model(fixtures::live());
    assert_eq!(press(&mut model, &format!("{LANCE} m")), []);
    let shown = text(&model);
    assert!(shown.contains("Maintain lance:/srv/palaces/ann.lance"), "{shown}");
    for kind in fixtures::LANCE_KINDS {
        assert!(shown.contains(&format!("{} ", kind.name)), "{}", kind.name);
    }
    assert!(!shown.contains("analyze"), "that is another backend's");
    press(&mut model, "Esc j m");
    let shown = text(&model);
    assert!(shown.contains("analyze") && !shown.contains("compact"), "{shown}");
}

#[test]
fn the_effect_of_the_chosen_kind_is_shown_in_full_at_any_size() {
    for size in [(40, 8), (50, 12), (80, 24), (200, 60)] {
        for (steps, kind) in fixtures::LANCE_KINDS.iter().enumerate() {
            for stage in ["", " Enter"] {
                let mut model = model_with(options(), size, fixtures::live());
                press(&mut model, &format!("{LANCE} m{}{stage}", " j".repeat(steps)));
                let mut seen = String::new();
                for _ in 0..20 {
                    let words = text(&model);
                    let lines = words.lines().filter_map(|line| line.split('│').nth(1));
                    seen.extend(lines.map(|line| format!(" {} ", line.trim())));
                    press(&mut model, "PgDn");
                }
                let missing =
                    kind.effect.split(' ').find(|word| !seen.contains(&format!(" {word} ")) && !seen.contains(*word));
                assert_eq!(missing, None, "{} at {size:?}{stage}: {seen}", kind.name);
            }
        }
    }
}

#[test]
fn enter_on_the_question_cancels() {
    let mut model = model(fixtures::live());
    assert_eq!(press(&mut model, &format!("{LANCE} m Enter")), []);
    assert!(text(&model).contains("Run compact on lance:/srv/palaces/ann.lance?"));
    assert_eq!(press(&mut model, "Enter"), []);
    assert_eq!((model.overlay.as_ref(), model.asked_runs.len()), (None, 0));
}

#[test]
fn y_sends_it_exactly_once() {
    let mut model = model(fixtures::live());
    press(&mut model, &format!("{LANCE} m j Enter"));
    assert_eq!(press(&mut model, "y"), maintains("reindex"));
    assert_eq!(press(&mut model, "y y Enter Esc"), []);
    assert!(text(&model).contains("reindex asked"), "{}", text(&model));
}

#[test]
fn moving_the_focus_to_run_and_enter_runs_it() {
    let mut model = model(fixtures::live());
    press(&mut model, &format!("{LANCE} Enter m G Enter Tab"));
    assert!(
        matches!(&model.overlay, Some(Overlay::Maintenance(dialog)) if dialog.stage == Stage::Asking { yes: true })
    );
    assert_eq!(press(&mut model, "Enter"), maintains("prune"));
}

#[test]
fn two_changes_of_focus_are_none() {
    let mut model = model(fixtures::live());
    assert_eq!(press(&mut model, &format!("{LANCE} m Enter Tab S-Tab Enter")), []);
}

#[test]
fn esc_leaves_nothing() {
    for keys in ["m Esc", "m j Esc", "m Enter Esc", "m Enter Tab Esc", "m Enter n"] {
        let mut model = model(fixtures::live());
        assert_eq!(press(&mut model, &format!("{LANCE} {keys}")), [], "{keys}");
        assert_eq!((model.overlay.as_ref(), model.asked_runs.len(), model.toast.as_ref()), (None, 0, None), "{keys}");
        assert_eq!((model.page.as_ref(), model.focus), (None, Panel::Palaces), "{keys}");
    }
}

#[test]
fn a_read_only_screen_refuses_and_says_why() {
    let mut model = model_with(Options { read_only: true, ..options() }, (80, 24), fixtures::live());
    assert_eq!(press(&mut model, &format!("{LANCE} m Enter y")), []);
    assert!(toast(&model).contains("read-only"), "{}", toast(&model));
    assert_eq!(model.overlay, None);
    assert!(!text(&model).contains("m maintain"), "the bar does not offer it");
}

#[test]
fn an_engine_that_goes_while_the_question_stands_is_sent_nothing() {
    let mut model = model(fixtures::live());
    press(&mut model, &format!("{LANCE} m Enter"));
    update(&mut model, Msg::BoardClosed);
    assert_eq!(press(&mut model, "y"), []);
    assert!(toast(&model).contains("the engine has gone"));
}

#[test]
fn a_backend_without_kinds_says_so() {
    let mut model = model(fixtures::live());
    press(&mut model, "S-Tab m");
    assert_eq!(toast(&model), "backend chroma has no maintenance: it advertises no kind");
    press(&mut model, "Enter m");
    assert_eq!(model.overlay, None);
    model.size = (80, 60);
    assert!(text(&model).contains("none: backend chroma advertises no kind"), "on its page, for as long as one likes");
}

#[test]
fn m_without_a_palace_in_hand_asks_for_one() {
    let mut model = model(fixtures::live());
    for keys in ["m", "Enter m", "Esc Tab Enter m"] {
        assert_eq!(press(&mut model, keys), []);
        assert_eq!((toast(&model), model.overlay.as_ref()), ("select a palace first", None), "{keys}");
    }
}

#[test]
fn a_run_is_seen_from_the_key_to_its_end() {
    let mut model = model(fixtures::live());
    press(&mut model, &format!("{LANCE} Enter m Enter y"));
    assert!(text(&model).contains("· asked  compact"), "{}", text(&model));
    let asked = |state| with_run(fixtures::run(1, "compact", 0, state));
    send(&mut model, asked(RunState::Queued));
    let shown = text(&model);
    assert!(shown.contains("○ queued  compact") && !shown.contains("asked  compact"), "{shown}");
    assert!(!shown.contains("running"), "queued is not running: {shown}");
    send(&mut model, asked(RunState::Running { step: None }));
    assert!(text(&model).contains("► running  compact") && text(&model).contains("has not told a step yet"));
    send(&mut model, asked(fixtures::running("compacting mempalace_drawers", 12, Some(40))));
    assert!(text(&model).contains("30.0%  12 of 40 steps"));
    send(
        &mut model,
        asked(fixtures::ended(MaintenanceStatus::Ran, serde_json::json!({"files_before": 9, "files_after": 2}))),
    );
    let shown = text(&model);
    assert!(shown.contains("✓ ran  compact") && shown.contains("files  9 → 2  -7"), "{shown}");
    assert!(toast(&model).starts_with("compact ran in 9.3 s on lance:"), "{}", toast(&model));
}

#[test]
fn an_older_run_of_the_kind_is_no_answer() {
    let mut model = model(fixtures::a_run_that_ran());
    assert_eq!(press(&mut model, &format!("{LANCE} m Enter y")), maintains("compact"));
    send(&mut model, fixtures::a_run_that_ran());
    at(&mut model, NOW_MS + 4000);
    assert!(text(&model).contains("compact asked, no answer for 4 s"), "{}", text(&model));
    let mut answered = fixtures::a_run_that_ran();
    change_lance(&mut answered, |palace| palace.runs.push(fixtures::run(2, "compact", 0, RunState::Queued)));
    send(&mut model, answered);
    assert!(text(&model).contains("○ compact queued") && model.asked_runs.is_empty(), "{}", text(&model));
}

#[test]
fn no_share_reads_a_hundred_percent_while_it_runs() {
    let all = fixtures::running("committing", 40, Some(40));
    let mut model = model(with_run(fixtures::run(1, "compact", 9, all)));
    press(&mut model, &format!("{LANCE} Enter"));
    let shown = text(&model);
    assert!(shown.contains("99.9%  40 of 40 steps") && !shown.contains("100%"), "{shown}");
}

#[test]
fn a_second_run_of_a_kind_is_said_to_do_nothing_before_it_is_asked_for() {
    let mut model = model(fixtures::a_run_with_a_total());
    press(&mut model, &format!("{LANCE} m Enter"));
    assert!(text(&model).contains("already_running"), "{}", text(&model));
}

#[test]
fn what_came_of_a_run_stays_with_its_age() {
    let mut model = model(fixtures::earlier_runs());
    press(&mut model, &format!("{LANCE} Enter"));
    assert!(text(&model).contains("last run      compact ✗ failed 1h 59m ago"), "{}", text(&model));
    assert_eq!(model.next_wake_ms(), Some(NOW_MS + 1000), "the age grows");
    at(&mut model, NOW_MS + 60_000);
    assert!(text(&model).contains("failed 2h 00m ago"), "{}", text(&model));
}

#[test]
fn runs_that_end_one_after_the_other_are_all_news() {
    let ran = fixtures::ended(MaintenanceStatus::Ran, serde_json::json!({"files_removed": 7}));
    let mut model = model(fixtures::maintained(vec![
        fixtures::run(1, "compact", 60, ran),
        fixtures::run(2, "prune", 50, fixtures::failed()),
        fixtures::run(3, "reindex", 40, RunState::Queued),
    ]));
    press(&mut model, &format!("{LANCE} Enter"));
    let shown = text(&model);
    let order: Vec<_> = ["○ queued  reindex", "✗ failed  prune", "✓ ran  compact"].map(|run| shown.find(run)).into();
    assert!(order.is_sorted() && order.iter().all(Option::is_some), "{shown}");
    at(&mut model, NOW_MS + 3_600_000);
    press(&mut model, "G");
    assert!(text(&model).contains("Earlier maintenance 2"), "{}", text(&model));
}

fn cancels(run: u64) -> Vec<Cmd> {
    vec![Cmd::Send(Command::CancelMaintenance { palace: fixtures::LANCE.into(), run })]
}

#[test]
fn x_asks_before_the_run_under_way_is_cancelled_and_enter_lets_it_run() {
    let mut model = model(fixtures::a_run_with_a_total());
    assert_eq!(press(&mut model, &format!("{LANCE} x")), []);
    let shown = text(&model);
    assert!(shown.contains("Cancel compact on lance:/srv/palaces/ann.lance?"), "{shown}");
    assert!(shown.contains("Now: compacting mempalace_drawers."), "{shown}");
    assert_eq!(press(&mut model, "Enter"), []);
    assert_eq!(model.overlay, None);
    assert_eq!(press(&mut model, "x Esc x n x Tab Tab Enter"), []);
    assert_eq!(press(&mut model, "x y"), cancels(1));
    assert_eq!(press(&mut model, "x Tab Enter"), cancels(1));
}

#[test]
fn a_run_that_is_cancelled_is_seen_to_its_end_and_x_goes_on_to_the_one_that_waits() {
    let mut model = model(fixtures::a_run_is_queued());
    assert_eq!(press(&mut model, &format!("{LANCE} Enter x y")), cancels(1));
    assert_eq!(toast(&model), "cancelling reindex asked");
    let mut cancelling = fixtures::a_run_is_queued();
    change_lance(&mut cancelling, |palace| palace.runs[0].state = RunState::Cancelling);
    send(&mut model, cancelling.clone());
    assert!(text(&model).contains("cancelling  reindex"), "{}", text(&model));
    assert_eq!(press(&mut model, "x y"), cancels(2), "the one that waits");
    let reason = "by the operator, while indexing";
    change_lance(&mut cancelling, |palace| {
        palace.runs[0].state = RunState::Cancelled { reason: reason.into() };
        palace.runs[0].ended_at_ms = Some(NOW_MS);
    });
    send(&mut model, cancelling);
    let shown = text(&model);
    assert!(shown.contains("cancelled  reindex") && shown.contains(reason), "{shown}");
    assert!(toast(&model).starts_with("reindex cancelled in"), "{}", toast(&model));
}

#[test]
fn x_says_why_there_is_nothing_to_cancel() {
    let mut idle = model(fixtures::live());
    assert_eq!(press(&mut idle, "x"), []);
    assert_eq!(toast(&idle), "select a palace first");
    assert_eq!(press(&mut idle, &format!("{LANCE} x")), []);
    assert_eq!((toast(&idle), idle.overlay.as_ref()), ("no maintenance of this palace is under way", None));
    assert!(!text(&idle).contains("x cancel run"), "the bar does not offer it");
    let read_only = Options { read_only: true, ..options() };
    let mut model = model_with(read_only, (80, 24), fixtures::a_run_with_a_total());
    assert_eq!(press(&mut model, &format!("{LANCE} x y")), []);
    assert!(toast(&model).contains("read-only"), "{}", toast(&model));
}

#[test]
fn a_frozen_view_says_what_was_asked_all_the_same() {
    let mut model = model(fixtures::live());
    assert_eq!(press(&mut model, &format!("{LANCE} space m Enter y")), maintains("compact"));
    assert_eq!(toast(&model), "compact asked; the view is frozen");
}

#[test]
fn the_page_scrolls_to_its_end_and_back() {
    let mut model = model_with(options(), (80, 24), fixtures::earlier_runs());
    press(&mut model, &format!("{LANCE} Enter"));
    assert!(text(&model).contains("state         ● healthy"));
    press(&mut model, "G");
    let end = model.page_scroll;
    assert!(end > 20 && text(&model).contains("no version is older than seven days"));
    press(&mut model, "PgDn j k");
    assert_eq!(model.page_scroll, end - 1, "no key is lost beyond the end");
    press(&mut model, "g");
    assert_eq!(model.page_scroll, 0);
}

#[test]
fn leaving_asks_while_maintenance_alone_is_under_way() {
    let mut snapshot = fixtures::a_run_with_a_total();
    snapshot.links.clear();
    let mut model = model(snapshot);
    assert_eq!(press(&mut model, "q"), []);
    let shown = text(&model);
    assert!(shown.contains("compact is running on lance:/srv/palaces/ann.lance."), "{shown}");
    assert_eq!(press(&mut model, "n"), []);
    assert_eq!(press(&mut model, "q y"), [Cmd::End(crate::dashboard::Ending::Quit)]);
}

#[test]
fn it_does_not_close_by_itself_under_maintenance() {
    let done = |mut snapshot: Snapshot| {
        for index in 0..snapshot.links.len() {
            change(&mut snapshot, index, |link| link.state = LinkState::Done { verified: true });
        }
        snapshot
    };
    let closing = Options { close_when_done: true, ..options() };
    let mut under_way = model_with(closing.clone(), (80, 24), done(fixtures::a_run_with_a_total()));
    assert_eq!(at(&mut under_way, NOW_MS + 60_000), []);
    assert!(under_way.next_wake_ms().is_some_and(|wake| wake > NOW_MS + 60_000), "and does not spin");
    let mut asking = model_with(closing.clone(), (80, 24), done(fixtures::live()));
    press(&mut asking, &format!("{LANCE} m"));
    assert_eq!(at(&mut asking, NOW_MS + 60_000), []);
    let mut asked = model_with(closing, (80, 24), done(fixtures::live()));
    press(&mut asked, &format!("{LANCE} m Enter y"));
    assert_eq!(at(&mut asked, NOW_MS + 60_000), [], "he wants to see what comes of it");
}

#[test]
fn palaces_have_the_focus_where_there_are_no_links_until_there_are() {
    let mut alone = fixtures::live();
    alone.links.clear();
    let mut model = model(alone);
    assert_eq!(model.focus, Panel::Palaces);
    send(&mut model, fixtures::live());
    assert_eq!(model.focus, Panel::Links);
    press(&mut model, "Tab");
    send(&mut model, fixtures::live());
    assert_eq!(model.focus, Panel::Events, "the operator's choice stays");
}
