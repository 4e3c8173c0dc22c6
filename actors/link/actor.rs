use super::ledger::Ledger;
use super::setup::{LinkEnd, LinkSetup};
use super::view::{Sight, findings, link_view};
use super::work::{self, Desk, Done, News, Prepared};
use crate::board::{Act, ActKind, ActStatus, MaintenanceView, Round};
use crate::clock::now_ms;
use crate::supervise::{Exit, Heartbeat, Monitor, Watchdog, Worker};
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, SpawnHandle, Supervised};
use palanquin_engine::contract::{CollectionSpec, Error, ErrorKind};
use palanquin_engine::journal::{Ending, JournalError};
use palanquin_engine::link::{
    Account, Backoff, Carried, CollectionPlan, Effect, Event, Failure, Input, LinkState, Machine, Meter, Outcome,
    Phase, PhaseTime, SetAside,
};
use palanquin_engine::parity::{ParityReport, Verdict};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinError;

/// How often the work in hand is looked at for a sign of life.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(crate) struct LinkActor {
    setup: LinkSetup,
    machine: Machine,
    ledger: Ledger,
    sight: Sight,
    prepared: Option<Arc<Prepared>>,
    report: Option<Arc<ParityReport>>,
    /// What it did beside carrying rows, for the receipt.
    account: Account,
    /// Generation of the work in hand; news of any other is stale.
    generation: u64,
    /// Whether the work has yet to end.
    working: bool,
    /// The end of the work, until the journal holds all it did.
    ending: Option<Input>,
    watchdog: Option<Watchdog>,
    retry: Option<SpawnHandle>,
    rng: StdRng,
}

/// What the operator, or the program's end, asks of a link.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum Order {
    Act(ActKind),
    Drain,
    Shutdown,
    #[cfg(test)]
    Crash,
    #[cfg(test)]
    Deafen,
}

/// A palace this link depends on was restarted.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Cascade(pub(crate) String);

/// A palace this link depends on was given up.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PalaceLost(pub(crate) String);

#[derive(Message)]
#[rtype(result = "()")]
enum Report {
    News(u64, News),
    Ended(u64, Result<palanquin_engine::contract::Result<Done>, JoinError>),
    Stored(u64, Result<(), JournalError>),
    Concluded(u64, Result<(), JournalError>, Input),
}

impl LinkActor {
    /// Lets the machine take an input, and does what it says.
    fn take(&mut self, input: Input, ctx: &mut Context<Self>) {
        let before = self.machine.state().word();
        let effects = self.machine.handle(input);
        let (mut next_try_at_ms, mut outcome) = (None, None);
        for effect in effects {
            match effect {
                Effect::Begin(phase) => self.begin(phase, ctx),
                Effect::Stop => self.setup.crew.stop(),
                Effect::Retry { attempt } => {
                    let delay = Backoff::DEFAULT.delay(attempt, &mut self.rng);
                    let at = now_ms() + delay.as_millis() as i64;
                    self.machine.waiting_until(at);
                    next_try_at_ms = Some(at);
                    self.retry = Some(ctx.run_later(delay, |actor, ctx| actor.take(Input::RetryDue, ctx)));
                }
                Effect::CancelRetry => {
                    if let Some(retry) = self.retry.take() {
                        ctx.cancel_future(retry);
                    }
                }
                Effect::End(end) => outcome = Some(end),
            }
        }
        let state = self.machine.state();
        if state.word() != before {
            self.sight.since_ms = now_ms();
            self.setup.board.record(Event {
                who: format!("link {}", self.setup.id),
                at_ms: now_ms(),
                from: before.to_owned(),
                to: state.word().to_owned(),
                reason: state.reason().unwrap_or_default().to_owned(),
                attempt: self.machine.attempt(),
                next_try_at_ms,
            });
        }
        self.acknowledge();
        self.publish();
        // Told last, so that whoever hears of the end finds it on the board.
        if let Some(outcome) = outcome {
            self.end(outcome);
        }
    }

    fn begin(&mut self, phase: Phase, ctx: &mut Context<Self>) {
        self.ending = None;
        self.account.phases.push(PhaseTime { phase, began_at_ms: now_ms(), took_ms: 0 });
        if phase == Phase::Checking {
            self.ledger.drop_unstored();
        }
        if phase == Phase::Copying {
            self.sight.meter = Meter::start(now_ms());
        }
        if let (Phase::Verifying, Some(prepared)) = (phase, &self.prepared) {
            self.sight.comparing(&self.setup.spec, &prepared.plan, self.ledger.positions());
        }
        let heartbeat = Heartbeat::default();
        self.watchdog = Some(Watchdog::new(heartbeat.clone(), self.setup.options.patience));
        let (setup, prepared, address, report_to) =
            (self.setup.clone(), self.prepared.clone(), ctx.address(), ctx.address());
        self.working = true;
        self.generation = self.setup.crew.begin(
            move |shift| {
                let generation = shift.generation;
                let tell = Arc::new(move |news| address.do_send(Report::News(generation, news)));
                work::run(phase, Desk { setup, shift, heartbeat, tell }, prepared)
            },
            move |generation, end| report_to.do_send(Report::Ended(generation, end)),
        );
    }

