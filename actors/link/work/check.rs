use super::scan::{Carrying, Digested};
use super::{Desk, Done, Pair, gate};
use crate::palace::{Compare, Connect, PalaceActor};
use actix::{Addr, MailboxError};
use futures::TryStreamExt;
use palanquin_engine::contract::{
    Collection, CollectionInfo, CollectionSpec, EmbedderIdentity, Error, ErrorKind, Filter, KeyRange, Metric, OpenMode,
    Palace, Result, ScanOrder, ScanRequest, token,
};
use palanquin_engine::journal::Claim;
use palanquin_engine::link::gate::Judgement;
use palanquin_engine::link::{CollectionPlan, ConvertedRows, LinkKind, LinkSpec, Plan, Positions, SetAside, as_copied};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What checking found: the plan, how far it has been carried out, and both ends open.
pub(crate) struct Prepared {
    pub(crate) epoch: u64,
    pub(crate) plan: Plan,
    pub(crate) positions: Positions,
    pub(crate) pairs: Vec<Pair>,
    /// For more handles on the collections.
    pub(crate) source: Arc<dyn Palace>,
    pub(crate) target: Arc<dyn Palace>,
    /// Only rows that pass are carried.
    pub(crate) filter: Filter,
    /// Rows that earlier runs set aside and converted.
    pub(crate) dead_letters: Vec<SetAside>,
    pub(crate) converted: Vec<ConvertedRows>,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").field("epoch", &self.epoch).field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Prepared {
    /// One more handle on a collection of the source, which does what that of its pair does.
    pub(super) async fn another_source(&self, desk: &Desk, collection: usize) -> Result<Arc<dyn Collection>> {
        let name = &self.pairs[collection].name;
        Ok(as_source(desk, self.source.collection(name).await?, name))
    }

    /// One more handle on a collection of the target, which does what that of its pair does.
    pub(super) async fn another_target(&self, desk: &Desk, collection: usize) -> Result<Arc<dyn Collection>> {
        let target = self.target.collection(&self.pairs[collection].target_name).await?;
        Ok(as_target(desk, target, self.epoch, collection))
    }

    /// Whether every partition is durable.
    pub(crate) fn is_copied(&self) -> bool {
        self.positions.partitions_done() == self.plan.partitions()
    }
}

/// Opens both ends and makes the plan, or takes up the one there is. Nothing is written to the target before the plan
/// is stored.
pub(super) async fn run(desk: &Desk) -> Result<Done> {
    let setup = &desk.setup;
    let filter = setup.spec.filter.as_ref().map_or(Ok(Filter::All), Filter::parse)?;
    // A source that keeps its log for those who follow it keeps it under the link's name.
    let follows_feed = setup.spec.kind == LinkKind::Mirror && setup.spec.scan_every_ms.is_none();
    let consumer = follows_feed.then(|| setup.id.to_string());
    let source = open(&setup.source.actor, Connect { mode: OpenMode::Read, fresh: true, consumer }).await?;
    desk.heartbeat.beat();
    let there = match connect(&setup.target.actor, OpenMode::Write, true).await {
        Ok(target) => Some(target),
        Err(error) if error.kind() == ErrorKind::PalaceNotFound => None,
        Err(error) if error.kind() == ErrorKind::NotAPalace => {
            return Err(exists(desk, "the target exists and is something else").with_source(error));
        }
        Err(error) => return Err(error),
    };
    let mut claim = setup.journal.claim(&setup.spec).await?;
    if claim.ending.is_some() && there.is_none() {
        // The copy was made and has been taken away since: a new one is wanted.
        setup.journal.forget(&claim.link, claim.epoch).await?;
        claim = setup.journal.claim(&setup.spec).await?;
    }
    let plan = match claim.plan.take() {
        Some(plan) => plan,
        None => {
            let collections = wanted(desk, source.collections().await?)?;
            let judgement = gate::before_the_plan(desk, &collections, there.as_deref()).await?;
            let plan = make_plan(desk, source.as_ref(), collections, &judgement).await?;
            setup.journal.store_plan(&claim.link, claim.epoch, &plan).await?;
            plan
        }
    };
    if claim.ending.is_some() {
        return Err(exists(desk, "it holds the finished copy of this very link"));
    }
    keep_level(desk, &plan)?;
    let target = connect(&setup.target.actor, OpenMode::Create, false).await?;
    let pairs = open_pairs(desk, &claim, &plan, &filter, (source.as_ref(), target.as_ref())).await?;
    let judgement = gate::of_pairs(desk, &pairs).await?;
    judgement.check().map_err(|error| error.in_palace(&setup.target.address))?;
    gate::settle(desk, target.as_ref(), &pairs, &judgement).await?;
    compare_identities(desk, &pairs).await?;
    let dead_letters = setup.journal.dead_letters(&claim.link).await?.into_iter().map(|letter| letter.about).collect();
    let converted = setup.journal.converted(&claim.link).await?;
    let Claim { epoch, positions, .. } = claim;
    let prepared = Prepared { epoch, plan, positions, pairs, source, target, filter, dead_letters, converted };
    Ok(if desk.is_stopping() { Done::Stopped } else { Done::Checked(Arc::new(prepared)) })
}

