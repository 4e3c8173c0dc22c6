use super::runs::{Cancels, Runs};
use super::view::{Checkup, OtherEnd, palace_view};
use crate::board::{Board, Connection};
use crate::clock::now_ms;
use crate::supervise::{Exit, Monitor, Worker};
use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseActFuture, SpawnHandle,
    Supervised, WrapFuture, fut,
};
use palanquin_engine::contract::advice::operator_sentence;
use palanquin_engine::contract::{
    Backend, Error, ErrorKind, MaintenanceStep, OpenMode, OpenOptions, Palace, PalaceRef, Progress, Result,
};
use palanquin_engine::link::Event;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Shortest time between two checks.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// A check may take this share of the time at most.
const CHECK_SHARE: u32 = 100;

/// What a palace actor is built from.
#[derive(Clone)]
pub(crate) struct PalaceSetup {
    pub(crate) address: String,
    pub(crate) palace: PalaceRef,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) board: Board,
    pub(crate) restarts: Arc<AtomicU32>,
    pub(crate) monitor: Monitor,
}

pub(crate) struct PalaceActor {
    setup: PalaceSetup,
    open: Option<(OpenMode, Arc<dyn Palace>)>,
    connection: Connection,
    checkup: Option<Checkup>,
    other_end: OtherEnd,
    runs: Runs,
    /// Cancels the run that is being done.
    cancel: CancellationToken,
    /// What a run was doing when it was cancelled.
    interrupted: Option<MaintenanceStep>,
    /// The program ends; only a run that is being cut off is waited for.
    leaving: bool,
    watched: bool,
    /// The check that is under way, or the next one.
    check: Option<SpawnHandle>,
}

/// Asks for the open palace; it is opened if it is not, or not far enough.
#[derive(Message)]
#[rtype(result = "Result<Arc<dyn Palace>>")]
pub(crate) struct Connect {
    pub(crate) mode: OpenMode,
    /// Whether an open connection will not do.
    pub(crate) fresh: bool,
    /// Who will follow it by this connection, which is then a fresh one.
    pub(crate) consumer: Option<String>,
}

/// Says which identities the other end of a link has stored.
#[derive(Default, Message)]
#[rtype(result = "()")]
pub(crate) struct Compare(pub(crate) OtherEnd);

/// Asks that the palace be open and shown, link or no link; one that cannot be opened is tried again at intervals.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Watch;

/// Asks for a maintenance run.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Maintain(pub(crate) String);

/// Asks that the maintenance run of that number be cancelled.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Cancel(pub(crate) u64);

/// How far the run of that number is.
#[derive(Message)]
#[rtype(result = "()")]
struct Advanced(u64, MaintenanceStep);

/// Ends the actor for good.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Shutdown;

impl PalaceActor {
    fn publish(&self) {
        let Self { setup, connection, checkup, other_end, runs, .. } = self;
        let restarts = setup.restarts.load(Ordering::Relaxed);
        setup.board.show_palace(palace_view(
            &setup.address,
            setup.backend.descriptor(),
            connection.clone(),
            checkup.as_ref(),
            other_end,
            runs.as_slice(),
            restarts,
        ));
    }

    fn connection_is(&mut self, connection: Connection, reason: &str) {
        let (from, to) = (word(&self.connection), word(&connection));
        self.connection = connection;
        if from != to {
            self.setup.board.record(Event {
                who: format!("palace {}", self.setup.address),
                at_ms: now_ms(),
                from: from.to_owned(),
                to: to.to_owned(),
                reason: reason.to_owned(),
                attempt: 0,
                next_try_at_ms: None,
            });
        }
        self.publish();
    }

    /// Checks the palace now, and from then on at intervals; a check under way is given up for the new one.
    fn check(&mut self, ctx: &mut Context<Self>) {
        if let Some(check) = self.check.take() {
            ctx.cancel_future(check);
        }
        let Some((_, palace)) = &self.open else { return };
        let began = Instant::now();
        let checking = tokio::spawn(look_at(Arc::clone(palace))).into_actor(self);
        self.check = Some(ctx.spawn(checking.map(move |checked, actor, ctx| {
            match checked {
                Ok(Ok(checkup)) => {
                    actor.checkup = Some(checkup);
                    actor.connection_is(Connection::Open, "");
                }
                Ok(Err(error)) => actor.waits_after(&error),
                Err(error) => return actor.crash(error, ctx),
            }
            let pause = CHECK_EVERY.max(began.elapsed() * CHECK_SHARE);
            actor.check = Some(ctx.run_later(pause, Self::check));
        })));
    }

