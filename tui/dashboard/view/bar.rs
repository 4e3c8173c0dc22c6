use crate::dashboard::theme::Theme;

/// A bar of so many columns.
pub(super) fn bar(permille: u16, width: usize, theme: &Theme) -> String {
    let steps = theme.glyphs.bar;
    let filled = usize::from(permille) * width * steps.len() / 1000;
    let (whole, part) = (filled / steps.len(), filled % steps.len());
    let mut bar = steps.last().copied().unwrap_or("#").repeat(whole);
    if part > 0 {
        bar.push_str(steps[part - 1]);
    }
    let empty = width.saturating_sub(whole + usize::from(part > 0));
    bar + &theme.glyphs.bar_empty.repeat(empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_only_when_all_is_done() {
        let theme = Theme::new(false, true);
        assert_eq!(bar(1000, 10, &theme), "██████████");
        assert_eq!(bar(999, 10, &theme), "█████████▉");
        assert_eq!(bar(0, 4, &theme), "░░░░");
        assert_eq!(bar(342, 10, &Theme::new(true, true)), "###.......");
    }
}
