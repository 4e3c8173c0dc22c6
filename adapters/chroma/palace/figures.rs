use super::counts::{Counts, Of};
use crate::catalog::{Entry, Segments};
use crate::connection::{Database, sqlite};
use crate::layout::files::{DATA, PICKLE, SegmentFolder, Stamps};
use crate::layout::fingerprint::{Fingerprint, Fingerprints};
use crate::layout::header::Header;
use crate::layout::index::header_of;
use crate::layout::pickle::{IndexMetadata, read_index_metadata};
use crate::read::marks::max_seq_id;
use crate::read::range::{count_about, count_in};
use crate::read::tail::{Before, Tail, Vector};
use palanquin_engine::contract::{KeyRange, Result};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io::BufReader;

/// Rows of a collection up to which each is asked for its vector.
const EXACT_ROWS: u64 = 20_000;
/// Id maps up to this size are read for that.
const EXACT_PICKLE_BYTES: u64 = 8 << 20;
/// Ids that are listed.
const LISTED: usize = 100;
/// Sync thresholds up to this one are reached by a palace in use.
pub(super) const REACHABLE: u64 = 10_000;
const LINK_LISTS: &str = "link_lists.bin";

/// A collection's rows, index and log in figures. No vector is read.
#[derive(Debug)]
pub(super) struct Figures {
    /// Rows that the tables have.
    pub(super) rows: u64,
    /// The sequence number the tables have come to.
    pub(super) metadata: Option<i64>,
    /// The sequence number the index has come to.
    pub(super) vector: Option<i64>,
    /// Logged operations that the index does not have.
    pub(super) queued: u64,
    /// Ids among them that come with a vector.
    pub(super) queued_vectors: u64,
    /// The index's files.
    pub(super) folder: SegmentFolder,
    /// Whether no file of the index was written lately.
    pub(super) settled: bool,
    /// What the index says of itself; `None` if it is not there or not legible.
    pub(super) header: Option<Header>,
    /// Size of its link lists, and what of it takes space on the disk.
    pub(super) link_lists: Option<(u64, u64)>,
    /// Size of its vectors.
    pub(super) data: Option<u64>,
    /// Whether the map from ids to vectors is there.
    pub(super) has_id_map: bool,
    /// Rows that have no vector anywhere.
    pub(super) without_vector: WithoutVector,
    /// Ids of some of them, where each row was asked.
    pub(super) lacking: Vec<String>,
}

/// How many rows have a vector neither in the index nor in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WithoutVector {
    /// Each row was asked.
    Exactly(u64),
    /// More rows than there can be vectors.
    AtLeast(u64),
    /// The index is being written.
    Unknown,
}

impl Figures {
    /// Rows are counted in steps and the id map is read before the shared lock is taken; what has to agree with one
    /// another is read under it, in milliseconds.
    pub(super) fn read(
        database: &Database,
        connection: &Connection,
        entry: &Entry,
        segments: &Segments,
        counts: &mut Counts,
    ) -> Result<Self> {
        let folder = SegmentFolder::new(database.folder(), segments.vector_folder);
        let count = || count_about(connection, &segments.metadata);
        let about = counts.of(connection, Of::Tables, &segments.metadata, count)?;
        let ids = if about <= EXACT_ROWS { IdMap::read(&folder) } else { None };
        let lock = connection.unchecked_transaction().map_err(sqlite)?;
        let vector = max_seq_id(&lock, &segments.vector)?;
        let sql = "SELECT count(*), count(DISTINCT CASE WHEN vector IS NOT NULL AND operation <> 3 THEN id END)
                   FROM embeddings_queue WHERE seq_id > ?1 AND substr(topic, -36) = ?2";
        let has_id_map = folder.size_of(PICKLE).is_some();
        let after = if has_id_map { vector.unwrap_or(i64::MIN) } else { i64::MIN };
        let (queued, queued_vectors) = lock
            .prepare_cached(sql)
            .and_then(|mut queued| queued.query_row((after, &entry.id), |row| Ok((row.get(0)?, row.get(1)?))))
            .map_err(sqlite)?;
        let stamps = folder.stamps().ok();
        let mut figures = Self {
            rows: about,
            metadata: max_seq_id(&lock, &segments.metadata)?,
            vector,
            queued,
            queued_vectors,
            settled: stamps.is_some_and(|stamps| stamps.settled()),
            header: header_of(&folder).ok().flatten(),
            link_lists: folder.size_and_space_of(LINK_LISTS),
            data: folder.size_of(DATA),
            has_id_map,
            without_vector: WithoutVector::Unknown,
            lacking: Vec::new(),
            folder,
        };
        if !figures.settled {
            return Ok(figures);
        }
        // Rows counted before what may hold their vectors are at least covered by it, whatever was written meanwhile.
        let held = figures.elements() + queued_vectors;
        figures.without_vector = WithoutVector::AtLeast(about.saturating_sub(held));
        if let Some(ids) = ids.filter(|ids| Some(ids.stamps) == stamps) {
            figures.rows = count_in(&lock, &segments.metadata, &KeyRange::ALL)?;
            let (without, lacking) = ids.rows_without_vector(&lock, entry, segments, vector)?;
            (figures.without_vector, figures.lacking) = (WithoutVector::Exactly(without), lacking);
        }
        Ok(figures)
    }

