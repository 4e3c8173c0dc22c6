use super::{ATTEMPTS, Did, Job};
use crate::retry;
use lance::dataset::cleanup::CleanupPolicy;
use palanquin_engine::contract::Result;
use serde_json::{Map, json};
use std::time::Duration;

/// Removes versions whose place another took longer ago than the grace, tagged ones excepted. What counts is not how
/// old a version is but how long it has not been the newest: a reader that was up to date within the grace finds its
/// version.
pub(super) async fn prune(job: &Job<'_>) -> Result<Did> {
    let (place, upkeep) = (&job.handle.place, job.palace.upkeep());
    let pruned = retry::at_most(ATTEMPTS, || async {
        let dataset = job.handle.newest().await?;
        let versions = dataset.versions().await;
        let versions = versions.map_err(|error| place.store("could not list the versions", error))?;
        let dated = versions.iter().map(|version| (version.version, version.timestamp.timestamp_millis())).collect();
        let Some(first_kept) = first_kept(dated, (upkeep.now)(), upkeep.grace) else { return Ok(None) };
        let policy = CleanupPolicy {
            before_version: Some(first_kept),
            error_if_tagged_old_versions: false,
            ..CleanupPolicy::default()
        };
        let removed = dataset.cleanup_with_policy(policy).await;
        removed.map(Some).map_err(|error| place.store("could not remove old versions", error))
    });
    let removed = pruned.await?.filter(|removed| removed.old_versions > 0 || removed.bytes_removed > 0);
    let Some(removed) = removed else { return Ok(Did::nothing("no version is old enough and untagged")) };
    job.durability.settle_removals().await.map_err(|error| place.not_durable(error))?;
    let figures = Map::from_iter([
        ("versions_removed".to_owned(), json!(removed.old_versions)),
        ("bytes_removed".to_owned(), json!(removed.bytes_removed)),
        ("data_files_removed".to_owned(), json!(removed.data_files_removed)),
        ("index_files_removed".to_owned(), json!(removed.index_files_removed)),
        ("files_that_could_not_be_removed".to_owned(), json!(removed.failed_deletes)),
    ]);
    Ok(Did { ran: true, figures })
}

/// The version that was the newest when the grace began: whatever is before it goes. `None` if nothing is. Versions
/// come with their time in milliseconds.
fn first_kept(mut versions: Vec<(u64, i64)>, now: i64, grace: Duration) -> Option<u64> {
    versions.sort_unstable();
    let begin = now.saturating_sub(i64::try_from(grace.as_millis()).unwrap_or(i64::MAX));
    let newest_then = versions.iter().rposition(|(_, at)| *at <= begin)?;
    (newest_then > 0).then(|| versions[newest_then].0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_that_was_the_newest_when_the_grace_began_is_kept_however_old_it_is() {
        let versions = vec![(3, 300), (1, 100), (2, 200), (5, 900)];
        let kept = |now, grace| first_kept(versions.clone(), now, Duration::from_millis(grace));
        assert_eq!(kept(1000, 5000), None);
        assert_eq!(kept(1000, 900), None, "only the first is so old, and nothing is before it");
        assert_eq!(kept(1000, 800), Some(2));
        assert_eq!(kept(1000, 500), Some(3));
        assert_eq!(kept(1000, 0), Some(5));
        assert_eq!(first_kept(Vec::new(), 0, Duration::ZERO), None);
    }
}
