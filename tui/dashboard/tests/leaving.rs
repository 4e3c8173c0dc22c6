use super::*;
use crate::dashboard::Ending;
use crate::dashboard::model::Overlay;
use palanquin_actors::Command;
use palanquin_engine::link::{LinkState, Phase};

const PHASE: Phase = Phase::Copying;

fn with(state: LinkState) -> Snapshot {
    let mut snapshot = fixtures::copying();
    change(&mut snapshot, 0, |link| link.state = state);
    snapshot
}

fn closing(snapshot: Snapshot) -> Model {
    model_with(Options { close_when_done: true, ..options() }, (80, 24), snapshot)
}

#[test]
fn quit_asks_while_a_link_works() {
    let mut model = model(fixtures::copying());
    assert_eq!(press(&mut model, "q"), []);
    assert_eq!(model.overlay, Some(Overlay::Quit { yes: false }));
    assert!(text(&model).contains("1 link is copying. It drains, and the same command continues it."));
}

#[test]
fn cancel_has_the_focus() {
    let mut model = model(fixtures::copying());
    assert_eq!(press(&mut model, "q Enter"), []);
    assert!(model.overlay.is_none() && model.leaving.is_none());
    assert_eq!(press(&mut model, "q Tab Enter"), [Cmd::Send(Command::Drain)]);
}

#[test]
fn a_confirmed_quit_drains_stays_and_ends_once_every_link_is_final() {
    let mut model = model(fixtures::copying());
    assert_eq!(press(&mut model, "q y"), [Cmd::Send(Command::Drain)]);
    assert_eq!(send(&mut model, with(LinkState::Draining { phase: PHASE })), []);
    assert!(text(&model).contains("DRAINING") && text(&model).contains("▽ draining"));
    let end = [Cmd::End(Ending::Quit)];
    assert_eq!(send(&mut model, with(LinkState::Interrupted { phase: PHASE })), end);
}

#[test]
fn interrupt_asks_then_confirms_then_does_not_wait() {
    let mut model = model(fixtures::copying());
    assert_eq!(press(&mut model, "^C"), []);
    assert_eq!(press(&mut model, "^C"), [Cmd::Send(Command::Drain)]);
    assert_eq!(press(&mut model, "q"), [], "q is no second interrupt");
    assert_eq!(press(&mut model, "^C"), [Cmd::End(Ending::Quit)]);
}

#[test]
fn with_nothing_to_interrupt_quit_leaves_at_once() {
    let halted = LinkState::Halted { phase: PHASE, reason: "r".into(), advice: "a".into() };
    for snapshot in [Snapshot::default(), with(halted), with(LinkState::Done { verified: true })] {
        assert_eq!(press(&mut model(snapshot), "q"), [Cmd::End(Ending::Quit)]);
    }
}

#[test]
fn links_that_end_while_the_question_stands_need_no_drain() {
    let mut model = model(fixtures::copying());
    press(&mut model, "q");
    send(&mut model, with(LinkState::Done { verified: true }));
    assert!(text(&model).contains("Nothing is working any more."));
    assert_eq!(press(&mut model, "y"), [Cmd::End(Ending::Quit)]);
}

#[test]
fn a_read_only_screen_leaves_without_draining() {
    let mut model = model_with(Options { read_only: true, ..options() }, (80, 24), fixtures::copying());
    assert_eq!(press(&mut model, "q"), []);
    assert!(text(&model).contains("This screen is read-only"));
    assert_eq!(press(&mut model, "y"), [Cmd::End(Ending::Quit)]);
}

#[test]
fn escape_never_quits() {
    for snapshot in [Snapshot::default(), fixtures::copying()] {
        let mut model = model(snapshot);
        for keys in ["Esc", "Enter Esc Esc", "? Esc Esc", "q Esc Esc", "space Esc"] {
            if keys.starts_with('q') && model.live.links.is_empty() {
                continue;
            }
            assert_eq!(press(&mut model, keys), [], "{keys}");
            assert!(model.ending.is_none() && model.leaving.is_none());
        }
    }
}

#[test]
fn when_all_is_done_it_closes_a_second_later() {
    let mut model = closing(with(LinkState::Done { verified: true }));
    assert_eq!(model.next_wake_ms(), Some(NOW_MS + 1000));
    assert_eq!(at(&mut model, NOW_MS + 900), []);
    assert_eq!(at(&mut model, NOW_MS + 1000), [Cmd::End(Ending::Finished)]);
}

#[test]
fn it_does_not_close_while_a_link_is_halted_or_the_view_is_frozen() {
    let mut model = closing(fixtures::degraded());
    assert_eq!(at(&mut model, NOW_MS + 60_000), []);
    let mut model = closing(fixtures::copying());
    press(&mut model, "space");
    send(&mut model, with(LinkState::Done { verified: true }));
    assert_eq!(at(&mut model, NOW_MS + 60_000), []);
    assert_eq!(model.next_wake_ms(), None, "a frozen view costs nothing");
    assert_eq!(press(&mut model, "space"), [Cmd::End(Ending::Finished)]);
}

#[test]
fn without_being_asked_to_close_it_stays() {
    let mut model = model(with(LinkState::Done { verified: true }));
    assert_eq!(at(&mut model, NOW_MS + 60_000), []);
    assert_eq!(model.next_wake_ms(), None, "nothing moves, nothing wakes");
}

#[test]
fn an_engine_that_has_gone_is_shown_and_left_without_a_question() {
    let mut model = model(fixtures::copying());
    update(&mut model, Msg::BoardClosed);
    assert!(text(&model).contains("ENGINE GONE"));
    assert_eq!(press(&mut model, "q"), [Cmd::End(Ending::Quit)]);
}
