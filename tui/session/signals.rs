use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How soon the program is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// When what is under way is durable.
    Drain,
    /// Now.
    Now,
}

/// SIGINT, SIGTERM and SIGHUP: the first drains, the second ends.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    count: u32,
}

impl Signals {
    /// Catches them from now on; inside a runtime.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            count: 0,
        })
    }

    pub(crate) async fn next(&mut self) -> Urgency {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
        self.count += 1;
        if self.count == 1 { Urgency::Drain } else { Urgency::Now }
    }
}
