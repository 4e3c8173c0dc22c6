use super::chunk::Chunk;
use super::metadata::text;
use crate::connection::{out_of_order, sqlite};
use palanquin_engine::contract::{KeyRange, Result};
use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, Value};
use std::ops::Range;

/// Rows in a page at most, whatever is asked for: the shared lock is held meanwhile.
const MAX_ROWS: usize = 4096;
/// Bytes of text or of vectors at which a page ends.
const MAX_BYTES: usize = 16 << 20;

/// Where one row's text lies in a [`Page`].
#[derive(Clone, Debug)]
pub(crate) struct RowText {
    /// In [`Page::text`].
    pub(crate) id: Range<usize>,
    /// In [`Page::text`].
    pub(crate) document: Option<Range<usize>>,
    /// In [`Page::text`]; canonical.
    pub(crate) metadata: Range<usize>,
}

/// Ids, documents and metadata of a run of rows, in order. Kept between pages, so that their memory is used again.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// All text, row by row.
    pub(crate) text: Vec<u8>,
    /// The rows.
    pub(crate) rows: Vec<RowText>,
    /// The id up to which the range is done, if rows may follow.
    pub(crate) next: Option<String>,
    chunk: Chunk,
}

/// How many rows one page may have.
pub(crate) fn rows_per_page(asked: usize, dimension: u32) -> usize {
    asked.min(MAX_ROWS).min(MAX_BYTES / (4 * dimension as usize)).max(1)
}

impl Page {
    /// The id of a row, as stored.
    pub(crate) fn id(&self, row: &RowText) -> &[u8] {
        &self.text[row.id.clone()]
    }

    /// Forgets the rows.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.rows.clear();
        self.next = None;
    }

    /// Whether it should end here.
    pub(crate) fn is_full(&self, limit: usize) -> bool {
        self.rows.len() >= limit || self.text.len() >= MAX_BYTES
    }

    /// Reads the first rows of a range from the tables.
    pub(crate) fn read(
        &mut self,
        connection: &Connection,
        segment: &str,
        range: &KeyRange,
        limit: usize,
        lists: bool,
    ) -> Result<()> {
        self.clear();
        let sql = if range.after.is_some() { ROWS_AFTER } else { ROWS_FROM };
        let mut statement = connection.prepare_cached(sql).map_err(sqlite)?;
        let mut keys = statement.query((segment, lower(range), upper(range))).map_err(sqlite)?;
        let mut chunk = std::mem::take(&mut self.chunk);
        let mut more = chunk.begin(&mut keys)?;
        while more && !self.is_full(limit) {
            more = chunk.take_keys(&mut keys, limit - self.rows.len())?;
            chunk.take_values(connection)?;
            chunk.finish(self, connection, lists)?;
        }
        self.chunk = chunk;
        let before = range.after.as_deref().map(str::as_bytes);
        let first = self.rows.first().map(|row| self.id(row));
        let ascends = self.rows.windows(2).all(|pair| self.id(&pair[0]) < self.id(&pair[1]));
        if !ascends || (first.is_some() && before >= first) {
            return Err(out_of_order());
        }
        if more {
            self.next = self.rows.last().map(|row| text(self.id(row)).map(str::to_owned)).transpose()?;
        }
        Ok(())
    }

    /// Reads the first rows of some ids, ascending and distinct; those that are not in the tables are passed over.
    pub(crate) fn read_ids(
        &mut self,
        connection: &Connection,
        segment: &str,
        ids: &[String],
        limit: usize,
        lists: bool,
    ) -> Result<()> {
        self.clear();
        let mut statement = connection.prepare_cached(ROW_OF).map_err(sqlite)?;
        let mut chunk = std::mem::take(&mut self.chunk);
        for (at, id) in ids.iter().enumerate() {
            if self.is_full(limit) {
                self.next = ids[..at].last().cloned();
                break;
            }
            let mut keys = statement.query((segment, id)).map_err(sqlite)?;
            if chunk.begin(&mut keys)? {
                chunk.take_keys(&mut keys, 1)?;
                chunk.take_values(connection)?;
                chunk.finish(self, connection, lists)?;
            }
        }
        self.chunk = chunk;
        Ok(())
    }

    /// Appends a row.
    pub(crate) fn push(&mut self, id: &str, document: Option<&str>, metadata: &str) {
        let id = self.write(id.as_bytes());
        let document = document.map(|document| self.write(document.as_bytes()));
        let metadata = self.write(metadata.as_bytes());
        self.rows.push(RowText { id, document, metadata });
    }

    /// Appends some text and tells where it is.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        start..self.text.len()
    }
}

/// Each row of a range with the keys of its metadata, both sorted; indexes have all of it.
const ROWS_AFTER: &str = "
    SELECT e.id, e.embedding_id, m.rowid, m.key
    FROM embeddings e LEFT JOIN embedding_metadata m ON m.id = e.id
    WHERE e.segment_id = ?1 AND e.embedding_id > ?2 AND e.embedding_id <= ?3
    ORDER BY e.embedding_id, m.key";
const ROWS_FROM: &str = "
    SELECT e.id, e.embedding_id, m.rowid, m.key
    FROM embeddings e LEFT JOIN embedding_metadata m ON m.id = e.id
    WHERE e.segment_id = ?1 AND e.embedding_id >= ?2 AND e.embedding_id <= ?3
    ORDER BY e.embedding_id, m.key";

/// One row with the keys of its metadata, sorted.
const ROW_OF: &str = "
    SELECT e.id, e.embedding_id, m.rowid, m.key
    FROM embeddings e LEFT JOIN embedding_metadata m ON m.id = e.id
    WHERE e.segment_id = ?1 AND e.embedding_id = ?2
    ORDER BY m.key";

/// The lower bound of a range as a parameter: to be exceeded if the range has one, to be reached if it has none.
pub(crate) fn lower(range: &KeyRange) -> &str {
    range.after.as_deref().unwrap_or("")
}

/// The upper bound of a range as a parameter: SQLite sorts every text before every blob.
pub(crate) fn upper(range: &KeyRange) -> ToSqlOutput<'_> {
    match &range.upto {
        Some(upto) => ToSqlOutput::from(upto.as_str()),
        None => ToSqlOutput::Owned(Value::Blob(Vec::new())),
    }
}
