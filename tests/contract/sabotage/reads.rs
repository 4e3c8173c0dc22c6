//! Backends that answer wrongly.

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use palanquin_contract::interpose::Between;
use palanquin_engine::contract::{
    Capabilities, ChangeBatch, Collection, Cursor, Descriptor, EmbedderIdentity, ErrorKind, Filter, GetRequest,
    GetResult, Include, KeyRange, Partition, QueryRequest, QueryResult, Result, RowStream, ScanRequest, Selection,
    token,
};

/// A sabotage by a name and the answers it replaces.
macro_rules! sabotage {
    ($name:ident, $($answers:tt)*) => {
        pub(crate) struct $name;
        #[async_trait]
        impl Between for $name {
            $($answers)*
        }
    };
}
pub(crate) use sabotage;

sabotage! { ForgetsTheFilter,
    async fn get(&self, behind: &dyn Collection, request: &GetRequest) -> Result<GetResult> {
        let selection = Selection { filter: Filter::All, ..request.selection.clone() };
        behind.get(&GetRequest { selection, ..request.clone() }).await
    }
}

sabotage! { FiltersAfterItRanks,
    async fn query(&self, behind: &dyn Collection, request: &QueryRequest) -> Result<QueryResult> {
        let passing = GetRequest { include: Include::IDS, ..GetRequest::of(Selection::filter(request.filter.clone())) };
        let passing = behind.get(&passing).await?.ids;
        let mut found = behind.query(&QueryRequest { filter: Filter::All, ..request.clone() }).await?;
        for at in 0..found.ids.len() {
            let keep: Vec<bool> = found.ids[at].iter().map(|id| passing.contains(id)).collect();
            let mut kept = keep.iter();
            found.ids[at].retain(|_| *kept.next().unwrap());
            let mut kept = keep.iter();
            found.distances[at].retain(|_| *kept.next().unwrap());
        }
        Ok(found)
    }
}

sabotage! { RanksBackwards,
    async fn query(&self, behind: &dyn Collection, request: &QueryRequest) -> Result<QueryResult> {
        let mut found = behind.query(request).await?;
        found.ids.iter_mut().for_each(|ids| ids.reverse());
        found.distances.iter_mut().for_each(|distances| distances.reverse());
        Ok(found)
    }
}

sabotage! { ReportsSimilarities,
    async fn query(&self, behind: &dyn Collection, request: &QueryRequest) -> Result<QueryResult> {
        let mut found = behind.query(request).await?;
        found.distances.iter_mut().flatten().for_each(|distance| *distance = 1.0 - *distance);
        Ok(found)
    }
}

sabotage! { FindsRowsWithoutVectors,
    async fn query(&self, behind: &dyn Collection, request: &QueryRequest) -> Result<QueryResult> {
        let mut found = behind.query(request).await?;
        found.ids.iter_mut().for_each(|ids| ids.push("bare".to_owned()));
        Ok(found)
    }
}

sabotage! { AnswersNothingWithNothing,
    async fn query(&self, behind: &dyn Collection, request: &QueryRequest) -> Result<QueryResult> {
        let found = behind.query(request).await?;
        Ok(if found.ids.iter().all(Vec::is_empty) { QueryResult::default() } else { found })
    }
}

sabotage! { SortsWhatWasNamed,
    async fn get(&self, behind: &dyn Collection, request: &GetRequest) -> Result<GetResult> {
        let mut request = request.clone();
        if let Some(ids) = &mut request.selection.ids {
            ids.sort();
        }
        behind.get(&request).await
    }
}

sabotage! { GivesMoreThanWasIncluded,
    async fn get(&self, behind: &dyn Collection, request: &GetRequest) -> Result<GetResult> {
        behind.get(&GetRequest { include: Include::ALL, ..request.clone() }).await
    }
}

sabotage! { CountsWhatWasDeleted,
    async fn count(&self, behind: &dyn Collection) -> Result<u64> {
        let head = behind.feed_head().await?.map(|head| head.cursor.0).unwrap_or_default();
        Ok(head.rsplit(':').next().and_then(|number| number.parse().ok()).unwrap_or_default())
    }
}

