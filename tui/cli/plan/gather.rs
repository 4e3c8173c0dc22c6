use super::checks::{self, PlannedCheck};
use super::gaps::{self, Gap};
use crate::cli::workshop::StateDirectory;
use crate::format::counted;
use futures::TryStreamExt;
use palanquin_actors::{LinkOptions, PalaceSource};
use palanquin_engine::contract::{
    Collection, CollectionInfo, Conversion, EmbedderIdentity, Error, ErrorKind, Filter, Health, IdentityState,
    KeyRange, Metric, ModelKnownBy, OpenMode, Result, ScanOrder, ScanRequest,
};
use palanquin_engine::link::gate::{CollectionEnds, Declared, Judgement, Proposal, judge};
use palanquin_engine::link::{LinkSpec, passing};
use palanquin_engine::rows::convert;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long each collection of the source is read to learn its speed and the size of its rows.
const PROBE: Duration = Duration::from_secs(1);

/// What is asked.
pub(super) struct Asked<'a> {
    pub(super) source: &'a PalaceSource,
    pub(super) target: &'a PalaceSource,
    /// The target's directory, if it is one.
    pub(super) directory: Option<&'a Path>,
    pub(super) overlap: bool,
    /// Why what is at the target's place could not be replaced, if it could not.
    pub(super) irreplaceable: Option<String>,
    /// The request, with what is allowed.
    pub(super) spec: &'a LinkSpec,
    /// Where the journal is kept.
    pub(super) state: &'a StateDirectory,
}

/// What a migration would do.
#[derive(Debug, Serialize)]
pub(crate) struct MigrationPlan {
    pub(super) source: String,
    pub(super) target: String,
    pub(super) source_health: Health,
    pub(super) collections: Vec<Planned>,
    pub(super) rows: u64,
    /// Whether rows that do not pass a filter are among them: nothing is read whole for a plan.
    pub(super) unfiltered: bool,
    /// By the rows read in the probe.
    pub(super) bytes: u64,
    /// Rows that were read in the probe, and how long that took.
    pub(super) probed_rows: u64,
    pub(super) probed_millis: u64,
    /// By the speed of the probe, for one reading of the source; the target's is not known before it is written.
    pub(super) read_seconds: Option<u64>,
    pub(super) lossless: bool,
    pub(super) lossless_because: String,
    /// What the target's backend would change in rows it cannot hold as they are.
    pub(super) conversions: Vec<PlannedConversion>,
    /// Rows read in the probe that the target could not hold at all.
    pub(super) refused_probed_rows: u64,
    /// What the target's backend cannot that the source's can.
    pub(super) gaps: Vec<Gap>,
    /// Maintenance of the target after the copy.
    pub(super) maintenance: Vec<&'static str>,
    pub(super) checks: Vec<PlannedCheck>,
}

/// A conversion the target's backend forces.
#[derive(Debug, Serialize)]
pub(crate) struct PlannedConversion {
    pub(super) conversion: &'static str,
    pub(super) does: &'static str,
    /// Rows among those read in the probe that it would change; the others were not looked at.
    pub(super) probed_rows: u64,
}

/// One collection.
#[derive(Debug, Serialize)]
pub(crate) struct Planned {
    pub(super) name: String,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) dimension: Option<u32>,
    pub(super) metric: Option<Metric>,
    /// Of its store's own, beside the metric.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) settings: Map<String, Value>,
    /// Recorded in the source.
    pub(super) model: Option<EmbedderIdentity>,
    /// What the target would be recorded with, how that is known, and how both compare.
    pub(super) target_model: Option<EmbedderIdentity>,
    pub(super) model_known_by: Option<ModelKnownBy>,
    pub(super) identity_state: IdentityState,
    pub(super) partitions: usize,
}

/// What a short read of a collection has shown.
#[derive(Debug, Default)]
pub(super) struct Probe {
    pub(super) rows: u64,
    bytes: u64,
    took: Duration,
    /// Rows each conversion would change.
    converted: BTreeMap<Conversion, u64>,
    pub(super) refused: Refused,
}

/// Rows the target could not hold.
#[derive(Debug, Default)]
pub(super) struct Refused {
    pub(super) rows: u64,
    /// Why not the first of them.
    pub(super) first: Option<String>,
}

impl Refused {
    fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.first = self.first.take().or(other.first);
    }
}

