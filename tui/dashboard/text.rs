//! Text from outside made fit for cells: cleaned, measured and cut by display width.

use ratatui::style::Style;
use ratatui::text::Span;
use std::borrow::Cow;

/// Without control characters and those that reorder or hide text; line breaks and tabs become spaces.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let kept = text.chars().filter_map(|c| match c {
        '\n' | '\r' | '\t' => Some(' '),
        c if is_unsafe(c) => None,
        c => Some(c),
    });
    Cow::Owned(kept.collect())
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Columns the text takes on the screen.
pub(crate) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// At most `max` columns of the text, its end replaced by `ellipsis` if it is longer.
pub(crate) fn cut(text: &str, max: usize, ellipsis: &str) -> String {
    let text = clean(text);
    if width(&text) <= max {
        return text.into_owned();
    }
    let room = max.saturating_sub(width(ellipsis));
    let head = head(&text, if room == 0 { max } else { room });
    if room == 0 { head } else { head + ellipsis }
}

/// At most `max` columns of an address, its middle replaced by `ellipsis` if it is longer: both its scheme and the
/// last parts of its path tell it from others, the path more so, and whole parts are read best.
pub(crate) fn shorten(address: &str, max: usize, ellipsis: &str) -> String {
    let address = clean(address);
    let room = max.saturating_sub(width(ellipsis));
    if width(&address) <= max || room < 4 {
        return cut(&address, max, ellipsis);
    }
    let most = room * 4 / 5;
    let parts = address.match_indices('/').map(|(at, _)| &address[at..]);
    let whole = parts.map(|part| (part, width(part))).find(|(_, columns)| (4..=most).contains(columns));
    let tail = match whole {
        Some((part, _)) => part.to_owned(),
        None => tail(&address, room * 3 / 5),
    };
    head(&address, room - width(&tail)) + ellipsis + &tail
}

/// Lines of at most `max` columns, broken at spaces where there are any.
pub(crate) fn wrap(text: &str, max: usize) -> Vec<String> {
    let text = clean(text);
    let max = max.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && width(&line) + 1 + width(word) > max {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        let mut pieces = pieces(word, max);
        line.push_str(&pieces.pop().unwrap_or_default());
        lines.append(&mut pieces);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// A word in pieces of at most `max` columns, but never less than a symbol.
fn pieces(word: &str, max: usize) -> Vec<String> {
    let span = Span::raw(word);
    let mut pieces = vec![String::new()];
    let mut used = 0;
    for symbol in span.styled_graphemes(Style::default()).map(|grapheme| grapheme.symbol) {
        let columns = width(symbol);
        if used > 0 && used + columns > max {
            pieces.push(String::new());
            used = 0;
        }
        used += columns;
        if let Some(piece) = pieces.last_mut() {
            piece.push_str(symbol);
        }
    }
    pieces
}

fn head(text: &str, max: usize) -> String {
    let span = Span::raw(text);
    let mut used = 0;
    let fits = |symbol: &&str| {
        used += width(symbol);
        used <= max
    };
    span.styled_graphemes(Style::default()).map(|grapheme| grapheme.symbol).take_while(fits).collect()
}

fn tail(text: &str, max: usize) -> String {
    let span = Span::raw(text);
    let symbols: Vec<&str> = span.styled_graphemes(Style::default()).map(|grapheme| grapheme.symbol).collect();
    let mut used = 0;
    let first = symbols.iter().rposition(|symbol| {
        used += width(symbol);
        used > max
    });
    symbols[first.map_or(0, |index| index + 1)..].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_reordering_characters_never_reach_a_cell() {
        assert_eq!(clean("a\x1b[31mb\u{202e}c\nd\0"), "a[31mbc d");
        assert!(matches!(clean("plain → 漢字"), Cow::Borrowed(_)));
    }

    #[test]
    fn cutting_counts_columns_not_characters() {
        assert_eq!(cut("漢字漢字", 5, "…"), "漢字…");
        assert_eq!(cut("漢字漢字", 4, "…"), "漢…");
        assert_eq!(cut("漢字", 1, "…"), "");
        assert_eq!(cut("plain", 5, "…"), "plain");
        assert_eq!(cut("plain", 0, "…"), "");
    }

    #[test]
    fn an_address_keeps_its_scheme_and_its_last_part() {
        let address = "chroma:/home/ann/.mempalace/palace";
        assert_eq!(shorten(address, 14, "…"), "chroma…/palace");
        assert_eq!(shorten(address, 26, "…"), "chroma:…/.mempalace/palace");
        assert_eq!(shorten("lance:a-name-without-any-parts", 16, "…"), "lance:…any-parts");
        for max in 0..40 {
            assert!(width(&shorten("lance:/漢字/漢字/漢字/palace", max, "..")) <= max, "{max}");
        }
    }

    #[test]
    fn wrapping_breaks_at_spaces_and_inside_long_words_only_if_it_must() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(wrap("", 4), [""]);
        assert_eq!(wrap("漢", 1), ["漢"]);
    }
}
