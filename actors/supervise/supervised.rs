use super::policy::Window;
use super::{ChildSpec, Exit, Monitor};
use actix::dev::ContextFut;
use actix::{Actor, Addr, AsyncContext, Context, Supervised};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{self, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// An actor that can be rebuilt from its spec.
///
/// `Supervised::restarting` must do so, as a panic leaves the old struct in an unknown state. Handlers must be
/// idempotent: a message under way when the worker dies is lost, and its sender sees the mailbox closed.
pub trait Worker: Actor<Context = Context<Self>> + Supervised {
    /// Everything it is built from.
    type Spec: Clone + 'static;

    /// Builds it; no I/O.
    fn from_spec(spec: Self::Spec) -> Self;

    /// Where it leaves its exit reason.
    fn monitor(spec: &Self::Spec) -> Monitor;
}

/// What became of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It ended and will be restarted after this delay; restarts in the window so far.
    Restarting(Duration, u32),
    /// It runs again.
    Restarted,
    /// It ended and is not restarted.
    Ended,
    /// It ended once too often within its window.
    GivenUp,
}

/// Something that happened to a child.
#[derive(Clone, Debug)]
pub struct Transition {
    /// The child's name.
    pub child: String,
    /// Why it ended.
    pub exit: Exit,
    /// What became of it.
    pub step: Step,
}

/// Starts a worker under supervision, on the current arbiter; `parent` hears of every transition.
pub fn spawn<W: Worker>(child: ChildSpec, spec: W::Spec, parent: impl Fn(Transition) + 'static) -> Addr<W> {
    let monitor = W::monitor(&spec);
    let context = Context::new();
    let address = context.address();
    let rng = StdRng::seed_from_u64(child.seed);
    actix_rt::spawn(Supervise {
        future: context.into_future(W::from_spec(spec)),
        child,
        monitor,
        window: Window::default(),
        rng,
        backing_off: None,
        parent: Box::new(parent),
    });
    address
}

struct Supervise<W: Worker> {
    future: ContextFut<W, Context<W>>,
    child: ChildSpec,
    monitor: Monitor,
    window: Window,
    rng: StdRng,
    backing_off: Option<(Pin<Box<Sleep>>, Exit)>,
    parent: Box<dyn Fn(Transition)>,
}

impl<W: Worker> Supervise<W> {
    fn tell(&self, exit: Exit, step: Step) {
        (self.parent)(Transition { child: self.child.id.clone(), exit, step });
    }

    /// Decides on an exit; `false` if it is the last.
    fn survive(&mut self, exit: Exit) -> bool {
        if !self.child.restart.follows(&exit) {
            self.tell(exit, Step::Ended);
            return false;
        }
        let (delay, attempt) = if matches!(exit, Exit::Cascaded(_)) {
            (Duration::ZERO, 0)
        } else {
            match self.window.count(self.child.intensity, Instant::now()) {
                Some(attempt) => (self.child.backoff.delay(attempt, &mut self.rng), attempt),
                None => {
                    self.tell(exit, Step::GivenUp);
                    return false;
                }
            }
        };
        self.tell(exit.clone(), Step::Restarting(delay, attempt));
        self.backing_off = Some((Box::pin(tokio::time::sleep(delay)), exit));
        true
    }
}

impl<W: Worker> Unpin for Supervise<W> {}

