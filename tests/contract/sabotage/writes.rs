//! Backends that store, keep apart and maintain wrongly.

use crate::reads::sabotage;
use async_trait::async_trait;
use palanquin_contract::interpose::Between;
use palanquin_engine::contract::{
    Applied, Backend, ChangeBatch, Collection, CollectionSpec, EmbedderIdentity, GetRequest, GetResult, Include,
    LogEntry, MaintenanceResult, MaintenanceStatus, OpenMode, OpenOptions, Palace, PalaceRef, Progress, Result,
    RowUpdates, Selection, WriteMode,
};
use palanquin_engine::rows::{Row, RowBatch, RowBatchBuilder};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The batch with each row passed through `change`.
fn changed(rows: &RowBatch, change: impl Fn(&mut String, &mut Option<String>, &mut Option<Vec<f32>>)) -> RowBatch {
    let mut batch = RowBatchBuilder::with_capacity(rows.len(), rows.dimension());
    for row in rows.rows() {
        let (mut metadata, mut document) = (row.metadata.to_owned(), row.document.map(str::to_owned));
        let mut embedding = row.embedding.map(<[f32]>::to_vec);
        change(&mut metadata, &mut document, &mut embedding);
        let (document, embedding) = (document.as_deref(), embedding.as_deref());
        batch.push(Row { id: row.id, document, metadata: &metadata, embedding }).unwrap();
    }
    batch.finish().unwrap()
}

sabotage! { MakesFloatsWhole,
    async fn upsert(&self, behind: &dyn Collection, rows: RowBatch) -> Result<()> {
        behind.upsert(changed(&rows, |metadata, _, _| *metadata = metadata.replace("2.0", "2"))).await
    }
}

sabotage! { DropsNul,
    async fn upsert(&self, behind: &dyn Collection, rows: RowBatch) -> Result<()> {
        behind.upsert(changed(&rows, |_, document, _| *document = document.take().map(|text| text.replace('\0', "")))).await
    }
}

sabotage! { TakesNoneForEmpty,
    async fn upsert(&self, behind: &dyn Collection, rows: RowBatch) -> Result<()> {
        behind.upsert(changed(&rows, |_, document, _| *document = document.take().filter(|text| !text.is_empty()))).await
    }
}

sabotage! { NormalisesVectors,
    async fn upsert(&self, behind: &dyn Collection, rows: RowBatch) -> Result<()> {
        let normalise = |_: &mut String, _: &mut Option<String>, vector: &mut Option<Vec<f32>>| {
            let vector = vector.iter_mut().flatten();
            vector.for_each(|component| *component = *component / 3.0 * 3.0 + 0.0);
        };
        behind.upsert(changed(&rows, normalise)).await
    }
}

sabotage! { KeepsTheFirstOfTwins,
    async fn upsert(&self, behind: &dyn Collection, rows: RowBatch) -> Result<()> {
        for at in (0..rows.len()).rev() {
            behind.upsert(rows.slice(at, 1)).await?;
        }
        Ok(())
    }
}

sabotage! { AddsOverWhatIsThere,
    async fn add(&self, behind: &dyn Collection, rows: RowBatch) -> Result<()> {
        behind.upsert(rows).await
    }
}

/// Answers given so far, by which a sabotage knows that another was at work meanwhile.
static GETS: AtomicUsize = AtomicUsize::new(0);
static UPDATES: AtomicUsize = AtomicUsize::new(0);

/// Waits until so many more have been given; not for ever, for there may be nobody else.
async fn until_more(answers: &AtomicUsize, more: usize) {
    let (before, mut turns) = (answers.load(Ordering::Acquire), 0);
    while answers.load(Ordering::Acquire) < before + more && turns < 2_000 {
        turns += 1;
        tokio::task::yield_now().await;
    }
}

