use super::handle::{PalaceSource, StartLink};
use crate::board::{Board, Connection};
use crate::clock::now_ms;
use crate::command::Command;
use crate::credit::Credit;
use crate::link::{Cascade, Limits, LinkActor, LinkEnd, LinkSetup, Order, PalaceEnd, PalaceLost};
use crate::palace::{Cancel, Maintain, PalaceActor, PalaceSetup, Shutdown, Watch};
use crate::supervise::{ChildSpec, Monitor, Step, Transition, spawn};
use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message};
use palanquin_engine::contract::advice::operator_sentence;
use palanquin_engine::contract::{ErrorKind, enforce};
use palanquin_engine::journal::{Journal, LinkLock};
use palanquin_engine::link::{Account, Event, Failure, LinkId, LinkState, Outcome};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long the links, and then the palaces, may take to stop before they are left behind.
const STOP_WITHIN: Duration = if cfg!(test) { Duration::from_millis(300) } else { Duration::from_secs(10) };

/// What the engine's handle asks of the root.
pub(super) enum Request {
    StartLink(Box<StartLink>),
    ShowPalace(Box<PalaceSource>),
    Command(Command),
    ShutDown,
    #[cfg(test)]
    Crash(LinkId),
    /// Has the link's actor pass over every order.
    #[cfg(test)]
    Deafen(LinkId),
}

#[derive(Message)]
#[rtype(result = "()")]
struct Asked(Request);

#[derive(Message)]
#[rtype(result = "()")]
struct Heard(Transition);

/// Supervises palaces and links. Children are kept in the order they were started; a link is restarted with a palace it
/// depends on (rest-for-one, narrowed to those that depend on it), and stopped before it.
pub(super) struct Root {
    journal: Arc<dyn Journal>,
    board: Board,
    ended: mpsc::UnboundedSender<LinkEnd>,
    palaces: Vec<Palace>,
    links: Vec<Link>,
    stopping: Stopping,
    finished: Option<oneshot::Sender<()>>,
}

/// How far the end of everything is. Links stop before the palaces they depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopping {
    No,
    Links,
    Palaces,
    Finished,
}

struct Palace {
    child: String,
    source: PalaceSource,
    actor: Addr<PalaceActor>,
    restarts: Arc<AtomicU32>,
    alive: bool,
}

struct Link {
    child: String,
    id: LinkId,
    depends_on: [String; 2],
    actor: Addr<LinkActor>,
    restarts: Arc<AtomicU32>,
    alive: bool,
    _lock: Option<LinkLock>,
}

impl Root {
    pub(super) fn new(
        journal: Arc<dyn Journal>,
        board: Board,
        ended: mpsc::UnboundedSender<LinkEnd>,
        finished: oneshot::Sender<()>,
    ) -> Self {
        let (palaces, links) = (Vec::new(), Vec::new());
        Self { journal, board, ended, palaces, links, stopping: Stopping::No, finished: Some(finished) }
    }

    /// Passes requests on until the handle is dropped.
    pub(super) fn serve(root: &Addr<Self>, mut requests: mpsc::UnboundedReceiver<Request>) {
        let root = root.clone();
        actix_rt::spawn(async move {
            while let Some(request) = requests.recv().await {
                root.do_send(Asked(request));
            }
            root.do_send(Asked(Request::ShutDown));
        });
    }

    fn palace(&mut self, source: &PalaceSource, ctx: &Context<Self>) -> PalaceEnd {
        if let Some(palace) = self.palaces.iter().find(|palace| palace.source.address == source.address && palace.alive)
        {
            return end_of(source, palace.actor.clone());
        }
        let child = format!("palace {}", source.address);
        let restarts = Arc::new(AtomicU32::new(0));
        let setup = PalaceSetup {
            address: source.address.clone(),
            palace: source.palace.clone(),
            backend: enforce(Arc::clone(&source.backend)),
            board: self.board.clone(),
            restarts: Arc::clone(&restarts),
            monitor: Monitor::default(),
        };
        let root = ctx.address();
        let seed = self.palaces.len() as u64;
        let actor = spawn::<PalaceActor>(ChildSpec::permanent(&child, seed), setup, move |transition| {
            root.do_send(Heard(transition));
        });
        self.palaces.push(Palace { child, source: source.clone(), actor: actor.clone(), restarts, alive: true });
        end_of(source, actor)
    }

