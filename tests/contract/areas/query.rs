//! Ranking (§1): exact, by the declared metric, lower is closer.

use crate::rows::{Written, batch, numbered, numbered_row, row};
use crate::world::{WIDTH, World, assert_refused, refusal, seeded};
use palanquin_engine::contract::{Collection, CollectionSpec, ErrorKind, Metric, QueryRequest, reference};
use rand::Rng;
use std::sync::Arc;

/// How far two computations of one distance may be apart: f32 sums of many terms.
fn agree(one: f32, other: f32) -> bool {
    let scale = one.abs().max(other.abs()).max(1.0);
    one == other || (one - other).abs() <= 2e-5 * scale
}

/// That the hits are the wanted ones. Rows whose distances only rounding tells apart may stand in any order, so the
/// distances are compared place by place, and each hit with its own.
#[track_caller]
pub(crate) fn assert_ranking(
    ids: &[String],
    distances: &[f32],
    wanted: &[(f32, String)],
    distance_of: impl Fn(&str) -> f32,
) {
    assert_eq!(ids.len(), wanted.len(), "hits {ids:?}, wanted {wanted:?}");
    assert_eq!(distances.len(), ids.len(), "a distance for each hit");
    for (at, (id, found)) in ids.iter().zip(distances).enumerate() {
        let of_row = distance_of(id);
        assert!(agree(*found, of_row), "hit {at} {id}: reported at {found}, and it is at {of_row}");
        assert!(agree(of_row, wanted[at].0), "hit {at} {id} at {of_row}; the exact ranking has {:?}", wanted[at]);
    }
    let mut once = ids.to_vec();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), ids.len(), "a row is hit twice: {ids:?}");
    assert!(distances.windows(2).all(|pair| pair[0] <= pair[1]), "nearest first: {distances:?}");
}

async fn collection_by(world: &World, metric: Metric, width: u32) -> Arc<dyn Collection> {
    let palace = world.palace("palace").await;
    let name = format!("by_{}_{width}", metric.name());
    let spec = CollectionSpec { metric, ..world.spec(&name, width) };
    palace.create_collection(&spec).await.expect("a declared metric is taken")
}

async fn check_ranking(world: &World, metric: Metric, width: u32, rows: &[Written], queries: &[Vec<f32>]) {
    let collection = collection_by(world, metric, width).await;
    assert_eq!(collection.info().await.unwrap().metric, Some(metric), "the metric is kept with the collection");
    collection.upsert(batch(rows, width)).await.unwrap();
    for results in [1, 10, rows.len() + 5] {
        let found = collection.query(&QueryRequest::of(queries.to_vec(), results)).await.unwrap();
        assert_eq!(found.ids.len(), queries.len(), "an answer for each vector");
        for (at, vector) in queries.iter().enumerate() {
            let distance = |row: &Written| Some(reference::distance(metric, vector, row.embedding.as_ref()?));
            let mut wanted: Vec<_> = rows.iter().filter_map(|row| Some((distance(row)?, row.id.clone()))).collect();
            wanted.sort_by(|one, other| one.0.total_cmp(&other.0));
            wanted.truncate(results);
            assert_ranking(&found.ids[at], &found.distances[at], &wanted, |id| {
                distance(rows.iter().find(|row| row.id == id).expect("a row that is there")).expect("with a vector")
            });
        }
    }
}

pub(crate) async fn ranking_is_exact_by_each_declared_metric(world: &World) {
    let mut rng = seeded(0x4a17);
    for metric in world.descriptor().metrics {
        for width in [1, 3, 64] {
            let mut vector = || -> Vec<f32> { (0..width).map(|_| rng.random_range(-10.0..10.0)).collect() };
            let mut rows: Vec<Written> =
                (0..200).map(|n| row(format!("{n:03}")).document("d").vector(vector())).collect();
            if world.limits().rows_without_vector {
                rows.push(row("without a vector").document("never a hit"));
            }
            rows.push(row("a twin").vector(rows[0].embedding.clone().unwrap()));
            let queries: Vec<Vec<f32>> = (0..4).map(|_| vector()).chain([rows[0].embedding.clone().unwrap()]).collect();
            check_ranking(world, *metric, width, &rows, &queries).await;
        }
    }
}

