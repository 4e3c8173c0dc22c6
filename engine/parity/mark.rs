use super::End;
use crate::contract::advice::{RetryClass, retry_class};
use crate::contract::{Collection, Cursor, ErrorKind, Result};
use futures::TryStreamExt;
use std::collections::BTreeSet;

/// Changed rows that are looked at again, at most.
pub(super) const FOLLOWED: usize = 20_000;
/// Changes read at once.
const BATCH_ROWS: usize = 1_000;

/// What tells whether a collection was changed in between, as far as its store can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    incarnation: Option<String>,
    /// Where its feed ended.
    head: Option<Cursor>,
    /// How many rows it had, of a store without a feed.
    rows: Option<u64>,
}

/// What happened to a collection between two marks.
#[derive(Debug)]
pub(super) enum Change {
    /// These rows were touched, and no others; none if nothing happened.
    Touched(BTreeSet<String>),
    /// Something happened, and it cannot be said which rows it touched.
    Unknown(String),
}

impl Mark {
    pub(super) async fn of(collection: &dyn Collection) -> Result<Self> {
        let head = match collection.feed_head().await {
            Ok(head) => head.map(|head| head.cursor),
            // A store that cannot be followed as it stands (no feed, no right to it) can be compared all the same.
            Err(error) if retry_class(error.kind()) != RetryClass::Transient => None,
            Err(error) => return Err(error),
        };
        let rows = if head.is_some() { None } else { Some(collection.count().await?) };
        Ok(Self { incarnation: collection.info().await?.incarnation, head, rows })
    }

    /// Whether its store tells which rows were changed.
    pub(super) fn is_of_a_feed(&self) -> bool {
        self.head.is_some()
    }

    /// What happened between this mark and `now`.
    pub(super) async fn change(&self, now: &Self, collection: &dyn Collection, which: End) -> Result<Change> {
        if self == now {
            return Ok(Change::Touched(BTreeSet::new()));
        }
        if self.incarnation != now.incarnation {
            return Ok(Change::Unknown(format!("the {which} was dropped and made again while it was read")));
        }
        match (&self.head, &now.head, self.rows, now.rows) {
            (Some(since), Some(_), ..) => touched(collection, since, which).await,
            (_, _, Some(before), Some(now)) => {
                Ok(Change::Unknown(format!("the {which} was changed while it was read: {before} rows became {now}")))
            }
            _ => Ok(Change::Unknown(format!("the {which} stopped telling its changes while it was read"))),
        }
    }
}

async fn touched(collection: &dyn Collection, since: &Cursor, which: End) -> Result<Change> {
    let mut ids = BTreeSet::new();
    let mut changes = collection.changes_since(since, BATCH_ROWS);
    loop {
        let batch = match changes.try_next().await {
            Ok(None) => return Ok(Change::Touched(ids)),
            Ok(Some(batch)) => batch,
            Err(error) if error.kind() == ErrorKind::CursorExpired => {
                return Ok(Change::Unknown(format!("the {which} was changed while it was read: {}", error.what())));
            }
            Err(error) => return Err(error),
        };
        let written = batch.upserts.iter().chain(batch.patches.iter().map(|patch| &patch.rows));
        ids.extend(written.flat_map(|rows| rows.ids().iter().flatten().map(str::to_owned).collect::<Vec<_>>()));
        ids.extend(batch.deletes);
        if ids.len() > FOLLOWED {
            let detail = format!("the {which} was changed while it was read, in more than {FOLLOWED} rows");
            return Ok(Change::Unknown(detail));
        }
    }
}
