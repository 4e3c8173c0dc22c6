use super::words::figure;
use crate::dashboard::text;
use crate::dashboard::theme::Tone;
use crate::dashboard::view::cells::{Side, fit, plain, toned};
use crate::dashboard::view::page_text::PageText;
use ratatui::text::Line;
use serde_json::Value;

/// Columns between two cells.
const GAP: usize = 2;

/// Writes like objects as a table, or each below its name where that is too wide.
pub(super) fn write(items: &[Value], indent: usize, page: &mut PageText) {
    let theme = page.theme;
    let columns = columns(items);
    let rows: Vec<Vec<String>> =
        items.iter().map(|item| columns.iter().map(|name| cell(item, name)).collect()).collect();
    let heads: Vec<String> = columns.iter().map(|name| name.replace('_', " ").to_uppercase()).collect();
    let width = |column: usize| rows.iter().chain([&heads]).map(|row| text::width(&row[column])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let total = widths.iter().sum::<usize>() + GAP * columns.len().saturating_sub(1);
    if total > page.width.saturating_sub(indent) {
        return one_by_one(items, indent, page);
    }
    let side = |column: usize| {
        let counted =
            items.iter().all(|item| item.get(columns[column]).is_none_or(|value| value.is_number() || value.is_null()));
        if counted { Side::Right } else { Side::Left }
    };
    let line = |row: &[String], tone: Tone| {
        let cells = row.iter().enumerate().map(|(column, value)| fit(value, widths[column], side(column), &theme));
        let cells = cells.collect::<Vec<_>>().join(&" ".repeat(GAP));
        Line::from(vec![plain(" ".repeat(indent)), toned(cells, tone, &theme)])
    };
    page.line(line(&heads, Tone::Dim));
    for row in &rows {
        page.line(line(row, Tone::Plain));
    }
}

fn one_by_one(items: &[Value], indent: usize, page: &mut PageText) {
    for item in items {
        let Some(object) = item.as_object() else { continue };
        let mut indent = indent;
        if let Some(name) = object.get("name").and_then(Value::as_str) {
            page.line(Line::from(vec![plain(" ".repeat(indent)), plain(text::clean(name).into_owned())]));
            indent += 2;
        }
        super::write(object.iter().filter(|(name, value)| *name != "name" || !value.is_string()), indent, page);
    }
}

/// Names of all entries: the name first, then words, then figures.
fn columns(items: &[Value]) -> Vec<&str> {
    let objects = || items.iter().filter_map(Value::as_object);
    let mut names: Vec<&str> = objects().flat_map(|object| object.keys().map(String::as_str)).collect();
    names.sort_unstable();
    names.dedup();
    let is_figure = |name: &str| objects().all(|object| object.get(name).is_none_or(Value::is_number));
    names.sort_by_key(|name| (*name != "name", is_figure(name), *name));
    names
}

fn cell(item: &Value, name: &str) -> String {
    item.get(name).map_or("-".to_owned(), |value| text::clean(&figure(name, value)).into_owned())
}
