use super::gather::{Asked, Planned, Probe};
use crate::format::{bytes, counted};
use palanquin_engine::contract::{
    Check, CollectionSpec, Condition, ErrorKind, Finding, Metric, OpenMode, Palace, Purpose, Replaces, Severity,
    Standing,
};
use palanquin_engine::journal::LinkLock;
use palanquin_engine::link::gate::{Judgement, Refusal};
use rustix::fs::statvfs;
use serde::Serialize;
use std::path::Path;

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum About {
    /// The palace that would be copied.
    Source,
    /// The palace that would be made.
    Target,
    /// Both, and what was asked for.
    Copy,
}

/// What is said of a target whose store cannot exchange a palace at once.
const REPLACED_IN_STEPS: &str = "It is replaced once the copy is verified, and not before; then collection by collection, so that \
                                 for a moment whoever uses it may find one of them missing.";

/// A check, and what it is about.
#[derive(Debug, Serialize)]
pub(crate) struct PlannedCheck {
    pub(super) about: About,
    #[serde(flatten)]
    pub(super) check: Check,
}

/// What lies where the target would be.
pub(super) struct Site {
    pub(super) check: Check,
    /// Collections that are there.
    pub(super) holds: Vec<palanquin_engine::contract::CollectionInfo>,
}

/// Looks at the target's place.
pub(super) async fn site(asked: &Asked<'_>) -> Site {
    let vacant = |check| Site { check, holds: Vec::new() };
    if asked.overlap {
        let found = "the target is the source, or one lies inside the other";
        return vacant(Check::fails("place", found, "Choose another target."));
    }
    let target = asked.target;
    let looked = match target.backend.open(&target.palace, OpenMode::Read.into()).await {
        Err(error) if error.kind() == ErrorKind::PalaceNotFound => {
            return vacant(Check::passes("place", "nothing is there"));
        }
        Err(error) => Err(error),
        Ok(there) => there.collections().await,
    };
    match looked {
        Err(error) => vacant(Check::fails("place", error.what(), error.advice())),
        Ok(holds) if holds.is_empty() => vacant(Check::passes("place", "an empty palace is there")),
        Ok(holds) => {
            let names: Vec<_> = holds.iter().map(|collection| collection.name.as_str()).collect();
            let found = format!("it exists and holds {}", names.join(", "));
            let in_steps = target.backend.descriptor().replaces == Replaces::InSteps;
            let check = match (&asked.irreplaceable, asked.spec.overrides.overwrite) {
                (Some(why), true) => Check::fails("place", format!("{found}; {why}"), "Choose another target."),
                (Some(_), false) => Check::fails("place", found, "Choose another target."),
                (None, false) => Check::fails("place", found, "Choose another target, or replace it with --overwrite."),
                (None, true) if in_steps => Check::warns("place", found, REPLACED_IN_STEPS),
                (None, true) => {
                    Check::warns("place", found, "It is replaced once the copy is verified, and not before.")
                }
            };
            Site { check, holds }
        }
    }
}

/// Every check of both ends and of the copy.
pub(super) async fn all(
    asked: &Asked<'_>,
    source: &dyn Palace,
    planned: &[Planned],
    needed: u64,
    site: Check,
    judgement: &Judgement,
    read: &Probe,
) -> Vec<PlannedCheck> {
    let about = |about, checks: Vec<Check>| checks.into_iter().map(move |check| PlannedCheck { about, check });
    let looked = asked.source.backend.preflight(&asked.source.palace, Purpose::Source).await;
    let mut of_source = vec![health(source, &looked).await, rows(planned)];
    of_source.extend(looked);
    let mut of_target = vec![site];
    let space = asked.directory.and_then(|directory| space(directory, needed));
    for check in asked.target.backend.preflight(&asked.target.palace, Purpose::Target).await {
        // What is needed is known here; the store only knows what is free.
        if space.is_none() || check.name != "disk" || check.standing == Standing::Fails {
            of_target.push(check);
        }
    }
    of_target.extend(space);
    let mut of_copy = vec![
        in_use(asked),
        names(asked, planned),
        fits(read),
        dimension(planned),
        metric(judgement),
        vectors(judgement),
        settings(asked, planned),
        model(judgement),
    ];
    of_copy.extend(remarks(asked, planned));
    about(About::Source, of_source).chain(about(About::Target, of_target)).chain(about(About::Copy, of_copy)).collect()
}

