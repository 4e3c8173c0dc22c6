//! An engine and the face it shows, for as long as a command runs.
//!
//! [`Session`] owns the runtime and the engine; [`faces`] draw the board; [`mod@signals`] turn Ctrl-C and SIGTERM into a drain.

mod faces;
mod signals;

use crate::exit_code::Exit;
use crate::output::{self, Face};
pub(crate) use faces::Shown;
use palanquin_actors::board::Snapshot;
use palanquin_actors::{Engine, EngineError, LinkEnd, PalaceSource, StartLink};
use palanquin_engine::contract::{Error, ErrorKind, Result};
use palanquin_engine::journal::Journal;
use palanquin_engine::link::LinkSpec;
pub(crate) use signals::Signals;
use signals::Urgency;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

/// How long drivers may take to end once the engine has ended.
const DRIVERS_STOP_WITHIN: Duration = Duration::from_secs(5);

/// What ended a wait.
enum Happening {
    Ended(Box<LinkEnd>),
    EngineGone,
    Signal(Urgency),
    FaceLeft(faces::Left),
}

/// How long to wait for a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Until it ends or halts.
    Ended,
    /// Until then, and until a dashboard has been left.
    Left,
}

/// A running engine with its runtime.
pub(crate) struct Session {
    runtime: Arc<Runtime>,
    engine: Engine,
    signals: Signals,
}

impl Session {
    pub(crate) fn start(journal: Arc<dyn Journal>) -> Result<Self> {
        let runtime = Arc::new(runtime()?);
        let signals = signals(&runtime)?;
        let engine = Engine::start(journal, Arc::clone(&runtime)).map_err(engine_error)?;
        Ok(Self { runtime, engine, signals })
    }

