use super::ends::Ends;
use super::heard::Hearing;
use palanquin_actors::LinkOptions;
use palanquin_engine::contract::{Error, ErrorKind, Palace, Result, token};
use palanquin_engine::link::LinkSpec;
use palanquin_engine::parity::{
    Compared, Comparison, Criterion, End, Manner, ParityReport, Repaired, SampleTaken, SearchParity, Searches, Wrote,
    compare_collection, compare_sample, compare_searches, repair, uses_approximate_index,
};

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) sample: Option<SampleTaken>,
    pub(super) documents_only: bool,
    pub(super) searches: Option<Searches>,
    pub(super) repair: bool,
    pub(super) delete_extra: bool,
}

/// What was found, and done.
#[derive(Debug)]
pub(in crate::cli) struct Verified {
    pub(in crate::cli) report: ParityReport,
    pub(in crate::cli) repaired: Option<Repaired>,
}

/// Compares every pair, whatever becomes of another one.
///
/// `wrote` hears of each write of a repair.
pub(super) async fn run(
    spec: &LinkSpec,
    ends: &Ends,
    asked: Asked,
    (heard, wrote): (&Hearing, Wrote<'_>),
) -> Result<Verified> {
    let manner = Manner { vectors: criterion(ends, asked).await?, batch_rows: LinkOptions::default().batch_rows };
    let mut report = ParityReport::begin((&spec.source, &spec.target), manner, asked.sample.is_some());
    report.uncopied.clone_from(&ends.uncopied);
    report.only_in_target.clone_from(&ends.only_in_target);
    report.not_compared.extend(ends.left_out.iter().cloned());
    let mut repaired = asked.repair.then(Repaired::default);
    for pair in &ends.pairs {
        heard.begin(&format!("comparing {}", pair.name), ends.rows);
        match one(pair, manner, asked, (heard, wrote), repaired.as_mut()).await {
            Ok(comparison) => report.add(&comparison),
            Err(error) if asked.repair && is_of_writing(&error) => return Err(error),
            Err(error) => report.add_unread(pair, &error),
        }
    }
    if let Some(searches) = asked.searches {
        report.search = Some(search(ends, manner, searches, heard, &mut report.not_compared).await?);
    }
    Ok(Verified { report, repaired })
}

/// Failures an operator must know of as such: a target that takes nothing, not one that could not be read.
fn is_of_writing(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::PermissionDenied | ErrorKind::UnsupportedCapability)
}

/// A sample is judged as §8 says; everything by what both stores give back. A target that has embedded the documents anew
/// has other vectors.
async fn criterion(ends: &Ends, asked: Asked) -> Result<Criterion> {
    let embeds_anew = !ends.target.capabilities.has(token::EMBEDDINGS_PASSTHROUGH);
    Ok(match asked.sample {
        _ if asked.documents_only || embeds_anew || was_embedded_anew(ends.target.palace.as_ref()).await? => {
            Criterion::Unseen
        }
        Some(_) => Criterion::Cosine,
        None => Criterion::between(ends.source.fidelity, ends.target.fidelity),
    })
}

/// Whether the target embedded the documents of the newest migration into it anew. That it was allowed to says nothing.
async fn was_embedded_anew(target: &dyn Palace) -> Result<bool> {
    let log = target.migration_log().await?;
    let newest = log.iter().rev().find_map(|entry| entry.as_migration());
    Ok(newest.is_some_and(|record| record.re_embedded))
}

async fn one(
    pair: &Compared,
    manner: Manner,
    asked: Asked,
    (heard, wrote): (&Hearing, Wrote<'_>),
    repaired: Option<&mut Repaired>,
) -> Result<Comparison> {
    let listening = |end: End, rows| heard.hear(end, rows);
    if let Some(sample) = asked.sample {
        return compare_sample(pair, manner, sample, &listening).await;
    }
    let mut comparison = compare_collection(pair, manner, &listening).await?;
    let Some(repaired) = repaired else { return Ok(comparison) };
    loop {
        if !comparison.parity().inconclusive.is_empty() || comparison.differences().is_empty() {
            return Ok(comparison);
        }
        heard.begin(&format!("repairing {}", pair.name), comparison.differences().len() as u64);
        let done = repair(pair, manner, comparison.differences(), asked.delete_extra, (&listening, wrote)).await?;
        let is_all = comparison.is_complete();
        if is_all || done.written() == 0 {
            repaired.add(done);
            // Every row once more: figures and digests are of what is there now.
            return compare_collection(pair, manner, &listening).await;
        }
        // More rows differed than a comparison keeps: what is left is found by the next one. Rows left in place are
        // counted by the last.
        repaired.add(Repaired { left: 0, ..done });
        comparison = compare_collection(pair, manner, &listening).await?;
    }
}

async fn search(
    ends: &Ends,
    manner: Manner,
    searches: Searches,
    heard: &Hearing,
    not_compared: &mut Vec<String>,
) -> Result<SearchParity> {
    let mut search = SearchParity {
        collections: Vec::new(),
        source_state: ends.source.palace.maintenance_state().await?,
        target_state: ends.target.palace.maintenance_state().await?,
    };
    for pair in &ends.pairs {
        heard.begin(&format!("searching {}", pair.name), searches.probes);
        match compare_searches(pair, manner, searches).await {
            Ok(Some(mut searched)) => {
                let (source, target) = (&ends.source, &ends.target);
                searched.source_is_approximate =
                    uses_approximate_index(&source.capabilities, &search.source_state, &pair.name);
                searched.target_is_approximate =
                    uses_approximate_index(&target.capabilities, &search.target_state, &pair.target_name);
                search.collections.push(searched);
            }
            Ok(None) => not_compared.push(format!("searches of {}: it has no vector to search for", pair.name)),
            Err(error) => not_compared.push(format!("searches of {}: {}", pair.name, error.what())),
        }
    }
    Ok(search)
}