    fn news(&mut self, news: News) {
        match news {
            News::Durable { collection, partition, position, rows, _held } => {
                self.ledger.advance(collection, partition, position);
                self.sight.meter.add(rows, now_ms());
                self.machine.handle(Input::Progress);
            }
            News::Followed { collection, changes, cursor } => {
                // Only a finished step is progress: one that fails half-way is replayed from its beginning.
                if let Some(cursor) = cursor {
                    self.ledger.advance_feed(collection, cursor);
                    self.machine.handle(Input::Progress);
                }
                self.sight.changes_applied += changes;
            }
            News::Behind { rows, since_ms } => self.sight.behind(rows, since_ms),
            News::Round { rows, changes, began_at_ms, took_ms } => {
                self.machine.handle(Input::Progress);
                self.sight.compared_all(Round { rows, changes, began_at_ms, took_ms });
            }
            News::WithoutVector { collection, ids } => {
                if let Some(planned) = self.prepared.as_ref().and_then(|done| done.plan.collections.get(collection)) {
                    self.sight.without_vector(&planned.spec.name, ids);
                }
            }
            News::SetAside(letters) => {
                let kept = &mut self.account.dead_letters;
                let is_new = |old: &SetAside| {
                    !letters.iter().any(|new| (&new.collection, &new.id) == (&old.collection, &old.id))
                };
                kept.retain(is_new);
                kept.extend(letters);
            }
            News::Released { collection, ids } => {
                let stays = |letter: &SetAside| letter.collection != collection || !ids.contains(&letter.id);
                self.account.dead_letters.retain(stays);
            }
            News::Converted(rows) => self.account.conversions = rows,
            News::Compared { end, rows } => self.sight.compared(end, rows),
            News::Inconclusive(report) => {
                self.sight.concluded(&report);
                self.report = Some(report);
            }
            News::Found(finding) => self.sight.found(finding),
            News::Maintaining { kind, step } => self.sight.maintenance = Some(MaintenanceView { kind, step }),
            News::CaughtUp => {}
        }
    }

    fn work_ended(&mut self, end: Result<palanquin_engine::contract::Result<Done>, JoinError>) -> Input {
        self.watchdog = None;
        if let Some(phase) = self.account.phases.last_mut() {
            phase.took_ms = now_ms() - phase.began_at_ms;
        }
        let input = self.ended_with(end);
        match input {
            // The copy is verified, whatever becomes of its indexes.
            Input::Failed(failure) if self.machine.state().phase() == Some(Phase::Maintaining) => {
                self.sight.found(work::maintenance_failed("maintenance", &failure.reason));
                Input::Maintained
            }
            input => input,
        }
    }

    fn ended_with(&mut self, end: Result<palanquin_engine::contract::Result<Done>, JoinError>) -> Input {
        match end {
            Ok(Ok(Done::Checked(prepared))) => {
                self.ledger = Ledger::from_journal(prepared.positions.clone());
                let copied = prepared.is_copied();
                self.account.dead_letters.clone_from(&prepared.dead_letters);
                self.account.conversions.clone_from(&prepared.converted);
                self.prepared = Some(prepared);
                Input::Checked { copied }
            }
            Ok(Ok(Done::Copied)) => Input::Copied,
            Ok(Ok(Done::Verified(report))) => {
                self.sight.concluded(&report);
                let equal = report.verdict() == Verdict::Equal;
                self.report = Some(report);
                Input::Verified { equal }
            }
            Ok(Ok(Done::Maintained(upkeep))) => {
                self.sight.maintenance = None;
                self.account.maintenance_before = upkeep.before;
                self.account.maintenance_after = upkeep.after;
                self.account.maintenance = upkeep.results;
                Input::Maintained
            }
            Ok(Ok(Done::Stopped)) => Input::Stopped,
            Ok(Err(error)) => Input::Failed(Failure::from(&error)),
            Err(error) => {
                let reason = match error.try_into_panic() {
                    Ok(payload) => Exit::of_panic(&*payload).to_string(),
                    Err(_) => format!("no sign of life for {} s", self.setup.options.patience.as_secs()),
                };
                Input::Failed(Failure { kind: ErrorKind::Internal, reason: format!("the work {reason}") })
            }
        }
    }