    /// Opens a watched palace for reading, unless it is open.
    fn watch(&mut self, ctx: &mut Context<Self>) {
        if !self.watched || self.open.is_some() {
            return;
        }
        let (backend, palace) = (Arc::clone(&self.setup.backend), self.setup.palace.clone());
        let opening = tokio::spawn(async move { backend.open(&palace, OpenMode::Read.into()).await });
        ctx.spawn(opening.into_actor(self).map(|opened, actor, ctx| match opened {
            Ok(Ok(palace)) => {
                actor.open.get_or_insert((OpenMode::Read, palace));
                actor.connection_is(Connection::Open, "");
                actor.check(ctx);
            }
            Ok(Err(error)) => {
                actor.waits_after(&error);
                ctx.run_later(CHECK_EVERY, Self::watch);
            }
            Err(error) => actor.crash(error, ctx),
        }));
    }

    fn waits_after(&mut self, error: &Error) {
        let (reason, next_try_at_ms) = (error.what(), now_ms() + CHECK_EVERY.as_millis() as i64);
        self.connection_is(Connection::Waiting { reason: reason.clone(), next_try_at_ms }, &reason);
    }

    /// Begins the next maintenance run that waits, on a connection of its own: the one links read through stays as it is.
    /// Cut off, its connection is closed before the run is said to be, which is when nothing of it runs any more.
    fn maintain(&mut self, ctx: &mut Context<Self>) {
        let Some((number, kind)) = self.runs.begin(now_ms()) else { return self.publish() };
        self.run_event(&kind, "queued", "running", String::new());
        let (backend, palace) = (Arc::clone(&self.setup.backend), self.setup.palace.clone());
        let address = ctx.address();
        let progress = Progress::to(move |step| address.do_send(Advanced(number, step)));
        let wanted = kind.clone();
        self.cancel = CancellationToken::new();
        let cancelled = self.cancel.clone();
        let running = AbortOnDropHandle::new(tokio::spawn(async move {
            let opening = cancelled.run_until_cancelled(backend.open(&palace, OpenMode::Write.into()));
            let Some(open) = opening.await.transpose()? else { return Ok(None) };
            let result = cancelled.run_until_cancelled(open.run_maintenance(&wanted, &progress)).await.transpose();
            let closed = open.close().await;
            result.and_then(|result| closed.map(|()| result))
        }));
        ctx.spawn(running.into_actor(self).map(move |ended, actor, ctx| {
            let failed = match ended {
                Ok(Ok(Some(result))) => {
                    actor.run_event(&kind, "running", &result.status.to_string(), String::new());
                    actor.runs.end(number, result, now_ms());
                    None
                }
                Ok(Ok(None)) => {
                    let reason = actor.runs.cancelled(number, actor.interrupted.take().as_ref(), now_ms());
                    actor.run_event(&kind, "cancelling", "cancelled", reason);
                    None
                }
                Ok(Err(error)) => Some((error.what(), error.advice())),
                Err(error) => Some((error.to_string(), operator_sentence(ErrorKind::Internal))),
            };
            if let Some((reason, advice)) = failed {
                actor.run_event(&kind, "running", "failed", reason.clone());
                actor.runs.fail(number, reason, advice, now_ms());
            }
            if actor.leaving {
                return actor.leave(ctx);
            }
            actor.check(ctx);
            actor.maintain(ctx);
        }));
        self.publish();
    }

    /// Cancels the run of that number, whether it waits or is being done.
    fn cancel(&mut self, number: u64) {
        match self.runs.cancel(number, now_ms()) {
            Cancels::Nothing => return,
            Cancels::Waiting(kind) => self.run_event(&kind, "queued", "cancelled", String::new()),
            Cancels::Working(step) => {
                self.interrupted = step;
                self.cancel.cancel();
            }
        }
        self.publish();
    }

    fn leave(&mut self, ctx: &mut Context<Self>) {
        self.runs.give_up("the program ended", operator_sentence(ErrorKind::Internal), now_ms());
        self.connection_is(Connection::Closed, "");
        self.setup.monitor.leave(Exit::Shutdown);
        ctx.stop();
    }

    fn run_event(&self, kind: &str, from: &str, to: &str, reason: String) {
        self.setup.board.record(Event {
            who: format!("palace {}", self.setup.address),
            at_ms: now_ms(),
            from: format!("{kind} {from}"),
            to: format!("{kind} {to}"),
            reason,
            attempt: 0,
            next_try_at_ms: None,
        });
    }

    /// A driver task panicked: nothing it left behind is trusted, so the actor is restarted.
    fn crash(&self, error: JoinError, ctx: &mut Context<Self>) {
        let exit = match error.try_into_panic() {
            Ok(payload) => Exit::of_panic(&*payload),
            Err(error) => Exit::Failed(error.to_string()),
        };
        self.setup.monitor.leave(exit);
        ctx.stop();
    }
}