    fn start_link(&mut self, start: StartLink, ctx: &Context<Self>) {
        let StartLink { spec, source, target, options, replaces, lock } = start;
        let id = spec.id();
        let child = format!("link {id}");
        let (source, target) = (self.palace(&source, ctx), self.palace(&target, ctx));
        let restarts = Arc::new(AtomicU32::new(0));
        let depends_on = [format!("palace {}", source.address), format!("palace {}", target.address)];
        let setup = LinkSetup {
            id: id.clone(),
            spec,
            source,
            target,
            journal: Arc::clone(&self.journal),
            board: self.board.clone(),
            credit: Credit::of_bytes(options.credit_bytes),
            limits: Limits::new(options.max_rows_per_second, options.max_bytes_per_second, options.max_source_latency),
            options,
            replaces: replaces.map(Arc::new),
            crew: Default::default(),
            standing: Default::default(),
            salvaged: Default::default(),
            restarts: Arc::clone(&restarts),
            monitor: Monitor::default(),
            ended: self.ended.clone(),
        };
        let root = ctx.address();
        let actor = spawn::<LinkActor>(ChildSpec::permanent(&child, options.seed), setup, move |transition| {
            root.do_send(Heard(transition));
        });
        self.links.push(Link { child, id, depends_on, actor, restarts, alive: true, _lock: lock });
    }

    fn command(&self, command: Command) {
        match command {
            Command::Act { link, kind } => {
                if let Some(link) = self.links.iter().find(|known| known.id == link) {
                    link.actor.do_send(Order::Act(kind));
                }
            }
            Command::Maintain { palace, kind } => {
                if let Some(known) = self.palaces.iter().find(|known| known.source.address == palace && known.alive) {
                    known.actor.do_send(Maintain(kind));
                }
            }
            Command::CancelMaintenance { palace, run } => {
                if let Some(known) = self.palaces.iter().find(|known| known.source.address == palace && known.alive) {
                    known.actor.do_send(Cancel(run));
                }
            }
            Command::Drain => {
                for link in &self.links {
                    link.actor.do_send(Order::Drain);
                }
            }
        }
    }

    /// Stops children in reverse order of their start; the rest follows as their ends are heard.
    fn shut_down(&mut self, ctx: &mut Context<Self>) {
        let stage = if self.links.iter().any(|link| link.alive) {
            Stopping::Links
        } else if self.palaces.iter().any(|palace| palace.alive) {
            Stopping::Palaces
        } else {
            Stopping::Finished
        };
        if stage == self.stopping {
            return;
        }
        self.stopping = stage;
        match stage {
            Stopping::Links => self.links.iter().rev().for_each(|link| link.actor.do_send(Order::Shutdown)),
            Stopping::Palaces => self.palaces.iter().rev().for_each(|palace| palace.actor.do_send(Shutdown)),
            Stopping::Finished | Stopping::No => {
                self.finished.take();
                return ctx.stop();
            }
        }
        ctx.run_later(STOP_WITHIN, move |root, ctx| {
            if root.stopping == stage {
                root.leave_behind(stage);
                root.shut_down(ctx);
            }
        });
    }

    /// Whoever has not stopped in time is not waited for: nothing of theirs was acknowledged that is not durable.
    fn leave_behind(&mut self, stage: Stopping) {
        let mut late = Vec::new();
        if stage == Stopping::Links {
            for link in self.links.iter_mut().filter(|link| link.alive) {
                link.alive = false;
                late.push(link.child.clone());
            }
        } else {
            for palace in self.palaces.iter_mut().filter(|palace| palace.alive) {
                palace.alive = false;
                late.push(palace.child.clone());
            }
        }
        for who in late {
            self.board.record(Event {
                who: format!("supervisor of {who}"),
                at_ms: now_ms(),
                from: "stopping".to_owned(),
                to: "left behind".to_owned(),
                reason: format!("it did not stop within {} s", STOP_WITHIN.as_secs_f32()),
                attempt: 0,
                next_try_at_ms: None,
            });
        }
    }

    fn record(&self, Transition { child, exit, step }: &Transition) {
        let (from, to, attempt, delay) = match step {
            Step::Restarting(delay, attempt) => ("running", "restarting", *attempt, Some(*delay)),
            Step::Restarted => ("restarting", "running", 0, None),
            Step::GivenUp => ("running", "given up", 0, None),
            Step::Ended => return,
        };
        let at_ms = now_ms();
        self.board.record(Event {
            who: format!("supervisor of {child}"),
            at_ms,
            from: from.to_owned(),
            to: to.to_owned(),
            reason: if *step == Step::Restarted { String::new() } else { exit.to_string() },
            attempt,
            next_try_at_ms: delay.map(|delay| at_ms + delay.as_millis() as i64),
        });
    }

