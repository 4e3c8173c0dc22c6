//! The loop of the dashboard's thread: waits, lets `update` decide, draws.

use super::model::Model;
use super::signals::{self, Notice, Signals};
use super::terminal::Screen;
use super::update::{Cmd, Msg, update};
use super::{Ending, Options};
use crossterm::event::{Event, EventStream, KeyEventKind};
use futures::StreamExt;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use palanquin_actors::Command;
use palanquin_actors::board::Snapshot;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Time between two frames, at least.
const FRAME: Duration = Duration::from_millis(67);
/// Sleeping so long is sleeping until something happens.
const LONG: Duration = Duration::from_secs(3600);

pub(super) fn until_it_ends(
    options: Options,
    board: watch::Receiver<Arc<Snapshot>>,
    commands: mpsc::UnboundedSender<Command>,
    stop: &CancellationToken,
) -> io::Result<Ending> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        let screen = Screen::enter()?;
        let model = Model::new(options, TimeZone::system(), crossterm::terminal::size()?, now_ms());
        let running = Running { model, screen, board, commands, dirty: true, suspend: false, drawn: None };
        running.run(&mut signals, stop).await
    })
}

struct Running {
    model: Model,
    screen: Screen,
    board: watch::Receiver<Arc<Snapshot>>,
    commands: mpsc::UnboundedSender<Command>,
    dirty: bool,
    /// The operator asked to be suspended.
    suspend: bool,
    drawn: Option<Instant>,
}

impl Running {
    async fn run(mut self, signals: &mut Signals, stop: &CancellationToken) -> io::Result<Ending> {
        let mut input = Some(EventStream::new());
        self.take_snapshot();
        loop {
            if stop.is_cancelled() {
                return Ok(Ending::Stopped);
            }
            if let Some(ending) = self.model.ending {
                return Ok(ending);
            }
            if std::mem::take(&mut self.suspend) {
                drop(input.take());
                self.screen.leave();
                signals.stop_job_until_continued().await?;
                self.come_back()?;
            }
            self.draw_if_due()?;
            let events = input.get_or_insert_with(EventStream::new);
            let wake = self.wake();
            tokio::select! {
                biased;
                event = events.next() => {
                    self.input(event)?;
                    while let Some(event) = at_hand(events).await {
                        self.input(event)?;
                    }
                }
                () = stop.cancelled() => {}
                notice = signals.next() => match notice {
                    Notice::HungUp => return Ok(Ending::Stopped),
                    Notice::Continued => self.come_back()?,
                    Notice::Suspend if !signals::is_job() => {}
                    Notice::Suspend => {
                        drop(input.take());
                        self.screen.leave();
                        signals.stop_until_continued().await?;
                        self.come_back()?;
                    }
                },
                changed = self.board.changed(), if !self.dirty && !self.model.disconnected => match changed {
                    Ok(()) => self.take_snapshot(),
                    Err(_) => self.receive(Msg::BoardClosed)?,
                },
                () = sleep_until(wake) => self.tick()?,
            }
        }
    }

    fn input(&mut self, event: Option<io::Result<Event>>) -> io::Result<()> {
        match event {
            Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => self.receive(Msg::Key(key)),
            Some(Ok(Event::Resize(columns, rows))) => self.receive(Msg::Resize(columns, rows)),
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(error),
            None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the terminal has gone")),
        }
    }

    fn take_snapshot(&mut self) {
        let snapshot = Arc::clone(&self.board.borrow_and_update());
        self.dirty = true;
        update(&mut self.model, Msg::Clock { now_ms: now_ms() });
        update(&mut self.model, Msg::Snapshot(snapshot));
    }

    fn tick(&mut self) -> io::Result<()> {
        let now_ms = now_ms();
        self.dirty |= self.model.next_wake_ms().is_some_and(|wake| wake <= now_ms);
        self.act(Msg::Clock { now_ms })
    }

    fn receive(&mut self, msg: Msg) -> io::Result<()> {
        self.dirty = true;
        self.act(Msg::Clock { now_ms: now_ms() })?;
        self.act(msg)
    }

    fn act(&mut self, msg: Msg) -> io::Result<()> {
        for cmd in update(&mut self.model, msg) {
            match cmd {
                // A receiver that has gone is an engine that has gone, which the board tells as well.
                Cmd::Send(command) => drop(self.commands.send(command)),
                Cmd::Suspend if signals::is_job() => self.suspend = true,
                Cmd::Suspend => self.receive(Msg::NoShell)?,
                Cmd::Redraw => self.screen.redraw()?,
                Cmd::End(_) => {}
            }
        }
        Ok(())
    }

    fn come_back(&mut self) -> io::Result<()> {
        self.screen.enter_again()?;
        let (columns, rows) = crossterm::terminal::size()?;
        self.receive(Msg::Resize(columns, rows))
    }

    fn draw_if_due(&mut self) -> io::Result<()> {
        let now = Instant::now();
        if !self.dirty || self.drawn.is_some_and(|drawn| now < drawn + FRAME) {
            return Ok(());
        }
        if self.board.has_changed().unwrap_or(false) {
            self.take_snapshot();
        }
        self.screen.draw(&self.model)?;
        self.dirty = false;
        self.drawn = Some(now);
        Ok(())
    }

    /// When to look again if nothing happens: for the frame that is due, or for what time alone changes.
    fn wake(&self) -> Instant {
        let now = Instant::now();
        if self.dirty {
            return self.drawn.map_or(now, |drawn| drawn + FRAME);
        }
        match self.model.next_wake_ms() {
            Some(at_ms) => now + Duration::from_millis(u64::try_from(at_ms - now_ms()).unwrap_or(0)),
            None => now + LONG,
        }
    }
}

/// The next event, if it is there already. The stream wakes whoever polled it first since the last event, so it must
/// only ever be polled by this task: `now_or_never` would leave a waker that wakes nobody, and the next key unseen.
async fn at_hand(events: &mut EventStream) -> Option<Option<io::Result<Event>>> {
    poll_fn(|context| match events.poll_next_unpin(context) {
        Poll::Ready(event) => Poll::Ready(Some(event)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}
