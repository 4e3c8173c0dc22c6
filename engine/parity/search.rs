use super::pick::rows_of;
use super::sample::choose;
use super::{Compared, Manner, SampleTaken};
use crate::contract::{Capabilities, Error, ErrorKind, Include, MaintenanceState, QueryRequest, Result, token};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;

/// Searches sent to a store at once.
const AT_ONCE: usize = 10;
/// Two distances that differ by no more than this share of them are the same place in an order.
const TIED: f32 = 1e-5;

/// The same searches on both ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchParity {
    /// One entry per collection searched.
    pub collections: Vec<SearchedCollection>,
    /// The source's condition when it was searched, by its own terms.
    pub source_state: MaintenanceState,
    /// The target's.
    pub target_state: MaintenanceState,
}

/// How the answers of both ends to the same searches compare.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchedCollection {
    /// The collection's name in the source.
    pub name: String,
    /// Searches, each by the vector of a row of the source.
    pub probes: u64,
    /// Hits asked for by each.
    pub hits: u64,
    /// The seed that chose the rows.
    pub seed: u64,
    /// Share of the source's hits that the target finds too, over all searches; 1 where nothing was found.
    pub overlap: f64,
    /// The least such share of one search.
    pub least_overlap: f64,
    /// Share of ranks that hold the same row on both ends, or rows at the same distance.
    pub same_rank: f64,
    /// Whether the source answers by an approximate index; `null` if its condition does not tell.
    pub source_is_approximate: Option<bool>,
    /// Whether the target does.
    pub target_is_approximate: Option<bool>,
}

/// What is searched for.
#[derive(Clone, Copy, Debug)]
pub struct Searches {
    /// How many.
    pub probes: u64,
    /// Hits of each.
    pub hits: usize,
    /// Chooses the rows whose vectors are searched for.
    pub seed: u64,
}

/// Asks both ends the same and compares the answers. `None` of a collection that has no vector to search for.
///
/// # Errors
/// The first failure of either end.
pub async fn compare_searches(
    compared: &Compared,
    manner: Manner,
    searches: Searches,
) -> Result<Option<SearchedCollection>> {
    let rows = compared.source.count().await?;
    let sample = SampleTaken { rows: searches.probes, seed: searches.seed };
    let ids = Arc::new(choose(compared.source.as_ref(), rows, sample, true).await?);
    let mut probes: Vec<Vec<f32>> = Vec::new();
    let mut batches = rows_of(&compared.source, &ids, manner.batch_rows);
    while let Some(batch) = batches.try_next().await? {
        probes.extend(batch.rows().filter_map(|row| row.embedding.map(<[f32]>::to_vec)));
    }
    if probes.is_empty() {
        return Ok(None);
    }
    let include = Include { distances: true, ..Include::IDS };
    let (mut overlaps, mut same, mut ranks) = (Vec::new(), 0, 0);
    for some in probes.chunks(AT_ONCE) {
        let request = QueryRequest { include, ..QueryRequest::of(some.to_vec(), searches.hits) };
        let (here, there) = futures::try_join!(compared.source.query(&request), compared.target.query(&request))?;
        for probe in 0..some.len() {
            let of = |result: &crate::contract::QueryResult| match (result.ids.get(probe), result.distances.get(probe))
            {
                (Some(ids), Some(distances)) if ids.len() == distances.len() => {
                    Ok(ids.iter().cloned().zip(distances.iter().copied()).collect::<Vec<_>>())
                }
                _ => Err(Error::new(ErrorKind::Internal, "an answer has not the shape of the question")),
            };
            let (here, there) = (of(&here)?, of(&there)?);
            overlaps.push(overlap(&here, &there));
            let (agreeing, of) = agreement(&here, &there);
            same += agreeing;
            ranks += of;
        }
    }
    Ok(Some(SearchedCollection {
        name: compared.name.clone(),
        probes: probes.len() as u64,
        hits: searches.hits as u64,
        seed: searches.seed,
        overlap: overlaps.iter().sum::<f64>() / overlaps.len() as f64,
        least_overlap: overlaps.iter().copied().fold(1.0, f64::min),
        same_rank: if ranks == 0 { 1.0 } else { same as f64 / ranks as f64 },
        source_is_approximate: None,
        target_is_approximate: None,
    }))
}

type Hits = [(String, f32)];

