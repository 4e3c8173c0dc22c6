use super::*;

/// Every kind of screen there is, over the same data.
const SCREENS: [&str; 15] = [
    "Tab",
    "S-Tab",
    "Enter",
    "S-Tab Enter",
    "S-Tab G Enter PgDn PgDn",
    "Tab Enter",
    "?",
    "q",
    "space",
    "? G",
    "S-Tab G m",
    "S-Tab G m j PgDn",
    "S-Tab G m j Enter",
    "S-Tab G m j Enter PgDn Tab",
    "S-Tab G m Enter y",
];

fn draw_all(size: (u16, u16), snapshot: &Snapshot) {
    for keys in SCREENS {
        let mut model = model_with(options(), size, snapshot.clone());
        press(&mut model, keys);
        draw(&model);
        press(&mut model, "G");
        draw(&model);
    }
}

#[test]
fn no_size_makes_it_panic() {
    let snapshot = fixtures::hostile();
    let small = (0..=12).chain([20, 39]);
    for columns in small.chain([40, 41, 58, 60, 66, 70, 92, 130]) {
        for rows in (0..=18).chain([24, 45]) {
            draw_all((columns, rows), &snapshot);
        }
    }
}

#[test]
fn no_snapshot_makes_it_panic_at_any_size_in_between() {
    for snapshot in [Snapshot::default(), fixtures::live(), fixtures::many(60)] {
        for size in [(0, 0), (40, 8), (41, 9), (60, 13), (60, 14), (60, 16), (79, 17), (131, 45), (200, 60)] {
            draw_all(size, &snapshot);
        }
    }
}

#[test]
fn a_frame_drawn_after_the_terminal_has_shrunk_does_no_harm() {
    for drawn in [(0, 0), (3, 3), (40, 8), (200, 60)] {
        let mut model = model_with(options(), (120, 40), fixtures::hostile());
        for keys in SCREENS {
            press(&mut model, keys);
            let mut terminal = Terminal::new(TestBackend::new(drawn.0, drawn.1)).unwrap();
            terminal.draw(|frame| view(&model, frame)).unwrap();
        }
    }
}

#[test]
fn text_from_outside_brings_no_control_characters() {
    let mut model = model_with(options(), (120, 40), fixtures::hostile());
    for keys in ["G Enter", "Esc S-Tab G Enter", "Esc Tab Tab G Enter"] {
        press(&mut model, keys);
        let text = text(&model);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert!(!text.contains('\u{202e}'));
    }
}

#[test]
fn a_screen_too_small_says_what_it_needs() {
    for size in [(39, 24), (80, 7)] {
        assert!(text(&model_with(options(), size, fixtures::live())).contains("too small: needs 40x8"));
    }
    assert!(!text(&model_with(options(), (40, 8), fixtures::live())).contains("too small"));
}