sabotage! { UpdatesFieldByField,
    async fn get(&self, behind: &dyn Collection, request: &GetRequest) -> Result<GetResult> {
        let found = behind.get(request).await;
        GETS.fetch_add(1, Ordering::AcqRel);
        found
    }
    async fn update(&self, behind: &dyn Collection, updates: RowUpdates) -> Result<u64> {
        let ids = || updates.ids().to_vec();
        let mut updated = 0;
        if let Some(documents) = updates.documents() {
            updated = behind.update(RowUpdates::try_new(ids(), Some(documents.to_vec()), None, None)?).await?;
            // Of two readers the third answer was begun after this half.
            until_more(&GETS, 3).await;
        }
        let (metadatas, embeddings) = (updates.metadatas().map(<[_]>::to_vec), updates.embeddings().map(<[_]>::to_vec));
        if metadatas.is_some() || embeddings.is_some() {
            updated = behind.update(RowUpdates::try_new(ids(), None, metadatas, embeddings)?).await?;
        }
        Ok(updated)
    }
}

/// The rows of these ids that are there.
async fn whole(behind: &dyn Collection, ids: Vec<String>) -> Result<RowBatch> {
    let request = GetRequest { include: Include::ALL, ..GetRequest::of(Selection::ids(ids)) };
    let found = palanquin_engine::contract::RowLists::from(behind.get(&request).await?);
    found.into_batch(behind.info().await?.dimension.unwrap_or(0))
}

sabotage! { UpdatesByReadingAndWriting,
    async fn update(&self, behind: &dyn Collection, updates: RowUpdates) -> Result<u64> {
        let there = whole(behind, updates.ids().to_vec()).await?;
        until_more(&UPDATES, 1).await;
        let merged = updates.merged_into(&there)?;
        let updated = behind.apply(ChangeBatch::upserts(merged), WriteMode::Upsert).await?.upserted;
        UPDATES.fetch_add(1, Ordering::AcqRel);
        Ok(updated)
    }
}

sabotage! { MakesRowsByUpdating,
    async fn update(&self, behind: &dyn Collection, updates: RowUpdates) -> Result<u64> {
        let width = behind.info().await?.dimension.unwrap_or(0);
        let lists = palanquin_engine::contract::RowLists { ids: updates.ids().to_vec(), ..Default::default() };
        let there = behind.get(&GetRequest::of(Selection::ids(updates.ids().to_vec()))).await?.ids;
        if there.is_empty() {
            behind.upsert(lists.into_batch(width)?).await?;
        }
        behind.update(updates).await
    }
}

sabotage! { ForgetsPatches,
    async fn apply(&self, behind: &dyn Collection, batch: ChangeBatch, mode: WriteMode) -> Result<Applied> {
        behind.apply(ChangeBatch { patches: Vec::new(), ..batch }, mode).await
    }
}

sabotage! { MergesPatchedMetadata,
    async fn apply(&self, behind: &dyn Collection, batch: ChangeBatch, mode: WriteMode) -> Result<Applied> {
        let mut merged = batch.clone();
        for patch in merged.patches.iter_mut().filter(|patch| patch.fields.metadatas) {
            let ids = patch.rows.ids().iter().flatten().map(str::to_owned);
            let there = behind.get(&GetRequest::of(Selection::ids(ids))).await?;
            let known: std::collections::HashMap<_, _> = there.ids.into_iter().zip(there.metadatas).collect();
            let mut rows = RowBatchBuilder::with_capacity(patch.rows.len(), patch.rows.dimension());
            for row in patch.rows.rows() {
                let mut metadata = known.get(row.id).cloned().unwrap_or_default();
                metadata.extend(serde_json::from_str::<palanquin_engine::contract::Metadata>(row.metadata).unwrap());
                let metadata = palanquin_engine::rows::canonical_metadata(&metadata);
                rows.push(Row { metadata: &metadata, ..row }).unwrap();
            }
            patch.rows = rows.finish().unwrap();
        }
        behind.apply(merged, mode).await
    }
}

sabotage! { HidesWhatIsMissing,
    async fn apply(&self, behind: &dyn Collection, batch: ChangeBatch, mode: WriteMode) -> Result<Applied> {
        Ok(Applied { missing: Vec::new(), ..behind.apply(batch, mode).await? })
    }
}