    /// Places of the index that may hold a row's vector; deleted ones count too.
    pub(super) fn elements(&self) -> u64 {
        self.header.filter(|_| self.has_id_map).map_or(0, |header| header.elements.into())
    }

    /// How many times as long as the vectors the link lists are, to a hundredth; a sound index has few hundredths.
    fn link_lists_per_data(&self) -> Option<f64> {
        let ((links, _), data) = self.link_lists.zip(self.data.filter(|data| *data > 0))?;
        Some((links as f64 / data as f64 * 100.0).round() / 100.0)
    }

    /// By the store's own terms.
    pub(super) fn state(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let (without, is_exact) = match self.without_vector {
            WithoutVector::Exactly(rows) => (Some(rows), true),
            WithoutVector::AtLeast(rows) => (Some(rows), false),
            WithoutVector::Unknown => (None, false),
        };
        [
            ("rows", json!(self.rows)),
            ("rows_without_vector", json!(without)),
            ("rows_without_vector_is_exact", json!(is_exact)),
            ("max_seq_id_metadata", json!(self.metadata)),
            ("max_seq_id_vector", json!(self.vector)),
            ("queue_not_in_index", json!(self.queued)),
            ("hnsw_elements", json!(self.header.map(|header| header.elements))),
            ("hnsw_max_elements", json!(self.header.map(|header| header.max_elements))),
            ("hnsw_data_bytes", json!(self.data)),
            ("hnsw_link_lists_bytes", json!(self.link_lists.map(|(size, _)| size))),
            ("hnsw_link_lists_allocated_bytes", json!(self.link_lists.map(|(_, space)| space))),
            ("hnsw_link_lists_per_data", json!(self.link_lists_per_data())),
            ("hnsw_id_map_bytes", json!(self.folder.size_of(PICKLE))),
        ]
        .into_iter()
    }
}

/// A small index's ids, read to ask each row for its vector.
struct IdMap {
    stamps: Stamps,
    is_there: bool,
    fingerprints: Fingerprints,
    labels: HashSet<Fingerprint>,
    max_seq_id: Option<i64>,
}

impl IdMap {
    /// `None` if it is too large, or not legible.
    fn read(folder: &SegmentFolder) -> Option<Self> {
        let stamps = folder.stamps().ok()?;
        let (fingerprints, is_there) = (Fingerprints::new(), stamps.pickle.is_some());
        let mut read = IndexMetadata::default();
        if let Some(pickle) = stamps.pickle {
            if pickle.size > EXACT_PICKLE_BYTES {
                return None;
            }
            let most = header_of(folder).ok()?.map_or(0, |header| header.elements as usize);
            let file = BufReader::new(folder.open(PICKLE).ok()?);
            read = read_index_metadata(file, pickle.size, most, &fingerprints).ok()?;
        }
        let labels = read.labels.into_iter().map(|labelled| labelled.id).collect();
        Some(Self { stamps, is_there, fingerprints, labels, max_seq_id: read.max_seq_id })
    }

    /// Asks each row, those that have none listed in part, under the lock that the connection has. `vector` is where the index has come to.
    fn rows_without_vector(
        &self,
        lock: &Connection,
        entry: &Entry,
        segments: &Segments,
        vector: Option<i64>,
    ) -> Result<(u64, Vec<String>)> {
        let after = if self.is_there { vector.or(self.max_seq_id) } else { None };
        let absent = if !self.is_there && vector.is_some() { Before::Unknown } else { Before::Absent };
        let mut tail = Tail::default();
        tail.refresh(lock, &entry.id, after, &self.fingerprints)?;
        let sql = "SELECT embedding_id FROM embeddings WHERE segment_id = ?1";
        let mut ids = lock.prepare_cached(sql).map_err(sqlite)?;
        let mut ids = ids.query([&segments.metadata]).map_err(sqlite)?;
        let (mut without, mut lacking) = (0, Vec::new());
        while let Some(row) = ids.next().map_err(sqlite)? {
            let text = row.get_ref(0).map_err(sqlite)?.as_bytes().map_err(|error| sqlite(error.into()))?;
            let id = self.fingerprints.of(text);
            let found = self.labels.contains(&id);
            let has_vector = match tail.vector(id, if found { Before::There } else { absent }) {
                Vector::AsBefore => found,
                Vector::Logged(_) => true,
                Vector::Nowhere => false,
            };
            if !has_vector {
                without += 1;
                if lacking.len() < LISTED {
                    lacking.push(String::from_utf8_lossy(text).into_owned());
                }
            }
        }
        Ok((without, lacking))
    }
}
