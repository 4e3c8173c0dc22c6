use super::{Desk, News, Pair};
use crate::link::PalaceEnd;
use palanquin_engine::contract::{CollectionInfo, EmbedderIdentity, Finding, LogEntry, Palace, Result, Severity};
use palanquin_engine::link::gate::{CollectionEnds, Declared, Judgement, Proposal, judge};

/// Asks the gate about a copy that has yet to be planned: what the source holds, and what lies where the target will be.
///
/// # Errors
/// What the gate refuses; nothing has been written then.
pub(super) async fn before_the_plan(
    desk: &Desk,
    collections: &[CollectionInfo],
    target: Option<&dyn Palace>,
) -> Result<Judgement> {
    let in_the_way: Vec<String> = match target {
        Some(target) => target.collections().await?.into_iter().map(|collection| collection.name).collect(),
        None => Vec::new(),
    };
    let ends: Vec<_> = collections
        .iter()
        .map(|info| CollectionEnds {
            name: info.name.clone(),
            metric: info.metric,
            source: info.identity.clone(),
            target: replaced_model(desk, &info.name),
        })
        .collect();
    let judgement = judgement(desk, &ends, &in_the_way);
    judgement.check().map_err(|error| error.in_palace(&desk.setup.target.address))?;
    Ok(judgement)
}

/// Asks it about both ends as they are now: the target may have been settled otherwise since the plan was made.
pub(super) async fn of_pairs(desk: &Desk, pairs: &[Pair]) -> Result<Judgement> {
    let mut ends = Vec::new();
    for pair in pairs {
        let (source, target) = (pair.source.info().await?, pair.target.info().await?);
        ends.push(CollectionEnds {
            name: pair.name.clone(),
            metric: source.metric,
            source: source.identity,
            target: replaced_model(desk, &pair.name).or(target.identity),
        });
    }
    Ok(judgement(desk, &ends, &[]))
}

fn judgement(desk: &Desk, collections: &[CollectionEnds], in_the_way: &[String]) -> Judgement {
    let setup = &desk.setup;
    judge(&Proposal {
        spec: &setup.spec,
        source: declared(&setup.source),
        target: declared(&setup.target),
        collections,
        in_the_way,
        replaces: false,
    })
}

/// The model of a collection in the palace that is replaced, by its name in the source.
fn replaced_model(desk: &Desk, collection: &str) -> Option<EmbedderIdentity> {
    let replaced = desk.setup.replaces.as_ref()?;
    replaced.models.get(desk.setup.spec.target_name(collection)).cloned()
}

fn declared(end: &PalaceEnd) -> Declared<'_> {
    Declared { backend: end.backend, capabilities: &end.capabilities, metrics: end.metrics }
}

/// Has the target say what the gate has decided: the log of the palace it replaces comes first, then each swap that was
/// forced, logged before it is made; a collection nobody knows the model of is warned of.
pub(super) async fn settle(desk: &Desk, target: &dyn Palace, pairs: &[Pair], judgement: &Judgement) -> Result<()> {
    if let Some(replaced) = &desk.setup.replaces {
        carry_over(target, &replaced.log).await?;
    }
    let mut unknown = Vec::new();
    for pair in pairs {
        let info = pair.target.info().await?;
        let Some(recorded) = judgement.model(&pair.name).and_then(|model| model.recorded.as_ref()) else {
            // Where the target embeds by itself, or was settled by hand, it says so.
            if info.identity.is_none() && !judgement.re_embeds {
                unknown.push(pair.name.as_str());
            }
            continue;
        };
        let wide = EmbedderIdentity { dimension: info.dimension.unwrap_or(recorded.dimension), ..recorded.clone() };
        if let Some(swap) = judgement.swaps.iter().find(|swap| swap.collection == pair.name) {
            log_once(desk, target, LogEntry::model_swap(&info.name, &swap.from, &wide)).await?;
        }
        if info.identity.as_ref().is_none_or(|stored| differs(stored, &wide)) {
            target.record_identity(&info.name, &wide).await?;
        }
    }
    if !unknown.is_empty() {
        desk.tell(News::Found(Finding {
            severity: Severity::Warning,
            name: "model-unknown".to_owned(),
            summary: format!(
                "no model is recorded for {}: the copy has none either, until `palanquin palace set-embedder` or --model \
                 says it",
                unknown.join(", ")
            ),
            rows: Vec::new(),
        }));
    }
    Ok(())
}

fn differs(one: &EmbedderIdentity, other: &EmbedderIdentity) -> bool {
    one.canonical_model() != other.canonical_model()
}

/// Entries of the palace that is replaced, in front of all others; those that are there already stay.
async fn carry_over(target: &dyn Palace, log: &[LogEntry]) -> Result<()> {
    let there = target.migration_log().await?;
    for entry in log.iter().filter(|entry| !there.contains(entry)) {
        target.append_to_migration_log(entry).await?;
    }
    Ok(())
}

/// Logs it unless that very swap is logged already, by a run of this copy that was cut off after it. What was carried over
/// may tell of one just like it.
async fn log_once(desk: &Desk, target: &dyn Palace, entry: LogEntry) -> Result<()> {
    let carried = desk.setup.replaces.as_ref().map(|replaced| replaced.log.as_slice()).unwrap_or_default();
    let there = target.migration_log().await?;
    if there.iter().any(|known| known.is_the_same_as(&entry) && !carried.contains(known)) {
        return Ok(());
    }
    target.append_to_migration_log(&entry).await
}
