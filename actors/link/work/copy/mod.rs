//! Carrying partitions: several are read and written at once, within the link's one credit budget.
//!
//! [`reader`]s take the unfinished partitions one after the other, scan them and hand the batches on, each to the
//! [`writer`] it belongs to; writers join what they get, of several partitions too, into commits. A partition has one
//! reader and one writer at a time, so its position only moves forward. How many there are is up to what the two stores
//! take at once.
//!
//! Nobody waits for ever: a reader that waits for credit makes every writer commit what it keeps back, and a commit waits
//! for nobody. When one driver fails, readers stop and writers make durable what they were handed, so that nothing is cut
//! off in the middle of a commit.

mod commit_size;
mod page_size;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

use super::deliver::Delivery;
use super::{Desk, Done, Prepared};
use crate::credit::Held;
use crate::supervise::Exit;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use page_size::PageSize;
use palanquin_engine::contract::{Error, ErrorKind, KeyRange, Result};
use palanquin_engine::link::{Plan, Position, Positions};
use palanquin_engine::rows::RowBatch;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OnceCell, mpsc};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Batches on their way to a writer; their bytes are bounded by credit, this only bounds their number.
const HANDS: usize = 64;

/// A partition, by the indices of its collection and of itself.
type Key = (usize, usize);

/// What a reader hands to a writer.
enum Handed {
    Begin {
        key: Key,
        range: KeyRange,
        from: Position,
    },
    /// Rows, and the id up to which the partition has been read.
    Rows {
        key: Key,
        rows: RowBatch,
        upto: String,
        held: Held,
    },
    End(Key),
}

/// What all drivers of one run share.
struct Run {
    desk: Desk,
    prepared: Arc<Prepared>,
    delivery: Delivery,
    left: Mutex<VecDeque<(Key, KeyRange)>>,
    /// By collection.
    pages: Vec<PageSize>,
    /// By collection: whether this run found it empty when it came to it.
    found_empty: Vec<OnceCell<bool>>,
    /// Cancelled when reading is to stop: by the operator, or because a driver failed.
    halt: CancellationToken,
    writers: usize,
}

impl Run {
    fn next_partition(&self) -> Option<(Key, KeyRange)> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// Carries every partition that is not finished.
pub(super) async fn run(desk: &Desk, prepared: Arc<Prepared>) -> Result<Done> {
    let left: VecDeque<_> = unfinished(&prepared.plan, &prepared.positions).collect();
    let setup = &desk.setup;
    let options = &setup.options;
    let most = options.readers.unwrap_or(usize::MAX).min(left.len()).max(1);
    // More partitions are read at once than one commit is fed from where the source takes no more than that.
    let writers = setup.target.writers.clamp(1, most);
    let readers = setup.source.readers.max(writers).clamp(1, most);
    let collections = prepared.plan.collections.len();
    let run = Arc::new(Run {
        desk: desk.clone(),
        delivery: Delivery::begin(desk, &prepared).await?,
        left: Mutex::new(left),
        pages: (0..collections).map(|_| PageSize::new(options, &setup.limits, readers)).collect(),
        found_empty: (0..collections).map(|_| OnceCell::new()).collect(),
        halt: desk.shift.stop.child_token(),
        writers,
        prepared,
    });
    let mut drivers = FuturesUnordered::new();
    let mut hands = Vec::new();
    for writer in 0..writers {
        let (hand_on, handed) = mpsc::channel(HANDS);
        hands.push(hand_on);
        let driver = tokio::spawn(writer::run(Arc::clone(&run), writer, handed));
        drivers.push(ended("the target driver", AbortOnDropHandle::new(driver)));
    }
    for reader in 0..readers {
        let driver = tokio::spawn(reader::run(Arc::clone(&run), reader, hands[reader % writers].clone()));
        drivers.push(ended("the source driver", AbortOnDropHandle::new(driver)));
    }
    drop(hands);
    let mut failed = None;
    while let Some(ended) = drivers.next().await {
        if let Err(error) = ended {
            run.halt.cancel();
            failed.get_or_insert(error);
        }
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(if desk.is_stopping() { Done::Stopped } else { Done::Copied }),
    }
}

/// The end of a driver; its panic is an error like any other.
async fn ended(driver: &str, task: AbortOnDropHandle<Result<()>>) -> Result<()> {
    task.await.unwrap_or_else(|error: JoinError| {
        let exit = match error.try_into_panic() {
            Ok(payload) => Exit::of_panic(&*payload),
            Err(error) => Exit::Failed(error.to_string()),
        };
        Err(Error::new(ErrorKind::Internal, format!("{driver} {exit}")))
    })
}

/// What remains of each partition that is not finished.
fn unfinished<'a>(plan: &'a Plan, positions: &'a Positions) -> impl Iterator<Item = (Key, KeyRange)> + 'a {
    plan.collections.iter().enumerate().flat_map(move |(c, collection)| {
        collection.partitions.iter().enumerate().filter_map(move |(p, partition)| {
            let position = positions.partition(c, p);
            (!position.done).then(|| ((c, p), partition.range.remaining_after(position.upto.as_deref())))
        })
    })
}
