//! The key table. It dispatches keys, fills the context bar and is the help text; there is no other list of keys.

use super::model::{Model, Place};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Open,
    Back,
    NextPanel,
    PreviousPanel,
    Move(Movement),
    NextProblem,
    PauseOrResume,
    Maintain,
    /// Asks whether a maintenance run is to be cancelled.
    CancelRun,
    Freeze,
    Help,
    Quit,
    /// As [`Act::Quit`], and once more to leave at once.
    QuitHard,
    Suspend,
    Redraw,
    /// From the menu to the question.
    Ask,
    Yes,
    No,
    SwitchButton,
    PressButton,
}

/// A move within a list or a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Movement {
    Down,
    Up,
    PageDown,
    PageUp,
    First,
    Last,
}

/// A key and the modifiers that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    code: KeyCode,
    control: bool,
}

/// One line of the table.
pub(crate) struct Binding {
    pub(crate) keys: &'static [Key],
    pub(crate) act: Act,
    /// What it does, for the help text.
    pub(crate) help: &'static str,
    /// For the context bar, with its priority there (1 stays longest); none is left out of it.
    pub(crate) bar: Option<(&'static str, u8)>,
    /// Where it works.
    pub(crate) places: &'static [Place],
}

const fn key(c: char) -> Key {
    Key { code: KeyCode::Char(c), control: false }
}

const fn control(c: char) -> Key {
    Key { code: KeyCode::Char(c), control: true }
}

const fn named(code: KeyCode) -> Key {
    Key { code, control: false }
}

const LISTS: &[Place] = &[Place::Overview];
const SCREENS: &[Place] = &[Place::Overview, Place::Page];
const READING: &[Place] = &[Place::Overview, Place::Page, Place::Help];
const MOVING: &[Place] = &[Place::Overview, Place::Page, Place::Help, Place::Menu, Place::Question];
const CLOSABLE: &[Place] = &[Place::Overview, Place::Page, Place::Help, Place::Menu];
const MENU: &[Place] = &[Place::Menu];
const QUESTIONS: &[Place] = &[Place::Dialog, Place::Question, Place::Cancelling];
const ANYWHERE: &[Place] =
    &[Place::Overview, Place::Page, Place::Help, Place::Dialog, Place::Menu, Place::Question, Place::Cancelling];

/// Every key there is.
pub(crate) const TABLE: &[Binding] = &[
    Binding {
        keys: &[named(KeyCode::Enter)],
        act: Act::Open,
        help: "open the selected palace, link or event",
        bar: Some(("open", 2)),
        places: LISTS,
    },
    Binding {
        keys: &[named(KeyCode::Esc)],
        act: Act::Back,
        help: "back (never quits)",
        bar: Some(("back", 2)),
        places: CLOSABLE,
    },
    Binding {
        keys: &[key('p')],
        act: Act::PauseOrResume,
        help: "pause the link; resume it if it is paused or halted",
        bar: Some(("pause", 3)),
        places: SCREENS,
    },
    Binding {
        keys: &[key('m')],
        act: Act::Maintain,
        help: "maintain the palace: what can be run, and what it does",
        bar: Some(("maintain", 3)),
        places: SCREENS,
    },
    Binding {
        keys: &[key('x')],
        act: Act::CancelRun,
        help: "cancel the palace's maintenance run; asks first",
        bar: Some(("cancel run", 3)),
        places: SCREENS,
    },
    Binding {
        keys: &[named(KeyCode::Tab)],
        act: Act::NextPanel,
        help: "next panel",
        bar: Some(("panel", 4)),
        places: LISTS,
    },
    Binding {
        keys: &[named(KeyCode::BackTab)],
        act: Act::PreviousPanel,
        help: "previous panel",
        bar: None,
        places: LISTS,
    },
    Binding {
        keys: &[key('j'), named(KeyCode::Down)],
        act: Act::Move(Movement::Down),
        help: "down",
        bar: Some(("move", 8)),
        places: MOVING,
    },
    Binding {
        keys: &[key('k'), named(KeyCode::Up)],
        act: Act::Move(Movement::Up),
        help: "up",
        bar: None,
        places: MOVING,
    },
    Binding {
        keys: &[named(KeyCode::PageDown), control('d')],
        act: Act::Move(Movement::PageDown),
        help: "a screen down",
        bar: None,
        places: MOVING,
    },
    Binding {
        keys: &[named(KeyCode::PageUp), control('u')],
        act: Act::Move(Movement::PageUp),
        help: "a screen up",
        bar: None,
        places: MOVING,
    },
    Binding {
        keys: &[key('g'), named(KeyCode::Home)],
        act: Act::Move(Movement::First),
        help: "first",
        bar: None,
        places: MOVING,
    },
    Binding {
        keys: &[key('G'), named(KeyCode::End)],
        act: Act::Move(Movement::Last),
        help: "last; events follow again",
        bar: None,
        places: MOVING,
    },
    Binding {
        keys: &[key('n')],
        act: Act::NextProblem,
        help: "next palace or link with a problem",
        bar: Some(("next problem", 6)),
        places: LISTS,
    },
    Binding {
        keys: &[key(' ')],
        act: Act::Freeze,
        help: "freeze the view (work goes on); again for live",
        bar: Some(("freeze", 5)),
        places: SCREENS,
    },
    Binding {
        keys: &[key('?')],
        act: Act::Help,
        help: "these keys, and what the signs mean",
        bar: Some(("help", 1)),
        places: READING,
    },
    Binding {
        keys: &[key('q')],
        act: Act::Quit,
        help: "quit; asks first while links or maintenance work",
        bar: Some(("quit", 1)),
        places: READING,
    },
    Binding {
        keys: &[control('c')],
        act: Act::QuitHard,
        help: "quit; once more to confirm, once more not to wait",
        bar: None,
        places: ANYWHERE,
    },
    Binding {
        keys: &[control('z')],
        act: Act::Suspend,
        help: "suspend to the shell (stops the work too); fg returns",
        bar: None,
        places: ANYWHERE,
    },
    Binding { keys: &[control('l')], act: Act::Redraw, help: "draw the screen anew", bar: None, places: ANYWHERE },
    Binding {
        keys: &[named(KeyCode::Enter)],
        act: Act::Ask,
        help: "choose the kind; a question comes before it is run",
        bar: Some(("choose", 1)),
        places: MENU,
    },
    Binding {
        keys: &[key('y')],
        act: Act::Yes,
        help: "yes: quit, run it, or cancel the run",
        bar: Some(("quit", 1)),
        places: QUESTIONS,
    },
    Binding {
        keys: &[key('n'), named(KeyCode::Esc)],
        act: Act::No,
        help: "no: nothing is done",
        bar: Some(("cancel", 1)),
        places: QUESTIONS,
    },
    Binding {
        keys: &[named(KeyCode::Tab), named(KeyCode::BackTab), named(KeyCode::Left), named(KeyCode::Right)],
        act: Act::SwitchButton,
        help: "other button",
        bar: Some(("other button", 3)),
        places: QUESTIONS,
    },
    Binding {
        keys: &[named(KeyCode::Enter)],
        act: Act::PressButton,
        help: "press the button",
        bar: Some(("press", 2)),
        places: QUESTIONS,
    },
];

/// What a key does in a place.
pub(crate) fn act(event: &KeyEvent, place: Place) -> Option<Act> {
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    if event.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    let pressed = Key { code: event.code, control };
    let found = TABLE.iter().find(|binding| binding.places.contains(&place) && binding.keys.contains(&pressed));
    found.map(|binding| binding.act)
}

/// Keys worth showing now: (key, what it does, priority), in the order of the table.
pub(crate) fn bar(model: &Model) -> impl Iterator<Item = (String, &'static str, u8)> + '_ {
    let place = model.place();
    TABLE.iter().filter(move |binding| binding.places.contains(&place)).filter_map(move |binding| {
        let (label, priority) = binding.bar?;
        let label = match binding.act {
            Act::Back if place == Place::Overview => return None,
            Act::PauseOrResume => model.pause_label()?,
            Act::Maintain if !model.can_maintain() => return None,
            Act::CancelRun if !model.can_cancel() => return None,
            Act::Yes if place == Place::Question => "run",
            Act::Yes if place == Place::Cancelling => "cancel it",
            Act::No if place == Place::Cancelling => "let it run",
            Act::Move(_) if place == Place::Question => return None,
            Act::Freeze if model.frozen.is_some() => "go live",
            Act::Help if place == Place::Help => "close",
            Act::Open if model.selected_page().is_none() => return None,
            Act::NextProblem if !model.has_problems() => return None,
            _ => label,
        };
        let key = binding.keys.first()?.name();
        let key = if binding.act == Act::Move(Movement::Down) { format!("{key}/{}", up_key()) } else { key };
        Some((key, label, priority))
    })
}

fn up_key() -> String {
    let up = TABLE.iter().find(|binding| binding.act == Act::Move(Movement::Up));
    up.and_then(|binding| binding.keys.first()).map(|key| key.name()).unwrap_or_default()
}

impl Key {
    /// As it is written on the screen.
    pub(crate) fn name(self) -> String {
        let name = match self.code {
            KeyCode::Char(' ') => "space",
            KeyCode::Char(c) if self.control => return format!("^{}", c.to_ascii_uppercase()),
            KeyCode::Char(c) => return c.to_string(),
            KeyCode::Enter => "Enter",
            KeyCode::Esc => "Esc",
            KeyCode::Tab => "Tab",
            KeyCode::BackTab => "S-Tab",
            KeyCode::Up => "Up",
            KeyCode::Down => "Down",
            KeyCode::Left => "Left",
            KeyCode::Right => "Right",
            KeyCode::PageUp => "PgUp",
            KeyCode::PageDown => "PgDn",
            KeyCode::Home => "Home",
            KeyCode::End => "End",
            _ => "?",
        };
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_does_two_things_in_one_place() {
        for place in ANYWHERE {
            let mut seen: Vec<Key> = Vec::new();
            for binding in TABLE.iter().filter(|binding| binding.places.contains(place)) {
                for key in binding.keys {
                    assert!(!seen.contains(key), "{} twice in {place:?}", key.name());
                    seen.push(*key);
                }
            }
        }
    }

    #[test]
    fn every_key_has_a_name_and_every_binding_its_help() {
        for binding in TABLE {
            assert!(!binding.help.is_empty() && !binding.keys.is_empty() && !binding.places.is_empty());
            assert!(binding.keys.iter().all(|key| key.name() != "?" || key.code == KeyCode::Char('?')));
        }
    }

    #[test]
    fn shift_is_part_of_the_letter() {
        let capital = KeyEvent::new(KeyCode::Char('G'), KeyModifiers::SHIFT);
        assert_eq!(act(&capital, Place::Overview), Some(Act::Move(Movement::Last)));
        let back_tab = KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT);
        assert_eq!(act(&back_tab, Place::Overview), Some(Act::PreviousPanel));
    }
}
