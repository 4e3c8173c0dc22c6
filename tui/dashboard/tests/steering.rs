use super::*;
use crate::dashboard::model::{Page, Panel};
use palanquin_actors::Command;
use palanquin_actors::board::{Act, ActKind, ActStatus};
use palanquin_engine::link::{LinkId, LinkState, Phase};

fn act(kind: ActKind, status: ActStatus) -> Option<Act> {
    Some(Act { kind, at_ms: NOW_MS, status })
}

fn asks(kind: ActKind, id: &str) -> Vec<Cmd> {
    vec![Cmd::Send(Command::Act { link: LinkId(id.into()), kind })]
}

#[test]
fn a_pause_is_seen_from_the_key_to_the_state() {
    let mut model = model(fixtures::copying());
    assert_eq!(press(&mut model, "p"), asks(ActKind::Pause, "3f9a1c0b2d4e"));
    assert!(text(&model).contains("pause asked"));
    let mut snapshot = fixtures::copying();
    change(&mut snapshot, 0, |link| link.act = act(ActKind::Pause, ActStatus::Queued));
    send(&mut model, snapshot.clone());
    assert!(text(&model).contains("pause queued"));
    change(&mut snapshot, 0, |link| {
        link.act = act(ActKind::Pause, ActStatus::Done);
        link.state = LinkState::Paused { phase: Phase::Copying };
    });
    send(&mut model, snapshot);
    let text = text(&model);
    assert!(text.contains("‖ paused") && text.contains("p resume") && !text.contains("pause queued"), "{text}");
}

#[test]
fn a_pause_that_is_not_in_force_yet_can_be_taken_back() {
    let mut model = model(fixtures::copying());
    press(&mut model, "p");
    assert!(text(&model).contains("p resume"));
    assert_eq!(press(&mut model, "p"), asks(ActKind::Resume, "3f9a1c0b2d4e"));
}

#[test]
fn a_refused_act_says_why() {
    let mut model = model(fixtures::copying());
    press(&mut model, "p");
    let mut snapshot = fixtures::copying();
    change(&mut snapshot, 0, |link| link.act = act(ActKind::Pause, ActStatus::Refused("it is committing".into())));
    send(&mut model, snapshot);
    assert_eq!(model.toast.as_ref().map(|toast| toast.text.as_str()), Some("pause refused: it is committing"));
    at(&mut model, NOW_MS + 6000);
    assert!(model.toast.is_none());
    assert!(text(&model).contains("pause refused: it is committing"), "beside the link too");
}

#[test]
fn an_act_without_an_answer_is_said_to_have_none() {
    let mut model = model(fixtures::copying());
    press(&mut model, "p");
    at(&mut model, NOW_MS + 4000);
    assert!(text(&model).contains("pause asked, no answer for 4 s"));
}

#[test]
fn a_halted_link_is_resumed() {
    let mut model = model(fixtures::degraded());
    assert_eq!(press(&mut model, "j p"), asks(ActKind::Resume, "d00d1e5e1f00"));
}

#[test]
fn a_link_that_is_done_or_drained_is_not_paused() {
    for state in [LinkState::Done { verified: true }, LinkState::Interrupted { phase: Phase::Live }] {
        let mut snapshot = fixtures::copying();
        change(&mut snapshot, 0, |link| link.state = state);
        let mut model = model(snapshot);
        assert_eq!(press(&mut model, "p"), []);
        assert!(model.toast.is_some() && !text(&model).contains("p pause"));
    }
}

#[test]
fn a_read_only_screen_sends_nothing() {
    let mut model = model_with(Options { read_only: true, ..options() }, (80, 24), fixtures::copying());
    assert_eq!(press(&mut model, "p"), []);
    let text = text(&model);
    assert!(text.contains("READ-ONLY") && text.contains("read-only: nothing is sent"), "{text}");
}

#[test]
fn acts_are_for_the_link_in_hand_only() {
    let mut model = model(fixtures::copying());
    assert_eq!(press(&mut model, "Tab p"), [], "the events have the focus");
    assert_eq!(press(&mut model, "S-Tab Enter p"), asks(ActKind::Pause, "3f9a1c0b2d4e"), "on its page");
}

#[test]
fn a_frozen_view_stands_still_while_data_goes_on_arriving() {
    let mut model = model(fixtures::copying());
    let before = text(&model);
    press(&mut model, "space");
    for _ in 0..12 {
        send(&mut model, fixtures::live());
    }
    at(&mut model, NOW_MS + 60_000);
    let frozen = text(&model);
    assert!(frozen.contains("FROZEN, 12 updates since"));
    assert_eq!(frozen.lines().nth(5), before.lines().nth(5));
    press(&mut model, "space");
    assert!(text(&model).contains("● live") && !text(&model).contains("FROZEN"));
}

#[test]
fn the_selection_follows_the_link_and_not_its_place() {
    let mut model = model(fixtures::degraded());
    press(&mut model, "j");
    let selected = model.links.key().cloned();
    let mut snapshot = fixtures::degraded();
    snapshot.links.reverse();
    send(&mut model, snapshot.clone());
    assert_eq!(model.links.key(), selected.as_ref());
    assert_eq!(model.links.index(), 2);
    snapshot.links.remove(2);
    send(&mut model, snapshot);
    assert_eq!(model.links.index(), 2, "the link in its place");
}