    fn palace_heard(&mut self, index: usize, transition: &Transition) {
        let palace = &mut self.palaces[index];
        let reason = format!("{} {}", transition.child, transition.exit);
        match transition.step {
            Step::Restarting(..) => {
                palace.restarts.fetch_add(1, Ordering::Relaxed);
                for link in self.links.iter().filter(|link| link.depends_on.contains(&transition.child)) {
                    link.actor.do_send(Cascade(reason.clone()));
                }
            }
            Step::GivenUp => {
                palace.alive = false;
                self.board.change_palace(&palace.source.address, |view| {
                    view.connection = Connection::Failed { reason: reason.clone() };
                });
                for link in self.links.iter().filter(|link| link.depends_on.contains(&transition.child)) {
                    link.actor.do_send(PalaceLost(reason.clone()));
                }
            }
            Step::Ended => palace.alive = false,
            Step::Restarted => {}
        }
    }

    fn link_heard(&mut self, index: usize, transition: &Transition) {
        let link = &mut self.links[index];
        match transition.step {
            Step::Restarting(..) => {
                link.restarts.fetch_add(1, Ordering::Relaxed);
            }
            Step::GivenUp => {
                link.alive = false;
                let failure = Failure { kind: ErrorKind::Internal, reason: transition.exit.to_string() };
                let mut rows = 0;
                self.board.change_link(&link.id, |view| {
                    rows = view.rows_done;
                    view.state = LinkState::Halted {
                        phase: view.state.phase().unwrap_or(palanquin_engine::link::Phase::Checking),
                        reason: failure.reason.clone(),
                        advice: operator_sentence(failure.kind).to_owned(),
                    };
                });
                let _ = self.ended.send(LinkEnd {
                    link: link.id.clone(),
                    outcome: Outcome::Halted(failure),
                    report: None,
                    findings: Vec::new(),
                    rows,
                    copied: false,
                    carried: Vec::new(),
                    account: Account::default(),
                });
            }
            Step::Ended => link.alive = false,
            Step::Restarted => {}
        }
    }
}

/// What a link needs to know of a palace it depends on.
fn end_of(source: &PalaceSource, actor: Addr<PalaceActor>) -> PalaceEnd {
    let descriptor = source.backend.descriptor();
    PalaceEnd {
        address: source.address.clone(),
        backend: descriptor.name,
        capabilities: descriptor.capabilities.clone(),
        metrics: descriptor.metrics,
        maintenance_kinds: descriptor.maintenance_kinds,
        capture: descriptor.capture,
        fidelity: descriptor.fidelity,
        conversions: descriptor.conversions,
        keeps_settings: descriptor.keeps_settings,
        readers: descriptor.readers,
        writers: descriptor.writers,
        actor,
    }
}

impl Actor for Root {
    type Context = Context<Self>;
}

impl Handler<Asked> for Root {
    type Result = ();

    fn handle(&mut self, Asked(request): Asked, ctx: &mut Context<Self>) {
        match request {
            Request::StartLink(start) => self.start_link(*start, ctx),
            Request::ShowPalace(source) => {
                let palace = self.palace(&source, ctx);
                palace.actor.do_send(Watch);
            }
            Request::Command(command) => self.command(command),
            Request::ShutDown => self.shut_down(ctx),
            #[cfg(test)]
            Request::Crash(id) => {
                if let Some(link) = self.links.iter().find(|link| link.id == id) {
                    link.actor.do_send(Order::Crash);
                }
            }
            #[cfg(test)]
            Request::Deafen(id) => {
                if let Some(link) = self.links.iter().find(|link| link.id == id) {
                    link.actor.do_send(Order::Deafen);
                }
            }
        }
    }
}

impl Handler<Heard> for Root {
    type Result = ();

    fn handle(&mut self, Heard(transition): Heard, ctx: &mut Context<Self>) {
        self.record(&transition);
        if let Some(index) = self.palaces.iter().position(|palace| palace.child == transition.child && palace.alive) {
            self.palace_heard(index, &transition);
        } else if let Some(index) = self.links.iter().position(|link| link.child == transition.child) {
            self.link_heard(index, &transition);
        }
        if self.stopping != Stopping::No {
            self.shut_down(ctx);
        }
    }
}