    /// Has the journal store what is new; once it holds everything, the work's end takes effect.
    fn settle(&mut self, ctx: &mut Context<Self>) {
        if let (Some(entries), Some(prepared)) = (self.ledger.take(), &self.prepared) {
            let (journal, id, epoch) = (Arc::clone(&self.setup.journal), self.setup.id.clone(), prepared.epoch);
            let (address, generation) = (ctx.address(), self.generation);
            let (source, confirmed) = (Arc::clone(&prepared.source), self.ledger.feeds(&prepared.plan));
            tokio::spawn(async move {
                let stored = journal.advance(&id, epoch, &entries.partitions, &entries.feeds).await;
                if stored.is_ok()
                    && !entries.feeds.is_empty()
                    && let Err(error) = source.confirm(&confirmed).await
                {
                    tracing::debug!(%error, "the source was not told how far the copy is; it is told again");
                }
                address.do_send(Report::Stored(generation, stored));
            });
        }
        if self.working || !self.ledger.is_stored() {
            return;
        }
        match self.ending.take() {
            Some(Input::Verified { equal }) if !self.machine.maintains_after(equal) => {
                self.conclude(equal, Input::Verified { equal }, ctx);
            }
            Some(Input::Maintained) => self.conclude(true, Input::Maintained, ctx),
            Some(input) => self.take(input, ctx),
            None => {}
        }
    }

    /// Records the end of a migration before it is told to anybody.
    fn conclude(&mut self, equal: bool, told: Input, ctx: &Context<Self>) {
        let Some(prepared) = &self.prepared else { return };
        let (journal, id, epoch) = (Arc::clone(&self.setup.journal), self.setup.id.clone(), prepared.epoch);
        let (address, generation) = (ctx.address(), self.generation);
        tokio::spawn(async move {
            let ended = journal.end(&id, epoch, &Ending { verified: equal, at_ms: now_ms() }).await;
            address.do_send(Report::Concluded(generation, ended, told));
        });
    }

    fn end(&mut self, outcome: Outcome) {
        // The receiver is gone only when the program is on its way out.
        let _ = self.setup.ended.send(LinkEnd {
            link: self.setup.id.clone(),
            outcome,
            report: self.report.clone(),
            findings: findings(&self.setup, &self.sight, &self.account),
            rows: self.ledger.positions().rows(),
            copied: self.prepared.as_ref().is_some_and(|prepared| {
                let partitions = prepared.plan.partitions();
                partitions > 0 && self.ledger.positions().partitions_done() == partitions
            }),
            carried: self.carried(),
            account: Account { salvaged: self.setup.salvaged.rows(), ..self.account.clone() },
        });
    }

    /// What is durable of each planned collection.
    fn carried(&self) -> Vec<Carried> {
        let Some(prepared) = &self.prepared else { return Vec::new() };
        let positions = self.ledger.positions();
        let of = |(index, planned): (usize, &CollectionPlan)| {
            let own = positions.partitions().filter(|(collection, ..)| *collection == index);
            let (rows, bytes) = own.fold((0, 0), |(rows, bytes), (.., at)| (rows + at.rows, bytes + at.bytes));
            let CollectionSpec { name, dimension, metric, identity, .. } = planned.spec.clone();
            Carried {
                name: planned.source_name().to_owned(),
                target_name: name,
                rows,
                bytes,
                dimension,
                metric,
                identity,
            }
        };
        prepared.plan.collections.iter().enumerate().map(of).collect()
    }

    fn act(&mut self, kind: ActKind, ctx: &mut Context<Self>) {
        let before = (self.machine.state().clone(), self.machine.is_pausing());
        self.sight.act = Some(Act { kind, at_ms: now_ms(), status: ActStatus::Queued });
        self.take(if kind == ActKind::Pause { Input::Pause } else { Input::Resume }, ctx);
        let unchanged = before == (self.machine.state().clone(), self.machine.is_pausing());
        if let (true, Some(act)) = (unchanged, &mut self.sight.act) {
            act.status = ActStatus::Refused(format!("the link is {}", self.machine.state().word()));
            self.publish();
        }
    }

    /// Marks the newest act as done once it is in force.
    fn acknowledge(&mut self) {
        let paused = matches!(self.machine.state(), LinkState::Paused { .. });
        if let Some(act) = &mut self.sight.act
            && act.status == ActStatus::Queued
            && (act.kind == ActKind::Pause) == paused
            && !self.machine.is_pausing()
        {
            act.status = ActStatus::Done;
        }
    }

    fn publish(&self) {
        let plan = self.prepared.as_ref().map(|prepared| &prepared.plan);
        let view = link_view(&self.setup, &self.machine, plan, self.ledger.positions(), &self.sight, &self.account);
        self.setup.board.show_link(view);
    }

