use crate::contract::Cursor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far one partition has durably gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Last id that is durable in the target.
    pub upto: Option<String>,
    /// Rows that are.
    pub rows: u64,
    /// Their bytes in memory.
    pub bytes: u64,
    /// Whether the partition is finished.
    pub done: bool,
}

impl Position {
    fn is_ahead_of(&self, other: &Self) -> bool {
        if other.done {
            return false;
        }
        self.done || self.upto > other.upto
    }
}

/// How far a link has durably gone: its partitions by (collection, partition) index, its feeds by collection index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    partitions: BTreeMap<(usize, usize), Position>,
    feeds: BTreeMap<usize, Cursor>,
}

impl Positions {
    /// Where a partition stands; nothing done if it was never recorded.
    pub fn partition(&self, collection: usize, partition: usize) -> Position {
        self.partitions.get(&(collection, partition)).cloned().unwrap_or_default()
    }

    /// Moves a partition forward. A position that is not ahead of the recorded one is ignored, and `false` returned.
    pub fn advance(&mut self, collection: usize, partition: usize, position: Position) -> bool {
        let recorded = self.partitions.entry((collection, partition)).or_default();
        let ahead = position.is_ahead_of(recorded);
        if ahead {
            *recorded = position;
        }
        ahead
    }

    /// Cursor a feed has durably reached.
    pub fn feed(&self, collection: usize) -> Option<&Cursor> {
        self.feeds.get(&collection)
    }

    /// Records how far a feed has durably gone. Cursors are opaque: the caller applies them in order.
    pub fn advance_feed(&mut self, collection: usize, cursor: Cursor) {
        self.feeds.insert(collection, cursor);
    }

    /// Every recorded partition.
    pub fn partitions(&self) -> impl Iterator<Item = (usize, usize, &Position)> {
        self.partitions.iter().map(|(&(collection, partition), position)| (collection, partition, position))
    }

    /// Rows durable in all partitions.
    pub fn rows(&self) -> u64 {
        self.partitions.values().map(|position| position.rows).sum()
    }

    /// Bytes durable in all partitions.
    pub fn bytes(&self) -> u64 {
        self.partitions.values().map(|position| position.bytes).sum()
    }

    /// Partitions that are finished.
    pub fn partitions_done(&self) -> usize {
        self.partitions.values().filter(|position| position.done).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(upto: &str, done: bool) -> Position {
        Position { upto: Some(upto.into()), rows: 1, bytes: 1, done }
    }

    #[test]
    fn positions_only_move_forward() {
        let mut positions = Positions::default();
        assert!(positions.advance(0, 0, at("m", false)));
        assert!(!positions.advance(0, 0, at("a", false)), "back");
        assert!(!positions.advance(0, 0, at("m", false)), "the same place");
        assert!(positions.advance(0, 0, Position { done: true, ..at("m", false) }), "done at the same id");
        assert!(!positions.advance(0, 0, at("z", false)), "beyond done");
        assert_eq!(positions.partition(0, 0).upto.as_deref(), Some("m"));
    }
}