/// The palace, opened anew if `fresh`: what was exchanged under an open connection is then noticed.
pub(super) async fn connect(actor: &Addr<PalaceActor>, mode: OpenMode, fresh: bool) -> Result<Arc<dyn Palace>> {
    open(actor, Connect { mode, fresh, consumer: None }).await
}

async fn open(actor: &Addr<PalaceActor>, connect: Connect) -> Result<Arc<dyn Palace>> {
    actor.send(connect).await.unwrap_or_else(|error: MailboxError| {
        Err(Error::new(ErrorKind::Unavailable, "the palace's actor does not answer").with_source(error))
    })
}

fn exists(desk: &Desk, detail: &str) -> Error {
    Error::new(ErrorKind::PalaceExists, detail).in_palace(&desk.setup.target.address)
}

async fn make_plan(
    desk: &Desk,
    source: &dyn Palace,
    collections: Vec<CollectionInfo>,
    judgement: &Judgement,
) -> Result<Plan> {
    let setup = &desk.setup;
    let readers = setup.source.readers.max(setup.target.writers);
    let mut plan = Plan { collections: Vec::new(), without_dimension: Vec::new() };
    for info in collections {
        // Opening it also tells why it cannot be used, which a list does not.
        let collection = source.collection(&info.name).await?;
        let Some(dimension) = info.dimension else {
            if info.rows > 0 {
                let error = Error::new(ErrorKind::Corrupt, "it has rows and no width of vectors");
                return Err(error.in_palace(&setup.source.address).in_collection(info.name));
            }
            plan.without_dimension.push(info.name);
            continue;
        };
        readable(desk, &info.name, collection.as_ref()).await?;
        // Taken before the scan: whatever changes from here on is replayed after it.
        let follows_feed = setup.spec.kind == LinkKind::Mirror && setup.spec.scan_every_ms.is_none();
        let head = if follows_feed { collection.feed_head().await? } else { None };
        if follows_feed && head.is_none() {
            let detail = format!(
                "it does not advertise {}, which a mirror needs; --capture scan --interval 60s follows it by reading \
                 every row once a minute",
                token::CHANGE_FEED
            );
            return Err(Error::new(ErrorKind::UnsupportedCapability, detail).in_palace(&setup.source.address));
        }
        let model = judgement.model(&info.name).and_then(|model| model.recorded.clone());
        let identity = model.map(|model| EmbedderIdentity { dimension, ..model });
        let name = setup.spec.target_name(&info.name).to_owned();
        let renamed_from = (name != info.name).then_some(info.name);
        plan.collections.push(CollectionPlan {
            renamed_from,
            spec: CollectionSpec {
                name,
                dimension,
                metric: info.metric.unwrap_or(Metric::Cosine),
                identity,
                incarnation: uuid::Uuid::new_v4().to_string(),
                settings: info.settings,
            },
            source_incarnation: info.incarnation,
            partitions: collection.cut(setup.options.rows_per_partition(info.rows, readers)).await?,
            feed_from: head.map(|head| head.cursor),
        });
        desk.heartbeat.beat();
    }
    Ok(plan)
}

/// Reads a first row, so that a source that cannot be read is refused before anything is written.
async fn readable(desk: &Desk, name: &str, collection: &dyn Collection) -> Result<()> {
    let first = ScanRequest { range: KeyRange::ALL, order: ScanOrder::Any, batch_rows: 1 };
    let read = collection.scan(first).try_next().await;
    read.map(drop).map_err(|error| error.in_palace(&desk.setup.source.address).in_collection(name))
}

/// That every collection that is renamed is copied, and that no two get one name.
fn check_names(spec: &LinkSpec, wanted: &[CollectionInfo], source: &str) -> Result<()> {
    let fail = |kind, detail: String| Err(Error::new(kind, detail).in_palace(source));
    if let Some(unknown) = spec.renames.keys().find(|name| !wanted.iter().any(|collection| &&collection.name == name)) {
        let names: Vec<_> = wanted.iter().map(|collection| collection.name.as_str()).collect();
        let detail = format!("{unknown} is to be renamed and is not copied; copied are: {}", names.join(", "));
        return fail(ErrorKind::CollectionNotInitialized, detail);
    }
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for collection in wanted {
        let name = spec.target_name(&collection.name);
        if let Some(other) = taken.insert(name, &collection.name) {
            let detail = format!("{other} and {} would both be {name} in the target", collection.name);
            return fail(ErrorKind::InvalidRequest, detail);
        }
    }
    Ok(())
}

