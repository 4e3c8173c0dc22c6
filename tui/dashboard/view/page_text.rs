//! A page is text: headings, labelled values, and lines of figures.

use super::cells::{self, Side, plain};
use crate::dashboard::text;
use crate::dashboard::theme::{Theme, Tone};
use ratatui::style::Stylize;
use ratatui::text::{Line, Span};

/// Columns of the labels.
const LABEL: usize = 14;

/// Collects the lines of a page.
pub(super) struct PageText {
    pub(super) theme: Theme,
    pub(super) width: usize,
    lines: Vec<Line<'static>>,
}

impl PageText {
    pub(super) fn new(theme: Theme, width: usize) -> Self {
        Self { theme, width, lines: Vec::new() }
    }

    pub(super) fn finish(self) -> Vec<Line<'static>> {
        self.lines
    }

    /// Columns for a value beside its label.
    pub(super) fn value_width(&self) -> usize {
        self.width.saturating_sub(LABEL)
    }

    pub(super) fn heading(&mut self, title: &str) {
        self.gap();
        self.lines.push(Line::from(plain(title.to_owned()).bold().underlined()));
    }

    /// A blank line, but not at the top.
    pub(super) fn gap(&mut self) {
        if !self.lines.is_empty() {
            self.lines.push(Line::default());
        }
    }

    pub(super) fn line(&mut self, line: Line<'static>) {
        self.lines.push(line);
    }

    /// A label and its value, which goes on below itself if it is long.
    pub(super) fn value(&mut self, label: &str, value: &str, tone: Tone) {
        let style = self.theme.style(tone);
        for (index, piece) in text::wrap(value, self.value_width()).into_iter().enumerate() {
            let label = self.label(if index == 0 { label } else { "" });
            self.lines.push(Line::from(vec![label, Span::styled(piece, style)]));
        }
    }

    /// A label and a value made of pieces that fit.
    pub(super) fn pieces(&mut self, label: &str, pieces: Vec<Span<'static>>) {
        let mut line = Line::from(self.label(label));
        line.spans.extend(pieces);
        self.lines.push(line);
    }

    /// Long text with something before its first line.
    pub(super) fn paragraph(&mut self, before: Vec<Span<'static>>, value: &str, tone: Tone) {
        let indent = Line::from(before.clone()).width();
        let style = self.theme.style(tone);
        for (index, piece) in text::wrap(value, self.width.saturating_sub(indent)).into_iter().enumerate() {
            let mut line = if index == 0 { Line::from(before.clone()) } else { Line::from(" ".repeat(indent)) };
            line.push_span(Span::styled(piece, style));
            self.lines.push(line);
        }
    }

    fn label(&self, label: &str) -> Span<'static> {
        cells::toned(cells::fit(label, LABEL - 2, Side::Left, &self.theme) + "  ", Tone::Dim, &self.theme)
    }
}
