use super::{cells, frame_box};
use crate::dashboard::layout;
use crate::dashboard::model::Model;
use crate::dashboard::theme::{Theme, Tone};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

/// Columns of the widest dialog, its frame included.
const WIDEST: u16 = 72;

/// A box in the middle of the body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialog {
    outer: Rect,
    /// Where its content goes.
    pub(super) inside: Rect,
}

impl Dialog {
    /// Columns for content on this screen.
    pub(super) fn width(model: &Model) -> usize {
        let body = layout::screen(model.size).body;
        usize::from(body.width.min(WIDEST).saturating_sub(4))
    }

    /// With room for so many lines of content, if the body has it.
    pub(super) fn new(model: &Model, lines: usize) -> Self {
        let body = layout::screen(model.size).body;
        let width = body.width.min(WIDEST);
        let height = u16::try_from(lines).unwrap_or(u16::MAX).saturating_add(2).min(body.height);
        let (x, y) = (body.x + (body.width - width) / 2, body.y + (body.height - height) / 2);
        let inside = Rect::new(x + 2.min(width), y + 1.min(height), width.saturating_sub(4), height.saturating_sub(2));
        Self { outer: Rect::new(x, y, width, height), inside }
    }

    pub(super) fn draw(&self, theme: &Theme, title: &str, remark: &str, frame: &mut Frame<'_>) {
        frame_box::draw(theme, title, remark, self.outer, frame);
    }
}

/// The two answers to a question; the one with the focus stands out.
pub(super) fn buttons(yes_label: &str, no_label: &str, yes: bool, theme: &Theme) -> Line<'static> {
    let button = |words: &str, focused: bool| {
        let modifier = if focused { Modifier::REVERSED | Modifier::BOLD } else { Modifier::empty() };
        Span::styled(format!(" {words} "), Style::new().add_modifier(modifier))
    };
    let pointer = |focused: bool| cells::toned(if focused { theme.glyphs.marker } else { " " }, Tone::Accent, theme);
    let buttons = [pointer(yes), button(yes_label, yes), Span::raw("   "), pointer(!yes), button(no_label, !yes)];
    Line::from(buttons.to_vec()).centered()
}