impl<W: Worker> Future for Supervise<W> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            if let Some((sleep, _)) = &mut this.backing_off {
                ready!(sleep.as_mut().poll(cx));
                let exit = this.backing_off.take().map_or(Exit::Normal, |(_, exit)| exit);
                match catch_unwind(AssertUnwindSafe(|| this.future.restart())) {
                    Ok(true) => this.tell(exit, Step::Restarted),
                    // Nobody holds its address any more.
                    Ok(false) => {
                        this.tell(exit, Step::Ended);
                        return Poll::Ready(());
                    }
                    Err(payload) => {
                        if !this.survive(Exit::of_panic(&*payload)) {
                            return Poll::Ready(());
                        }
                        continue;
                    }
                }
            }
            let exit = match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut this.future).poll(cx))) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(())) => this.monitor.take(),
                Err(payload) => Exit::of_panic(&*payload),
            };
            if !this.survive(exit) {
                return Poll::Ready(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Intensity, Restart};
    use super::*;
    use actix::{Handler, Message};
    use palanquin_engine::link::Backoff;
    use std::cell::RefCell;
    use std::rc::Rc;

    #[derive(Clone, Default)]
    struct Spec {
        monitor: Monitor,
        starts: Rc<RefCell<u32>>,
        panic_in_started: u32,
    }

    struct Counter {
        spec: Spec,
        count: u32,
    }

    impl Worker for Counter {
        type Spec = Spec;
        fn from_spec(spec: Spec) -> Self {
            Self { spec, count: 0 }
        }
        fn monitor(spec: &Spec) -> Monitor {
            spec.monitor.clone()
        }
    }

    impl Actor for Counter {
        type Context = Context<Self>;
        fn started(&mut self, _: &mut Self::Context) {
            *self.spec.starts.borrow_mut() += 1;
            let start = *self.spec.starts.borrow();
            assert!(start > self.spec.panic_in_started, "no start yet");
        }
    }

    impl Supervised for Counter {
        fn restarting(&mut self, _: &mut Self::Context) {
            *self = Self::from_spec(self.spec.clone());
        }
    }

    #[derive(Message)]
    #[rtype(result = "u32")]
    enum Ask {
        Count,
        Panic,
        Fail,
        Shutdown,
    }

    impl Handler<Ask> for Counter {
        type Result = u32;
        fn handle(&mut self, ask: Ask, ctx: &mut Self::Context) -> u32 {
            use actix::ActorContext;
            self.count += 1;
            match ask {
                Ask::Count => {}
                Ask::Panic => panic!("told to"),
                Ask::Fail => {
                    self.spec.monitor.leave(Exit::Failed("no luck".into()));
                    ctx.stop();
                }
                Ask::Shutdown => {
                    self.spec.monitor.leave(Exit::Shutdown);
                    ctx.stop();
                }
            }
            self.count
        }
    }

    type Log = Rc<RefCell<Vec<(Exit, Step)>>>;

    fn start(spec: Spec, max: usize) -> (Addr<Counter>, Log) {
        let log = Log::default();
        let child = ChildSpec {
            restart: Restart::Permanent,
            intensity: Intensity { max, within: Duration::from_secs(60) },
            backoff: Backoff { jitter: 0.0, ..Backoff::DEFAULT },
            ..ChildSpec::permanent("counter", 1)
        };
        let heard = Rc::clone(&log);
        let address = spawn::<Counter>(child, spec, move |transition| {
            heard.borrow_mut().push((transition.exit, transition.step));
        });
        (address, log)
    }

    fn on_virtual_time(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(tokio::task::LocalSet::new().run_until(test));
    }

    #[test]
    fn a_panic_is_survived_with_address_and_mailbox_and_a_fresh_state() {
        on_virtual_time(async {
            let (address, log) = start(Spec::default(), 5);
            assert_eq!(address.send(Ask::Count).await.unwrap(), 1);
            assert!(address.send(Ask::Panic).await.is_err());
            assert_eq!(address.send(Ask::Count).await.unwrap(), 1, "the state is fresh");
            let half_a_second = Duration::from_millis(500);
            let panic = Exit::Panicked("told to".into());
            assert_eq!(*log.borrow(), [(panic.clone(), Step::Restarting(half_a_second, 1)), (panic, Step::Restarted)]);
        });
    }

    #[test]
    fn a_worker_that_cannot_start_is_given_up_after_its_intensity() {
        on_virtual_time(async {
            let (address, log) = start(Spec { panic_in_started: u32::MAX, ..Spec::default() }, 3);
            assert!(address.send(Ask::Count).await.is_err());
            let steps: Vec<_> = log.borrow().iter().map(|(_, step)| step.clone()).collect();
            let delays: Vec<_> = steps
                .iter()
                .filter_map(|step| match step {
                    Step::Restarting(delay, _) => Some(delay.as_millis()),
                    _ => None,
                })
                .collect();
            assert_eq!(delays, [500, 1000, 2000]);
            assert_eq!(steps.last(), Some(&Step::GivenUp));
        });
    }

    #[test]
    fn the_window_slides_so_that_rare_failures_never_add_up() {
        on_virtual_time(async {
            let (address, log) = start(Spec::default(), 1);
            for _ in 0..10 {
                let _ = address.send(Ask::Fail).await;
                tokio::time::sleep(Duration::from_secs(120)).await;
            }
            assert_eq!(address.send(Ask::Count).await.unwrap(), 1);
            assert!(log.borrow().iter().all(|(_, step)| *step != Step::GivenUp));
        });
    }

    #[test]
    fn a_shutdown_is_final() {
        on_virtual_time(async {
            let (address, log) = start(Spec::default(), 5);
            let _ = address.send(Ask::Shutdown).await;
            assert!(address.send(Ask::Count).await.is_err());
            assert_eq!(*log.borrow(), [(Exit::Shutdown, Step::Ended)]);
        });
    }
}