fn word(connection: &Connection) -> &'static str {
    match connection {
        Connection::Opening => "opening",
        Connection::Open => "open",
        Connection::Waiting { .. } => "waiting",
        Connection::Failed { .. } => "failed",
        Connection::Closed => "closed",
    }
}

async fn look_at(palace: Arc<dyn Palace>) -> Result<Checkup> {
    let collections = palace.collections().await?;
    let maintenance = palace.maintenance_state().await?;
    Ok(Checkup { health: palace.health().await, collections, maintenance, at_ms: now_ms() })
}

impl Worker for PalaceActor {
    type Spec = PalaceSetup;

    fn from_spec(setup: PalaceSetup) -> Self {
        Self {
            setup,
            open: None,
            connection: Connection::Opening,
            checkup: None,
            other_end: BTreeMap::new(),
            runs: Runs::default(),
            cancel: CancellationToken::new(),
            interrupted: None,
            leaving: false,
            watched: false,
            check: None,
        }
    }

    fn monitor(setup: &PalaceSetup) -> Monitor {
        setup.monitor.clone()
    }
}

impl Actor for PalaceActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.publish();
        self.watch(ctx);
    }
}

impl Supervised for PalaceActor {
    fn restarting(&mut self, _: &mut Context<Self>) {
        let mut runs = std::mem::take(&mut self.runs);
        runs.give_up("the palace's actor was restarted under it", operator_sentence(ErrorKind::Internal), now_ms());
        *self = Self { runs, watched: self.watched, ..Self::from_spec(self.setup.clone()) };
    }
}

impl Handler<Connect> for PalaceActor {
    type Result = ResponseActFuture<Self, Result<Arc<dyn Palace>>>;

    fn handle(&mut self, Connect { mode, fresh, consumer }: Connect, _: &mut Context<Self>) -> Self::Result {
        if let Some((open_for, palace)) = &self.open
            && !fresh
            && consumer.is_none()
            && (*open_for == mode || (*open_for == OpenMode::Create && mode == OpenMode::Write))
        {
            return Box::pin(fut::ready(Ok(Arc::clone(palace))));
        }
        let PalaceSetup { backend, palace, .. } = self.setup.clone();
        let options = OpenOptions { consumer, ..mode.into() };
        let opening = tokio::spawn(async move { backend.open(&palace, options).await });
        Box::pin(opening.into_actor(self).map(move |opened, actor, ctx| match opened {
            Ok(Ok(palace)) => {
                actor.open = Some((mode, Arc::clone(&palace)));
                actor.connection_is(Connection::Open, "");
                actor.check(ctx);
                Ok(palace)
            }
            Ok(Err(error)) => {
                // A target that is not there yet is not a failure: it will be made.
                if !(mode == OpenMode::Write && error.kind() == ErrorKind::PalaceNotFound) {
                    let reason = error.what();
                    actor.connection_is(Connection::Failed { reason: reason.clone() }, &reason);
                }
                Err(error)
            }
            Err(error) => {
                let problem =
                    Error::new(ErrorKind::Internal, "opening the palace failed").in_palace(&actor.setup.address);
                actor.crash(error, ctx);
                Err(problem)
            }
        }))
    }
}

impl Handler<Compare> for PalaceActor {
    type Result = ();

    fn handle(&mut self, Compare(other_end): Compare, ctx: &mut Context<Self>) {
        self.other_end.extend(other_end);
        self.check(ctx);
        self.publish();
    }
}

impl Handler<Watch> for PalaceActor {
    type Result = ();

    fn handle(&mut self, Watch: Watch, ctx: &mut Context<Self>) {
        self.watched = true;
        self.watch(ctx);
    }
}

impl Handler<Maintain> for PalaceActor {
    type Result = ();

    fn handle(&mut self, Maintain(kind): Maintain, ctx: &mut Context<Self>) {
        self.runs.ask(&kind, now_ms());
        self.maintain(ctx);
    }
}

impl Handler<Cancel> for PalaceActor {
    type Result = ();

    fn handle(&mut self, Cancel(number): Cancel, _: &mut Context<Self>) {
        self.cancel(number);
    }
}

impl Handler<Advanced> for PalaceActor {
    type Result = ();

    fn handle(&mut self, Advanced(number, step): Advanced, _: &mut Context<Self>) {
        self.runs.step(number, step);
        self.publish();
    }
}

impl Handler<Shutdown> for PalaceActor {
    type Result = ();

    fn handle(&mut self, _: Shutdown, ctx: &mut Context<Self>) {
        self.open = None;
        match self.runs.working() {
            // It is cut off first, so that its store does not go on alone.
            Some(number) => {
                self.leaving = true;
                self.cancel(number);
            }
            None => self.leave(ctx),
        }
    }
}