#[test]
fn events_follow_until_the_operator_goes_up_and_again_from_the_last() {
    let mut model = model(fixtures::copying());
    press(&mut model, "Tab k");
    assert_eq!(model.events.key(), Some(&4));
    send(&mut model, fixtures::live());
    assert_eq!(model.events.key(), Some(&4));
    press(&mut model, "G");
    send(&mut model, fixtures::degraded());
    assert_eq!(model.events.key(), Some(&7));
    assert!(model.follow);
}

#[test]
fn a_selected_event_that_falls_off_gives_way_to_the_oldest() {
    let mut model = model(fixtures::copying());
    press(&mut model, "Tab g");
    assert_eq!(model.events.key(), Some(&1));
    let mut snapshot = fixtures::live();
    snapshot.events.drain(..3);
    send(&mut model, snapshot);
    assert_eq!(model.events.key(), Some(&4));
}

#[test]
fn pages_open_on_what_is_selected_and_close_again() {
    let mut model = model(fixtures::degraded());
    press(&mut model, "j Enter");
    assert_eq!(model.page, Some(Page::Link(LinkId("d00d1e5e1f00".into()))));
    press(&mut model, "Esc S-Tab Enter");
    assert_eq!(model.page, Some(Page::Palace(fixtures::CHROMA.into())));
    press(&mut model, "Esc");
    assert_eq!((model.page.as_ref(), model.focus), (None, Panel::Palaces));
}

#[test]
fn the_page_of_what_has_gone_says_so() {
    let mut model = model(fixtures::copying());
    press(&mut model, "Enter");
    send(&mut model, Snapshot::default());
    assert!(text(&model).contains("This link is no longer here."));
    assert_eq!(press(&mut model, "p"), []);
}

#[test]
fn the_next_problem_goes_round_palaces_and_links() {
    let mut model = model(fixtures::degraded());
    let mut seen = Vec::new();
    for _ in 0..5 {
        press(&mut model, "n");
        let index = if model.focus == Panel::Palaces { model.palaces.index() } else { model.links.index() };
        seen.push((model.focus, index));
    }
    let (palaces, links) = (Panel::Palaces, Panel::Links);
    assert_eq!(seen, [(links, 1), (palaces, 0), (palaces, 1), (links, 0), (links, 1)]);
}

#[test]
fn scrolling_stops_at_the_ends() {
    let mut model = model(fixtures::many(500));
    press(&mut model, "G");
    assert_eq!(model.links.index(), 499);
    press(&mut model, "PgDn j");
    assert_eq!(model.links.index(), 499);
    press(&mut model, "k g PgUp");
    assert_eq!((model.links.index(), model.links.offset()), (0, 0));
    press(&mut model, "Enter G G PgDn");
    let end = model.page_scroll;
    press(&mut model, "k");
    assert_eq!(model.page_scroll, end.saturating_sub(1), "no key is lost beyond the end");
}

#[test]
fn a_filtered_copy_is_as_far_as_its_partitions_are() {
    let mut snapshot = fixtures::copying();
    change(&mut snapshot, 0, |link| {
        (link.rows_total, link.is_filtered) = (None, true);
        (link.rows_done, link.partitions_done, link.partitions_total) = (17, 3, 4);
    });
    let mut model = model(snapshot);
    assert!(text(&model).contains(" 75.0%"), "{}", text(&model));
    press(&mut model, "Enter");
    assert!(text(&model).contains("17, of those that pass the filter"), "{}", text(&model));
    let mut snapshot = fixtures::copying();
    change(&mut snapshot, 0, |link| {
        (link.rows_total, link.is_filtered, link.partitions_done, link.partitions_total) = (None, true, 4, 4);
    });
    assert!(text(&self::model(snapshot)).contains(" 99.9%"), "nothing is compared yet");
}

#[test]
fn a_link_is_never_shown_as_done_while_rows_are_left() {
    let mut snapshot = fixtures::copying();
    change(&mut snapshot, 0, |link| link.rows_done = 1_203_000);
    let mut model = model(snapshot);
    assert!(text(&model).contains(" 99.9%") && !text(&model).contains("100%"));
    press(&mut model, "Enter");
    assert!(text(&model).contains(" 99.9%") && !text(&model).contains("100%"));
}

#[test]
fn time_alone_wakes_only_what_shows_time() {
    assert_eq!(model(Snapshot::default()).next_wake_ms(), None);
    assert_eq!(model(fixtures::copying()).next_wake_ms(), Some(NOW_MS + 1000));
    let mut frozen = model(fixtures::copying());
    press(&mut frozen, "space");
    assert_eq!(frozen.next_wake_ms(), None);
}

#[test]
fn a_copy_that_has_gone_quiet_shows_the_age_of_its_figures() {
    let mut copying = model(fixtures::copying());
    at(&mut copying, NOW_MS + 34_000);
    assert!(text(&copying).contains("as of 12:04:31, 34 s ago"));
    let mut snapshot = fixtures::live();
    snapshot.links.truncate(2);
    let mut live = model(snapshot);
    at(&mut live, NOW_MS + 34_000);
    assert!(!text(&live).contains("34 s ago"), "a mirror with nothing to do is not stale");
}

#[test]
fn a_mirror_without_lag_is_up_to_date_as_of_its_measurement() {
    let mut snapshot = fixtures::live();
    change(&mut snapshot, 0, |link| link.lag.iter_mut().for_each(|lag| lag.rows = 0));
    let mut live = model(snapshot);
    assert!(text(&live).contains("  up to date\n") && text(&live).contains(" up to date · "));
    at(&mut live, NOW_MS + 9000);
    assert!(text(&live).contains("up to date, measured 10 s ago"));
}