/// What the source says of itself, as far as it was not `told` of already.
async fn health(source: &dyn Palace, told: &[Check]) -> Check {
    let health = source.health().await;
    let is_news = |finding: &&Finding| !told.iter().any(|check| check.name == finding.name);
    let worst = health.findings.iter().filter(is_news).find(|finding| finding.severity >= Severity::Warning);
    match (health.condition, worst) {
        (Condition::Unavailable, _) => {
            let reason = health.reason.unwrap_or_else(|| "it does not answer".to_owned());
            Check::fails("reachable", reason, "Make the source readable first.")
        }
        (_, Some(finding)) => {
            let fix = "See `palanquin inspect` for the rows that are affected.";
            Check::warns("reachable", finding.summary.clone(), fix)
        }
        _ if health.findings.is_empty() => Check::passes("reachable", "it answers and is healthy"),
        _ => Check::passes("reachable", "it answers"),
    }
}

fn rows(planned: &[Planned]) -> Check {
    if planned.iter().all(|planned| planned.rows == 0) {
        Check::warns("rows", "there is nothing to copy", "Check that this is the palace you meant.")
    } else {
        let rows: u64 = planned.iter().map(|planned| planned.rows).sum();
        let collections = counted(planned.len() as u64, "collection");
        Check::passes("rows", format!("{} in {collections}", counted(rows, "row")))
    }
}

/// Files come out smaller than rows travel; a tenth more is left for what a store adds.
fn space(directory: &Path, needed: u64) -> Option<Check> {
    // The target's own folder is made by the migration.
    let there = directory.ancestors().find(|folder| folder.is_dir())?;
    let found = statvfs(there).ok()?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let (has, wants) = (format!("{} free", bytes(free)), format!("about {} needed", bytes(needed)));
    Some(if free > needed.saturating_add(needed / 10) {
        Check::passes("disk", format!("{has}, {wants}"))
    } else {
        Check::fails("disk", format!("{has}, {wants}"), "Make space, or choose another disk.")
    })
}

/// Whether another process of ours works on it.
fn in_use(asked: &Asked<'_>) -> Check {
    let state = match asked.state.path() {
        Ok(state) => state,
        Err(error) => return Check::fails("lock", error.what(), error.advice()),
    };
    match LinkLock::holder(&state, asked.spec, &[]) {
        Ok(None) => Check::passes("lock", "no other Palanquin works on it"),
        Ok(Some((what, pid))) => {
            Check::fails("lock", format!("{what} is in use by process {pid}"), "Wait for it to end, or stop it.")
        }
        Err(error) => Check::warns("lock", error.to_string(), "Check that the journal's directory can be read."),
    }
}

/// Whether each collection has a name of its own in the target.
fn names(asked: &Asked<'_>, planned: &[Planned]) -> Check {
    let names: Vec<_> = planned.iter().map(|planned| asked.spec.target_name(&planned.name)).collect();
    let twice = names.iter().enumerate().find(|(place, name)| names[..*place].contains(name));
    if let Some((_, name)) = twice {
        let found = format!("two collections would be called {name}");
        return Check::fails("names", found, "Give one of them another name with --rename-collection.");
    }
    let renamed = planned.iter().zip(&names).filter(|(planned, name)| planned.name != **name);
    let renamed: Vec<_> = renamed.map(|(planned, name)| format!("{} becomes {name}", planned.name)).collect();
    Check::passes("names", if renamed.is_empty() { "they stay as they are".to_owned() } else { renamed.join(", ") })
}

/// Whether the target could hold the rows that were probed.
fn fits(read: &Probe) -> Check {
    let probed = counted(read.rows, "row");
    match &read.refused.first {
        None => Check::passes("fits", format!("nothing among the {probed} probed that the target is known to refuse")),
        Some(first) => Check::fails(
            "fits",
            format!("the target cannot hold {} of the {probed} probed; the first: {first}", read.refused.rows),
            "The copy would halt there: mend the rows in the source, or set them aside with --max-dead-letters.",
        ),
    }
}

fn dimension(planned: &[Planned]) -> Check {
    let without: Vec<_> =
        planned.iter().filter(|planned| planned.dimension.is_none()).map(|planned| planned.name.as_str()).collect();
    if without.is_empty() {
        Check::passes("dimension", "every collection has its own width of vectors, and keeps it")
    } else {
        let found = format!("{} has no vectors yet and would not be made", without.join(", "));
        Check::warns("dimension", found, "Nothing: an empty collection is made again by its first write.")
    }
}

