use futures::TryStreamExt;
use palanquin_contract::interpose::{Between, interpose};
use palanquin_engine::contract::{
    Backend, ChangeBatch, Collection, CollectionSpec, KeyRange, Metric, OpenMode, PalaceRef, ScanOrder, ScanRequest,
    WriteMode,
};
use palanquin_engine::parity::{Compared, Comparison, Criterion, Manner, Verdict, compare_collection};
use palanquin_engine::rows::{Row, RowBatchBuilder};
use palanquin_memory::{Faults, MemoryBackend};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) const WIDTH: u32 = 4;
pub(crate) const MANNER: Manner = Manner { vectors: Criterion::Bits, batch_rows: 7 };

/// A row but for its id.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Content {
    pub(crate) document: Option<String>,
    pub(crate) metadata: String,
    pub(crate) embedding: Option<Vec<f32>>,
}

pub(crate) type Rows = BTreeMap<String, Content>;

/// Seeds of a test: the one asked for, or so many.
pub(crate) fn seeds(count: u64) -> impl Iterator<Item = (u64, StdRng)> {
    let asked: Option<u64> = std::env::var("PALANQUIN_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = asked.map_or(0..count, |seed| seed..seed + 1);
    seeds.map(|seed| {
        println!("PALANQUIN_SEED={seed}");
        (seed, StdRng::seed_from_u64(seed))
    })
}

pub(crate) fn content(n: usize) -> Content {
    Content {
        document: (!n.is_multiple_of(5)).then(|| format!("document {n}")),
        metadata: format!(r#"{{"n":{n}}}"#),
        embedding: (!n.is_multiple_of(11)).then(|| vec![n as f32, 0.5, -1.0, 0.25]),
    }
}

pub(crate) fn rows(count: usize) -> Rows {
    (0..count).map(|n| (format!("row-{n:05}"), content(n))).collect()
}

/// A collection that holds these rows, on a store of its own.
pub(crate) async fn holding(rows: &Rows) -> Arc<dyn Collection> {
    holding_behind(rows, None).await
}

/// The same, with something in front of it.
pub(crate) async fn holding_behind(rows: &Rows, between: Option<Arc<dyn Between>>) -> Arc<dyn Collection> {
    let memory: Arc<dyn Backend> = Arc::new(MemoryBackend::new(Faults::default()));
    let reference = PalaceRef { id: "p".into(), local_path: None, namespace: None };
    let spec = CollectionSpec {
        name: "drawers".into(),
        dimension: WIDTH,
        metric: Metric::Cosine,
        identity: None,
        incarnation: "one".into(),
        settings: Default::default(),
    };
    let palace = memory.open(&reference, OpenMode::Create.into()).await.unwrap();
    put(palace.create_collection(&spec).await.unwrap().as_ref(), rows).await;
    let backend = match between {
        Some(between) => interpose(memory, between),
        None => memory,
    };
    let palace = backend.open(&reference, OpenMode::Write.into()).await.unwrap();
    palace.collection("drawers").await.unwrap()
}

pub(crate) fn upserts(rows: &Rows) -> ChangeBatch {
    let mut batch = RowBatchBuilder::with_capacity(rows.len(), WIDTH);
    for (id, content) in rows {
        let Content { document, metadata, embedding } = content;
        let row = Row { id, document: document.as_deref(), metadata, embedding: embedding.as_deref() };
        batch.push(row).unwrap();
    }
    ChangeBatch::upserts(batch.finish().unwrap())
}

pub(crate) async fn put(collection: &dyn Collection, rows: &Rows) {
    collection.apply(upserts(rows), WriteMode::Upsert).await.unwrap();
}

pub(crate) async fn contents(collection: &dyn Collection) -> Rows {
    let request = ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows: 100 };
    let batches: Vec<_> = collection.scan(request).try_collect().await.unwrap();
    let of = |row: Row<'_>| Content {
        document: row.document.map(str::to_owned),
        metadata: row.metadata.to_owned(),
        embedding: row.embedding.map(<[f32]>::to_vec),
    };
    batches.iter().flat_map(|batch| batch.rows()).map(|row| (row.id.to_owned(), of(row))).collect()
}

pub(crate) fn pair(source: &Arc<dyn Collection>, target: &Arc<dyn Collection>) -> Compared {
    Compared {
        name: "drawers".into(),
        target_name: "drawers".into(),
        source: Arc::clone(source),
        target: Arc::clone(target),
    }
}

pub(crate) async fn compared(source: &Arc<dyn Collection>, target: &Arc<dyn Collection>, manner: Manner) -> Comparison {
    compare_collection(&pair(source, target), manner, &|_, _| {}).await.unwrap()
}

pub(crate) fn verdict(comparison: &Comparison) -> Verdict {
    comparison.parity().verdict()
}
