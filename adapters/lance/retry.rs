//! Trying again what another writer came between.

use palanquin_engine::contract::{ErrorKind, Result};
use std::time::Duration;

/// Attempts before contention is the caller's business; with the waits between them some twenty seconds.
const ATTEMPTS: u32 = 40;
/// Upper bounds of the first and of the longest wait, in milliseconds.
const FIRST_WAIT: u64 = 10;
const LONGEST_WAIT: u64 = 1_000;

/// Does it until it is not [`ErrorKind::Busy`] any more, with waits of growing, random length.
pub(crate) async fn while_busy<T, F: Future<Output = Result<T>>>(attempt: impl FnMut() -> F) -> Result<T> {
    at_most(ATTEMPTS, attempt).await
}

/// The same, for what costs more than to be done so often.
pub(crate) async fn at_most<T, F: Future<Output = Result<T>>>(
    attempts: u32,
    mut attempt: impl FnMut() -> F,
) -> Result<T> {
    let mut done = 1;
    loop {
        match attempt().await {
            Err(error) if error.kind() == ErrorKind::Busy && done < attempts => {
                tokio::time::sleep(wait(done)).await;
                done += 1;
            }
            result => return result,
        }
    }
}

/// Anything from nothing to the bound, so that two that met do not meet again.
fn wait(attempts: u32) -> Duration {
    let bound = FIRST_WAIT.saturating_mul(1 << attempts.min(16)).min(LONGEST_WAIT);
    let random = u64::from(uuid::Uuid::new_v4().as_bytes()[0]);
    Duration::from_millis(bound * random / 255)
}

#[cfg(test)]
mod tests {
    use super::*;
    use palanquin_engine::contract::Error;
    use std::cell::Cell;

    #[tokio::test(start_paused = true)]
    async fn contention_is_tried_again_and_in_the_end_told_and_anything_else_at_once() {
        for (kind, expected) in [(ErrorKind::Busy, ATTEMPTS), (ErrorKind::Corrupt, 1)] {
            let attempts = Cell::new(0);
            let result: Result<()> = while_busy(|| async {
                attempts.set(attempts.get() + 1);
                Err(Error::new(kind, "no"))
            })
            .await;
            assert_eq!((result.unwrap_err().kind(), attempts.get()), (kind, expected));
        }
        let attempts = Cell::new(0);
        let third = while_busy(|| async {
            attempts.set(attempts.get() + 1);
            if attempts.get() < 3 { Err(Error::new(ErrorKind::Busy, "no")) } else { Ok(attempts.get()) }
        });
        assert_eq!(third.await.unwrap(), 3);
    }
}
