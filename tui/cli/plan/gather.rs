use super::checks::{self, Check};
use futures::TryStreamExt;
use palanquin_actors::{LinkOptions, PalaceSource};
use palanquin_engine::contract::{
    Collection, CollectionInfo, EmbedderIdentity, Error, ErrorKind, Health, KeyRange, Metric, OpenMode, Result,
    ScanOrder, ScanRequest, token,
};
use palanquin_engine::link::LinkSpec;
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the source is read to learn its speed and the size of its rows.
const PROBE: Duration = Duration::from_secs(1);

/// What is asked.
pub(super) struct Asked<'a> {
    pub(super) source: &'a PalaceSource,
    pub(super) target: &'a PalaceSource,
    /// The target's directory, if it is one.
    pub(super) directory: Option<&'a Path>,
    pub(super) overlap: bool,
    pub(super) spec: &'a LinkSpec,
}

/// What a migration would do.
#[derive(Debug, Serialize)]
pub(crate) struct MigrationPlan {
    pub(super) source: String,
    pub(super) target: String,
    pub(super) source_health: Health,
    pub(super) collections: Vec<Planned>,
    pub(super) rows: u64,
    /// By the rows read in the probe.
    pub(super) bytes: u64,
    /// By the speed of the probe; the target's is not known before it is written.
    pub(super) read_seconds: Option<u64>,
    pub(super) lossless: bool,
    pub(super) lossless_because: String,
    pub(super) checks: Vec<Check>,
}

/// One collection.
#[derive(Debug, Serialize)]
pub(crate) struct Planned {
    pub(super) name: String,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) dimension: Option<u32>,
    pub(super) metric: Option<Metric>,
    pub(super) model: Option<EmbedderIdentity>,
    pub(super) partitions: usize,
}

/// What a short read of a collection has shown.
#[derive(Default)]
struct Probe {
    rows: u64,
    bytes: u64,
    took: Duration,
}

pub(super) async fn gather(asked: Asked<'_>) -> Result<MigrationPlan> {
    let Asked { source, target, .. } = asked;
    let open = source.backend.open(&source.palace, OpenMode::Read.into()).await?;
    let wanted = wanted(open.collections().await?, &asked.spec.collections, &source.address)?;
    let mut collections = Vec::new();
    let mut read = Probe::default();
    for info in wanted {
        let collection = open.collection(&info.name).await?;
        let probe = probe(collection.as_ref()).await.map_err(|error| error.in_palace(&source.address))?;
        let readers = source.backend.descriptor().readers.max(target.backend.descriptor().writers);
        let rows_per_partition = LinkOptions::default().rows_per_partition(info.rows, readers);
        let partitions = collection.cut(rows_per_partition).await?.len();
        collections.push(planned(info, &probe, partitions));
        read.rows += probe.rows;
        read.took += probe.took;
    }
    let rows = collections.iter().map(|planned| planned.rows).sum();
    let bytes = collections.iter().map(|planned| planned.bytes).sum();
    let checks = checks::all(&asked, open.as_ref(), &collections, bytes).await;
    let (lossless, lossless_because) = lossless(&asked);
    let per_second = read.rows as f64 / read.took.as_secs_f64();
    Ok(MigrationPlan {
        source: source.address.clone(),
        target: target.address.clone(),
        source_health: open.health().await,
        collections,
        rows,
        bytes,
        read_seconds: (read.rows > 0).then(|| (rows as f64 / per_second).ceil() as u64),
        lossless,
        lossless_because,
        checks,
    })
}

fn wanted(there: Vec<CollectionInfo>, asked: &[String], source: &str) -> Result<Vec<CollectionInfo>> {
    if let Some(missing) = asked.iter().find(|name| !there.iter().any(|info| &&info.name == name)) {
        let names: Vec<_> = there.iter().map(|info| info.name.as_str()).collect();
        let detail = format!("there is no collection {missing}; there are: {}", names.join(", "));
        return Err(Error::new(ErrorKind::CollectionNotInitialized, detail).in_palace(source));
    }
    Ok(there.into_iter().filter(|info| asked.is_empty() || asked.contains(&info.name)).collect())
}

async fn probe(collection: &dyn Collection) -> Result<Probe> {
    let began = Instant::now();
    let mut probe = Probe::default();
    let request = ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows: 1_000 };
    let mut batches = collection.scan(request);
    while began.elapsed() < PROBE
        && let Some(batch) = batches.try_next().await?
    {
        probe.rows += batch.len() as u64;
        probe.bytes += batch.bytes() as u64;
    }
    probe.took = began.elapsed();
    Ok(probe)
}

fn planned(info: CollectionInfo, probe: &Probe, partitions: usize) -> Planned {
    let per_row = if probe.rows == 0 { 0.0 } else { probe.bytes as f64 / probe.rows as f64 };
    Planned {
        bytes: (info.rows as f64 * per_row) as u64,
        name: info.name,
        rows: info.rows,
        dimension: info.dimension,
        metric: info.metric,
        model: info.identity.filter(|identity| !identity.model_name.is_empty()),
        partitions,
    }
}

/// The conditions of §8. That the models agree follows from making the target with the source's.
fn lossless(asked: &Asked<'_>) -> (bool, String) {
    let source = asked.source.backend.descriptor();
    let target = asked.target.backend.descriptor();
    let missing = if !source.capabilities.has(token::MIGRATION_EXPORT) {
        Some((source.name, token::MIGRATION_EXPORT))
    } else if !target.capabilities.has(token::EMBEDDINGS_PASSTHROUGH) {
        Some((target.name, token::EMBEDDINGS_PASSTHROUGH))
    } else {
        None
    };
    match missing {
        _ if !asked.spec.is_of_the_whole_palace() => (false, "only a part of the palace was asked for".to_owned()),
        Some((backend, token)) => (false, format!("{backend} does not advertise {token}")),
        None => {
            let because = format!(
                "{} exports every row, {} stores vectors as they are, and the source's model is recorded in the target",
                source.name, target.name
            );
            (true, because)
        }
    }
}