pub(super) async fn gather(asked: Asked<'_>) -> Result<MigrationPlan> {
    let Asked { source, target, .. } = asked;
    let open = source.backend.open(&source.palace, OpenMode::Read.into()).await?;
    let wanted = wanted(open.collections().await?, &asked.spec.collections, &source.address)?;
    let site = checks::site(&asked).await;
    let judgement = judged(&asked, &wanted, &site.holds);
    let mut collections = Vec::new();
    let mut read = Probe::default();
    for info in wanted {
        let collection = open.collection(&info.name).await?;
        let probe = probe(collection.as_ref(), &asked, info.metric).await;
        let probe = probe.map_err(|error| error.in_palace(&source.address))?;
        let readers = source.backend.descriptor().readers.max(target.backend.descriptor().writers);
        let rows_per_partition = LinkOptions::default().rows_per_partition(info.rows, readers);
        let partitions = collection.cut(rows_per_partition).await?.len();
        collections.push(planned(info, &probe, partitions, &judgement));
        read.rows += probe.rows;
        read.took += probe.took;
        for (conversion, rows) in probe.converted {
            *read.converted.entry(conversion).or_default() += rows;
        }
        read.refused.add(probe.refused);
    }
    let rows = collections.iter().map(|planned| planned.rows).sum();
    let bytes = collections.iter().map(|planned| planned.bytes).sum();
    let checks = checks::all(&asked, open.as_ref(), &collections, bytes, site.check, &judgement, &read).await;
    let (from, to) = (source.backend.descriptor(), target.backend.descriptor());
    let models = match judgement.unknown().as_slice() {
        [] => "and both agree on the model".to_owned(),
        unknown => format!("and no model is known for {}, on either end", unknown.join(", ")),
    };
    let because = format!("{} exports every row, {} stores vectors as they are, {models}", from.name, to.name);
    let mut losses = judgement.losses.clone();
    let converted: u64 = read.converted.values().sum();
    if converted > 0 {
        losses.push(format!("{} of those probed would be converted", counted(converted, "row")));
    }
    if read.refused.rows > 0 {
        losses.push(format!("{} of those probed cannot be held by the target", counted(read.refused.rows, "row")));
    }
    let per_second = read.rows as f64 / read.took.as_secs_f64().max(f64::EPSILON);
    Ok(MigrationPlan {
        source: source.address.clone(),
        target: target.address.clone(),
        source_health: open.health().await,
        collections,
        rows,
        unfiltered: asked.spec.filter.is_some(),
        bytes,
        probed_rows: read.rows,
        refused_probed_rows: read.refused.rows,
        probed_millis: u64::try_from(read.took.as_millis()).unwrap_or(u64::MAX),
        read_seconds: (read.rows > 0).then(|| (rows as f64 / per_second).ceil() as u64),
        lossless: losses.is_empty(),
        lossless_because: if losses.is_empty() { because } else { losses.join("; ") },
        conversions: to
            .conversions
            .iter()
            .map(|conversion| PlannedConversion {
                conversion: conversion.name(),
                does: conversion.sentence(),
                probed_rows: read.converted.get(conversion).copied().unwrap_or(0),
            })
            .collect(),
        gaps: gaps::between(&from.capabilities, &to.capabilities),
        maintenance: palanquin_actors::maintenance_after_a_copy(to.maintenance_kinds)
            .iter()
            .map(|kind| kind.name)
            .collect(),
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

/// What the gate would say, of what lies on both ends now.
fn judged(asked: &Asked<'_>, wanted: &[CollectionInfo], there: &[CollectionInfo]) -> Judgement {
    let model_there = |name: &str| there.iter().find(|info| info.name == name)?.identity.clone();
    let ends: Vec<_> = wanted
        .iter()
        .map(|info| CollectionEnds {
            name: info.name.clone(),
            metric: info.metric,
            source: info.identity.clone(),
            target: model_there(asked.spec.target_name(&info.name)),
        })
        .collect();
    let (source, target) = (asked.source.backend.descriptor(), asked.target.backend.descriptor());
    judge(&Proposal {
        spec: asked.spec,
        source: Declared { backend: source.name, capabilities: &source.capabilities, metrics: source.metrics },
        target: Declared { backend: target.name, capabilities: &target.capabilities, metrics: target.metrics },
        collections: &ends,
        // That is a check of its own.
        in_the_way: &[],
        replaces: asked.spec.overrides.overwrite,
    })
}

async fn probe(collection: &dyn Collection, asked: &Asked<'_>, metric: Option<Metric>) -> Result<Probe> {
    let target = &asked.target.backend;
    let filter = asked.spec.filter.as_ref().map_or(Ok(Filter::All), Filter::parse)?;
    let began = Instant::now();
    let mut probe = Probe::default();
    let request = ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows: 1_000 };
    let mut batches = collection.scan(request);
    while began.elapsed() < PROBE
        && let Some(batch) = batches.try_next().await?
    {
        probe.rows += batch.len() as u64;
        probe.bytes += batch.bytes() as u64;
        let passing = passing(&filter, batch)?;
        let converted = convert(&passing, target.descriptor().conversions)
            .map_err(|error| Error::new(ErrorKind::Internal, "rows of the source").with_source(error))?;
        for (_, conversion) in converted.changed {
            *probe.converted.entry(conversion).or_default() += 1;
        }
        for (row, why) in converted.refused {
            let first = Some(format!("row {:?}: {why}", passing.ids().value(row)));
            probe.refused.add(Refused { rows: 1, first });
        }
        for row in converted.rows.rows() {
            if let Some(first) = target.refusal(metric.unwrap_or(Metric::Cosine), row) {
                probe.refused.add(Refused { rows: 1, first: Some(first) });
            }
        }
    }
    probe.took = began.elapsed();
    Ok(probe)
}

fn planned(info: CollectionInfo, probe: &Probe, partitions: usize, judgement: &Judgement) -> Planned {
    let per_row = if probe.rows == 0 { 0.0 } else { probe.bytes as f64 / probe.rows as f64 };
    let model = judgement.model(&info.name);
    Planned {
        bytes: (info.rows as f64 * per_row) as u64,
        target_model: model.and_then(|model| model.recorded.clone()),
        model_known_by: model.map(|model| model.known_by),
        identity_state: model.map_or(IdentityState::Unknown, |model| model.state),
        name: info.name,
        rows: info.rows,
        dimension: info.dimension,
        metric: info.metric,
        settings: info.settings,
        model: info.identity.filter(|identity| !identity.model_name.is_empty()),
        partitions,
    }
}
