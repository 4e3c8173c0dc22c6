use super::*;
use palanquin_actors::board::{CaptureView, Round};
use palanquin_engine::contract::CaptureLevel;
use ratatui::style::{Color, Modifier};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (50, 12)];

fn check(name: &str, prepare: impl Fn(&mut Model), options: &Options, snapshot: fn() -> Snapshot) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("../snapshots");
    settings.set_omit_expression(true);
    settings.bind(|| {
        for size in SIZES {
            let mut model = model_with(options.clone(), size, snapshot());
            prepare(&mut model);
            insta::assert_snapshot!(format!("{name}-{}x{}", size.0, size.1), text(&model));
        }
    });
}

#[test]
fn a_migration_under_way() {
    check("copying", |_| {}, &options(), fixtures::copying);
}

#[test]
fn mirrors_with_their_lag() {
    check("live", |_| {}, &options(), fixtures::live);
}

#[test]
fn degraded_waiting_and_halted() {
    check("degraded", |_| {}, &options(), fixtures::degraded);
}

#[test]
fn nothing_there_yet() {
    check("empty", |_| {}, &options(), Snapshot::default);
}

#[test]
fn a_frozen_view() {
    let prepare = |model: &mut Model| {
        press(model, "space");
        for _ in 0..12 {
            send(model, fixtures::live());
        }
    };
    check("frozen", prepare, &Options { read_only: true, ..options() }, fixtures::copying);
}

#[test]
fn the_help() {
    check("help", |model| drop(press(model, "?")), &options(), fixtures::copying);
}

#[test]
fn the_page_of_a_link() {
    let prepare = |model: &mut Model| {
        for second in 1..=40 {
            let mut snapshot = fixtures::copying();
            snapshot.at_ms = NOW_MS + second * 1000;
            at(model, snapshot.at_ms);
            change(&mut snapshot, 0, |link| link.rates.recent = Some(4120.0 - (second % 7) as f64 * 500.0));
            send(model, snapshot);
        }
        press(model, "Enter");
    };
    check("link-page", prepare, &options(), fixtures::copying);
}

#[test]
fn the_page_of_a_mirror_that_waits() {
    check("waiting-page", |model| drop(press(model, "Enter")), &options(), fixtures::degraded);
}

#[test]
fn the_page_of_a_palace() {
    check("palace-page", |model| drop(press(model, "S-Tab Enter")), &options(), fixtures::degraded);
}

/// Opens the page of the Lance palace.
const LANCE_PAGE: &str = "S-Tab j Enter";

#[test]
fn the_page_of_a_lance_palace() {
    check("lance-page", |model| drop(press(model, LANCE_PAGE)), &options(), fixtures::earlier_runs);
    let further = |model: &mut Model| drop(press(model, &format!("{LANCE_PAGE} PgDn")));
    check("lance-page-further", further, &options(), fixtures::earlier_runs);
    let end = |model: &mut Model| drop(press(model, &format!("{LANCE_PAGE} G")));
    check("lance-page-end", end, &options(), fixtures::earlier_runs);
}

#[test]
fn the_menu_of_maintenance_kinds() {
    check("maintain-menu", |model| drop(press(model, "S-Tab j m")), &options(), fixtures::earlier_runs);
    let on_the_page = |model: &mut Model| drop(press(model, &format!("{LANCE_PAGE} m j")));
    check("maintain-menu-page", on_the_page, &options(), fixtures::a_run_with_a_total);
}

#[test]
fn the_question_before_maintenance() {
    let prepare = |model: &mut Model| drop(press(model, &format!("{LANCE_PAGE} m Enter")));
    check("maintain-question", prepare, &options(), fixtures::live);
    let prepare = |model: &mut Model| drop(press(model, "S-Tab j m j j Enter Tab"));
    check("maintain-question-yes", prepare, &options(), fixtures::a_run_with_a_total);
}

