use super::cursor::{End, Mark};
use super::ids::{IdSet, Packed};
use super::window::Window;
use crate::connection::{out_of_order, sqlite};
use crate::read::session::Session;
use palanquin_engine::contract::Result;
use palanquin_engine::rows::RowBatch;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Ids read under one lock.
const IDS_PAGE: i64 = 4096;
/// Ids looked up under one lock.
const LOOKUP_PAGE: usize = 4096;
/// Memory that the ids of one collection may take: some eight million of them.
const MAX_BYTES: usize = 256 << 20;
/// Deletes that are remembered.
const MAX_GONE: usize = 1 << 18;
/// Name of a memory that vouches for nothing.
const NONE: &str = "-";

/// What this process has handed out of a collection, and which deletes it has learned of.
///
/// It vouches for the cursors that carry its name: the target such a cursor belongs to holds no id that is neither in
/// the set nor among those that are known to be gone since the cursor.
#[derive(Debug)]
pub(crate) struct Memory {
    name: String,
    /// Operations up to this number are accounted for.
    at: i64,
    /// At least the ids that were there at `at` and those handed out, without those known to be gone.
    known: IdSet,
    /// Ids that were deleted, and a number not before the delete's.
    gone: BTreeMap<String, i64>,
    /// Deletes up to this number may have been forgotten.
    floor: i64,
    /// Counts comparisons: an id that was read before one and is remembered after it was compared by none.
    comparisons: u64,
    compare_again: bool,
    /// Whether more was handed out than it holds.
    is_full: bool,
}

impl Memory {
    /// Begins with the ids there are.
    fn begin(session: &Session) -> Result<Self> {
        let (lock, marks) = session.lock()?;
        // Before the ids are read: what is written meanwhile comes after it.
        let at = End::read(session, &lock, marks)?.seq;
        drop(lock);
        let mut known = Packed::default();
        each_id(session, |id| known.push(id))?;
        Ok(Self {
            name: uuid::Uuid::new_v4().simple().to_string(),
            at,
            known: known.into(),
            gone: BTreeMap::new(),
            floor: i64::MIN,
            comparisons: 0,
            compare_again: false,
            is_full: false,
        })
    }

    /// The name that cursors carry.
    pub(super) fn name(&self) -> &str {
        if self.is_full { NONE } else { &self.name }
    }

    /// The number up to which it knows what was deleted.
    pub(super) fn at(&self) -> i64 {
        self.at
    }

    /// Whether it knows what the target of this cursor may hold.
    pub(super) fn vouches_for(&self, mark: &Mark) -> bool {
        !self.is_full && mark.memory == self.name && mark.end.seq >= self.floor
    }

    /// Takes in what happened up to `upto`; where the log does not tell, ids are compared.
    pub(super) fn advance(&mut self, session: &Session, window: &Window, upto: i64) -> Result<()> {
        if self.is_full {
            self.at = upto;
            return Ok(());
        }
        for (id, touched) in window.touched.iter().filter(|(_, touched)| touched.last > self.at) {
            if touched.deleted == Some(touched.last) {
                self.known.remove(id);
            } else {
                self.known.insert(id);
            }
            if let Some(seq) = touched.deleted {
                self.gone.insert(id.clone(), seq);
            }
        }
        if self.compare_again || !window.is_complete_after(self.at, upto) {
            self.compare(session, upto)?;
        }
        self.at = upto;
        self.forget_old();
        self.check_size();
        Ok(())
    }

    /// Ids that are known to be gone since the cursor.
    pub(super) fn gone_since(&self, mark: &Mark) -> impl Iterator<Item = &String> {
        self.gone.iter().filter(move |(_, seq)| **seq > mark.end.seq).map(|(id, _)| id)
    }

    /// Finds the ids that are no longer there.
    fn compare(&mut self, session: &Session, upto: i64) -> Result<()> {
        let mut now = Packed::default();
        let mut missing = Vec::new();
        let mut known = self.known.iter().peekable();
        each_id(session, |id| {
            while let Some(before) = known.next_if(|known| known.as_str() < id) {
                missing.push(before);
            }
            known.next_if(|known| known == id);
            now.push(id);
        })?;
        missing.extend(known);
        let gone = absent(session, &missing)?;
        let mut now = IdSet::from(now);
        // The tables do not have it yet, the log has.
        missing.iter().filter(|id| gone.binary_search(id).is_err()).for_each(|id| now.insert(id));
        self.gone.extend(gone.into_iter().map(|id| (id, upto)));
        self.known = now;
        self.comparisons += 1;
        self.compare_again = false;
        Ok(())
    }

