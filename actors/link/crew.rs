use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::{AbortHandle, JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

/// How long work that was told to stop may take before it is cut off.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// The work in hand of one link. It outlives the actor's restarts, so that two works never write to one target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crew(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    generation: AtomicU64,
    suspect: AtomicBool,
    current: Mutex<Option<Current>>,
}

#[derive(Debug)]
struct Current {
    stop: CancellationToken,
    work: Arc<Mutex<Option<AbortHandle>>>,
    ended: JoinHandle<()>,
}

/// Given to work when it begins.
#[derive(Clone, Debug)]
pub(crate) struct Shift {
    /// Tells its reports from those of earlier work.
    pub(crate) generation: u64,
    /// Cancelled when it is to stop at the next durable position.
    pub(crate) stop: CancellationToken,
    /// Whether earlier work was cut off: what it wrote may still arrive, so nothing may be appended blindly.
    pub(crate) suspect: bool,
}

impl Crew {
    /// Begins work as soon as what is in hand has ended, and reports its end. Returns the generation of the new work.
    pub(crate) fn begin<T, Work>(
        &self,
        work: impl FnOnce(Shift) -> Work + Send + 'static,
        report: impl FnOnce(u64, Result<T, JoinError>) + Send + 'static,
    ) -> u64
    where
        T: Send + 'static,
        Work: Future<Output = T> + Send + 'static,
    {
        let generation = self.0.generation.fetch_add(1, Ordering::Relaxed) + 1;
        let stop = CancellationToken::new();
        let abort = Arc::new(Mutex::new(None));
        let before = self.current().take();
        let (shared, token, handle) = (Arc::clone(&self.0), stop.clone(), Arc::clone(&abort));
        let ended = tokio::spawn(async move {
            if let Some(before) = before {
                before.end(&shared).await;
            }
            let suspect = shared.suspect.load(Ordering::Relaxed);
            let task = tokio::spawn(work(Shift { generation, stop: token, suspect }));
            *handle.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.abort_handle());
            let end = task.await;
            if end.is_err() {
                shared.suspect.store(true, Ordering::Relaxed);
            }
            report(generation, end);
        });
        *self.current() = Some(Current { stop, work: abort, ended });
        generation
    }

    /// Tells the work in hand to stop at the next durable position.
    pub(crate) fn stop(&self) {
        if let Some(current) = &*self.current() {
            current.stop.cancel();
        }
    }

    /// Cuts the work in hand off.
    pub(crate) fn cut_off(&self) {
        if let Some(current) = &*self.current() {
            current.cut_off();
        }
    }

    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    fn cut_off(&self) {
        if let Some(work) = &*self.work.lock().unwrap_or_else(PoisonError::into_inner) {
            work.abort();
        }
    }

    /// Stops it, in good time or by force, and waits until it has ended.
    async fn end(mut self, shared: &Shared) {
        self.stop.cancel();
        if tokio::time::timeout(STOP_WITHIN, &mut self.ended).await.is_err() {
            shared.suspect.store(true, Ordering::Relaxed);
            self.cut_off();
            let _ = (&mut self.ended).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    #[tokio::test(start_paused = true)]
    async fn new_work_begins_only_when_the_old_has_stopped() {
        let crew = Crew::default();
        let (log, mut seen) = mpsc::unbounded_channel();
        let heard = log.clone();
        crew.begin(
            move |shift| async move {
                shift.stop.cancelled().await;
                let _ = heard.send("old stops");
            },
            |_, _| {},
        );
        crew.begin(
            move |shift| async move {
                let _ = log.send(if shift.suspect { "suspect" } else { "new begins" });
            },
            |_, _| {},
        );
        assert_eq!(seen.recv().await, Some("old stops"));
        assert_eq!(seen.recv().await, Some("new begins"));
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_hangs_is_cut_off_and_its_successor_told() {
        let crew = Crew::default();
        let (log, mut seen) = mpsc::unbounded_channel();
        crew.begin(|_| std::future::pending::<()>(), |_, _| {});
        crew.begin(move |shift| async move { log.send(shift.suspect) }, |_, _| {});
        assert_eq!(seen.recv().await, Some(true));
    }
}
