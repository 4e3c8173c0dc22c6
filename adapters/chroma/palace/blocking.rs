use palanquin_engine::contract::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, PoisonError};

/// Runs `work` on `state` where blocking is allowed. State that a panic left behind is used again: whatever it caches
/// is checked before use.
pub(super) async fn blocking<S: Send + 'static, T: Send + 'static>(
    state: &Arc<Mutex<S>>,
    work: impl FnOnce(&mut S) -> Result<T> + Send + 'static,
) -> Result<T> {
    let state = Arc::clone(state);
    unlocked(move || work(&mut state.lock().unwrap_or_else(PoisonError::into_inner))).await
}

/// Runs `work` where blocking is allowed.
pub(super) async fn unlocked<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::Internal, "reading the palace was broken off").with_source(error))
    })
}