/// The collections asked for; all of them if none was named.
fn wanted(desk: &Desk, there: Vec<CollectionInfo>) -> Result<Vec<CollectionInfo>> {
    let spec = &desk.setup.spec;
    let missing = spec.collections.iter().find(|name| !there.iter().any(|collection| &&collection.name == name));
    if let Some(name) = missing {
        let names: Vec<_> = there.iter().map(|collection| collection.name.as_str()).collect();
        let detail = format!("there is no collection {name}; there are: {}", names.join(", "));
        return Err(Error::new(ErrorKind::CollectionNotInitialized, detail).in_palace(&desk.setup.source.address));
    }
    let all = spec.collections.is_empty();
    let wanted: Vec<_> =
        there.into_iter().filter(|collection| all || spec.collections.contains(&collection.name)).collect();
    check_names(spec, &wanted, &desk.setup.source.address)?;
    Ok(wanted)
}

/// Refuses another capture level than the one the copy began with: a feed knows nothing of what came before its place, and
/// a comparison nothing of what was copied without digests.
fn keep_level(desk: &Desk, plan: &Plan) -> Result<()> {
    let setup = &desk.setup;
    let has_place = plan.collections.iter().any(|planned| planned.feed_from.is_some());
    let detail = match setup.spec.scan_every_ms {
        Some(_) if has_place => {
            "the link was begun on the source's own feed; a mirror with --capture scan is a new link"
        }
        None if setup.spec.kind == LinkKind::Mirror && !has_place && !plan.collections.is_empty() => {
            "the link was begun with --capture scan, and goes on with it"
        }
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::InvalidRequest, detail).in_palace(&setup.source.address))
}

async fn open_pairs(
    desk: &Desk,
    claim: &Claim,
    plan: &Plan,
    filter: &Filter,
    (source, target): (&dyn Palace, &dyn Palace),
) -> Result<Vec<Pair>> {
    let setup = &desk.setup;
    let there = target.collections().await?;
    let mut pairs = Vec::new();
    for (index, planned) in plan.collections.iter().enumerate() {
        let (name, target_name) = (planned.source_name(), &planned.spec.name);
        let from = source.collection(name).await?;
        if from.info().await?.incarnation != planned.source_incarnation {
            let detail = "the source's collection was dropped and made again since the copy began";
            return Err(Error::new(ErrorKind::CursorExpired, detail)
                .in_palace(&setup.source.address)
                .in_collection(name));
        }
        let has_rows =
            claim.positions.partitions().any(|(collection, _, position)| collection == index && position.rows > 0);
        if has_rows && !there.iter().any(|collection| &collection.name == target_name) {
            let detail = "rows were copied to it and the collection is gone; begin anew with --restart";
            return Err(Error::new(ErrorKind::CursorExpired, detail)
                .in_palace(&setup.target.address)
                .in_collection(target_name));
        }
        let to = as_target(desk, target.create_collection(&planned.spec).await?, claim.epoch, index);
        let from = as_source(desk, from, name);
        pairs.push(Pair {
            name: name.to_owned(),
            target_name: target_name.clone(),
            dimension: planned.spec.dimension,
            as_copied: as_copied(Arc::clone(&from), filter, desk.conversions_made()),
            source: from,
            target: to,
        });
        desk.heartbeat.beat();
    }
    Ok(pairs)
}

/// A collection of the source as this link reads it.
fn as_source(desk: &Desk, opened: Arc<dyn Collection>, name: &str) -> Arc<dyn Collection> {
    desk.setup.salvaged.around(opened, name)
}

/// A collection of the target as this link writes it.
fn as_target(desk: &Desk, opened: Arc<dyn Collection>, epoch: u64, collection: usize) -> Arc<dyn Collection> {
    match desk.setup.spec.scan_every_ms {
        Some(_) => Carrying::to(opened, Digested::of(&desk.setup, epoch, collection)),
        None => opened,
    }
}

/// Tells each palace's actor what the other end has stored, so that it can show the identity state.
async fn compare_identities(desk: &Desk, pairs: &[Pair]) -> Result<()> {
    let (mut sources, mut targets) = (Compare::default(), Compare::default());
    for pair in pairs {
        sources.0.insert(pair.name.clone(), pair.source.info().await?.identity);
        targets.0.insert(pair.name.clone(), pair.target.info().await?.identity);
    }
    desk.setup.source.actor.do_send(targets);
    desk.setup.target.actor.do_send(sources);
    Ok(())
}
