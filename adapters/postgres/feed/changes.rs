use super::message::{Field, Relation};
use crate::collection::Table;
use crate::read::{self, Malformed, Sent};
use bytes::{BufMut, Bytes, BytesMut};
use palanquin_engine::contract::{
    ChangeBatch, Error, ErrorKind, GetRequest, Include, Patch, Result, RowLists, Selection,
};
use palanquin_engine::rows::RowBatchBuilder;
use std::collections::BTreeMap;

/// Bytes of a batch, about.
const BATCH_BYTES: usize = 4 << 20;
/// What a row costs in memory besides its values.
const ROW_BYTES: usize = 200;

/// Where a table's columns are among the fields of its rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns {
    id: usize,
    document: usize,
    metadata: usize,
    embedding: usize,
}

impl Columns {
    /// # Errors
    /// What is missing, in words.
    pub(super) fn of(relation: &Relation) -> Result<Self, String> {
        let place = |wanted: &str| {
            let found = relation.columns.iter().position(|(name, _)| name == wanted);
            found.ok_or_else(|| format!("its table was altered and has no column {wanted} any more"))
        };
        Ok(Self {
            id: place("id")?,
            document: place("document")?,
            metadata: place("metadata")?,
            embedding: place("embedding")?,
        })
    }

    fn id(self, fields: &[Field]) -> Result<String, Malformed> {
        match fields.get(self.id) {
            Some(Field::Text(id) | Field::Binary(id)) => {
                std::str::from_utf8(id).map(str::to_owned).map_err(|_| Malformed::Field("id"))
            }
            _ => Err(Malformed::Field("id")),
        }
    }

    fn row(self, fields: &[Field]) -> Result<Row, Malformed> {
        let field = |at: usize, name| fields.get(at).ok_or(Malformed::Field(name));
        let plain = |field: &Field| match field {
            Field::Null => Value::Known(None),
            Field::Unchanged => Value::Unchanged,
            Field::Text(value) | Field::Binary(value) => Value::Known(Some(value.clone())),
        };
        let metadata = match field(self.metadata, "metadata")? {
            // As `jsonb_send` has it: a version, and the same text.
            Field::Text(text) => {
                let mut sent = BytesMut::with_capacity(text.len() + 1);
                sent.put_u8(1);
                sent.put_slice(text);
                Value::Known(Some(sent.freeze()))
            }
            other => plain(other),
        };
        let embedding = match field(self.embedding, "embedding")? {
            Field::Text(_) => return Err(Malformed::Field("embedding")),
            other => plain(other),
        };
        Ok(Row { gone: false, fetched: false, document: plain(field(self.document, "document")?), metadata, embedding })
    }
}

/// A field as far as the log tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Unchanged,
    Known(Option<Bytes>),
}

impl Value {
    fn or(self, before: &Self) -> Self {
        if self == Self::Unchanged { before.clone() } else { self }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Known(Some(bytes)) => bytes.len(),
            Self::Known(None) | Self::Unchanged => 0,
        }
    }

    fn known(&self) -> Option<&[u8]> {
        match self {
            Self::Known(bytes) => bytes.as_deref(),
            Self::Unchanged => None,
        }
    }
}

/// What has become of a row.
#[derive(Clone, Debug)]
struct Row {
    gone: bool,
    /// Whether fields the log does not tell have to be read from the table: a row under another key, which nobody
    /// can patch.
    fetched: bool,
    document: Value,
    metadata: Value,
    embedding: Value,
}

impl Row {
    fn gone() -> Self {
        Self {
            gone: true,
            fetched: false,
            document: Value::Unchanged,
            metadata: Value::Unchanged,
            embedding: Value::Unchanged,
        }
    }

    fn fields(&self) -> Include {
        let is_known = |value: &Value| *value != Value::Unchanged;
        Include {
            documents: is_known(&self.document),
            metadatas: is_known(&self.metadata),
            embeddings: is_known(&self.embedding),
            distances: false,
        }
    }

    fn is_whole(&self) -> bool {
        let fields = self.fields();
        fields.documents && fields.metadatas && fields.embeddings
    }

    fn bytes(&self) -> usize {
        ROW_BYTES + self.document.bytes() + self.metadata.bytes() + self.embedding.bytes()
    }

    /// With what is not known taken from the same row before.
    fn over(self, before: &Self) -> Self {
        Self {
            gone: false,
            fetched: self.fetched || before.fetched || before.gone,
            document: self.document.or(&before.document),
            metadata: self.metadata.or(&before.metadata),
            embedding: self.embedding.or(&before.embedding),
        }
    }
}

