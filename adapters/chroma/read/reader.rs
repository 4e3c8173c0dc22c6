use super::behind::Behind;
use super::marks::Marks;
use super::page::{Page, RowText, rows_per_page};
use super::patience::Patience;
use super::salvage::{Reached, Salvage, aside_of};
use super::session::Session;
use super::tail::{Before, Tail, Vector, logged_vector};
use crate::layout::Trouble;
use crate::layout::files::{SegmentFolder, Stamps};
use crate::layout::fingerprint::{Fingerprint, Fingerprints};
use crate::layout::index::{Index, Places};
use crate::layout::pickle::Labelled;
use crate::read::metadata::text;
use palanquin_engine::contract::{Error, ErrorKind, KeyRange, Metric, Result};
use palanquin_engine::rows::{Row, RowBatch, RowBatchBuilder, Salvaged};
use rusqlite::Connection;
use std::sync::Arc;
use std::time::Duration;

/// Longer than any transaction of chroma 0.6 takes; one of 43 seconds has been seen.
const LONGEST_TRANSACTION: Duration = Duration::from_secs(120);

/// Reads rows of one collection, a page at a time.
///
/// The index is loaded outside any transaction and kept for as long as its files keep their stamps and the collection
/// its sequence number; each page checks both under the lock. An index that is ahead of the committed sequence number
/// does no harm: what it is ahead by is in the log's tail, which wins.
#[derive(Debug)]
pub(crate) struct Reader {
    session: Session,
    folder: SegmentFolder,
    fingerprints: Fingerprints,
    loaded: Option<Loaded>,
    /// Where rows that have lost their vector may find one, if that is wanted.
    salvage: Option<Salvage>,
    /// How the places of the index are known; guessed until that was wrong once.
    places: Places,
    tail: Tail,
    tail_as_of: Option<Marks>,
    /// The generation in which a row had no vector; if it has none after a fresh load either, it has none.
    incomplete: Option<Generation>,
    page: Page,
    raw: Vec<u8>,
    vector: Vec<f32>,
}

