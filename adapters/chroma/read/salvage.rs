use super::marks::{Marks, seq_id};
use crate::connection::sqlite;
use crate::layout::fingerprint::{Fingerprint, Fingerprints};
use crate::layout::index::{Index, Places};
use crate::layout::quarantine::{Quarantine, quarantines};
use crate::layout::{Trouble, pickle::Labelled};
use palanquin_engine::contract::Result;
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

/// How far the length of a vector that was stored at length one may be off.
const LENGTH_OFF: f32 = 1e-3;
/// What a quarantine's name may be off by the time zone it was written in, in seconds.
const FURTHEST_ZONE: i64 = 14 * 3600;

/// The indexes of one segment that MemPalace set aside, for rows that lost their vector; the newest first.
///
/// Each takes 28 bytes a row, as the segment's own index does. One that cannot be read is passed over.
#[derive(Debug)]
pub(crate) struct Salvage {
    /// Of all of them, those that cannot be read too.
    names: Vec<String>,
    aside: Vec<Aside>,
}

#[derive(Debug)]
struct Aside {
    name: Arc<str>,
    index: Index,
    written_at: Option<i64>,
}

/// The operation that a lost index had come to, and when it was logged.
///
/// It stays in the log until another index is written. While it is there, an index that was written after it was logged
/// and then set aside is the very index that had come to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reached {
    seq: i64,
    logged_at: i64,
}

impl Reached {
    /// As of the lock; `None` where that cannot be told.
    pub(crate) fn read(connection: &Connection, marks: Marks) -> Result<Option<Self>> {
        let Some(seq) = marks.vector.filter(|_| !marks.behind) else { return Ok(None) };
        let sql = "SELECT CAST(strftime('%s', created_at) AS INTEGER) FROM embeddings_queue WHERE seq_id = ?1";
        let logged_at = connection.prepare_cached(sql).and_then(|mut found| {
            found.query_row([seq], |row| row.get::<_, Option<i64>>(0)).optional().map(Option::flatten)
        });
        Ok(logged_at.map_err(sqlite)?.map(|logged_at| Self { seq, logged_at }))
    }

    /// When it was logged, if nothing was done to the row after it.
    pub(crate) fn logged_at(self, connection: &Connection, segment: &str, id: &str) -> Result<Option<i64>> {
        let sql = "SELECT seq_id FROM embeddings WHERE segment_id = ?1 AND embedding_id = ?2";
        let mut statement = connection.prepare_cached(sql).map_err(sqlite)?;
        let found = statement.query_row((segment, id), |row| Ok(seq_id(row.get_ref(0)?))).optional().map_err(sqlite)?;
        let last = found.transpose()?.flatten();
        Ok(last.filter(|last| *last <= self.seq).map(|_| self.logged_at))
    }
}

/// A vector that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Folder it was found in.
    pub(crate) origin: Arc<str>,
    /// When that index was last written, in seconds since the epoch, if it is the one that was set aside last and of the
    /// current layout; an older one may lack what was written between the two.
    pub(crate) written_at: Option<i64>,
}

/// The quarantines of one segment, the newest first; none if they cannot be listed.
pub(crate) fn aside_of(palace: &Path, segment: Uuid) -> Vec<Quarantine> {
    let mut found = quarantines(palace).unwrap_or_default();
    found.retain(|quarantine| quarantine.segment == segment);
    found
}

impl Salvage {
    /// Reads the id maps of a segment's quarantines.
    pub(crate) fn load(
        quarantines: Vec<Quarantine>,
        dimension: u32,
        normalised: bool,
        fingerprints: &Fingerprints,
    ) -> Self {
        let names = quarantines.iter().map(|quarantine| quarantine.name.clone()).collect();
        let mut aside = Vec::new();
        for (at, quarantine) in quarantines.into_iter().enumerate() {
            match Index::load(&quarantine.folder, dimension, normalised, fingerprints, Places::Read) {
                Ok(index) => {
                    let is_newest = at == 0 && !index.legacy;
                    let written_at = if is_newest { written_at(&quarantine, &index) } else { None };
                    aside.push(Aside { name: quarantine.name.into(), index, written_at });
                }
                Err(trouble) => tracing::warn!(quarantine = quarantine.name, ?trouble, "nothing is salvaged from it"),
            }
        }
        Self { names, aside }
    }

    /// Whether it was made of these.
    pub(crate) fn is_of(&self, quarantines: &[Quarantine]) -> bool {
        self.names.iter().eq(quarantines.iter().map(|quarantine| &quarantine.name))
    }

    /// Whether any of them has a vector of the row, sound or not.
    pub(crate) fn knows(&self, id: Fingerprint) -> bool {
        self.aside.iter().any(|aside| aside.index.find(id).is_some())
    }

    /// The newest sound vector of a row, appended to `out`.
    pub(crate) fn vector(&self, id: Fingerprint, out: &mut Vec<f32>) -> Option<Found> {
        let start = out.len();
        self.aside.iter().find_map(|aside| {
            let read = aside.read(aside.index.find(id)?, out);
            if read.is_err() || !out[start..].iter().all(|component| component.is_finite()) {
                out.truncate(start);
                return None;
            }
            Some(Found { origin: Arc::clone(&aside.name), written_at: aside.written_at })
        })
    }
}

/// Files that were copied may have a later time than they were written at, but not one after they were set aside.
fn written_at(quarantine: &Quarantine, index: &Index) -> Option<i64> {
    let modified = i64::try_from(index.stamps.pickle?.modified / 1_000_000_000).ok()?;
    let aside = i64::try_from(quarantine.made_at()?).ok()?;
    Some(modified.min(aside + FURTHEST_ZONE))
}

impl Aside {
    fn read(&self, at: Labelled, out: &mut Vec<f32>) -> Result<(), Trouble> {
        let mut raw = Vec::with_capacity(self.index.raw_bytes());
        self.index.read_raw(at, &mut raw)?;
        self.index.vector(at, &raw, out)?;
        // An index is set aside because something is wrong with it: what is stored at length one must have it.
        match self.index.stored_length(&raw) {
            Some(length) if length != 0.0 && (length - 1.0).abs() > LENGTH_OFF => {
                Err(Trouble::damaged("a vector has another length than it was stored with"))
            }
            _ => Ok(()),
        }
    }
}