sabotage! { EstimatesByCounting,
    fn descriptor(&self, behind: &Descriptor) -> Descriptor {
        let known = token::KNOWN.into_iter().filter(|token| behind.capabilities.has(token));
        let capabilities = Capabilities::of(known.chain([token::ESTIMATED_COUNT]));
        Descriptor { capabilities, ..behind.clone() }
    }
}

sabotage! { ReadsBeyondTheRange,
    fn scan(&self, behind: &dyn Collection, request: ScanRequest) -> RowStream {
        behind.scan(ScanRequest { range: KeyRange { upto: None, ..request.range }, ..request })
    }
}

sabotage! { LeavesOutWhatPasses,
    fn scan_passing(&self, behind: &dyn Collection, request: ScanRequest, filter: &Filter) -> RowStream {
        let rows = behind.scan_passing(request, filter);
        rows.map_ok(|batch| batch.slice(0, batch.len().saturating_sub(1))).boxed()
    }
}

sabotage! { MakesItsOwnBatches,
    fn scan(&self, behind: &dyn Collection, request: ScanRequest) -> RowStream {
        behind.scan(ScanRequest { batch_rows: request.batch_rows.max(64), ..request })
    }
}

sabotage! { CutsWithGaps,
    async fn cut(&self, behind: &dyn Collection, rows_per_partition: u64) -> Result<Vec<Partition>> {
        let mut partitions = behind.cut(rows_per_partition).await?;
        if let Some(last) = behind.last_id(&KeyRange::ALL).await? {
            partitions.last_mut().unwrap().range.upto = Some(last);
        }
        Ok(partitions)
    }
}

sabotage! { ForgetsTheLastId,
    async fn last_id(&self, behind: &dyn Collection, _range: &KeyRange) -> Result<Option<String>> {
        behind.last_id(&KeyRange::ALL).await
    }
}

sabotage! { FeedsNoDeletes,
    fn changes_since(&self, behind: &dyn Collection, cursor: &Cursor, batch_rows: usize) -> BoxStream<'static, Result<ChangeBatch>> {
        behind.changes_since(cursor, batch_rows).map_ok(|batch| ChangeBatch { deletes: Vec::new(), ..batch }).boxed()
    }
}

sabotage! { TakesAnyCursor,
    fn changes_since(&self, behind: &dyn Collection, cursor: &Cursor, batch_rows: usize) -> BoxStream<'static, Result<ChangeBatch>> {
        let changes = behind.changes_since(cursor, batch_rows);
        changes.filter(|batch| {
            let expired = batch.as_ref().is_err_and(|error| error.kind() == ErrorKind::CursorExpired);
            futures::future::ready(!expired)
        }).boxed()
    }
}

sabotage! { FeedsEveryChangeTwice,
    fn changes_since(&self, behind: &dyn Collection, cursor: &Cursor, batch_rows: usize) -> BoxStream<'static, Result<ChangeBatch>> {
        let without_cursor = behind.changes_since(cursor, batch_rows).map_ok(|batch| ChangeBatch { cursor: None, ..batch });
        without_cursor.chain(behind.changes_since(cursor, batch_rows)).boxed()
    }
}

sabotage! { HasNoHead,
    async fn feed_head(&self, _behind: &dyn Collection) -> Result<Option<palanquin_engine::contract::FeedHead>> {
        Ok(None)
    }
}

sabotage! { EmbedsInSecret,
    async fn effective_embedder_identity(&self, _behind: &dyn Collection) -> Result<Option<EmbedderIdentity>> {
        Ok(Some(EmbedderIdentity { model_name: "minilm".to_owned(), dimension: 0 }))
    }
}

sabotage! { EndsScansEarly,
    fn scan(&self, behind: &dyn Collection, request: ScanRequest) -> RowStream {
        behind.scan(request).take(1).chain(stream::empty()).boxed()
    }
}
