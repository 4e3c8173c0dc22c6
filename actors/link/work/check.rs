use super::{Desk, Done, Pair};
use crate::palace::{Compare, Connect, PalaceActor};
use actix::{Addr, MailboxError};
use futures::TryStreamExt;
use palanquin_engine::contract::{
    Collection, CollectionInfo, CollectionSpec, Error, ErrorKind, KeyRange, Metric, OpenMode, Palace, Result,
    ScanOrder, ScanRequest, token,
};
use palanquin_engine::journal::Claim;
use palanquin_engine::link::{CollectionPlan, LinkKind, Plan, Positions};
use std::sync::Arc;

/// What checking found: the plan, how far it has been carried out, and both ends open.
pub(crate) struct Prepared {
    pub(crate) epoch: u64,
    pub(crate) plan: Plan,
    pub(crate) positions: Positions,
    pub(crate) pairs: Vec<Pair>,
    pub(crate) source: Arc<dyn Palace>,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").field("epoch", &self.epoch).field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Prepared {
    /// Whether every partition is durable.
    pub(crate) fn is_copied(&self) -> bool {
        self.positions.partitions_done() == self.plan.partitions()
    }
}

/// Opens both ends and makes the plan, or takes up the one there is. Nothing is written to the target before the plan
/// is stored.
pub(super) async fn run(desk: &Desk) -> Result<Done> {
    let setup = &desk.setup;
    // A source that keeps its log for those who follow it keeps it under the link's name.
    let consumer = (setup.spec.kind == LinkKind::Mirror).then(|| setup.id.to_string());
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
            refuse_existing(desk, there.as_deref()).await?;
            let plan = make_plan(desk, source.as_ref()).await?;
            setup.journal.store_plan(&claim.link, claim.epoch, &plan).await?;
            plan
        }
    };
    if claim.ending.is_some() {
        return Err(exists(desk, "it holds the finished copy of this very link"));
    }
    let target = connect(&setup.target.actor, OpenMode::Create, false).await?;
    let pairs = open_pairs(desk, &claim, &plan, source.as_ref(), target.as_ref()).await?;
    compare_identities(desk, &pairs).await?;
    let prepared = Prepared { epoch: claim.epoch, plan, positions: claim.positions, pairs, source };
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

async fn refuse_existing(desk: &Desk, target: Option<&dyn Palace>) -> Result<()> {
    let Some(target) = target else { return Ok(()) };
    let names: Vec<_> = target.collections().await?.into_iter().map(|collection| collection.name).collect();
    if names.is_empty() {
        Ok(())
    } else {
        Err(exists(desk, &format!("the target exists and holds {}", names.join(", "))))
    }
}

async fn make_plan(desk: &Desk, source: &dyn Palace) -> Result<Plan> {
    let setup = &desk.setup;
    let mut plan = Plan { collections: Vec::new(), without_dimension: Vec::new() };
    for info in wanted(desk, source.collections().await?)? {
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
        let head = if setup.spec.kind == LinkKind::Mirror { collection.feed_head().await? } else { None };
        if setup.spec.kind == LinkKind::Mirror && head.is_none() {
            let detail = format!("it does not advertise {}, which a mirror needs", token::CHANGE_FEED);
            return Err(Error::new(ErrorKind::UnsupportedCapability, detail).in_palace(&setup.source.address));
        }
        plan.collections.push(CollectionPlan {
            spec: CollectionSpec {
                name: info.name,
                dimension,
                metric: info.metric.unwrap_or(Metric::Cosine),
                identity: info.identity,
                incarnation: uuid::Uuid::new_v4().to_string(),
            },
            source_incarnation: info.incarnation,
            partitions: collection.cut(setup.options.partition_rows).await?,
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
    Ok(there.into_iter().filter(|collection| all || spec.collections.contains(&collection.name)).collect())
}

async fn open_pairs(
    desk: &Desk,
    claim: &Claim,
    plan: &Plan,
    source: &dyn Palace,
    target: &dyn Palace,
) -> Result<Vec<Pair>> {
    let setup = &desk.setup;
    let there = target.collections().await?;
    let mut pairs = Vec::new();
    for (index, planned) in plan.collections.iter().enumerate() {
        let name = &planned.spec.name;
        let from = source.collection(name).await?;
        if from.info().await?.incarnation != planned.source_incarnation {
            let detail = "the source's collection was dropped and made again since the copy began";
            return Err(Error::new(ErrorKind::CursorExpired, detail)
                .in_palace(&setup.source.address)
                .in_collection(name));
        }
        let has_rows =
            claim.positions.partitions().any(|(collection, _, position)| collection == index && position.rows > 0);
        if has_rows && !there.iter().any(|collection| &collection.name == name) {
            let detail = "rows were copied to it and the collection is gone; begin anew with --restart";
            return Err(Error::new(ErrorKind::CursorExpired, detail)
                .in_palace(&setup.target.address)
                .in_collection(name));
        }
        let to = target.create_collection(&planned.spec).await?;
        pairs.push(Pair { name: name.clone(), source: from, target: to });
        desk.heartbeat.beat();
    }
    Ok(pairs)
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
