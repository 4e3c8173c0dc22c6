use super::blocking::blocking;
use super::open::info_with;
use crate::catalog::Entry;
use crate::connection::Database;
use crate::feed::changes::{self, Changes};
use crate::feed::memory::Followed;
use crate::read::range;
use crate::read::reader::Reader;
use crate::read::session::Session;
use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use palanquin_engine::contract::{
    Applied, ChangeBatch, Collection, CollectionInfo, Cursor, Error, ErrorKind, FeedHead, KeyRange, Partition, Result,
    RowStream, ScanRequest, WriteMode,
};
use std::sync::{Arc, Mutex};

/// An open collection; its reads take turns on one connection.
#[derive(Clone)]
pub(super) struct ChromaCollection {
    names: Arc<Names>,
    reader: Arc<Mutex<Reader>>,
    followed: Followed,
}

struct Names {
    palace: String,
    collection: String,
}

impl ChromaCollection {
    /// Connects to the collection.
    pub(super) fn open(database: Database, entry: Entry, followed: Followed, salvaging: bool) -> Result<Self> {
        let names = Arc::new(Names { palace: database.palace().to_owned(), collection: entry.name.clone() });
        let session = Session::new(database, entry).map_err(|error| names.named(error))?.salvaging(salvaging);
        Ok(Self { names, reader: Arc::new(Mutex::new(Reader::new(session))), followed })
    }

    async fn with<T: Send + 'static>(&self, work: impl FnOnce(&mut Reader) -> Result<T> + Send + 'static) -> Result<T> {
        blocking(&self.reader, work).await.map_err(|error| self.names.named(error))
    }

    fn read_only(&self, what: &str) -> Error {
        let detail = format!("a Chroma directory is only read and {what}");
        self.names.named(Error::new(ErrorKind::UnsupportedCapability, detail))
    }

    /// Reads what is left of a range, page by page, until a page has rows.
    async fn next_batch(
        self,
        mut left: Option<KeyRange>,
        rows: usize,
    ) -> Option<(Result<palanquin_engine::rows::RowBatch>, (Self, Option<KeyRange>))> {
        while let Some(range) = left {
            let asked = range.clone();
            let followed = self.followed.clone();
            let read = self.with(move |reader| {
                let comparisons = followed.comparisons();
                let read = reader.read(&asked, rows)?;
                read.batch.iter().for_each(|batch| followed.hand_out(batch, comparisons));
                Ok(read)
            });
            let read = match read.await {
                Ok(read) => read,
                Err(error) => return Some((Err(error.in_rows(range)), (self, None))),
            };
            left = read.next.map(|next| KeyRange { after: Some(next), upto: range.upto });
            if let Some(batch) = read.batch {
                return Some((Ok(batch), (self, left)));
            }
        }
        None
    }

    /// The next batch of a difference, unless the last one was handed out.
    async fn next_changes(self, changes: Option<Changes>) -> Result<Option<(ChangeBatch, (Self, Option<Changes>))>> {
        let Some(mut changes) = changes.filter(|changes| !changes.told_all()) else { return Ok(None) };
        let next = move |reader: &mut Reader| changes.next(reader).map(|batch| (batch, changes));
        let (batch, changes) = self.with(next).await?;
        Ok(Some((batch, (self, Some(changes)))))
    }
}

impl Names {
    fn named(&self, error: Error) -> Error {
        error.in_palace(&self.palace).in_collection(&self.collection)
    }
}

#[async_trait]
impl Collection for ChromaCollection {
    async fn info(&self) -> Result<CollectionInfo> {
        self.with(|reader| {
            let session = reader.session();
            let rows = range::count(session)?;
            let (lock, marks) = session.lock()?;
            drop(lock);
            let dimension = marks.dimension.or(session.entry.dimension);
            let entry = Entry { dimension, ..session.entry.clone() };
            Ok(info_with(&session.database, entry, rows))
        })
        .await
    }

    async fn count(&self) -> Result<u64> {
        self.with(|reader| range::count(reader.session())).await
    }

    async fn cut(&self, rows_per_partition: u64) -> Result<Vec<Partition>> {
        self.with(move |reader| range::cut(reader.session(), rows_per_partition)).await
    }

    fn scan(&self, request: ScanRequest) -> RowStream {
        let rows = request.batch_rows;
        let start = (self.clone(), Some(request.range));
        stream::unfold(start, move |(collection, left)| collection.next_batch(left, rows)).boxed()
    }

    async fn last_id(&self, range: &KeyRange) -> Result<Option<String>> {
        let range = range.clone();
        self.with(move |reader| range::last_id(reader.session(), &range)).await
    }

    async fn apply(&self, _: ChangeBatch, _: WriteMode) -> Result<Applied> {
        Err(self.read_only("takes no changes"))
    }

    async fn feed_head(&self) -> Result<Option<FeedHead>> {
        let followed = self.followed.clone();
        self.with(move |reader| changes::head(reader.session(), &followed)).await.map(Some)
    }

    fn changes_since(&self, cursor: &Cursor, batch_rows: usize) -> BoxStream<'static, Result<ChangeBatch>> {
        let (collection, cursor) = (self.clone(), cursor.clone());
        let begun = async move {
            let followed = collection.followed.clone();
            let begin = move |reader: &mut Reader| Changes::begin(reader.session(), &followed, &cursor, batch_rows);
            let changes = collection.with(begin).await?;
            let next = |(collection, changes): (Self, _)| collection.next_changes(changes);
            Ok::<_, Error>(stream::try_unfold((collection, changes), next))
        };
        stream::once(begun).try_flatten().boxed()
    }
}
