//! The terminal: taken, given back whatever happens, and taken again after a suspension.

use super::model::Model;
use super::view::view;
use crossterm::cursor::Show;
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Position, Rect};
use std::io::{self, BufWriter, IsTerminal, Stdout, stderr, stdout};
use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

type Hook = dyn Fn(&PanicHookInfo<'_>) + Send + Sync;

/// The screen while it is ours. Dropping it gives the terminal back.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    entered: Entered,
}

impl Screen {
    /// Takes the terminal, for the thread that calls this.
    pub(super) fn enter() -> io::Result<Self> {
        let entered = Entered::new();
        entered.enter()?;
        let terminal = Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(1 << 15, stdout())))?;
        Ok(Self { terminal, entered })
    }

    /// Gives the terminal back for a while.
    pub(super) fn leave(&self) {
        self.entered.leave();
    }

    /// Takes the terminal again; the next frame draws every cell.
    pub(super) fn enter_again(&mut self) -> io::Result<()> {
        self.entered.leave();
        self.entered.enter()?;
        self.redraw()
    }

    /// Has the next frame draw every cell. `Terminal::clear` would ask the terminal where its cursor is and wait for
    /// the answer, which the stream of keys takes.
    pub(super) fn redraw(&mut self) -> io::Result<()> {
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::from((Position::ORIGIN, size)))
    }

    pub(super) fn draw(&mut self, model: &Model) -> io::Result<()> {
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        self.terminal.draw(|frame| view(model, frame))?;
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)
    }
}

/// Whether the terminal is ours, known to the panic hook too.
struct Entered {
    now: Arc<AtomicBool>,
    hook_before: Arc<Hook>,
}

impl Entered {
    /// A panic of this thread gives the terminal back and then says what it has to say. One of another thread must
    /// not write on the screen: it goes to the log unless what it writes to is no terminal.
    fn new() -> Self {
        let now = Arc::new(AtomicBool::new(false));
        let hook_before: Arc<Hook> = Arc::from(std::panic::take_hook());
        let (entered, before, ours) = (Arc::clone(&now), Arc::clone(&hook_before), thread::current().id());
        std::panic::set_hook(Box::new(move |info| {
            if thread::current().id() == ours {
                give_back(&entered);
                before(info);
            } else if entered.load(Ordering::Acquire) && stderr().is_terminal() {
                tracing::error!(thread = thread::current().name().unwrap_or("unnamed"), "{info}");
            } else {
                before(info);
            }
        }));
        Self { now, hook_before }
    }

    fn enter(&self) -> io::Result<()> {
        self.now.store(true, Ordering::Release);
        enable_raw_mode()?;
        execute!(stdout(), EnterAlternateScreen)
    }

    fn leave(&self) {
        give_back(&self.now);
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.leave();
        if !thread::panicking() {
            let before = Arc::clone(&self.hook_before);
            std::panic::set_hook(Box::new(move |info| before(info)));
        }
    }
}

/// Gives the terminal back once. Where that fails there is no terminal any more to tell it to.
fn give_back(entered: &AtomicBool) {
    if entered.swap(false, Ordering::AcqRel) {
        let _ = execute!(stdout(), EndSynchronizedUpdate, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}