#[derive(Debug)]
struct Loaded {
    index: Index,
    dimension: u32,
    /// As committed before the load began.
    generation: Generation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Generation {
    stamps: Stamps,
    vector: Option<i64>,
}

/// Rows as they were read, and where to go on.
#[derive(Debug)]
pub(crate) struct Read {
    /// The rows, if there are any.
    pub(crate) batch: Option<RowBatch>,
    /// The id up to which the range is done, if rows may follow.
    pub(crate) next: Option<String>,
}

/// Which rows are wanted, ascending by id.
#[derive(Clone, Copy, Debug)]
enum Wanted<'a> {
    Range(&'a KeyRange),
    Ids(&'a [String]),
}

/// Where in the scratch the raw bytes of a row's vector start.
#[derive(Clone, Copy)]
enum Source {
    Element(Labelled, usize),
    Log(usize),
    /// In an index that was set aside, perhaps; with the time up to which nothing was done to the row, if it is known.
    Aside(Fingerprint, Option<i64>),
    Nowhere,
}

impl Reader {
    /// A reader of the collection; nothing is read yet.
    pub(crate) fn new(session: Session) -> Self {
        Self {
            folder: SegmentFolder::new(session.database.folder(), session.segments.vector_folder),
            session,
            fingerprints: Fingerprints::new(),
            loaded: None,
            salvage: None,
            places: Places::Guessed,
            tail: Tail::default(),
            tail_as_of: None,
            incomplete: None,
            page: Page::default(),
            raw: Vec::new(),
            vector: Vec::new(),
        }
    }

    /// Its connection, for what is no row.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Reads the first rows of a range, at most `rows` of them. Waits for a writer as long as that makes sense.
    pub(crate) fn read(&mut self, range: &KeyRange, rows: usize) -> Result<Read> {
        self.read_wanted(Wanted::Range(range), rows)
    }

    /// Reads the first rows of some ids, ascending and distinct, at most `rows` of them; ids that are not there are
    /// passed over.
    pub(crate) fn read_ids(&mut self, ids: &[String], rows: usize) -> Result<Read> {
        self.read_wanted(Wanted::Ids(ids), rows)
    }

    fn read_wanted(&mut self, wanted: Wanted<'_>, rows: usize) -> Result<Read> {
        let mut patience = Patience::default();
        loop {
            let trouble = match self.attempt(wanted, rows) {
                Ok(read) => return Ok(read),
                Err(trouble) => trouble,
            };
            tracing::debug!(collection = self.session.entry.name, ?trouble, "a page is read again");
            self.loaded = None;
            (self.tail, self.tail_as_of) = (Tail::default(), None);
            if matches!(trouble, Trouble::Misplaced) {
                self.places = Places::Read;
                continue;
            }
            let stamps = match self.folder.stamps() {
                Ok(stamps) => stamps,
                Err(Trouble::Failed(error)) => return Err(error),
                Err(_) => Stamps::default(),
            };
            std::thread::sleep(patience.after(trouble, stamps)?);
        }
    }

    fn attempt(&mut self, wanted: Wanted<'_>, rows: usize) -> Result<Read, Trouble> {
        const EMPTY: Read = Read { batch: None, next: None };
        if self.loaded.is_none() {
            let Some(dimension) = self.load()? else { return Ok(EMPTY) };
            tracing::debug!(collection = self.session.entry.name, dimension, "index loaded");
        }
        let Self { session, folder, fingerprints, loaded: Some(loaded), salvage, tail, page, raw, vector, .. } = self
        else {
            return Ok(EMPTY);
        };
        let (Loaded { index, dimension, generation }, salvage) = (&*loaded, &*salvage);
        let dimension = *dimension;
        raw.clear();

        let (lock, marks) = session.lock()?;
        if marks.vector != generation.vector || marks.dimension != Some(dimension) {
            return Err(Trouble::Torn("the index was flushed since it was read".to_owned()));
        }
        check_untouched(folder, index)?;
        check_committed(session, index, marks)?;
        let after = if index.is_there() { marks.vector.or(index.max_seq_id) } else { None };
        if self.tail_as_of != Some(marks) {
            tail.refresh(&lock, &session.entry.id, after, fingerprints)?;
            self.tail_as_of = Some(marks);
        }
        let limit = rows_per_page(rows, dimension);
        let segment = &session.segments.metadata;
        let behind = Behind { connection: &lock, collection: &session.entry.id, segment, marks };
        match (wanted, marks.behind) {
            (Wanted::Range(range), true) => behind.read(page, range, limit)?,
            (Wanted::Range(range), false) => page.read(&lock, segment, range, limit, marks.lists)?,
            (Wanted::Ids(ids), true) => behind.read_ids(page, ids, limit)?,
            (Wanted::Ids(ids), false) => page.read_ids(&lock, segment, ids, limit, marks.lists)?,
        }
        let absent = match (index.is_there(), marks.vector) {
            (false, Some(_)) => Before::Unknown,
            _ => Before::Absent,
        };
        let reached = match salvage {
            Some(_) if index.stamps.pickle.is_none() => Reached::read(&lock, marks)?,
            _ => None,
        };
        let logged_at =
            |row: &RowText| reached.map_or(Ok(None), |reached| reached.logged_at(&lock, segment, text(page.id(row))?));
        let mut sources = Vec::with_capacity(page.rows.len());
        for row in &page.rows {
            let id = fingerprints.of(page.id(row));
            let found = index.find(id);
            let before = if found.is_some() { Before::There } else { absent };
            let mut source = source(tail.vector(id, before), found, &lock, index, dimension, raw)?;
            if let (Source::Nowhere, Some(salvage)) = (source, salvage)
                && salvage.knows(id)
            {
                source = match tail.vector(id, Before::There) {
                    Vector::AsBefore => Source::Aside(id, logged_at(row)?),
                    logged => self::source(logged, None, &lock, index, dimension, raw)?,
                };
            }
            sources.push(source);
        }
        check_untouched(folder, index)?;
        let may_be_uncommitted = may_be_uncommitted(session, index);
        drop(lock);

        let lost = |source: &Source| matches!(source, Source::Nowhere | Source::Aside(..));
        if sources.iter().any(lost) && (may_be_uncommitted || self.incomplete != Some(*generation)) {
            self.incomplete = Some(*generation);
            return Err(Trouble::Torn("a row has no vector".to_owned()));
        }
        let vectors = Vectors { index, salvage: salvage.as_ref(), fingerprints, dimension, raw };
        let batch = batch(page, &sources, &vectors, vector)?;
        Ok(Read { batch, next: page.next.take() })
    }

    /// Loads the index of now, unless the collection was never written.
    fn load(&mut self) -> Result<Option<u32>, Trouble> {
        let (lock, marks) = self.session.lock()?;
        drop(lock);
        let Some(dimension) = marks.dimension else { return Ok(None) };
        let unknown = || Error::new(ErrorKind::UnsupportedFormat, "the collection has a metric that is not known");
        let normalised = self.session.entry.metric.ok_or_else(unknown)? == Metric::Cosine;
        let index = match Index::load(&self.folder, dimension, normalised, &self.fingerprints, self.places) {
            Err(Trouble::Damaged(damage)) if self.session.salvaging && self.folder.stamps()?.settled() => {
                tracing::warn!(collection = self.session.entry.name, damage, "the index is taken for lost");
                Index::illegible(self.folder.stamps()?)
            }
            loaded => loaded?,
        };
        if self.session.salvaging {
            let aside = aside_of(self.session.database.folder(), self.session.segments.vector_folder);
            if self.salvage.as_ref().is_none_or(|salvage| !salvage.is_of(&aside)) {
                self.salvage = Some(Salvage::load(aside, dimension, normalised, &self.fingerprints));
            }
        }
        let generation = Generation { stamps: index.stamps, vector: marks.vector };
        self.loaded = Some(Loaded { index, dimension, generation });
        (self.tail, self.tail_as_of) = (Tail::default(), None);
        Ok(Some(dimension))
    }
}

fn check_untouched(folder: &SegmentFolder, index: &Index) -> Result<(), Trouble> {
    if folder.stamps()? == index.stamps {
        Ok(())
    } else {
        Err(Trouble::Torn("the index was written while it was read".to_owned()))
    }
}

/// Whether the index may lack rows whose deletion is not committed yet: chroma 0.6 writes it inside the transaction of the log,
/// which is under way as long as there is a journal. To be asked while the lock is held. An index that was left alone for
/// longer than any transaction takes is no such one.
fn may_be_uncommitted(session: &Session, index: &Index) -> bool {
    index.legacy
        && session.database.recovered().is_none()
        && !index.stamps.older_than(LONGEST_TRANSACTION)
        && session.database.has_journal()
}

/// Chroma 0.6 writes the index inside the transaction of the log: it must not be ahead of what was committed.
fn check_committed(session: &Session, index: &Index, marks: Marks) -> Result<(), Trouble> {
    if !index.legacy {
        return Ok(());
    }
    if index.max_row_seq_id > Some(marks.newest) {
        return Err(Trouble::damaged("the index has rows that were never committed"));
    }
    let half_done = index.stamps.data.map(|data| data.modified) > index.stamps.pickle.map(|pickle| pickle.modified);
    if half_done && session.database.has_journal() {
        return Err(match session.database.recovered() {
            Some(_) => Trouble::damaged("the index was being written when its writer was interrupted"),
            None => Trouble::Torn("the index is being written".to_owned()),
        });
    }
    Ok(())
}

fn source(
    tail: Vector,
    found: Option<Labelled>,
    lock: &Connection,
    index: &Index,
    dimension: u32,
    raw: &mut Vec<u8>,
) -> Result<Source, Trouble> {
    let start = raw.len();
    match (tail, found) {
        (Vector::AsBefore, Some(labelled)) => {
            index.read_raw(labelled, raw)?;
            Ok(Source::Element(labelled, start))
        }
        (Vector::AsBefore, None) | (Vector::Nowhere, _) => Ok(Source::Nowhere),
        (Vector::Logged(seq_id), _) if logged_vector(lock, seq_id, dimension, raw)? => Ok(Source::Log(start)),
        (Vector::Logged(_), _) => Err(Trouble::damaged("a change in the log is gone")),
    }
}

/// What vectors are made of, once the lock is let go.
struct Vectors<'a> {
    index: &'a Index,
    salvage: Option<&'a Salvage>,
    fingerprints: &'a Fingerprints,
    dimension: u32,
    raw: &'a [u8],
}

/// What was found of a row's vector.
enum Vouched {
    /// It is the collection's own.
    Own,
    /// It was salvaged: the folder it is from, and whether it is known to be current.
    Salvaged(Arc<str>, bool),
    /// There is none.
    Lost,
}

impl Vectors<'_> {
    /// Appends a row's vector.
    fn read(&self, source: Source, id: &[u8], out: &mut Vec<f32>) -> Result<Vouched, Trouble> {
        match source {
            Source::Element(labelled, start) => {
                let element = &self.raw[start..start + self.index.raw_bytes()];
                match self.index.vector(labelled, element, out) {
                    // Whoever salvages takes what is damaged for lost.
                    Err(Trouble::Damaged(_)) if self.salvage.is_some() => {
                        out.clear();
                        self.read(Source::Aside(self.fingerprints.of(id), None), id, out)
                    }
                    read => read.map(|()| Vouched::Own),
                }
            }
            Source::Log(start) => {
                let components = self.raw[start..start + 4 * self.dimension as usize].as_chunks::<4>().0;
                out.extend(components.iter().map(|component| f32::from_le_bytes(*component)));
                Ok(Vouched::Own)
            }
            Source::Aside(id, unchanged_since) => {
                let found = self.salvage.and_then(|salvage| salvage.vector(id, out));
                Ok(found.map_or(Vouched::Lost, |found| {
                    let is_current = unchanged_since.zip(found.written_at).is_some_and(|(since, at)| since <= at);
                    Vouched::Salvaged(found.origin, is_current)
                }))
            }
            Source::Nowhere => Ok(Vouched::Lost),
        }
    }
}

