use super::found::Found;
use super::merge::merge;
use super::pick::rows_of;
use super::settle::{Marks, settle};
use super::{Compared, Comparison, Heard, Manner, SampleTaken, compare_collection};
use crate::contract::{Collection, KeyRange, Result};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Ids a row of the sample is chosen from: the sample is that much less regular than a cut.
const CHOICE: u64 = 8;
/// Ids drawn at most, of which only some pass.
const DRAWN: u64 = 100_000;

/// Compares so many rows of the source with their counterparts, and both ends' numbers of rows. The seed chooses the rows,
/// from ids evenly spread; a collection that has no more rows than that is compared whole.
///
/// # Errors
/// The first failure of either end.
pub async fn compare_sample(
    compared: &Compared,
    manner: Manner,
    sample: SampleTaken,
    heard: Heard<'_>,
) -> Result<Comparison> {
    let before = Marks::of(compared, heard).await?;
    let rows = compared.source.count().await?;
    if rows <= sample.rows {
        return compare_collection(compared, manner, heard).await;
    }
    let silent = before.silent().collect();
    let ids = Arc::new(choose(compared.source.as_ref(), rows, sample, true).await?);
    let mut found = Found::default();
    let source = rows_of(&compared.source, &ids, manner.batch_rows);
    let target = rows_of(&compared.target, &ids, manner.batch_rows);
    let met =
        merge((source, target), manner.vectors, heard, &mut found).await? + found.counts.missing + found.counts.extra;
    let mut settled = settle(compared, manner, before, Some(&ids), heard, &mut found).await?;
    if met == 0 {
        let detail = "no row that was drawn is one to compare: take a larger sample, or compare every row";
        settled.inconclusive.push(detail.to_owned());
    }
    let (source_rows, target_rows) = futures::try_join!(compared.source.count(), compared.target.count())?;
    Ok(Comparison {
        name: compared.name.clone(),
        target_name: compared.target_name.clone(),
        source_rows,
        target_rows,
        without_vector: 0,
        digests: None,
        sample: Some(SampleTaken { rows: met, seed: sample.seed }),
        found,
        compared_again: settled.again,
        moving: settled.moving,
        inconclusive: settled.inconclusive,
        silent,
    })
}

/// Ids of so many rows, or of nearly as many. Of a collection of which only a part is looked at, `rows` of it, so many more
/// are drawn as there are rows beside. `whole` lets the greatest id take part, which takes one more look.
pub(super) async fn choose(
    collection: &dyn Collection,
    rows: u64,
    sample: SampleTaken,
    whole: bool,
) -> Result<BTreeSet<String>> {
    let all = collection.estimated_count().await?;
    let is_a_part = all > rows.saturating_add(rows / 2);
    let (rows, wanted) = match is_a_part {
        true => (all, sample.rows.saturating_mul(all / rows.max(1)).clamp(sample.rows, DRAWN.max(sample.rows))),
        false => (rows, sample.rows),
    };
    let step = rows / wanted.saturating_mul(CHOICE).max(1);
    let mut ids: Vec<String> =
        collection.cut(step.max(1)).await?.into_iter().filter_map(|partition| partition.range.upto).collect();
    if whole {
        ids.extend(collection.last_id(&KeyRange::ALL).await?);
    }
    let mut stream = StdRng::seed_from_u64(sample.seed);
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    Ok(ids.choose_multiple(&mut stream, wanted).cloned().collect())
}