sabotage! { MakesRowsOfPatches,
    async fn apply(&self, behind: &dyn Collection, batch: ChangeBatch, mode: WriteMode) -> Result<Applied> {
        let rows: Vec<RowBatch> = batch.patches.iter().map(|patch| patch.rows.clone()).collect();
        let applied = behind.apply(batch, mode).await?;
        for rows in rows {
            for at in (0..rows.len()).filter(|at| applied.missing.contains(&rows.ids().value(*at).to_owned())) {
                behind.upsert(rows.slice(at, 1)).await?;
            }
        }
        Ok(applied)
    }
}

sabotage! { PatchesByReadingAndWriting,
    async fn apply(&self, behind: &dyn Collection, batch: ChangeBatch, mode: WriteMode) -> Result<Applied> {
        let mut applied = Applied::default();
        for patch in &batch.patches {
            let ids: Vec<String> = patch.rows.ids().iter().flatten().map(str::to_owned).collect();
            let there = whole(behind, ids).await?;
            until_more(&UPDATES, 1).await;
            applied = behind.apply(ChangeBatch::upserts(patch.merged_into(&there)?), mode).await?;
            UPDATES.fetch_add(1, Ordering::AcqRel);
        }
        Ok(if batch.patches.is_empty() { behind.apply(batch, mode).await? } else { applied })
    }
}

sabotage! { UpsertsBeforeItDeletes,
    async fn apply(&self, behind: &dyn Collection, batch: ChangeBatch, mode: WriteMode) -> Result<Applied> {
        let upserts = ChangeBatch { deletes: Vec::new(), ..batch.clone() };
        let upserted = behind.apply(upserts, mode).await?.upserted;
        let deleted = behind.apply(ChangeBatch { upserts: None, ..batch }, mode).await?.deleted;
        Ok(Applied { upserted, deleted, ..Applied::default() })
    }
}

sabotage! { DeletesByIdsAlone,
    async fn delete(&self, behind: &dyn Collection, selection: &Selection) -> Result<u64> {
        match &selection.ids {
            Some(ids) => behind.delete(&Selection::ids(ids.clone())).await,
            None => behind.delete(selection).await,
        }
    }
}

/// The name the way a store that allows few signs would write it.
fn slug(name: &str) -> String {
    let plain = |sign: char| if sign.is_ascii_alphanumeric() { sign.to_ascii_lowercase() } else { '_' };
    name.chars().map(plain).take(63).collect()
}

sabotage! { WritesIdsPlainly,
    async fn open(&self, behind: &dyn Backend, palace: &PalaceRef, options: OpenOptions) -> Result<Arc<dyn Palace>> {
        behind.open(&PalaceRef { id: slug(&palace.id), ..palace.clone() }, options).await
    }
}

sabotage! { WritesNamespacesPlainly,
    async fn open(&self, behind: &dyn Backend, palace: &PalaceRef, options: OpenOptions) -> Result<Arc<dyn Palace>> {
        let id = format!("{}_{}", palace.namespace.clone().unwrap_or_default(), palace.id);
        behind.open(&PalaceRef { id, namespace: None, ..palace.clone() }, options).await
    }
}

sabotage! { DropsTheNamespace,
    async fn open(&self, behind: &dyn Backend, palace: &PalaceRef, options: OpenOptions) -> Result<Arc<dyn Palace>> {
        behind.open(&PalaceRef { namespace: None, ..palace.clone() }, options).await
    }
}

sabotage! { WritesCollectionNamesPlainly,
    async fn create_collection(&self, behind: &dyn Palace, spec: &CollectionSpec) -> Result<Arc<dyn Collection>> {
        behind.create_collection(&CollectionSpec { name: slug(&spec.name), ..spec.clone() }).await
    }
    async fn collection(&self, behind: &dyn Palace, name: &str) -> Result<Arc<dyn Collection>> {
        behind.collection(&slug(name)).await
    }
}