#[test]
fn a_maintenance_run_from_asked_to_ended() {
    let asked = |model: &mut Model| drop(press(model, &format!("{LANCE_PAGE} m Enter y")));
    check("maintain-asked", asked, &options(), fixtures::live);
    let page = |model: &mut Model| drop(press(model, LANCE_PAGE));
    check("maintain-queued", page, &options(), fixtures::a_run_is_queued);
    check("maintain-running", page, &options(), fixtures::a_run_with_a_total);
    check("maintain-running-no-total", page, &options(), fixtures::a_run_without_a_total);
    check("maintain-ran", page, &options(), fixtures::a_run_that_ran);
    check("maintain-noop", page, &options(), fixtures::a_run_with_nothing_to_do);
    check("maintain-already-running", page, &options(), fixtures::a_run_of_somebody_else);
    check("maintain-failed", page, &options(), fixtures::a_run_that_failed);
    check("maintain-cancelled", page, &options(), fixtures::a_run_that_was_cancelled);
    let cancel = |model: &mut Model| drop(press(model, &format!("{LANCE_PAGE} x")));
    check("maintain-cancel-question", cancel, &options(), fixtures::a_run_with_a_total);
}

#[test]
fn maintenance_in_the_overview() {
    check("overview-maintained", |_| {}, &options(), fixtures::a_run_is_queued);
    check(
        "overview-maintenance-failed",
        |model| drop(press(model, "S-Tab j")),
        &options(),
        fixtures::a_run_that_failed,
    );
    let ended = |model: &mut Model| drop(send(model, fixtures::a_run_that_ran()));
    check("overview-maintenance-ended", ended, &options(), fixtures::a_run_with_a_total);
}

#[test]
fn maintenance_in_ascii() {
    let ascii = Options { ascii: true, color: false, ..options() };
    check("ascii-maintain-ran", |model| drop(press(model, LANCE_PAGE)), &ascii, fixtures::a_run_that_ran);
    check("ascii-maintain-running", |model| drop(press(model, LANCE_PAGE)), &ascii, fixtures::a_run_is_queued);
    check("ascii-maintain-menu", |model| drop(press(model, "S-Tab j m")), &ascii, fixtures::a_run_that_failed);
}

#[test]
fn a_backend_without_maintenance() {
    check("maintain-none", |model| drop(press(model, "S-Tab m")), &options(), fixtures::live);
}

#[test]
fn leaving_while_maintenance_is_under_way() {
    check("confirm-maintained", |model| drop(press(model, "q")), &options(), fixtures::a_run_is_queued);
}

#[test]
fn the_page_of_an_event() {
    check("event-page", |model| drop(press(model, "Tab k Enter")), &options(), fixtures::degraded);
}

#[test]
fn ascii_only() {
    check("ascii", |_| {}, &Options { ascii: true, color: false, ..options() }, fixtures::degraded);
    check(
        "ascii-link-page",
        |model| drop(press(model, "Enter")),
        &Options { ascii: true, color: false, ..options() },
        fixtures::copying,
    );
}

#[test]
fn ascii_means_ascii() {
    for keys in ["Tab", "Enter", "S-Tab Enter", "S-Tab j m", "S-Tab j m Enter", "S-Tab j x", "?", "q"] {
        let options = Options { ascii: true, ..options() };
        let mut model = model_with(options, (120, 40), fixtures::a_run_that_ran());
        press(&mut model, keys);
        let text = text(&model);
        assert!(text.is_ascii(), "{keys}: {:?}", text.chars().find(|c| !c.is_ascii()));
    }
}

#[test]
fn the_question_before_quitting() {
    check("confirm", |model| drop(press(model, "q")), &options(), fixtures::live);
}

#[test]
fn five_hundred_links() {
    let prepare = |model: &mut Model| drop(press(model, "PgDn j"));
    check("many", prepare, &options(), || fixtures::many(500));
}

#[test]
fn a_pause_from_request_to_refusal() {
    let prepare = |model: &mut Model| {
        press(model, "p");
        let mut snapshot = fixtures::copying();
        change(&mut snapshot, 0, |link| {
            use palanquin_actors::board::{Act, ActKind, ActStatus};
            let status = ActStatus::Refused("the target is committing".into());
            link.act = Some(Act { kind: ActKind::Pause, at_ms: NOW_MS, status });
        });
        send(model, snapshot);
    };
    check("refused", prepare, &options(), fixtures::copying);
}

