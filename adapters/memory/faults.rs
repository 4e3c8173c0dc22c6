use palanquin_engine::contract::{Error, ErrorKind, Result};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Where a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Opening a palace.
    Open,
    /// Before a batch of a scan.
    Scan,
    /// Before a batch is applied: nothing of it is there.
    BeforeApply,
    /// After a batch is applied: it is there, and the caller does not learn it.
    AfterApply,
    /// Within a maintenance run: it has told its first step, and nothing is done.
    Maintain,
}

/// What strikes.
#[derive(Clone, Debug)]
pub enum Fault {
    /// An error of this kind.
    Fail(ErrorKind),
    /// A panic.
    Panic,
    /// The call never returns.
    Hang,
}

/// Faults to come, in order; each strikes once. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<VecDeque<(Point, u32, Fault)>>>);

impl Faults {
    /// Lets `fault` strike at `point` once it has been passed `after` times from now (or from the fault before it).
    pub fn inject(&self, point: Point, after: u32, fault: Fault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back((point, after, fault));
    }

    /// Whether all of them have struck.
    pub fn are_spent(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    #[allow(clippy::panic, reason = "a panic is what was asked for")]
    pub(crate) async fn pass(&self, point: Point) -> Result<()> {
        let fault = {
            let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match faults.iter_mut().find(|(at, ..)| *at == point) {
                Some((_, 0, _)) => {
                    let index = faults.iter().position(|(at, ..)| *at == point);
                    index.and_then(|index| faults.remove(index)).map(|(.., fault)| fault)
                }
                Some((_, after, _)) => {
                    *after -= 1;
                    None
                }
                None => None,
            }
        };
        match fault {
            None => Ok(()),
            Some(Fault::Fail(kind)) => Err(Error::new(kind, format!("an injected fault at {point:?}"))),
            Some(Fault::Panic) => panic!("an injected panic at {point:?}"),
            Some(Fault::Hang) => std::future::pending().await,
        }
    }
}