    fn forget_old(&mut self) {
        if self.gone.len() <= MAX_GONE {
            return;
        }
        let mut seqs: Vec<i64> = self.gone.values().copied().collect();
        let (_, middle, _) = seqs.select_nth_unstable(MAX_GONE / 2);
        self.floor = *middle;
        self.gone.retain(|_, seq| *seq > self.floor);
    }

    fn check_size(&mut self) {
        if self.known.bytes() > MAX_BYTES {
            self.is_full = true;
            (self.known, self.gone) = (IdSet::default(), BTreeMap::new());
        }
    }
}

/// The memory of one collection, once it is followed; shared by all who have it open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Followed(Arc<Mutex<Option<Memory>>>);

impl Followed {
    /// The memory, which begins now if it has not, or if what it remembers is yet to come: an older state was restored.
    pub(super) fn memory<T>(&self, session: &Session, with: impl FnOnce(&mut Memory) -> Result<T>) -> Result<T> {
        let mut memory = self.lock();
        let (lock, marks) = session.lock()?;
        let end = End::read(session, &lock, marks)?;
        drop(lock);
        let begun = match memory.take().filter(|memory| memory.at <= end.seq) {
            Some(memory) => memory,
            None => Memory::begin(session)?,
        };
        with(memory.insert(begun))
    }

    /// How often ids were compared; to be asked before rows are read that are going to be handed out.
    pub(crate) fn comparisons(&self) -> u64 {
        self.lock().as_ref().map_or(0, |memory| memory.comparisons)
    }

    /// Rows that are handed out, read when there had been so many comparisons.
    pub(crate) fn hand_out(&self, rows: &RowBatch, comparisons: u64) {
        if let Some(memory) = self.lock().as_mut().filter(|memory| !memory.is_full) {
            rows.ids().iter().flatten().for_each(|id| memory.known.insert(id));
            memory.compare_again |= memory.comparisons != comparisons;
            memory.check_size();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Memory>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The memories of a process, by database file and collection: they outlive connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memories(Arc<Mutex<HashMap<Whose, Followed>>>);

/// Device and inode of the database file, and the id of the collection.
type Whose = ((u64, u64), String);

impl Memories {
    /// Of one collection.
    pub(crate) fn of(&self, file: (u64, u64), collection: &str) -> Followed {
        let mut memories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memories.entry((file, collection.to_owned())).or_default().clone()
    }

    /// Forgets those of a database file.
    pub(crate) fn forget(&self, file: (u64, u64)) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(of, _), _| *of != file);
    }
}

/// Every id that the tables have, in order, a few thousand under one lock. What is written meanwhile may be missing.
fn each_id(session: &Session, mut each: impl FnMut(&str)) -> Result<()> {
    let sql = "SELECT embedding_id FROM embeddings WHERE segment_id = ?1 AND embedding_id >= ?2
               AND (?3 OR embedding_id > ?2) ORDER BY embedding_id LIMIT ?4";
    let mut after: Option<String> = None;
    let mut last: Option<String> = None;
    loop {
        let (lock, _) = session.lock()?;
        let mut statement = lock.prepare_cached(sql).map_err(sqlite)?;
        let params = (&session.segments.metadata, after.as_deref().unwrap_or(""), after.is_none(), IDS_PAGE);
        let mut rows = statement.query(params).map_err(sqlite)?;
        let mut read = 0;
        while let Some(row) = rows.next().map_err(sqlite)? {
            read += 1;
            let id = row.get_ref(0).map_err(sqlite)?.as_str().map_err(|error| sqlite(error.into()))?;
            if last.as_deref().is_some_and(|last| last >= id) {
                return Err(out_of_order());
            }
            each(id);
            let last = last.get_or_insert_default();
            last.clear();
            last.push_str(id);
            if read == IDS_PAGE {
                after = Some(id.to_owned());
            }
        }
        if read < IDS_PAGE {
            return Ok(());
        }
    }
}

/// Those of the ids, in their order, that are not there.
pub(super) fn absent(session: &Session, ids: &[String]) -> Result<Vec<String>> {
    let mut absent = Vec::new();
    for ids in ids.chunks(LOOKUP_PAGE) {
        let (lock, marks) = session.lock()?;
        absent.extend(session.behind(&lock, marks).absent(ids)?);
    }
    Ok(absent)
}
