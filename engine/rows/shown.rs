use std::borrow::Cow;

/// An id, or other text out of a row, as it may stand in a line for people: what would move the cursor, colour the
/// terminal, end the line or turn its direction is written out, as in `a\nb`.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(is_spelled_out) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_spelled_out(c) {
            line.extend(c.escape_debug());
        } else {
            line.push(c);
        }
    }
    Cow::Owned(line)
}

fn is_spelled_out(c: char) -> bool {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_spelled_out_and_anything_else_stays() {
        assert!(matches!(shown("drawer_garden ü_\"quoted\"\\ 🙂"), Cow::Borrowed(_)));
        assert_eq!(shown("a\x1b[31m\nverify: equal\0"), "a\\u{1b}[31m\\nverify: equal\\0");
        assert_eq!(shown("a\u{202e}b\u{2028}"), "a\\u{202e}b\\u{2028}");
    }
}
