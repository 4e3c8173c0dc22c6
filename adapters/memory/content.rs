use palanquin_engine::contract::{CollectionInfo, CollectionSpec, EmbedderIdentity, KeyRange};
use palanquin_engine::rows::Row;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A collection as it is stored, behind every handle on it.
#[derive(Debug)]
pub(crate) struct StoredCollection {
    spec: CollectionSpec,
    content: Mutex<Content>,
}

/// What changes in a collection, together.
#[derive(Debug, Default)]
pub(crate) struct Content {
    pub(crate) rows: BTreeMap<String, Stored>,
    pub(crate) changes: Changes,
    pub(crate) identity: Option<EmbedderIdentity>,
}

/// A row but for its id.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) document: Option<String>,
    pub(crate) metadata: String,
    pub(crate) embedding: Option<Vec<f32>>,
}

/// Which row each change touched. Changes are numbered from 1.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    last: u64,
    touched: BTreeMap<u64, String>,
    /// Number of the last change of each row.
    newest: HashMap<String, u64>,
}

impl StoredCollection {
    pub(crate) fn new(spec: CollectionSpec) -> Self {
        let identity = spec.identity.clone();
        Self { spec, content: Mutex::new(Content { identity, ..Content::default() }) }
    }

    pub(crate) fn name(&self) -> &str {
        &self.spec.name
    }

    pub(crate) fn dimension(&self) -> u32 {
        self.spec.dimension
    }

    pub(crate) fn incarnation(&self) -> &str {
        &self.spec.incarnation
    }

    pub(crate) fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn describe(&self) -> CollectionInfo {
        let content = self.content();
        CollectionInfo {
            name: self.spec.name.clone(),
            rows: content.rows.len() as u64,
            dimension: Some(self.spec.dimension),
            metric: Some(self.spec.metric),
            identity: content.identity.clone(),
            incarnation: Some(self.spec.incarnation.clone()),
            settings: self.spec.settings.clone(),
        }
    }
}

impl Content {
    pub(crate) fn put(&mut self, row: Row<'_>) {
        let stored = Stored {
            document: row.document.map(str::to_owned),
            metadata: row.metadata.to_owned(),
            embedding: row.embedding.map(<[f32]>::to_vec),
        };
        self.rows.insert(row.id.to_owned(), stored);
        self.changes.touch(row.id);
    }

    /// Whether it was there.
    pub(crate) fn remove(&mut self, id: &str) -> bool {
        let there = self.rows.remove(id).is_some();
        if there {
            self.changes.touch(id);
        }
        there
    }

    pub(crate) fn within(&self, range: &KeyRange) -> impl DoubleEndedIterator<Item = (&str, &Stored)> {
        let after = range.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let upto = range.upto.as_deref().map_or(Bound::Unbounded, Bound::Included);
        let ordered = range.after.as_deref() < range.upto.as_deref() || range.upto.is_none();
        let rows = ordered.then(|| self.rows.range::<str, _>((after, upto)));
        rows.into_iter().flatten().map(|(id, stored)| (id.as_str(), stored))
    }
}

impl Stored {
    pub(crate) fn as_row<'a>(&'a self, id: &'a str) -> Row<'a> {
        let (document, embedding) = (self.document.as_deref(), self.embedding.as_deref());
        Row { id, document, metadata: &self.metadata, embedding }
    }
}

impl Changes {
    fn touch(&mut self, id: &str) {
        self.last += 1;
        self.touched.insert(self.last, id.to_owned());
        self.newest.insert(id.to_owned(), self.last);
    }

    /// Number of the last change, 0 before the first.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// The rows touched after that change, which must not be of the future; more than once where they were.
    pub(crate) fn after(&self, number: u64) -> Option<impl Iterator<Item = &str>> {
        let touched = || self.touched.range((Bound::Excluded(number), Bound::Unbounded));
        (number <= self.last).then(|| touched().map(|(_, id)| id.as_str()))
    }

    pub(crate) fn kept(&self) -> usize {
        self.touched.len()
    }

    pub(crate) fn superseded(&self) -> usize {
        self.touched.len() - self.newest.len()
    }

    /// How many there were. The newest change of each row stays, so every cursor leads to the same rows as before.
    pub(crate) fn drop_superseded(&mut self) -> usize {
        let superseded = self.superseded();
        let newest = &self.newest;
        self.touched.retain(|number, id| newest.get(id) == Some(number));
        superseded
    }
}