pub(crate) async fn lower_is_closer_whatever_the_metric(world: &World) {
    for metric in world.descriptor().metrics {
        let collection = collection_by(world, *metric, 2).await;
        let rows = [("near", [1.0, 0.1]), ("right angle", [0.0, 1.0]), ("behind", [-1.0, 0.0])];
        let rows = rows.map(|(id, vector)| row(id).vector(vector));
        collection.upsert(batch(&rows, 2)).await.unwrap();
        let found = collection.query(&QueryRequest::of(vec![vec![1.0, 0.0]], 3)).await.unwrap();
        assert_eq!(found.ids[0], ["near", "right angle", "behind"], "{metric}");
        assert!(found.distances[0].windows(2).all(|pair| pair[0] < pair[1]), "{metric}: {:?}", found.distances);
    }
}

pub(crate) async fn equally_distant_rows_are_all_hits(world: &World) {
    let drawers = world.drawers().await;
    let rows: Vec<Written> = (0..12).map(|n| row(format!("{n:02}")).vector(vec![1.0; WIDTH as usize])).collect();
    drawers.upsert(batch(&rows, WIDTH)).await.unwrap();
    for results in [1, 5, 12] {
        let found = drawers.query(&QueryRequest::of(vec![vec![1.0; WIDTH as usize]], results)).await.unwrap();
        let mut ids = found.ids[0].clone();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), results, "distinct rows");
    }
}

pub(crate) async fn rows_without_a_vector_are_never_hits(world: &World) {
    let drawers = world.drawers().await;
    if !world.limits().rows_without_vector {
        let refused = drawers.upsert(batch(&[numbered_row(1, WIDTH), row("bare")], WIDTH)).await;
        let error = refusal(refused, "a row without a vector");
        assert!(error.kind() == ErrorKind::RowRefused && error.what().contains("\"bare\""), "by name: {error}");
        return assert_eq!(drawers.count().await.unwrap(), 0, "nothing was written");
    }
    drawers.upsert(batch(&[row("bare"), numbered_row(1, WIDTH)], WIDTH)).await.unwrap();
    let query = QueryRequest::of(vec![vec![1.0; WIDTH as usize]], 10);
    assert_eq!(drawers.query(&query).await.unwrap().ids, [["row-00001"]]);
    drawers.upsert(batch(&[row("row-00001")], WIDTH)).await.unwrap();
    assert_eq!(drawers.query(&query).await.unwrap().ids, [[] as [&str; 0]], "its vector was taken away");
}

pub(crate) async fn vectors_of_zeros_and_of_far_magnitudes_rank_without_nonsense(world: &World) {
    let drawers = world.drawers().await;
    let vectors = [[0.0; 4], [1e15, 0.0, 0.0, 0.0], [1e-15, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]];
    let rows: Vec<Written> = vectors.iter().enumerate().map(|(n, vector)| row(n.to_string()).vector(*vector)).collect();
    drawers.upsert(batch(&rows, WIDTH)).await.unwrap();
    for vector in vectors {
        let found = drawers.query(&QueryRequest::of(vec![vector.to_vec()], 10)).await.unwrap();
        assert_eq!(found.ids[0].len(), 4, "every row is a hit of {vector:?}");
        assert!(found.distances[0].iter().all(|distance| !distance.is_nan()), "{vector:?}: {:?}", found.distances);
        assert!(found.distances[0].windows(2).all(|pair| pair[0] <= pair[1]), "{vector:?}: {:?}", found.distances);
    }
}

pub(crate) async fn a_query_of_another_width_or_without_numbers_is_refused(world: &World) {
    let drawers = world.drawers().await;
    for filled in [false, true] {
        if filled {
            drawers.upsert(batch(&numbered(0..3, WIDTH), WIDTH)).await.unwrap();
        }
        for width in [0, 1, WIDTH - 1, WIDTH + 1, 384] {
            let query = QueryRequest::of(vec![vec![1.0; WIDTH as usize], vec![1.0; width as usize]], 3);
            assert_refused(drawers.query(&query).await, ErrorKind::DimensionMismatch, width);
        }
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let query = QueryRequest::of(vec![vec![odd; WIDTH as usize]], 3);
            assert_refused(drawers.query(&query).await, ErrorKind::InvalidRequest, odd);
        }
    }
}
