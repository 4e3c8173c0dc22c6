use crate::content::{Content, Stored, StoredCollection};
use crate::faults::{Faults, Point};
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use palanquin_engine::contract::{
    Applied, ChangeBatch, Collection, CollectionInfo, Cursor, Error, ErrorKind, FeedHead, KeyRange, Partition, Result,
    RowStream, RowUpdates, ScanRequest, WriteMode,
};
use palanquin_engine::rows::{RowBatch, RowBatchBuilder};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A handle on a collection.
#[derive(Clone, Debug)]
pub(crate) struct MemoryCollection {
    stored: Arc<StoredCollection>,
    faults: Faults,
}

impl MemoryCollection {
    pub(crate) fn new(stored: Arc<StoredCollection>, faults: Faults) -> Self {
        Self { stored, faults }
    }

    fn batch<'a>(&self, rows: impl Iterator<Item = (&'a str, &'a Stored)>) -> Result<RowBatch> {
        let failed = |error| Error::new(ErrorKind::Internal, "a stored row").with_source(error);
        let mut batch = RowBatchBuilder::with_capacity(rows.size_hint().0, self.stored.dimension());
        for (id, stored) in rows {
            batch.push(stored.as_row(id)).map_err(failed)?;
        }
        batch.finish().map_err(failed)
    }

    /// The next batch of a range, if there is one.
    fn page(&self, range: &KeyRange, rows: usize) -> Result<Option<RowBatch>> {
        let batch = self.batch(self.stored.content().within(range).take(rows.max(1)))?;
        Ok((!batch.is_empty()).then_some(batch))
    }

    /// A cursor of this collection and of no other incarnation of it.
    fn cursor(&self, content: &Content) -> Cursor {
        Cursor(format!("{}:{}", self.stored.incarnation(), content.changes.last()))
    }

    fn number_of(&self, cursor: &Cursor) -> Option<u64> {
        let (incarnation, number) = cursor.0.rsplit_once(':')?;
        number.parse().ok().filter(|_| incarnation == self.stored.incarnation())
    }

    fn changes(&self, cursor: &Cursor, batch_rows: usize) -> Result<Vec<ChangeBatch>> {
        let content = self.stored.content();
        let touched = self.number_of(cursor).and_then(|number| content.changes.after(number));
        let expired = || Error::new(ErrorKind::CursorExpired, "the cursor is of no change in this collection's log");
        let touched: Vec<&str> = touched.ok_or_else(expired)?.collect::<BTreeSet<_>>().into_iter().collect();
        let mut batches = Vec::new();
        for chunk in touched.chunks(batch_rows.max(1)) {
            let (kept, gone): (Vec<&str>, Vec<&str>) = chunk.iter().partition(|id| content.rows.contains_key(**id));
            let kept = kept.into_iter().filter_map(|id| content.rows.get(id).map(|stored| (id, stored)));
            let upserts = self.batch(kept)?;
            let upserts = (!upserts.is_empty()).then_some(upserts);
            let deletes = gone.into_iter().map(str::to_owned).collect();
            batches.push(ChangeBatch { upserts, deletes, ..ChangeBatch::default() });
        }
        if let Some(last) = batches.last_mut() {
            last.cursor = Some(self.cursor(&content));
        }
        Ok(batches)
    }
}

#[async_trait]
impl Collection for MemoryCollection {
    async fn info(&self) -> Result<CollectionInfo> {
        Ok(self.stored.describe())
    }

    async fn count(&self) -> Result<u64> {
        Ok(self.stored.content().rows.len() as u64)
    }

    async fn cut(&self, rows_per_partition: u64) -> Result<Vec<Partition>> {
        let content = self.stored.content();
        let ids: Vec<&String> = content.rows.keys().collect();
        let mut partitions: Vec<Partition> = Vec::new();
        for chunk in ids.chunks(rows_per_partition.max(1) as usize) {
            let after = partitions.last().and_then(|partition| partition.range.upto.clone());
            let upto = chunk.last().map(|id| (*id).clone());
            partitions.push(Partition { range: KeyRange { after, upto }, rows: chunk.len() as u64 });
        }
        match partitions.last_mut() {
            Some(last) => last.range.upto = None,
            None => partitions.push(Partition { range: KeyRange::ALL, rows: 0 }),
        }
        Ok(partitions)
    }

    fn scan(&self, request: ScanRequest) -> RowStream {
        let state = (self.clone(), request.range, request.batch_rows);
        stream::try_unfold(state, |(collection, range, batch_rows)| async move {
            collection.faults.pass(Point::Scan).await?;
            let Some(batch) = collection.page(&range, batch_rows)? else { return Ok(None) };
            let rest = range.remaining_after(batch.last_id());
            Ok(Some((batch, (collection, rest, batch_rows))))
        })
        .boxed()
    }

    async fn last_id(&self, range: &KeyRange) -> Result<Option<String>> {
        Ok(self.stored.content().within(range).next_back().map(|(id, _)| id.to_owned()))
    }

    async fn apply(&self, batch: ChangeBatch, mode: WriteMode) -> Result<Applied> {
        self.faults.pass(Point::BeforeApply).await?;
        let mut applied = Applied::default();
        {
            let mut content = self.stored.content();
            for id in &batch.deletes {
                applied.deleted += u64::from(content.remove(id));
            }
            for row in batch.upserts.iter().flat_map(RowBatch::rows) {
                if mode == WriteMode::Append && content.rows.contains_key(row.id) {
                    return Err(Error::new(ErrorKind::Corrupt, "an appended row is there already"));
                }
                content.put(row);
                applied.upserted += 1;
            }
            for patch in &batch.patches {
                let ids = || patch.rows.ids().iter().flatten();
                let there = ids().filter_map(|id| content.rows.get(id).map(|stored| (id, stored)));
                let merged = patch.merged_into(&self.batch(there)?)?;
                applied.missing.extend(ids().filter(|id| !content.rows.contains_key(*id)).map(str::to_owned));
                applied.upserted += merged.len() as u64;
                merged.rows().for_each(|row| content.put(row));
            }
        }
        self.faults.pass(Point::AfterApply).await?;
        Ok(applied)
    }

    async fn update(&self, updates: RowUpdates) -> Result<u64> {
        self.faults.pass(Point::BeforeApply).await?;
        let updated = {
            let mut content = self.stored.content();
            let ids: BTreeSet<&str> = updates.ids().iter().map(String::as_str).collect();
            let there = ids.into_iter().filter_map(|id| content.rows.get(id).map(|stored| (id, stored)));
            let merged = updates.merged_into(&self.batch(there)?)?;
            merged.rows().for_each(|row| content.put(row));
            merged.len() as u64
        };
        self.faults.pass(Point::AfterApply).await?;
        Ok(updated)
    }

    async fn feed_head(&self) -> Result<Option<FeedHead>> {
        Ok(Some(FeedHead { cursor: self.cursor(&self.stored.content()), changed_at_ms: None }))
    }

    fn changes_since(&self, cursor: &Cursor, batch_rows: usize) -> BoxStream<'static, Result<ChangeBatch>> {
        match self.changes(cursor, batch_rows) {
            Ok(batches) => stream::iter(batches.into_iter().map(Ok)).boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }
}
