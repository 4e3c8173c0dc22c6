//! A store's own figures: nested JSON whose names are the store's, laid out to be read.
//!
//! [`node`] finds what belongs together (before and after, lists of like objects), [`words`] writes one figure, and this
//! puts them on a page: changes a line each, single figures side by side, objects below their name, lists as tables.

mod node;
mod table;
mod words;

pub(super) use words::figure;

use super::cells::{Side, fit, pad, plain, toned};
use super::page_text::PageText;
use crate::dashboard::text;
use crate::dashboard::theme::Tone;
use node::Node;
use ratatui::style::Stylize;
use ratatui::text::{Line, Span};
use serde_json::Value;

/// Columns between two figures on a line.
const GAP: usize = 3;
/// Figures on a line, at most.
const MOST_ACROSS: usize = 4;
/// A figure wider than this has lines of its own.
const LONG: usize = 28;

/// Writes an object's entries, so many columns in.
pub(super) fn write<'a>(
    entries: impl IntoIterator<Item = (&'a String, &'a Value)>,
    indent: usize,
    page: &mut PageText,
) {
    nodes(node::of(entries), indent, page);
}

fn nodes(nodes: Vec<(String, Node<'_>)>, indent: usize, page: &mut PageText) {
    // Nothing that is nested so deeply is to be read on a screen.
    let indent = indent.min(page.width / 2);
    let mut changes = Vec::new();
    let mut figures = Vec::new();
    let mut rest = Vec::new();
    for (name, node) in nodes {
        match node {
            Node::Change(before, after) => changes.push((name, before, after)),
            Node::Figure(value) => figures.push((words::label(&name, value), words::figure(&name, value))),
            Node::Group(_) | Node::Table(_) => rest.push((name, node)),
        }
    }
    write_changes(&changes, indent, page);
    write_grid(figures, indent, page);
    for (name, node) in rest {
        let name = text::clean(&name).into_owned();
        match node {
            Node::Group(inner) => {
                page.line(Line::from(vec![plain(" ".repeat(indent)), plain(name).bold()]));
                self::nodes(inner, indent + 2, page);
            }
            Node::Table(items) => {
                let name = format!("{name} {}", items.len());
                page.line(Line::from(vec![plain(" ".repeat(indent)), plain(name).bold()]));
                table::write(items, indent + 2, page);
            }
            Node::Figure(_) | Node::Change(..) => {}
        }
    }
}

/// `fragments  401 → 3  -398`, in line with each other.
fn write_changes(changes: &[(String, &Value, &Value)], indent: usize, page: &mut PageText) {
    let theme = page.theme;
    let rows: Vec<[String; 4]> = changes
        .iter()
        .map(|(name, before, after)| {
            let label = words::label(name, after);
            [label, figure(name, before), figure(name, after), words::difference(name, before, after)]
        })
        .collect();
    let width = |column: usize| rows.iter().map(|row| text::width(&row[column])).max().unwrap_or(0);
    let [label, before, after] = [width(0), width(1), width(2)];
    for row in &rows {
        let [name, from, to, difference] = row;
        let mut line = Line::from(" ".repeat(indent));
        line.push_span(toned(fit(name, label, Side::Left, &theme) + "  ", Tone::Dim, &theme));
        line.push_span(plain(fit(from, before, Side::Right, &theme)));
        line.push_span(toned(format!(" {} ", theme.glyphs.arrow), Tone::Dim, &theme));
        line.push_span(plain(fit(to, after, Side::Left, &theme)));
        line.push_span(toned(format!("  {difference}"), Tone::Dim, &theme));
        page.line(line);
    }
}

/// Figures side by side, as many as fit; long ones below.
fn write_grid(figures: Vec<(String, String)>, indent: usize, page: &mut PageText) {
    let theme = page.theme;
    let room = page.width.saturating_sub(indent);
    let is_long = |(label, value): &(String, String)| {
        text::width(value) > LONG || text::width(label) + text::width(value) + 2 > room
    };
    let (long, short): (Vec<_>, Vec<_>) = figures.into_iter().partition(is_long);
    let short: Vec<(String, String)> =
        short.into_iter().map(|(label, value)| (text::clean(&label).into_owned(), value)).collect();
    let across = (1..=MOST_ACROSS).rev().find(|across| columns(&short, *across).1 <= room).unwrap_or(1);
    // No more columns than it takes for as few lines.
    let across = short.len().div_ceil(short.len().div_ceil(across).max(1)).max(1);
    let (widths, _) = columns(&short, across);
    for row in short.chunks(across) {
        let mut line = Line::from(" ".repeat(indent));
        for (index, ((name, figure), (label, value))) in row.iter().zip(&widths).enumerate() {
            if index > 0 {
                line.push_span(Span::raw(" ".repeat(GAP)));
            }
            let side = if figure.starts_with(|c: char| c.is_ascii_digit()) { Side::Right } else { Side::Left };
            line.push_span(toned(pad(name.clone(), *label, Side::Left) + "  ", Tone::Dim, &theme));
            line.push_span(plain(fit(figure, *value, side, &theme)));
        }
        page.line(line);
    }
    for (label, value) in long {
        let label = text::cut(&label, room / 2, theme.glyphs.ellipsis);
        let before = vec![plain(" ".repeat(indent)), toned(label + "  ", Tone::Dim, &theme)];
        page.paragraph(before, &value, Tone::Plain);
    }
}

/// Widths of labels and values if so many stand side by side, and of the whole line.
fn columns(figures: &[(String, String)], across: usize) -> (Vec<(usize, usize)>, usize) {
    let mut widths = vec![(0, 0); across.min(figures.len())];
    for row in figures.chunks(across) {
        for ((label, value), (label_width, value_width)) in row.iter().zip(&mut widths) {
            *label_width = text::width(label).max(*label_width);
            *value_width = text::width(value).max(*value_width);
        }
    }
    let total = widths.iter().map(|(label, value)| label + 2 + value + GAP).sum::<usize>();
    (widths, total.saturating_sub(GAP))
}
