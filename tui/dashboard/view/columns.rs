use super::cells::{Side, fit, pad};
use crate::dashboard::text;
use crate::dashboard::theme::{Theme, Tone};
use ratatui::text::{Line, Span};

/// Columns before the first cell: the mark of the selected row.
pub(super) const MARK: usize = 2;
/// Columns between two cells.
const GAP: usize = 2;

/// A column of a list. The one whose width is 0 takes what the others leave.
pub(super) struct Column {
    pub(super) head: &'static str,
    pub(super) width: usize,
    pub(super) side: Side,
    /// Columns the list must have for this one to be shown.
    pub(super) from: usize,
}

/// The columns of a list that is so wide.
pub(super) struct Columns<'a> {
    columns: &'a [Column],
    widths: Vec<usize>,
    total: usize,
}

impl<'a> Columns<'a> {
    pub(super) fn new(columns: &'a [Column], total: usize) -> Self {
        let shown = |column: &Column| total >= column.from;
        let taken: usize = columns.iter().filter(|column| shown(column)).map(|column| column.width + GAP).sum();
        let rest = total.saturating_sub(MARK + taken.saturating_sub(GAP));
        let width = |column: &Column| match column.width {
            _ if !shown(column) => 0,
            0 => rest,
            width => width,
        };
        Self { columns, widths: columns.iter().map(width).collect(), total }
    }

    /// Width of a column; 0 if it is not shown.
    pub(super) fn width(&self, index: usize) -> usize {
        self.widths.get(index).copied().unwrap_or(0)
    }

    pub(super) fn heads(&self, theme: &Theme) -> Line<'static> {
        let cells = self.columns.iter().map(|column| (column.head.to_owned(), Tone::Dim)).collect();
        self.line(cells, theme)
    }

    /// A row with one text per column.
    pub(super) fn line(&self, cells: Vec<(String, Tone)>, theme: &Theme) -> Line<'static> {
        let mut line = Line::default();
        for ((value, tone), (column, &width)) in cells.into_iter().zip(self.columns.iter().zip(&self.widths)) {
            if width == 0 {
                continue;
            }
            if !line.spans.is_empty() {
                line.push_span(Span::raw(" ".repeat(GAP)));
            }
            line.push_span(Span::styled(fit(&value, width, column.side, theme), theme.style(tone)));
        }
        line
    }

    /// A row of which only the first two columns are kept, and of the second less than half: the rest is for a note.
    pub(super) fn noted(
        &self,
        state: (String, Tone),
        name: impl Fn(usize) -> String,
        note: Vec<(String, Tone)>,
        theme: &Theme,
    ) -> Line<'static> {
        let first = self.width(0);
        let rest = self.total.saturating_sub(MARK + first + GAP);
        let wanted: usize = note.iter().map(|(value, _)| text::width(value) + 3).sum();
        let second = (rest * 2 / 5).max(rest.saturating_sub(wanted + GAP).min(self.width(1)));
        let mut line = self.line(vec![state], theme);
        line.push_span(Span::raw(" ".repeat(GAP)));
        line.push_span(Span::raw(pad(name(second), second + GAP, Side::Left)));
        line.spans.extend(super::cells::joined(note, rest.saturating_sub(second + GAP), theme).spans);
        line
    }

    /// Where a second line of a row begins: below the second column, if that leaves it enough room.
    pub(super) fn indent(&self) -> usize {
        if self.total >= 70 { self.width(0) + GAP } else { 2 }
    }
}