fn batch(
    page: &Page,
    sources: &[Source],
    vectors: &Vectors<'_>,
    vector: &mut Vec<f32>,
) -> Result<Option<RowBatch>, Trouble> {
    if page.rows.is_empty() {
        return Ok(None);
    }
    let mut builder = RowBatchBuilder::with_capacity(page.rows.len(), vectors.dimension);
    let mut salvaged = Vec::new();
    let piece = |range: &std::ops::Range<usize>| text(&page.text[range.clone()]);
    for (at, (row, source)) in page.rows.iter().zip(sources).enumerate() {
        vector.clear();
        let embedding = match vectors.read(*source, page.id(row), vector)? {
            Vouched::Lost => None,
            Vouched::Own => Some(vector.as_slice()),
            Vouched::Salvaged(origin, is_current) => {
                salvaged.push(Salvaged { row: at, origin, is_current });
                Some(vector.as_slice())
            }
        };
        let document = row.document.as_ref().map(piece).transpose()?;
        builder
            .push(Row { id: piece(&row.id)?, document, metadata: piece(&row.metadata)?, embedding })
            .map_err(internal)?;
    }
    Ok(Some(builder.finish().map_err(internal)?.with_salvaged(salvaged)))
}

fn internal(error: palanquin_engine::rows::RowSchemaError) -> Error {
    Error::new(ErrorKind::Internal, "rows do not fit their batch").with_source(error)
}