/// What has changed in a table, net per row.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Every row there was before is gone.
    emptied: bool,
    rows: BTreeMap<String, Row>,
    bytes: usize,
    oldest_ms: Option<i64>,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        !self.emptied && self.rows.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Tells when the changes that come now were made.
    pub(super) fn made_at(&mut self, ms: i64) {
        self.oldest_ms.get_or_insert(ms);
    }

    pub(super) fn insert(&mut self, columns: Columns, new: &[Field]) -> Result<(), Malformed> {
        self.put(columns.id(new)?, columns.row(new)?);
        Ok(())
    }

    pub(super) fn update(&mut self, columns: Columns, old: Option<&[Field]>, new: &[Field]) -> Result<(), Malformed> {
        let (id, mut row) = (columns.id(new)?, columns.row(new)?);
        let was = match old {
            Some(old) => {
                // All of the old row is there with REPLICA IDENTITY FULL; of a key alone the other fields are null.
                let before = columns.row(old)?;
                if before.metadata.known().is_some() {
                    row = row.over(&before);
                }
                Some(columns.id(old)?).filter(|was| *was != id)
            }
            None => None,
        };
        if let Some(before) = self.rows.get(was.as_ref().unwrap_or(&id)) {
            row = row.over(before);
        }
        if let Some(was) = was {
            self.put(was, Row::gone());
            row.fetched = !row.is_whole();
        }
        self.put(id, row);
        Ok(())
    }

    pub(super) fn delete(&mut self, columns: Columns, old: &[Field]) -> Result<(), Malformed> {
        self.put(columns.id(old)?, Row::gone());
        Ok(())
    }

    pub(super) fn empty(&mut self) {
        *self = Self { emptied: true, oldest_ms: self.oldest_ms, ..Self::default() };
    }

    fn put(&mut self, id: String, row: Row) {
        self.bytes += row.bytes() + id.len();
        let length = id.len();
        if let Some(before) = self.rows.insert(id, row) {
            self.bytes = self.bytes.saturating_sub(before.bytes() + length);
        }
    }

    /// As batches of at most so many rows; none of them has a cursor.
    pub(super) async fn into_batches(self, table: &Table, width: u32, batch_rows: usize) -> Result<Vec<ChangeBatch>> {
        let Self { emptied, mut rows, oldest_ms, .. } = self;
        let wanted = rows.iter().filter(|(_, row)| !row.gone && row.fetched && !row.is_whole());
        let wanted: Vec<String> = wanted.map(|(id, _)| id.clone()).collect();
        let mut batches = Vec::new();
        for ids in wanted.chunks(batch_rows.max(1)) {
            batches.extend(fetched(table, ids, width).await?);
        }
        wanted.iter().for_each(|id| drop(rows.remove(id)));
        let broken = |error: Malformed| table.place.error(ErrorKind::Corrupt, "a row of the log").with_source(error);
        let (mut batch, mut vector) = (Building::default(), Vec::new());
        for (id, row) in &rows {
            batch.push(id, row, width, &mut vector).map_err(broken)?;
            if batch.rows >= batch_rows.max(1) || batch.bytes >= BATCH_BYTES {
                batches.push(std::mem::take(&mut batch).finish(table)?);
            }
        }
        if batch.rows > 0 || emptied && batches.is_empty() {
            batches.push(batch.finish(table)?);
        }
        if let Some(first) = batches.first_mut() {
            first.emptied = emptied;
        }
        batches.iter_mut().for_each(|batch| batch.changed_at_ms = oldest_ms);
        Ok(batches)
    }
}

/// The rows as they are now. One that is gone by now is told as gone: the log will say so too.
async fn fetched(table: &Table, ids: &[String], width: u32) -> Result<Option<ChangeBatch>> {
    let request = GetRequest { include: Include::ALL, ..GetRequest::of(Selection::ids(ids)) };
    let found = read::get(table, &request).await?;
    let deletes = ids.iter().filter(|id| !found.ids.contains(id)).cloned().collect();
    let upserts = RowLists::from(found).into_batch(width).map_err(|error| table.place.name(error))?;
    let upserts = Some(upserts).filter(|rows| !rows.is_empty());
    Ok(Some(ChangeBatch { upserts, deletes, ..ChangeBatch::default() }))
}

/// A batch that is being filled.
#[derive(Default)]
struct Building {
    rows: usize,
    bytes: usize,
    deletes: Vec<String>,
    upserts: Option<RowBatchBuilder>,
    /// Rows of which these fields are known.
    patches: Vec<(Include, RowBatchBuilder)>,
}

impl Building {
    fn push(&mut self, id: &str, row: &Row, width: u32, vector: &mut Vec<f32>) -> Result<(), Malformed> {
        self.rows += 1;
        self.bytes += row.bytes() + id.len();
        if row.gone {
            self.deletes.push(id.to_owned());
            return Ok(());
        }
        let new = || RowBatchBuilder::with_capacity(16, width);
        let fields = row.fields();
        let into = if row.is_whole() {
            self.upserts.get_or_insert_with(new)
        } else {
            let at = match self.patches.iter().position(|(of, _)| *of == fields) {
                Some(at) => at,
                None => {
                    self.patches.push((fields, new()));
                    self.patches.len() - 1
                }
            };
            &mut self.patches[at].1
        };
        let document = row.document.known().map(std::str::from_utf8).transpose();
        let document = document.map_err(|_| Malformed::Field("document"))?;
        let sent = Sent { id, document, metadata: row.metadata.known(), embedding: row.embedding.known() };
        read::push(into, sent, vector)
    }

    fn finish(self, table: &Table) -> Result<ChangeBatch> {
        let broken = |error| -> Error { table.place.error(ErrorKind::Internal, "rows of the log").with_source(error) };
        let upserts = self.upserts.map(RowBatchBuilder::finish).transpose().map_err(broken)?;
        let mut patches = Vec::new();
        for (fields, rows) in self.patches {
            patches.push(Patch { rows: rows.finish().map_err(broken)?, fields });
        }
        Ok(ChangeBatch { upserts, patches, deletes: self.deletes, ..ChangeBatch::default() })
    }
}