    /// What the journal could not store is dropped: the next check starts from what it holds.
    fn journal_failed(&mut self, error: JournalError, ctx: &mut Context<Self>) {
        self.setup.crew.stop();
        self.ledger.drop_unstored();
        self.ending = Some(Input::Failed(Failure::from(&Error::from(error))));
        self.settle(ctx);
    }
}

impl Worker for LinkActor {
    type Spec = LinkSetup;

    fn from_spec(setup: LinkSetup) -> Self {
        Self {
            machine: Machine::new(setup.spec.kind).with_maintenance(
                setup.options.maintain && !work::maintenance_after_a_copy(setup.target.maintenance_kinds).is_empty(),
            ),
            ledger: Ledger::default(),
            sight: Sight::new(),
            prepared: None,
            report: None,
            account: Account::default(),
            generation: 0,
            working: false,
            ending: None,
            watchdog: None,
            retry: None,
            rng: StdRng::seed_from_u64(setup.options.seed),
            setup,
        }
    }

    fn monitor(setup: &LinkSetup) -> Monitor {
        setup.monitor.clone()
    }
}

impl Actor for LinkActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(LOOK_EVERY, |actor, _| {
            if actor.watchdog.as_mut().is_some_and(|watchdog| watchdog.stalled_for().is_some()) {
                actor.setup.crew.cut_off();
            }
        });
        self.take(Input::Start, ctx);
        // What was asked of it before it was rebuilt still holds.
        match self.setup.standing.get() {
            Some(Order::Drain) => self.take(Input::Drain, ctx),
            Some(Order::Act(kind)) => self.act(kind, ctx),
            _ => {}
        }
    }
}

impl Supervised for LinkActor {
    fn restarting(&mut self, _: &mut Context<Self>) {
        *self = Self::from_spec(self.setup.clone());
    }
}

impl Handler<Report> for LinkActor {
    type Result = ();

    fn handle(&mut self, report: Report, ctx: &mut Context<Self>) {
        match report {
            Report::News(generation, news) if generation == self.generation => {
                if matches!(news, News::CaughtUp) {
                    return self.take(Input::CaughtUp, ctx);
                }
                self.news(news);
                self.settle(ctx);
                self.publish();
            }
            Report::Ended(generation, end) if generation == self.generation => {
                self.working = false;
                let input = self.work_ended(end);
                self.ending.get_or_insert(input);
                self.settle(ctx);
            }
            Report::Stored(generation, stored) if generation == self.generation => {
                self.ledger.stored();
                match stored {
                    Ok(()) => self.settle(ctx),
                    Err(error) => self.journal_failed(error, ctx),
                }
            }
            Report::Concluded(generation, ended, told) if generation == self.generation => match ended {
                Ok(()) => self.take(told, ctx),
                Err(error) => self.take(Input::Failed(Failure::from(&Error::from(error))), ctx),
            },
            // Of work that was replaced.
            Report::News(..) | Report::Ended(..) | Report::Stored(..) | Report::Concluded(..) => {}
        }
    }
}

impl Handler<Order> for LinkActor {
    type Result = ();

    fn handle(&mut self, order: Order, ctx: &mut Context<Self>) {
        self.setup.standing.set(order);
        match order {
            Order::Act(kind) => self.act(kind, ctx),
            Order::Drain => self.take(Input::Drain, ctx),
            Order::Shutdown => {
                self.setup.crew.cut_off();
                self.setup.monitor.leave(Exit::Shutdown);
                ctx.stop();
            }
            #[cfg(test)]
            Order::Crash => panic!("an injected panic in the link's actor"),
            #[cfg(test)]
            Order::Deafen => ctx.wait(actix::WrapFuture::into_actor(std::future::pending::<()>(), self)),
        }
    }
}

impl Handler<Cascade> for LinkActor {
    type Result = ();

    fn handle(&mut self, Cascade(reason): Cascade, ctx: &mut Context<Self>) {
        // One that does nothing now checks anew before it does anything.
        if self.machine.has_work_in_hand() {
            self.setup.monitor.leave(Exit::Cascaded(reason));
            ctx.stop();
        }
    }
}

impl Handler<PalaceLost> for LinkActor {
    type Result = ();

    fn handle(&mut self, PalaceLost(reason): PalaceLost, ctx: &mut Context<Self>) {
        self.setup.crew.cut_off();
        // What was cut off of the maintenance ends by itself, with the copy as verified as it was.
        if self.machine.state().phase() != Some(Phase::Maintaining) || !self.working {
            self.take(Input::Failed(Failure { kind: ErrorKind::Unavailable, reason }), ctx);
        }
    }
}