/// Share of one end's hits that the other has. A hit beyond the other's last one by no more than a tie counts: which of
/// two rows at the same distance is the last one is nobody's to say.
fn overlap(here: &Hits, there: &Hits) -> f64 {
    if here.is_empty() {
        return 1.0;
    }
    let ids: HashSet<&str> = there.iter().map(|(id, _)| id.as_str()).collect();
    let last = there.last().map(|(_, distance)| *distance);
    let is_there = |(id, distance): &&(String, f32)| {
        ids.contains(id.as_str()) || last.is_some_and(|last| there.len() >= here.len() && tied(*distance, last))
    };
    here.iter().filter(is_there).count() as f64 / here.len() as f64
}

/// Ranks that agree, of how many.
fn agreement(here: &Hits, there: &Hits) -> (usize, usize) {
    let agree = |((one, near), (other, far)): &(&(String, f32), &(String, f32))| one == other || tied(*near, *far);
    (here.iter().zip(there).filter(agree).count(), here.len().max(there.len()))
}

fn tied(a: f32, b: f32) -> bool {
    (a - b).abs() <= TIED * a.abs().max(b.abs()).max(1e-3)
}

/// Whether searches of a collection are answered by an approximate index, as far as the store's condition tells. A store
/// without indexes of its own reads every vector.
pub fn uses_approximate_index(capabilities: &Capabilities, state: &MaintenanceState, collection: &str) -> Option<bool> {
    if !capabilities.has(token::SERVER_SIDE_INDEXES) {
        return Some(false);
    }
    let Value::Object(figures) = state.get(collection)? else { return None };
    let indexes: Vec<&Value> = figures
        .iter()
        .filter(|(name, _)| name.contains("ind"))
        .filter_map(|(_, list)| list.as_array())
        .flatten()
        .collect();
    let is_of_vectors = |index: &&Value| {
        let kinds = ["kind", "type"].iter().filter_map(|name| index.get(name).and_then(Value::as_str));
        kinds.map(str::to_ascii_lowercase).any(|kind| kind.contains("hnsw") || kind.contains("ivf"))
    };
    Some(indexes.iter().any(is_of_vectors))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hits(of: &[(&str, f32)]) -> Vec<(String, f32)> {
        of.iter().map(|(id, distance)| ((*id).to_owned(), *distance)).collect()
    }

    #[test]
    fn what_both_ends_find_is_a_share_of_what_one_finds() {
        let here = hits(&[("a", 0.0), ("b", 0.1), ("c", 0.2), ("d", 0.3)]);
        assert_eq!(overlap(&here, &here), 1.0);
        assert_eq!(overlap(&here, &hits(&[("a", 0.0), ("c", 0.2), ("x", 0.25), ("y", 0.4)])), 0.5);
        assert_eq!(overlap(&here, &[]), 0.0);
        assert_eq!(overlap(&[], &here), 1.0);
        // Of two rows at the same distance either may be the last hit.
        assert_eq!(overlap(&here, &hits(&[("a", 0.0), ("b", 0.1), ("c", 0.2), ("e", 0.3)])), 1.0);
        // Fewer hits are no tie.
        assert_eq!(overlap(&here, &hits(&[("a", 0.0), ("b", 0.1), ("c", 0.3)])), 0.75);
    }

    #[test]
    fn ranks_agree_where_they_hold_the_same_row_or_the_same_distance() {
        let here = hits(&[("a", 0.0), ("b", 0.1), ("c", 0.1), ("d", 0.3)]);
        assert_eq!(agreement(&here, &hits(&[("a", 0.0), ("c", 0.1), ("b", 0.1), ("d", 0.3)])), (4, 4));
        assert_eq!(agreement(&here, &hits(&[("b", 0.1), ("a", 0.0), ("c", 0.1)])), (1, 4));
    }

    #[test]
    fn an_index_on_vectors_makes_a_search_approximate_and_one_on_ids_does_not() {
        let capable = Capabilities::of([token::SERVER_SIDE_INDEXES]);
        let state = |figures: Value| MaintenanceState::from([("c".to_owned(), figures)]);
        let of = |figures| uses_approximate_index(&capable, &state(figures), "c");
        assert_eq!(of(json!({"indices": [{"type": "BTree"}], "index_bytes": 5})), Some(false));
        assert_eq!(of(json!({"indices": [{"type": "BTree"}, {"type": "IVF_HNSW_SQ"}]})), Some(true));
        assert_eq!(of(json!({"vector_indexes": [{"kind": "hnsw", "valid": true}]})), Some(true));
        assert_eq!(uses_approximate_index(&capable, &MaintenanceState::new(), "c"), None);
        assert_eq!(uses_approximate_index(&Capabilities::default(), &MaintenanceState::new(), "c"), Some(false));
    }
}
