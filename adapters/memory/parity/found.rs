//! What a comparison says beside which rows differ.

use crate::world::{Content, MANNER, WIDTH, compared, content, holding, holding_behind, pair, rows, seeds, verdict};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use palanquin_contract::interpose::Between;
use palanquin_engine::contract::{Collection, Filter, RowStream, ScanRequest};
use palanquin_engine::link::as_copied;
use palanquin_engine::parity::{
    Criterion, Difference, DifferenceCounts, Manner, ParityReport, SampleTaken, Searches, Verdict, compare_sample,
    compare_searches,
};
use palanquin_engine::rows::{RowBatch, RowBatchBuilder};
use rand::Rng;
use std::sync::Arc;

/// Hands out the row of one id twice, as a table with duplicates does.
struct Twice(&'static str);

#[async_trait]
impl Between for Twice {
    fn scan(&self, behind: &dyn Collection, request: ScanRequest) -> RowStream {
        let id = self.0;
        let twice = move |batch: RowBatch| {
            let mut rows = RowBatchBuilder::with_capacity(batch.len() + 1, WIDTH);
            for row in batch.rows() {
                let copies = if row.id == id { 2 } else { 1 };
                for _ in 0..copies {
                    rows.push(row).unwrap();
                }
            }
            rows.finish().unwrap()
        };
        behind.scan(request).map_ok(twice).boxed()
    }
}

#[tokio::test]
async fn an_id_that_stands_twice_on_one_end_is_told_with_its_copies() {
    let source = rows(50);
    let once = holding(&source).await;
    let twice = holding_behind(&source, Some(Arc::new(Twice("row-00013")))).await;
    let id = "row-00013".to_owned();
    let comparison = compared(&once, &twice, MANNER).await;
    assert_eq!(comparison.differences(), [Difference::Duplicate { id: id.clone(), source: 1, target: 2 }]);
    assert_eq!((comparison.parity().target_rows, comparison.parity().equal), (51, 49));
    let comparison = compared(&twice, &once, MANNER).await;
    assert_eq!(comparison.differences(), [Difference::Duplicate { id: id.clone(), source: 2, target: 1 }]);
    assert_eq!(verdict(&compared(&twice, &twice, MANNER).await), Verdict::Equal);
    let mut without = source.clone();
    without.remove(&id);
    let comparison = compared(&twice, &holding(&without).await, MANNER).await;
    assert_eq!(comparison.differences(), [Difference::Duplicate { id, source: 2, target: 0 }]);
}

#[tokio::test]
async fn far_more_differences_than_are_listed_are_counted_exactly() {
    let source = rows(5_000);
    let target = source.iter().filter(|(id, _)| !id.ends_with('7')).map(|(id, row)| {
        let document = if id.ends_with('3') { Some("other".into()) } else { row.document.clone() };
        (id.clone(), Content { document, ..row.clone() })
    });
    let mut target: std::collections::BTreeMap<_, _> = target.collect();
    target.extend((0..2_000).map(|n| (format!("more-{n}"), content(1))));
    let manner = Manner { batch_rows: 1_000, ..MANNER };
    let parity = compared(&holding(&source).await, &holding(&target).await, manner).await.parity();
    assert_eq!(parity.counts, DifferenceCounts { missing: 500, extra: 2_000, different: 500, duplicate: 0 });
    assert_eq!((parity.differences.len() as u64 + parity.unlisted, parity.equal), (3_000, 4_000));
}

#[tokio::test]
async fn a_last_bit_is_a_difference_between_exact_stores_and_none_where_one_drifts() {
    let source = rows(200);
    let mut drifted = source.clone();
    let nudge = |row: &mut Content, ulps: u32| {
        let vector = row.embedding.as_mut().unwrap();
        vector[1] = f32::from_bits(vector[1].to_bits() + ulps);
    };
    nudge(drifted.get_mut("row-00012").unwrap(), 1);
    nudge(drifted.get_mut("row-00101").unwrap(), 4);
    let (left, right) = (holding(&source).await, holding(&drifted).await);
    let exact = compared(&left, &right, MANNER).await.parity();
    assert_eq!((exact.counts.different, exact.verdict()), (2, Verdict::Different));
    let near = compared(&left, &right, Manner { vectors: Criterion::Ulps, ..MANNER }).await.parity();
    assert_eq!((near.verdict(), near.equal, near.within_tolerance), (Verdict::Equal, 200, 2));
    let with_vector = source.values().filter(|row| row.embedding.is_some()).count() as u64;
    for parity in [&exact, &near] {
        let vectors = parity.vectors;
        assert_eq!((vectors.compared, vectors.exact, vectors.max_ulps), (with_vector, with_vector - 2, Some(4)));
        assert!(vectors.max_cosine_distance > 0.0 && vectors.max_cosine_distance < 1e-6, "{vectors:?}");
        assert!(vectors.mean_cosine_distance < vectors.max_cosine_distance, "{vectors:?}");
    }
    nudge(drifted.get_mut("row-00101").unwrap(), 1);
    let right = holding(&drifted).await;
    let beyond = compared(&left, &right, Manner { vectors: Criterion::Ulps, ..MANNER }).await.parity();
    assert_eq!(beyond.counts.different, 1);
}

#[tokio::test]
async fn without_the_vectors_a_target_that_embedded_anew_is_equal_and_the_report_says_what_it_left_out() {
    let source = rows(120);
    let mut anew = source.clone();
    anew.values_mut().for_each(|row| row.embedding = Some(vec![9.0, 9.0, 9.0, 9.0]));
    let manner = Manner { vectors: Criterion::Unseen, ..MANNER };
    let (left, right) = (holding(&source).await, holding(&anew).await);
    let comparison = compared(&left, &right, manner).await;
    assert_eq!((verdict(&comparison), comparison.parity().vectors.compared), (Verdict::Equal, 0));
    let report = ParityReport::begin(("s", "t"), manner, false);
    assert!(report.not_compared.iter().any(|left_out| left_out.starts_with("vectors")), "{report:?}");
    anew.get_mut("row-00007").unwrap().document = Some("other".into());
    let right = holding(&anew).await;
    let found = compared(&left, &right, manner).await;
    let expected = Difference::Different { id: "row-00007".into(), fields: vec!["document".into()] };
    assert_eq!(found.differences(), [expected]);
}

#[tokio::test]
async fn a_sample_is_the_same_for_its_seed_and_finds_what_is_in_it() {
    let source = rows(3_000);
    let left = holding(&source).await;
    for (seed, mut stream) in seeds(10) {
        let mut target = source.clone();
        let changed = stream.random_range(0..=3_000);
        target.values_mut().take(changed).for_each(|row| row.document = Some("changed".into()));
        let right = holding(&target).await;
        let manner = Manner { vectors: Criterion::Cosine, batch_rows: 100 };
        let sample = SampleTaken { rows: 200, seed };
        let take =
            || async { compare_sample(&pair(&left, &right), manner, sample, &|_, _| {}).await.unwrap().parity() };
        let (first, second) = (take().await, take().await);
        assert_eq!(first, second, "seed {seed}");
        assert_eq!(first.sample, Some(sample), "seed {seed}");
        assert_eq!(first.equal + first.counts.different, 200, "seed {seed}");
        // Evenly spread, a sample cannot miss a tenth of the rows by more than chance allows.
        let share = first.counts.different as f64 / 200.0;
        assert!((share - changed as f64 / 3_000.0).abs() < 0.15, "seed {seed}: {share} of {changed}");
        let whole = SampleTaken { rows: 3_000, seed };
        let whole = compare_sample(&pair(&left, &right), manner, whole, &|_, _| {}).await.unwrap().parity();
        assert_eq!((whole.sample, whole.counts.different), (None, changed as u64), "seed {seed}");
    }
}

#[tokio::test]
async fn a_sample_that_finds_nothing_tells_ends_of_another_size() {
    let source = rows(500);
    let mut target = source.clone();
    target.insert("zzz".into(), content(1));
    let (left, right) = (holding(&source).await, holding(&target).await);
    let sample = SampleTaken { rows: 10, seed: 1 };
    let found = compare_sample(&pair(&left, &right), MANNER, sample, &|_, _| {}).await.unwrap();
    assert_eq!((verdict(&found), found.differences().len()), (Verdict::Different, 0));
    let equal = compare_sample(&pair(&left, &left), MANNER, sample, &|_, _| {}).await.unwrap();
    let mut report = ParityReport::begin(("s", "t"), MANNER, true);
    report.add(&equal);
    assert_eq!(report.conclusion(), "equal in the sample");
}

#[tokio::test]
async fn a_sample_of_the_rows_that_pass_tells_how_many_it_met_and_concludes_nothing_from_none() {
    let source = rows(2_000);
    let one = source.keys().nth(700).unwrap().clone();
    let passing = |ids: &[&String]| {
        let mut marked = source.clone();
        ids.iter().for_each(|id| marked.get_mut(*id).unwrap().document = Some("passes".into()));
        marked
    };
    let every_tenth: Vec<&String> = source.keys().step_by(10).collect();
    let filter = Filter::DocumentContains("passes".into());
    for (ids, sample, expected) in [(every_tenth, 20, Verdict::Equal), (vec![&one], 0, Verdict::Inconclusive)] {
        let marked = passing(&ids);
        let (from, to) = (holding(&marked).await, holding(&marked).await);
        let (from, to) = (as_copied(from, &filter, &[]), as_copied(to, &filter, &[]));
        let sample = SampleTaken { rows: sample, seed: 7 };
        let found = compare_sample(&pair(&from, &to), MANNER, sample, &|_, _| {}).await.unwrap();
        let met = found.parity().sample.unwrap().rows;
        assert_eq!(verdict(&found), expected, "{met} met");
        assert_eq!(found.parity().equal, met);
        assert!(met <= ids.len() as u64 && (met > 0) == (expected == Verdict::Equal), "{met}");
    }
}

#[tokio::test]
async fn both_ends_of_a_copy_find_the_same_and_a_damaged_one_does_not() {
    let source = rows(400);
    let mut fewer = source.clone();
    fewer.retain(|id, _| !id.ends_with('1'));
    let (left, same, right) = (holding(&source).await, holding(&source).await, holding(&fewer).await);
    let searches = Searches { probes: 15, hits: 10, seed: 3 };
    let equal = compare_searches(&pair(&left, &same), MANNER, searches).await.unwrap().unwrap();
    assert_eq!((equal.overlap, equal.least_overlap, equal.same_rank), (1.0, 1.0, 1.0));
    assert!(equal.probes > 0 && equal.probes <= 15, "{equal:?}");
    let other = compare_searches(&pair(&left, &right), MANNER, searches).await.unwrap().unwrap();
    assert!(other.overlap < 1.0, "{other:?}");
    let bare = rows(1);
    let bare = holding(&bare).await;
    assert_eq!(compare_searches(&pair(&bare, &bare), MANNER, searches).await.unwrap(), None);
}
