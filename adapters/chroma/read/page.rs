use super::metadata::{CanonicalWriter, DOCUMENT_KEY, document_and_map, text};
use crate::connection::sqlite;
use palanquin_engine::contract::{KeyRange, Result};
use palanquin_engine::rows::canonical_metadata;
use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, Value};
use std::ops::Range;

/// Rows in a page at most, whatever is asked for: the shared lock is held meanwhile.
const MAX_ROWS: usize = 4096;
/// Bytes of text or of vectors in a page; a row that alone is larger still makes one.
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
    scratch: Vec<u8>,
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
        let mut rows = statement.query((segment, lower(range), upper(range))).map_err(sqlite)?;
        let mut open: Option<OpenRow> = None;
        while let Some(row) = rows.next().map_err(sqlite)? {
            let number: i64 = row.get(0).map_err(sqlite)?;
            if open.as_ref().is_none_or(|open| open.number != number) {
                if let Some(open) = open.take() {
                    open.close(self, connection, lists)?;
                }
                if self.is_full(limit) {
                    break;
                }
                let id = row.get_ref(1).map_err(sqlite)?;
                open = Some(OpenRow::new(number, text_bytes(id)?, self)?);
            }
            let key = row.get_ref(2).map_err(sqlite)?;
            let (Some(open), false) = (open.as_mut(), key == rusqlite::types::ValueRef::Null) else { continue };
            let key = text(text_bytes(key)?)?;
            if key != DOCUMENT_KEY {
                open.metadata.entry(key, row, 3, &mut self.scratch)?;
                continue;
            }
            let document = row.get_ref(3).map_err(sqlite)?;
            if document != rusqlite::types::ValueRef::Null {
                open.document = Some(push(&mut self.text, text_bytes(document)?));
            }
        }
        match open {
            Some(open) => open.close(self, connection, lists)?,
            None => self.next = self.last_id()?,
        }
        Ok(())
    }

    /// Appends a whole row.
    pub(crate) fn push(&mut self, id: &str, document: Option<&str>, metadata: &str) {
        let id = push(&mut self.text, id.as_bytes());
        let document = document.map(|document| push(&mut self.text, document.as_bytes()));
        let metadata = push(&mut self.text, metadata.as_bytes());
        self.rows.push(RowText { id, document, metadata });
    }

    fn last_id(&self) -> Result<Option<String>> {
        self.rows.last().map(|row| text(self.id(row)).map(str::to_owned)).transpose()
    }
}

/// A row whose metadata is still coming in.
struct OpenRow {
    number: i64,
    id: Range<usize>,
    document: Option<Range<usize>>,
    metadata: CanonicalWriter,
}

impl OpenRow {
    fn new(number: i64, id: &[u8], page: &mut Page) -> Result<Self> {
        page.scratch.clear();
        let metadata = CanonicalWriter::begin(&mut page.scratch);
        Ok(Self { number, id: push(&mut page.text, id), document: None, metadata })
    }

    fn close(self, page: &mut Page, connection: &Connection, lists: bool) -> Result<()> {
        let metadata = if lists && has_lists(connection, self.number)? {
            let (_, map) = document_and_map(connection, self.number, true)?;
            push(&mut page.text, canonical_metadata(&map).as_bytes())
        } else {
            self.metadata.finish(&mut page.scratch);
            push(&mut page.text, &page.scratch)
        };
        page.rows.push(RowText { id: self.id, document: self.document, metadata });
        Ok(())
    }
}

const ROWS_AFTER: &str = "
    SELECT e.id, e.embedding_id, m.key, m.string_value, m.int_value, m.float_value, m.bool_value
    FROM embeddings e LEFT JOIN embedding_metadata m ON m.id = e.id
    WHERE e.segment_id = ?1 AND e.embedding_id > ?2 AND e.embedding_id <= ?3
    ORDER BY e.embedding_id, m.key";
const ROWS_FROM: &str = "
    SELECT e.id, e.embedding_id, m.key, m.string_value, m.int_value, m.float_value, m.bool_value
    FROM embeddings e LEFT JOIN embedding_metadata m ON m.id = e.id
    WHERE e.segment_id = ?1 AND e.embedding_id >= ?2 AND e.embedding_id <= ?3
    ORDER BY e.embedding_id, m.key";

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

fn text_bytes(value: rusqlite::types::ValueRef<'_>) -> Result<&[u8]> {
    value.as_bytes().map_err(|error| sqlite(error.into()))
}

fn push(text: &mut Vec<u8>, bytes: &[u8]) -> Range<usize> {
    let start = text.len();
    text.extend_from_slice(bytes);
    start..text.len()
}

fn has_lists(connection: &Connection, row: i64) -> Result<bool> {
    let sql = "SELECT 1 FROM embedding_metadata_array WHERE id = ?1 LIMIT 1";
    connection.prepare_cached(sql).and_then(|mut found| found.exists([row])).map_err(sqlite)
}
