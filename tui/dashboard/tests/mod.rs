//! The whole dashboard without a terminal: messages in, frames out.

mod frames;
mod leaving;
mod maintaining;
mod sizes;
mod steering;

use super::fixtures::NOW_MS;
use super::model::Model;
use super::update::{Cmd, Msg, update};
use super::view::view;
use super::{Options, fixtures};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::tz::TimeZone;
use palanquin_actors::board::{LinkView, Snapshot};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use std::sync::Arc;

fn options() -> Options {
    Options { title: "migrate chroma to lance".into(), color: true, ..Options::default() }
}

fn model_with(options: Options, size: (u16, u16), snapshot: Snapshot) -> Model {
    let mut model = Model::new(options, TimeZone::UTC, size, NOW_MS);
    send(&mut model, snapshot);
    model
}

fn model(snapshot: Snapshot) -> Model {
    model_with(options(), (80, 24), snapshot)
}

fn send(model: &mut Model, snapshot: Snapshot) -> Vec<Cmd> {
    update(model, Msg::Snapshot(Arc::new(snapshot)))
}

fn at(model: &mut Model, now_ms: i64) -> Vec<Cmd> {
    update(model, Msg::Clock { now_ms })
}

/// Presses keys by their names in the key table.
fn press(model: &mut Model, keys: &str) -> Vec<Cmd> {
    let key = |name: &str| match name {
        "space" => KeyEvent::from(KeyCode::Char(' ')),
        "Enter" => KeyEvent::from(KeyCode::Enter),
        "Esc" => KeyEvent::from(KeyCode::Esc),
        "Tab" => KeyEvent::from(KeyCode::Tab),
        "S-Tab" => KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT),
        "PgDn" => KeyEvent::from(KeyCode::PageDown),
        "PgUp" => KeyEvent::from(KeyCode::PageUp),
        name if name.starts_with('^') => {
            let letter = name.chars().last().unwrap().to_ascii_lowercase();
            KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL)
        }
        name => KeyEvent::from(KeyCode::Char(name.chars().next().unwrap())),
    };
    keys.split(' ').flat_map(|name| update(model, Msg::Key(key(name)))).collect()
}

fn change(snapshot: &mut Snapshot, index: usize, change: impl FnOnce(&mut LinkView)) {
    change(Arc::make_mut(&mut snapshot.links[index]));
}

fn draw(model: &Model) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(model.size.0, model.size.1)).unwrap();
    terminal.draw(|frame| view(model, frame)).unwrap();
    terminal.backend().buffer().clone()
}

fn text(model: &Model) -> String {
    let buffer = draw(model);
    let width = usize::from(buffer.area.width).max(1);
    let rows = buffer.content.chunks(width).map(|row| {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        line.trim_end().to_owned()
    });
    rows.collect::<Vec<_>>().join("\n")
}
