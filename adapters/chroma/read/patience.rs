use crate::layout::Trouble;
use crate::layout::files::Stamps;
use palanquin_engine::contract::{Error, ErrorKind};
use std::time::Duration;

/// Attempts before a palace counts as busy; with the pauses between them about five seconds.
const ATTEMPTS: u32 = 16;
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Decides after a failed attempt whether another one makes sense.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    attempts: u32,
    damaged_at: Option<Stamps>,
}

impl Patience {
    /// How long to wait before the next attempt, or the error if there should be none.
    ///
    /// Damage found twice in files that nobody has touched between, nor lately, is damage for good.
    pub(crate) fn after(&mut self, trouble: Trouble, stamps: Stamps) -> Result<Duration, Error> {
        self.attempts += 1;
        let exhausted = self.attempts >= ATTEMPTS;
        match trouble {
            Trouble::Failed(error) => return Err(error),
            Trouble::Damaged(what) => {
                let again = self.damaged_at == Some(stamps);
                if again && (stamps.settled() || exhausted) {
                    return Err(Error::new(ErrorKind::Corrupt, what));
                }
                if exhausted {
                    return Err(Error::new(ErrorKind::Busy, format!("a writer is at work on the index: {what}")));
                }
                self.damaged_at = Some(stamps);
            }
            // Places that were read cannot be misplaced, so that this comes once at most.
            Trouble::Misplaced => self.damaged_at = None,
            Trouble::Torn(what) => {
                if exhausted {
                    return Err(Error::new(ErrorKind::Busy, what));
                }
                self.damaged_at = None;
            }
        }
        Ok(FIRST_PAUSE.saturating_mul(1 << (self.attempts - 1).min(8)).min(LONGEST_PAUSE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_that_stays_is_reported_at_the_second_attempt() {
        let mut patience = Patience::default();
        assert!(patience.after(Trouble::damaged("x"), Stamps::default()).is_ok());
        let error = patience.after(Trouble::damaged("x"), Stamps::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn torn_reads_end_as_busy() {
        let mut patience = Patience::default();
        let mut waited = Duration::ZERO;
        let error = loop {
            match patience.after(Trouble::Torn("x".into()), Stamps::default()) {
                Ok(pause) => waited += pause,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(waited > Duration::from_secs(2) && waited < Duration::from_secs(8), "{waited:?}");
    }
}
