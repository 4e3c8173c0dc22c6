use crate::format::count;
use crate::output::{self, Cadence, json};
use palanquin_engine::parity::End;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Prints how far a comparison is, now and then.
pub(super) struct Hearing {
    as_json: bool,
    told: Mutex<Told>,
}

struct Told {
    doing: String,
    source_rows: u64,
    target_rows: u64,
    total_rows: u64,
    cadence: Cadence,
    last: Instant,
    pause: Duration,
}

impl Hearing {
    pub(super) fn new(as_json: bool) -> Self {
        let mut cadence = Cadence::default();
        let pause = cadence.next_pause();
        let doing = String::new();
        let told = Told { doing, source_rows: 0, target_rows: 0, total_rows: 0, cadence, last: Instant::now(), pause };
        Self { as_json, told: Mutex::new(told) }
    }

    /// What is done from now on, of so many rows on both ends together.
    pub(super) fn begin(&self, doing: &str, total_rows: u64) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        (told.source_rows, told.target_rows, told.total_rows) = (0, 0, total_rows);
        told.doing = doing.to_owned();
    }

    /// So many rows of an end were read.
    pub(super) fn hear(&self, end: End, rows: u64) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match end {
            End::Source => told.source_rows += rows,
            End::Target => told.target_rows += rows,
        }
        if told.last.elapsed() < told.pause {
            return;
        }
        told.last = Instant::now();
        told.pause = told.cadence.next_pause();
        let Told { doing, source_rows, target_rows, total_rows, .. } = &*told;
        output::print(&match self.as_json {
            true => json::comparing(doing, *source_rows, *target_rows, *total_rows),
            false => format!("{doing}; rows {}/{} on both ends", count(source_rows + target_rows), count(*total_rows)),
        });
    }
}
