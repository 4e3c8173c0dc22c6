use super::cells::{self, Side, fit, toned};
use super::page_text::PageText;
use crate::dashboard::theme::Tone;
use crate::dashboard::{format, text};
use palanquin_actors::board::{CollectionView, PalaceView};
use palanquin_engine::contract::{EmbedderIdentity, IdentityState};
use ratatui::text::{Line, Span};

/// With less room each collection takes two lines.
const TABLE_FROM: usize = 70;
/// Columns of the longest identity state and its symbol.
const STATE: usize = 16;

/// The collections, their figures, and how their models compare with the other end's.
pub(super) fn write(palace: &PalaceView, page: &mut PageText) {
    page.heading(&format!("Collections {}", palace.collections.len()));
    if palace.collections.is_empty() {
        let words = if palace.checked_at_ms.is_some() { "none" } else { "not counted yet" };
        page.line(Line::from(toned(words, Tone::Dim, &page.theme)));
        return;
    }
    if page.width >= TABLE_FROM {
        table(&palace.collections, page);
    } else {
        stacked(&palace.collections, page);
    }
    explain(&palace.collections, page);
}

fn table(collections: &[CollectionView], page: &mut PageText) {
    let theme = page.theme;
    let heads = ["NAME", "ROWS", "WIDTH", "METRIC", "MODEL"].map(str::to_owned);
    let rows: Vec<[String; 5]> = collections.iter().map(cells_of).collect();
    let widest = |column: usize| {
        let cells = rows.iter().chain([&heads]).map(|row| text::width(&row[column]));
        cells.max().unwrap_or(0)
    };
    let mut widths = [0, 1, 2, 3, 4].map(widest);
    // Names and models give way: figures are never cut.
    let figures: usize = widths[1..4].iter().sum::<usize>() + 5 * 2 + STATE;
    let room = page.width.saturating_sub(figures);
    widths[4] = widths[4].min(room.saturating_sub(widths[0]).max(room * 2 / 5));
    widths[0] = widths[0].min(room.saturating_sub(widths[4]));
    let line = |row: &[String; 5], sign: Span<'static>, tone: Tone| {
        let side = |column: usize| if matches!(column, 1 | 2) { Side::Right } else { Side::Left };
        let cell = |column: usize| fit(&row[column], widths[column], side(column), &theme) + "  ";
        Line::from(vec![toned((0..5).map(cell).collect::<String>(), tone, &theme), sign])
    };
    page.line(line(&heads, toned("IDENTITY", Tone::Dim, &theme), Tone::Dim));
    for (collection, row) in collections.iter().zip(&rows) {
        page.line(line(row, cells::sign(theme.identity(collection.identity_state), &theme), Tone::Plain));
    }
}

fn stacked(collections: &[CollectionView], page: &mut PageText) {
    let theme = page.theme;
    for collection in collections {
        let [name, rows, width, metric, model] = cells_of(collection);
        let rows = format!("{rows} row{}", if collection.rows == 1 { "" } else { "s" });
        let room = page.width.saturating_sub(text::width(&rows) + STATE + 4);
        let name = text::cut(&name, room, theme.glyphs.ellipsis);
        let sign = cells::sign(theme.identity(collection.identity_state), &theme);
        page.line(Line::from(vec![toned(format!("{name}  {rows}  "), Tone::Plain, &theme), sign]));
        let about = format!("width {width}, metric {metric}, model {model}");
        page.paragraph(vec![Span::raw("  ")], &about, Tone::Dim);
    }
}

/// Says what a state that wants explaining means here.
fn explain(collections: &[CollectionView], page: &mut PageText) {
    let theme = page.theme;
    let named = |one: &CollectionView| model(one).is_some();
    let notes: [(IdentityState, &[bool], &str); 3] = [
        (IdentityState::KnownMismatch, &[true, false], "made for another model than the other end of its link"),
        (IdentityState::Unknown, &[true], "a model is recorded; nothing to compare it with yet"),
        (IdentityState::Unknown, &[false], "no model recorded, so nothing to compare"),
    ];
    for (state, when_named, words) in notes {
        if collections.iter().any(|one| one.identity_state == state && when_named.contains(&named(one))) {
            let sign = theme.identity(state);
            page.paragraph(vec![cells::sign(sign, &theme), Span::raw("  ")], words, Tone::Dim);
        }
    }
}

fn cells_of(collection: &CollectionView) -> [String; 5] {
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    [
        text::clean(&collection.name).into_owned(),
        format::count(collection.rows),
        or_dash(collection.dimension.map(|dimension| dimension.to_string())),
        or_dash(collection.metric.map(|metric| metric.to_string())),
        model(collection).map_or("none recorded".to_owned(), ToString::to_string),
    ]
}

fn model(collection: &CollectionView) -> Option<&EmbedderIdentity> {
    collection.identity.as_ref().filter(|identity| !identity.model_name.is_empty())
}