/// What the target's backend has to say of each collection it would make.
fn remarks(asked: &Asked<'_>, planned: &[Planned]) -> Vec<Check> {
    let of_one = |planned: &Planned| {
        let spec = CollectionSpec {
            name: asked.spec.target_name(&planned.name).to_owned(),
            dimension: planned.dimension?,
            metric: planned.metric.unwrap_or(Metric::Cosine),
            identity: planned.target_model.clone(),
            incarnation: String::new(),
            settings: planned.settings.clone(),
        };
        let remarks = asked.target.backend.remarks(&spec);
        Some(remarks.into_iter().map(move |check| Check { found: format!("{}: {}", spec.name, check.found), ..check }))
    };
    planned.iter().filter_map(of_one).flatten().collect()
}

/// What becomes of settings of the source's collections that are not their rows'.
fn settings(asked: &Asked<'_>, planned: &[Planned]) -> Check {
    let of_one = |planned: &Planned| {
        let keys: Vec<&str> = planned.settings.keys().map(String::as_str).collect();
        (!keys.is_empty()).then(|| format!("{} of {}", keys.join(", "), planned.name))
    };
    let settings: Vec<String> = planned.iter().filter_map(of_one).collect();
    let target = asked.target.backend.descriptor();
    Check::passes(
        "settings",
        match (settings.is_empty(), target.keeps_settings) {
            (true, _) => "the source's collections have none of their own".to_owned(),
            (false, true) => format!("made with those of the source: {}", settings.join("; ")),
            (false, false) => {
                format!("{} has no place for {}; no row depends on them", target.name, settings.join("; "))
            }
        },
    )
}

fn metric(judgement: &Judgement) -> Check {
    let is_metric =
        |refusal: &&Refusal| refusal.kind == ErrorKind::UnsupportedCapability && refusal.collection.is_some();
    of_refusals("metric", judgement.refusals.iter().filter(is_metric))
        .unwrap_or_else(|| Check::passes("metric", "the target can search by each collection's metric"))
}

fn vectors(judgement: &Judgement) -> Check {
    let is_passthrough =
        |refusal: &&Refusal| refusal.kind == ErrorKind::UnsupportedCapability && refusal.collection.is_none();
    of_refusals("vectors", judgement.refusals.iter().filter(is_passthrough)).unwrap_or_else(|| {
        if judgement.re_embeds {
            let found = "the target embeds every document anew, as was accepted";
            Check::warns("vectors", found, "Choose another target to keep the vectors.")
        } else {
            Check::passes("vectors", "the target keeps vectors as they are given")
        }
    })
}

fn model(judgement: &Judgement) -> Check {
    let is_model = |refusal: &&Refusal| refusal.kind == ErrorKind::EmbedderIdentityMismatch;
    if let Some(check) = of_refusals("model", judgement.refusals.iter().filter(is_model)) {
        return check;
    }
    if let Some(swap) = judgement.swaps.first() {
        let found = format!("{} will be recorded as of {}, in place of {}", swap.collection, swap.to, swap.from);
        return Check::warns("model", found, "Nothing, if the force is meant: it is written into the migration log.");
    }
    let unknown = judgement.unknown();
    if unknown.is_empty() {
        let named = judgement.models.iter().filter_map(|model| model.recorded.as_ref()).map(ToString::to_string);
        let models: std::collections::BTreeSet<_> = named.collect();
        Check::passes("model", models.into_iter().collect::<Vec<_>>().join(", "))
    } else {
        let found = format!("no model is recorded for {}: the copy has none either", unknown.join(", "));
        Check::warns("model", found, "Say it with --model NAME, or later with `palanquin palace set-embedder`.")
    }
}

/// One check of all refusals of a kind; `None` where there is none.
fn of_refusals<'a>(name: &str, refusals: impl Iterator<Item = &'a Refusal>) -> Option<Check> {
    let refusals: Vec<_> = refusals.collect();
    let said = |refusal: &&Refusal| match &refusal.collection {
        Some(collection) => format!("{collection}: {}", refusal.found),
        None => refusal.found.clone(),
    };
    let found: Vec<String> = refusals.iter().map(said).collect();
    let fix = &refusals.first()?.fix;
    let mut letters = fix.chars();
    let fix =
        letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str());
    Some(Check::fails(name, found.join("; "), format!("{fix}.")))
}