fn style_of(buffer: &Buffer, word: &str) -> (Color, Modifier) {
    let width = usize::from(buffer.area.width);
    for row in buffer.content.chunks(width) {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        if let Some(at) = line.find(word) {
            let cell = &row[line[..at].chars().count()];
            return (cell.fg, cell.modifier);
        }
    }
    panic!("{word} is not on the screen");
}

#[test]
fn states_have_the_colours_of_the_sixteen() {
    let buffer = draw(&model(fixtures::degraded()));
    assert_eq!(style_of(&buffer, "↻ waiting  ").0, Color::Yellow);
    assert_eq!(style_of(&buffer, "✗ halted"), (Color::Red, Modifier::BOLD));
    assert_eq!(style_of(&buffer, "‖ paused").0, Color::Magenta);
    assert_eq!(style_of(&buffer, "✓ done").0, Color::Green);
    assert_eq!(style_of(&buffer, "▲ degraded").0, Color::Yellow);
}

#[test]
fn states_of_maintenance_have_colours_too() {
    let colour = |snapshot: Snapshot, word: &str| {
        let mut model = model(snapshot);
        press(&mut model, LANCE_PAGE);
        style_of(&draw(&model), word)
    };
    assert_eq!(colour(fixtures::a_run_is_queued(), "○ queued").0, Color::Magenta);
    assert_eq!(colour(fixtures::a_run_with_a_total(), "► running").0, Color::Cyan);
    assert_eq!(colour(fixtures::a_run_that_ran(), "✓ ran").0, Color::Green);
    assert_eq!(colour(fixtures::a_run_with_nothing_to_do(), "= noop").0, Color::Reset);
    assert_eq!(colour(fixtures::a_run_of_somebody_else(), "» already_running").0, Color::Magenta);
    assert_eq!(colour(fixtures::a_run_that_failed(), "✗ failed"), (Color::Red, Modifier::BOLD));
    assert_eq!(colour(fixtures::live(), "✓ known_match").0, Color::Green);
}

#[test]
fn without_colour_there_is_none() {
    let none = |snapshot: Snapshot, keys: &str| {
        let mut model = model_with(Options { color: false, ..options() }, (120, 40), snapshot);
        press(&mut model, keys);
        let buffer = draw(&model);
        assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset), "{keys}");
    };
    for keys in ["Tab", "Enter", "S-Tab Enter", "?", "q"] {
        none(fixtures::degraded(), keys);
    }
    for keys in [LANCE_PAGE, "S-Tab j m", "S-Tab j m Enter", "S-Tab j m Enter y"] {
        none(fixtures::a_run_is_queued(), keys);
    }
}

#[test]
fn the_focused_button_of_a_question_is_cancel() {
    let mut model = model(fixtures::copying());
    press(&mut model, "q");
    let buffer = draw(&model);
    assert!(style_of(&buffer, "[N] cancel").1.contains(Modifier::REVERSED));
    assert!(!style_of(&buffer, "[y] quit").1.contains(Modifier::REVERSED));
    press(&mut model, "n S-Tab j m Enter");
    let buffer = draw(&model);
    assert!(style_of(&buffer, "[N] cancel").1.contains(Modifier::REVERSED));
    assert!(!style_of(&buffer, "[y] run").1.contains(Modifier::REVERSED));
}

#[test]
fn a_mirror_that_compares_shows_its_level_its_interval_and_its_last_round() {
    let mut snapshot = fixtures::live();
    let last_round = Some(Round { rows: 1_203_000, changes: 41, began_at_ms: NOW_MS - 95_000, took_ms: 61_000 });
    let capture = CaptureView { level: CaptureLevel::Scan, interval_ms: Some(300_000), last_round };
    change(&mut snapshot, 0, |link| link.capture = Some(capture));
    let mut model = model_with(options(), (140, 40), snapshot);
    let list = text(&model);
    assert!(list.contains("capture scan every 5m 00s") && list.contains("1m 35s ago"), "{list}");
    press(&mut model, "Enter");
    let page = text(&model);
    for part in ["scan every 5m 00s", "1,203,000 rows read in 1m 01s, 41 changes; begun 1m 35s ago"] {
        assert!(page.contains(part), "{part:?} is not in {page}");
    }
}
