use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Why a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It had nothing more to do.
    Normal,
    /// It was told to stop; never restarted.
    Shutdown,
    /// It gave up, for this reason.
    Failed(String),
    /// One it depends on was restarted; restarted at once, and not counted.
    Cascaded(String),
    /// It panicked, with this text.
    Panicked(String),
}

impl Exit {
    /// The exit of a caught panic.
    pub fn of_panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        Self::Panicked(text)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("ended"),
            Self::Shutdown => f.write_str("shut down"),
            Self::Failed(reason) | Self::Cascaded(reason) => f.write_str(reason),
            Self::Panicked(text) => write!(f, "panicked: {text}"),
        }
    }
}

/// Where a worker leaves its exit reason before it stops its context.
#[derive(Clone, Debug, Default)]
pub struct Monitor(Arc<Mutex<Option<Exit>>>);

impl Monitor {
    /// Leaves the reason.
    pub fn leave(&self, exit: Exit) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(exit);
    }

    pub(super) fn take(&self) -> Exit {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or(Exit::Normal)
    }
}
