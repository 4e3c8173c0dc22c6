use std::time::Duration;

/// Time between two progress lines: a second in the first minute, five seconds up to the fifth, then thirty.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cadence {
    elapsed: Duration,
}

impl Cadence {
    /// How long to wait until the next line.
    pub(crate) fn next_pause(&mut self) -> Duration {
        let pause = match self.elapsed.as_secs() {
            0..60 => Duration::from_secs(1),
            60..300 => Duration::from_secs(5),
            _ => Duration::from_secs(30),
        };
        self.elapsed += pause;
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_grow_as_time_goes_by() {
        let mut cadence = Cadence::default();
        let pauses: Vec<u64> = (0..200).map(|_| cadence.next_pause().as_secs()).collect();
        assert_eq!((pauses[0], pauses[59], pauses[60], pauses[107], pauses[108]), (1, 1, 5, 5, 30));
    }
}