    /// Runs a future of this program on the session's runtime.
    pub(crate) fn wait<T, E: Into<Error>>(&self, future: impl Future<Output = Result<T, E>>) -> Result<T> {
        self.runtime.block_on(future).map_err(Into::into)
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub(crate) fn start_link(&self, link: StartLink) -> Result<()> {
        self.engine.start_link(link).map_err(engine_error)
    }

    pub(crate) fn show_palace(&self, palace: PalaceSource) -> Result<()> {
        self.engine.show_palace(palace).map_err(engine_error)
    }

    pub(crate) fn board(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.engine.board()
    }

    /// Waits until the board shows something, or the program is told to end.
    pub(crate) fn watch_until(&mut self, wanted: impl Fn(&Snapshot) -> bool) {
        let (mut board, signals) = (self.engine.board(), &mut self.signals);
        let urgency = self.runtime.block_on(async {
            tokio::select! {
                _ = board.wait_for(|snapshot| wanted(snapshot)) => None,
                urgency = signals.next() => Some(urgency),
            }
        });
        if urgency.is_some() {
            self.engine.drain();
        }
    }

    /// Opens a face on the engine's board.
    pub(crate) fn show(&self, face: Face, title: &str, close_when_done: bool) -> Shown {
        let (commands, obeyed) = mpsc::unbounded_channel();
        self.engine.obey(obeyed, &self.runtime);
        Shown::open(face, title, close_when_done, self.engine.board(), commands, &self.runtime)
    }

    /// Waits for the end of `link`. Ctrl-C and SIGTERM drain; the second time they leave at once, with `None` unless the
    /// link had ended. With [`Until::Left`] a dashboard stays until the operator leaves it, and a halted link may be
    /// resumed from it, unless it was refused before a row was copied.
    pub(crate) fn wait_for_end(&mut self, shown: &mut Shown, link: &LinkSpec, until: Until) -> Option<LinkEnd> {
        let id = link.id();
        let mut last: Option<LinkEnd> = None;
        let mut draining = false;
        loop {
            let (engine, signals) = (&mut self.engine, &mut self.signals);
            let happening = self.runtime.block_on(async {
                tokio::select! {
                    biased;
                    end = engine.next_end() => end.map_or(Happening::EngineGone, |end| Happening::Ended(Box::new(end))),
                    urgency = signals.next() => Happening::Signal(urgency),
                    left = shown.left() => Happening::FaceLeft(left),
                }
            });
            // A halted link that was resumed has yet to end.
            if !self.engine.board().borrow().link(&id).is_some_and(|link| link.state.is_final()) {
                last = None;
            }
            match happening {
                Happening::Ended(end) if end.link == id => {
                    // Nothing an operator does on the dashboard mends a request that was refused.
                    let refused = matches!(Exit::of_end(&end), Exit::BadInput | Exit::Refused);
                    last = Some(*end);
                    if until == Until::Ended || draining || refused || !shown.is_dashboard() {
                        return last;
                    }
                }
                Happening::Ended(_) => {}
                Happening::EngineGone => return last,
                Happening::Signal(Urgency::Drain) => {
                    draining = true;
                    self.engine.drain();
                    shown.say("draining until what is under way is durable; once more to leave at once");
                    if last.is_some() {
                        return last;
                    }
                }
                Happening::Signal(Urgency::Now) => return last,
                Happening::FaceLeft(left) => {
                    if let Some(problem) = left.problem {
                        shown.say(&format!("the dashboard ended: {problem}"));
                    }
                    if last.is_some() {
                        return last;
                    }
                    // Left before the end: the operator has been asked, or the dashboard has failed.
                    draining = true;
                    self.engine.drain();
                }
            }
        }
    }

    /// Shows a link until its end and prints the summary. `leave` may leave something beside it, and says what; of JSON
    /// lines the result is the last.
    pub(crate) fn show_until_ended(
        &mut self,
        face: Face,
        spec: &LinkSpec,
        leave: impl FnOnce(&LinkEnd, Exit) -> Option<String>,
    ) -> (Exit, Option<LinkEnd>) {
        let mut shown = self.show(face, &format!("{} {}", spec.kind, spec.id()), true);
        let end = self.wait_for_end(&mut shown, spec, Until::Left);
        shown.close(&self.runtime);
        let Some(end) = end else {
            shown.say("left before everything under way was durable; the same command continues it");
            return (Exit::Interrupted, None);
        };
        let exit = Exit::of_end(&end);
        let left = leave(&end, exit);
        let note = || left.iter().for_each(|left| output::note(face, left));
        if face == Face::Json {
            note();
        }
        output::summary(face, spec, &end, exit);
        if face != Face::Json {
            note();
        }
        (exit, Some(end))
    }

    /// Shows the board until the operator has left it, or the program is told to end.
    pub(crate) fn show_until_left(&mut self, face: Face, title: &str) {
        let mut shown = self.show(face, title, false);
        let signals = &mut self.signals;
        let left = self.runtime.block_on(async {
            tokio::select! {
                left = shown.left() => Some(left),
                _ = signals.next() => None,
            }
        });
        shown.close(&self.runtime);
        if let Some(problem) = left.and_then(|left| left.problem) {
            shown.say(&format!("the dashboard ended: {problem}"));
        }
    }

    /// Drains every link and ends the engine.
    pub(crate) fn drain(&self) {
        self.engine.drain();
    }

    /// Ends the engine and its runtime.
    pub(crate) fn close(self) {
        self.engine.shut_down();
        // A driver that hangs in a system call is not waited for: what it does is not acknowledged.
        if let Some(runtime) = Arc::into_inner(self.runtime) {
            runtime.shutdown_timeout(DRIVERS_STOP_WITHIN);
        }
    }
}

/// The runtime that drivers run on.
pub(crate) fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("drivers")
        .build()
        .map_err(|error| Error::io("the runtime cannot be started", error))
}

/// The signals that end a command, caught from now on.
pub(crate) fn signals(runtime: &Runtime) -> Result<Signals> {
    let _entered = runtime.enter();
    Signals::listen().map_err(|error| Error::io("signals cannot be caught", error))
}

fn engine_error(error: EngineError) -> Error {
    match error {
        EngineError::Backend(error) => error,
        error => Error::new(ErrorKind::Internal, "the engine cannot go on").with_source(error),
    }
}
