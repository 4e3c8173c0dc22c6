use crate::credit::Held;
use palanquin_engine::contract::{ChangeBatch, Cursor, Error, ErrorKind, Include, Patch, Result};
use palanquin_engine::rows::RowBatch;
use std::collections::HashSet;

/// Batches of a feed that become one: no row is in two of them.
#[derive(Default)]
pub(super) struct Joined {
    ids: HashSet<String>,
    upserts: Vec<RowBatch>,
    patches: Vec<(Include, Vec<RowBatch>)>,
    deletes: Vec<String>,
    bytes: usize,
    /// The last that a batch completed.
    cursor: Option<Cursor>,
    changed_at_ms: Option<i64>,
    held: Vec<Held>,
}

fn ids_of(batch: &ChangeBatch) -> impl Iterator<Item = &str> {
    let rows = batch.upserts.iter().chain(batch.patches.iter().map(|patch| &patch.rows));
    rows.flat_map(|rows| rows.ids().iter().flatten()).chain(batch.deletes.iter().map(String::as_str))
}

impl Joined {
    /// Memory of a batch.
    pub(super) fn bytes_of(batch: &ChangeBatch) -> usize {
        let rows = batch.upserts.iter().chain(batch.patches.iter().map(|patch| &patch.rows));
        rows.map(RowBatch::bytes).sum::<usize>() + batch.deletes.iter().map(|id| id.len() + 24).sum::<usize>()
    }

    /// Whether a batch can be joined: what comes later of the same row has to be applied later.
    pub(super) fn has_room_for(&self, batch: &ChangeBatch) -> bool {
        !ids_of(batch).any(|id| self.ids.contains(id))
    }

    pub(super) fn push(&mut self, batch: ChangeBatch, held: Held) {
        self.ids.extend(ids_of(&batch).map(str::to_owned));
        self.bytes += Self::bytes_of(&batch);
        self.held.push(held);
        self.upserts.extend(batch.upserts.filter(|rows| !rows.is_empty()));
        for Patch { rows, fields } in batch.patches {
            match self.patches.iter_mut().find(|(of, _)| *of == fields) {
                Some((_, known)) => known.push(rows),
                None => self.patches.push((fields, vec![rows])),
            }
        }
        self.deletes.extend(batch.deletes);
        self.cursor = batch.cursor.or(self.cursor.take());
        self.changed_at_ms = self.changed_at_ms.into_iter().chain(batch.changed_at_ms).min();
    }

    pub(super) fn rows(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn changed_at_ms(&self) -> Option<i64> {
        self.changed_at_ms
    }

    /// All of it as one batch, with the credit it holds.
    pub(super) fn into_batch(self) -> Result<(ChangeBatch, Vec<Held>)> {
        let together = |rows: &[RowBatch]| {
            RowBatch::concat(rows)
                .map_err(|error| Error::new(ErrorKind::Internal, "changes do not fit together").with_source(error))
        };
        let upserts = if self.upserts.is_empty() { None } else { Some(together(&self.upserts)?) };
        let mut patches = Vec::new();
        for (fields, rows) in self.patches {
            patches.push(Patch { rows: together(&rows)?, fields });
        }
        let batch = ChangeBatch {
            upserts,
            patches,
            deletes: self.deletes,
            cursor: self.cursor,
            changed_at_ms: self.changed_at_ms,
            emptied: false,
        };
        Ok((batch, self.held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credit::Credit;
    use palanquin_engine::rows::{Row, RowBatchBuilder};

    fn rows(ids: &[&str]) -> RowBatch {
        let mut batch = RowBatchBuilder::with_capacity(ids.len(), 1);
        for id in ids {
            batch.push(Row { id, document: None, metadata: "{}", embedding: None }).unwrap();
        }
        batch.finish().unwrap()
    }

    #[tokio::test]
    async fn what_comes_later_of_a_row_is_never_joined_to_what_came_before() {
        let credit = Credit::of_bytes(1 << 20);
        let (mut joined, fields) = (Joined::default(), Include { documents: true, ..Include::IDS });
        let patch = |ids: &[&str]| Patch { rows: rows(ids), fields };
        let first = ChangeBatch {
            deletes: vec!["gone".into()],
            patches: vec![patch(&["p"])],
            ..ChangeBatch::upserts(rows(&["a"]))
        };
        joined.push(ChangeBatch { cursor: Some(Cursor("1".into())), ..first }, credit.take(1).await);
        for id in ["gone", "p", "a"] {
            for again in [
                ChangeBatch::upserts(rows(&["x", id])),
                ChangeBatch { deletes: vec![id.into()], ..ChangeBatch::default() },
                ChangeBatch { patches: vec![patch(&[id])], ..ChangeBatch::default() },
            ] {
                assert!(!joined.has_room_for(&again), "{id}");
            }
        }
        let second = ChangeBatch { patches: vec![patch(&["q"])], ..ChangeBatch::upserts(rows(&["b"])) };
        assert!(joined.has_room_for(&second));
        joined.push(second, credit.take(1).await);
        let (batch, _held) = joined.into_batch().unwrap();
        assert_eq!((batch.upserts.as_ref().unwrap().len(), batch.patches.len(), batch.rows()), (2, 1, 5));
        assert_eq!(batch.cursor, Some(Cursor("1".into())), "the second step is not complete");
    }
}
