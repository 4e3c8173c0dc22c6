use crate::contract::{Error, ErrorKind, PalaceRef, Result};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Whether a palace handle, and what was opened through it, may still be used.
#[derive(Debug, Default)]
pub(super) struct Gate {
    closed: AtomicBool,
}

impl Gate {
    pub(super) fn check(&self) -> Result<()> {
        match self.closed.load(Ordering::Acquire) {
            false => Ok(()),
            true => Err(Error::new(ErrorKind::BackendClosed, "the palace was closed")),
        }
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }
}

/// The gates of all palaces a backend has opened.
#[derive(Default)]
pub(super) struct Gates(Mutex<HashMap<PalaceRef, Vec<Weak<Gate>>>>);

impl Gates {
    pub(super) fn opened(&self, palace: &PalaceRef) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_palace = gates.entry(palace.clone()).or_default();
        of_palace.retain(|gate| gate.strong_count() > 0);
        of_palace.push(Arc::downgrade(&gate));
        gate
    }

    pub(super) fn close(&self, palace: &PalaceRef) {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for gate in gates.remove(palace).unwrap_or_default() {
            if let Some(gate) = gate.upgrade() {
                gate.close();
            }
        }
    }
}
