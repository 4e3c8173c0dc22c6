use super::client::{Described, Place};
use super::palace::Addressed;
use super::{read, write};
use async_trait::async_trait;
use palanquin_engine::contract::{
    Applied, ChangeBatch, Collection, CollectionInfo, Error, ErrorKind, Filter, GetRequest, GetResult, KeyRange,
    Metric, Partition, Result, RowStream, RowUpdates, ScanRequest, WriteMode, reference,
};
use std::sync::Arc;

/// An open collection: one id of the server's, whatever its name comes to mean.
pub(crate) struct ServerCollection {
    shared: Arc<Shared>,
    writable: bool,
}

/// What streams of its rows own too.
pub(super) struct Shared {
    pub(super) palace: Addressed,
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) metric: Metric,
    /// Width of its vectors when it was opened.
    width: Option<u32>,
}

impl Shared {
    pub(super) fn named(&self, error: Error) -> Error {
        self.palace.named(error, &self.name)
    }

    /// What the server says of it now; `None` if it was dropped, even if another one has its name.
    pub(super) async fn described(&self) -> Result<Option<Described>> {
        Ok(self.palace.find(&self.name).await?.filter(|described| described.id == self.place.id))
    }

    pub(super) async fn width(&self) -> Result<Option<u32>> {
        match self.width {
            Some(width) => Ok(Some(width)),
            None => Ok(self.described().await?.and_then(|described| described.width())),
        }
    }
}

impl ServerCollection {
    pub(super) fn new(palace: Addressed, described: Described, writable: bool) -> Self {
        let (place, metric, width) = (palace.place(&described), described.metric(), described.width());
        let shared = Shared { palace, name: described.name, place, metric, width };
        Self { shared: Arc::new(shared), writable }
    }

    /// What can be told of it; `None` if it was dropped.
    pub(super) async fn info_now(&self) -> Result<Option<CollectionInfo>> {
        let told = async {
            let Some(described) = self.shared.described().await? else { return Ok::<_, Error>(None) };
            let rows = self.shared.palace.client.count(&self.shared.place).await?;
            Ok(Some(CollectionInfo {
                rows,
                dimension: described.width(),
                metric: Some(described.metric()),
                identity: described.identity(),
                incarnation: Some(described.incarnation()),
                settings: described.settings(),
                name: described.name,
            }))
        };
        match told.await {
            Err(error) if error.kind() == ErrorKind::CollectionNotInitialized => Ok(None),
            told => told.map_err(|error| self.shared.named(error)),
        }
    }

    fn check_writable(&self) -> Result<()> {
        if self.writable {
            return Ok(());
        }
        Err(self.shared.named(Error::new(ErrorKind::InvalidRequest, "the palace was opened for reading only")))
    }
}

#[async_trait]
impl Collection for ServerCollection {
    async fn info(&self) -> Result<CollectionInfo> {
        let gone = || Error::new(ErrorKind::CollectionNotInitialized, "it was dropped since it was opened");
        self.info_now().await?.ok_or_else(|| self.shared.named(gone()))
    }

    async fn count(&self) -> Result<u64> {
        let counted = self.shared.palace.client.count(&self.shared.place).await;
        counted.map_err(|error| self.shared.named(error))
    }

    async fn cut(&self, rows_per_partition: u64) -> Result<Vec<Partition>> {
        read::cut(&self.shared, rows_per_partition).await.map_err(|error| self.shared.named(error))
    }

    fn scan(&self, request: ScanRequest) -> RowStream {
        self.scan_passing(request, &Filter::All)
    }

    fn scan_passing(&self, request: ScanRequest, filter: &Filter) -> RowStream {
        read::scan(Arc::clone(&self.shared), request, filter.clone())
    }

    async fn last_id(&self, range: &KeyRange) -> Result<Option<String>> {
        let listed = read::listed(&self.shared, range).await;
        listed.map(|mut ids| ids.pop()).map_err(|error| self.shared.named(error))
    }

    async fn apply(&self, batch: ChangeBatch, mode: WriteMode) -> Result<Applied> {
        self.check_writable()?;
        write::apply(&self.shared, batch, mode).await.map_err(|error| self.shared.named(error))
    }

    async fn update(&self, updates: RowUpdates) -> Result<u64> {
        self.check_writable()?;
        write::update(&self.shared, &updates).await.map_err(|error| self.shared.named(error))
    }

    async fn get(&self, request: &GetRequest) -> Result<GetResult> {
        match request.selection.distinct_ids() {
            Some(ids) => read::named(&self.shared, request, &ids).await.map_err(|error| self.shared.named(error)),
            None => reference::get(self, request).await,
        }
    }
}
