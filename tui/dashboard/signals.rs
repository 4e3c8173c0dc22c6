//! Signals of the shell's job control and of a terminal that goes away.

use rustix::process::{Signal, getpid, getppid, getsid, kill_current_process_group, kill_process};
use std::io;
use tokio::signal::unix::{self, SignalKind};

/// What a signal asks of the dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// Stop until continued.
    Suspend,
    /// Continued by the shell, after whatever it has done to the screen.
    Continued,
    /// The terminal has gone.
    HungUp,
}

/// Receives them.
pub(super) struct Signals {
    suspend: unix::Signal,
    continued: unix::Signal,
    hung_up: unix::Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        let listen = |signal: Signal| unix::signal(SignalKind::from_raw(signal.as_raw()));
        Ok(Self { suspend: listen(Signal::TSTP)?, continued: listen(Signal::CONT)?, hung_up: listen(Signal::HUP)? })
    }

    pub(super) async fn next(&mut self) -> Notice {
        tokio::select! {
            Some(()) = self.suspend.recv() => Notice::Suspend,
            Some(()) = self.continued.recv() => Notice::Continued,
            Some(()) = self.hung_up.recv() => Notice::HungUp,
            else => std::future::pending().await,
        }
    }

    /// Stops this process and returns once it has been continued. The terminal must have been given back: once the
    /// shell has taken it, it is no longer ours to write to.
    pub(super) async fn stop_until_continued(&mut self) -> io::Result<()> {
        kill_process(getpid(), Signal::STOP)?;
        self.continued.recv().await;
        Ok(())
    }

    /// The same for the shell's whole job, as the terminal does it for programs that leave `^Z` to it: a program that
    /// started this one must stop as well, or the shell would go on waiting for it.
    pub(super) async fn stop_job_until_continued(&mut self) -> io::Result<()> {
        kill_current_process_group(Signal::TSTP)?;
        self.suspend.recv().await;
        self.stop_until_continued().await
    }
}

/// Whether there is a shell that could continue this process: its parent is of the same session.
pub(super) fn is_job() -> bool {
    let parent = getppid().and_then(|parent| getsid(Some(parent)).ok());
    parent.is_some() && parent == getsid(None).ok()
}