sabotage! { MakesWhatIsNotThere,
    async fn open(&self, behind: &dyn Backend, palace: &PalaceRef, options: OpenOptions) -> Result<Arc<dyn Palace>> {
        behind.open(palace, OpenOptions { mode: OpenMode::Create, ..options }).await
    }
}

sabotage! { MakesSomethingBeforeItRefuses,
    async fn open(&self, behind: &dyn Backend, palace: &PalaceRef, options: OpenOptions) -> Result<Arc<dyn Palace>> {
        behind.open(&PalaceRef { id: format!("lock of {}", palace.id), ..palace.clone() }, OpenMode::Create.into()).await?;
        behind.open(palace, options).await
    }
}

sabotage! { WritesDownWhoRead,
    async fn open(&self, behind: &dyn Backend, palace: &PalaceRef, options: OpenOptions) -> Result<Arc<dyn Palace>> {
        let opened = behind.open(palace, options.clone()).await?;
        if options.mode == OpenMode::Read {
            let reader = EmbedderIdentity { model_name: "a reader".to_owned(), dimension: 0 };
            opened.append_to_migration_log(&LogEntry::embedder_set("opened", None, &reader)).await?;
        }
        Ok(opened)
    }
}

sabotage! { MakesTheMissingCollection,
    async fn collection(&self, behind: &dyn Palace, name: &str) -> Result<Arc<dyn Collection>> {
        let (metric, incarnation) = (palanquin_engine::contract::Metric::Cosine, "made".to_owned());
        let spec = CollectionSpec { name: name.to_owned(), dimension: 4, metric, identity: None, incarnation, settings: Default::default() };
        match behind.collection(name).await {
            Ok(found) => Ok(found),
            Err(_) => behind.create_collection(&spec).await,
        }
    }
}

sabotage! { OpensAnyIncarnation,
    async fn create_collection(&self, behind: &dyn Palace, spec: &CollectionSpec) -> Result<Arc<dyn Collection>> {
        match behind.collection(&spec.name).await {
            Ok(found) => Ok(found),
            Err(_) => behind.create_collection(spec).await,
        }
    }
}

sabotage! { ForgetsTheIdentity,
    async fn record_identity(&self, _behind: &dyn Palace, _collection: &str, _identity: &EmbedderIdentity) -> Result<()> {
        Ok(())
    }
}

sabotage! { StoresNoIdentity,
    async fn create_collection(&self, behind: &dyn Palace, spec: &CollectionSpec) -> Result<Arc<dyn Collection>> {
        behind.create_collection(&CollectionSpec { identity: None, ..spec.clone() }).await
    }
}

sabotage! { KeepsNoLog,
    async fn append_to_migration_log(&self, _behind: &dyn Palace, _entry: &LogEntry) -> Result<()> {
        Ok(())
    }
}

sabotage! { SaysItRanWhileAnotherDid,
    async fn run_maintenance(&self, behind: &dyn Palace, kind: &str, progress: &Progress) -> Result<MaintenanceResult> {
        let result = behind.run_maintenance(kind, progress).await?;
        Ok(MaintenanceResult { status: MaintenanceStatus::Ran, ..result })
    }
}

sabotage! { SaysItRanAndDidNothing,
    async fn run_maintenance(&self, _behind: &dyn Palace, kind: &str, _progress: &Progress) -> Result<MaintenanceResult> {
        Ok(MaintenanceResult::ran(kind, [("done".to_owned(), true.into())].into()))
    }
}

sabotage! { LosesARowInMaintenance,
    async fn run_maintenance(&self, behind: &dyn Palace, kind: &str, progress: &Progress) -> Result<MaintenanceResult> {
        if let Ok(drawers) = behind.collection("mempalace_drawers").await {
            drawers.delete(&Selection::ids(["row-00250"])).await?;
        }
        behind.run_maintenance(kind, progress).await
    }
}

sabotage! { RunsAnyKind,
    async fn run_maintenance(&self, _behind: &dyn Palace, kind: &str, _progress: &Progress) -> Result<MaintenanceResult> {
        Ok(MaintenanceResult::noop(kind, Default::default()))
    }
}
