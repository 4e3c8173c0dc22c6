use palanquin_engine::contract::Cursor;
use palanquin_engine::link::{Plan, Position, Positions};
use std::collections::BTreeMap;

/// How far the link has durably gone, and what of that the journal has yet to store.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    positions: Positions,
    partitions: BTreeMap<(usize, usize), Position>,
    feeds: BTreeMap<usize, Cursor>,
    storing: bool,
}

/// What the journal is to store next.
#[derive(Debug)]
pub(super) struct Entries {
    pub(super) partitions: Vec<(usize, usize, Position)>,
    pub(super) feeds: Vec<(usize, Cursor)>,
}

impl Ledger {
    /// Starts from what the journal holds.
    pub(super) fn from_journal(positions: Positions) -> Self {
        Self { positions, ..Self::default() }
    }

    pub(super) fn positions(&self) -> &Positions {
        &self.positions
    }

    /// Folds in that a partition is durable up to a position.
    pub(super) fn advance(&mut self, collection: usize, partition: usize, position: Position) {
        if self.positions.advance(collection, partition, position.clone()) {
            self.partitions.insert((collection, partition), position);
        }
    }

    /// Folds in that a feed has durably gone to a cursor.
    pub(super) fn advance_feed(&mut self, collection: usize, cursor: Cursor) {
        self.positions.advance_feed(collection, cursor.clone());
        self.feeds.insert(collection, cursor);
    }

    /// What to store now; `None` while a store is under way or nothing is new.
    pub(super) fn take(&mut self) -> Option<Entries> {
        if self.storing || (self.partitions.is_empty() && self.feeds.is_empty()) {
            return None;
        }
        self.storing = true;
        let partitions = std::mem::take(&mut self.partitions);
        Some(Entries {
            partitions: partitions.into_iter().map(|((c, p), position)| (c, p, position)).collect(),
            feeds: std::mem::take(&mut self.feeds).into_iter().collect(),
        })
    }

    /// How far each feed of the plan has gone, what was taken to be stored included.
    pub(super) fn feeds(&self, plan: &Plan) -> Vec<(String, Cursor)> {
        let feeds = plan.collections.iter().enumerate().filter_map(|(index, planned)| {
            let cursor = self.positions.feed(index).or(planned.feed_from.as_ref())?;
            Some((planned.source_name().to_owned(), cursor.clone()))
        });
        feeds.collect()
    }

    /// Forgets what the journal has not stored; what it holds is the truth to start from.
    pub(super) fn drop_unstored(&mut self) {
        self.partitions.clear();
        self.feeds.clear();
        self.storing = false;
    }

    /// The store under way has ended.
    pub(super) fn stored(&mut self) {
        self.storing = false;
    }

    /// Whether the journal holds everything.
    pub(super) fn is_stored(&self) -> bool {
        !self.storing && self.partitions.is_empty() && self.feeds.is_empty()
    }
}
