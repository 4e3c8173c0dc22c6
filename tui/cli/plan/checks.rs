use super::gather::{Asked, Planned};
use crate::format::{bytes, count};
use palanquin_engine::contract::{Condition, ErrorKind, OpenMode, Palace, Severity};
use rustix::fs::{Access, access, statvfs};
use serde::Serialize;
use std::path::Path;

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Standing {
    /// Nothing in the way.
    Passes,
    /// The migration would go on; the operator should know.
    Warns,
    /// The migration would be refused, or would halt.
    Fails,
}

/// One preflight check.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    pub(super) name: &'static str,
    pub(super) standing: Standing,
    pub(super) found: String,
    /// What to do about it.
    pub(super) fix: Option<String>,
}

impl Check {
    fn passes(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, standing: Standing::Passes, found: found.into(), fix: None }
    }

    fn warns(name: &'static str, found: impl Into<String>, fix: &str) -> Self {
        Self { name, standing: Standing::Warns, found: found.into(), fix: Some(fix.to_owned()) }
    }

    fn fails(name: &'static str, found: impl Into<String>, fix: &str) -> Self {
        Self { name, standing: Standing::Fails, found: found.into(), fix: Some(fix.to_owned()) }
    }
}

pub(super) async fn all(asked: &Asked<'_>, source: &dyn Palace, planned: &[Planned], needed: u64) -> Vec<Check> {
    let mut checks = vec![health(source).await, rows(planned), vacant(asked).await];
    if let Some(directory) = asked.directory {
        checks.push(writable(directory));
        checks.extend(space(directory, needed));
    }
    checks.push(metric(asked, planned));
    checks.push(model(planned));
    checks
}

async fn health(source: &dyn Palace) -> Check {
    let health = source.health().await;
    let worst = health.findings.iter().find(|finding| finding.severity >= Severity::Warning);
    match (health.condition, worst) {
        (Condition::Unavailable, _) => {
            let reason = health.reason.unwrap_or_else(|| "it does not answer".to_owned());
            Check::fails("source", reason, "Make the source readable first.")
        }
        (_, Some(finding)) => {
            Check::warns("source", finding.summary.clone(), "See `palanquin inspect` for the rows that are affected.")
        }
        _ => Check::passes("source", "it is healthy"),
    }
}

fn rows(planned: &[Planned]) -> Check {
    let without_width: Vec<_> =
        planned.iter().filter(|planned| planned.dimension.is_none()).map(|planned| planned.name.as_str()).collect();
    if planned.iter().all(|planned| planned.rows == 0) {
        Check::warns("rows", "there is nothing to copy", "Check that this is the palace you meant.")
    } else if without_width.is_empty() {
        Check::passes("rows", "every collection has a width of vectors")
    } else {
        let found = format!("{} has no vectors yet and would not be made", without_width.join(", "));
        Check::warns("rows", found, "Nothing: an empty collection is made again by its first write.")
    }
}

async fn vacant(asked: &Asked<'_>) -> Check {
    if asked.overlap {
        let found = "the target is the source, or one lies inside the other";
        return Check::fails("target", found, "Choose another target.");
    }
    let target = asked.target;
    match target.backend.open(&target.palace, OpenMode::Read.into()).await {
        Err(error) if error.kind() == ErrorKind::PalaceNotFound => Check::passes("target", "nothing is there"),
        Err(error) => Check::fails("target", error.what(), error.advice()),
        Ok(there) => match there.collections().await {
            Ok(collections) if collections.is_empty() => Check::passes("target", "an empty palace is there"),
            Ok(collections) => {
                let names: Vec<_> = collections.iter().map(|collection| collection.name.as_str()).collect();
                let found = format!("it exists and holds {}", names.join(", "));
                Check::fails("target", found, "Choose another target, or replace it with --overwrite.")
            }
            Err(error) => Check::fails("target", error.what(), error.advice()),
        },
    }
}

/// The nearest folder that is there: the target's own is made by the migration.
fn nearest(directory: &Path) -> &Path {
    directory.ancestors().find(|folder| folder.is_dir()).unwrap_or(directory)
}

fn writable(directory: &Path) -> Check {
    let folder = nearest(directory);
    match access(folder, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Check::passes("permissions", format!("{} can be written", folder.display())),
        Err(error) => {
            let found = format!("{} cannot be written: {error}", folder.display());
            Check::fails("permissions", found, "Grant the access, or choose another target.")
        }
    }
}

/// Files come out smaller than rows travel; a tenth more is left for what a store adds.
fn space(directory: &Path, needed: u64) -> Option<Check> {
    let found = statvfs(nearest(directory)).ok()?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let (has, wants) = (format!("{} free", bytes(free)), format!("about {} needed", bytes(needed)));
    Some(if free > needed.saturating_add(needed / 10) {
        Check::passes("disk", format!("{has}, {wants}"))
    } else {
        Check::fails("disk", format!("{has}, {wants}"), "Make space, or choose another disk.")
    })
}

fn metric(asked: &Asked<'_>, planned: &[Planned]) -> Check {
    let known = asked.target.backend.descriptor().metrics;
    let lost: Vec<_> = planned
        .iter()
        .filter_map(|planned| Some((planned.name.as_str(), planned.metric?)))
        .filter(|(_, metric)| !known.contains(metric))
        .map(|(name, metric)| format!("{name} ({metric})"))
        .collect();
    if lost.is_empty() {
        Check::passes("metric", "the target can search by each collection's metric")
    } else {
        let found = format!("the target cannot search by the metric of {}", lost.join(", "));
        Check::fails("metric", found, "Choose a target whose backend has that metric.")
    }
}

fn model(planned: &[Planned]) -> Check {
    let unknown: Vec<_> =
        planned.iter().filter(|planned| planned.model.is_none()).map(|planned| planned.name.as_str()).collect();
    if unknown.is_empty() {
        let named = planned.iter().filter_map(|planned| planned.model.as_ref()).map(ToString::to_string);
        let models: std::collections::BTreeSet<_> = named.collect();
        Check::passes("model", models.into_iter().collect::<Vec<_>>().join(", "))
    } else {
        let found = format!("no model is recorded for {} of {}", count(unknown.len() as u64), unknown.join(", "));
        Check::warns("model", found, "Say it with `palanquin palace set-embedder` on the target, once it is made.")
    }
}
