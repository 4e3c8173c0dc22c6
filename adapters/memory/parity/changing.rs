//! Palaces that are changed while they are compared: never silently equal, never silently different.

use crate::world::{Content, MANNER, Rows, content, holding, holding_behind, pair, put, rows, upserts, verdict};
use async_trait::async_trait;
use palanquin_contract::interpose::Between;
use palanquin_engine::contract::{ChangeBatch, Collection, CollectionInfo, FeedHead, Result, WriteMode};
use palanquin_engine::parity::{Difference, End, ParityReport, Verdict, compare_collection};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn changed(id: &str) -> Rows {
    [(id.to_owned(), Content { document: Some("changed".into()), ..content(1) })].into()
}

/// Applies changes within a call that cannot wait: a store in memory is done at once.
fn at_once(collection: &Arc<dyn Collection>, batch: ChangeBatch) {
    futures::executor::block_on(collection.apply(batch, WriteMode::Upsert)).unwrap();
}

#[tokio::test]
async fn a_row_changed_on_both_ends_meanwhile_is_compared_again_and_equal() {
    let (left, right) = (holding(&rows(300)).await, holding(&rows(300)).await);
    let heard = AtomicU64::new(0);
    // After 20 batches of the source row 3 was read; the target is changed alike, but for a row that stays behind.
    let change = |end: End, _: u64| {
        if end == End::Source && heard.fetch_add(1, Ordering::Relaxed) == 20 {
            for collection in [&left, &right] {
                at_once(collection, upserts(&changed("row-00003")));
                at_once(collection, upserts(&changed("row-00300")));
                at_once(collection, ChangeBatch { deletes: vec!["row-00005".into()], ..ChangeBatch::default() });
            }
        }
    };
    let comparison = compare_collection(&pair(&left, &right), MANNER, &change).await.unwrap();
    assert!(heard.load(Ordering::Relaxed) > 20);
    assert_eq!(verdict(&comparison), Verdict::Equal, "{:?}", comparison.differences());
    let parity = comparison.parity();
    assert_eq!((parity.compared_again, parity.source_rows, parity.equal), (3, 300, 300));
    let mut report = ParityReport::begin(("s", "t"), MANNER, false);
    report.add(&comparison);
    assert!(report.compared.iter().any(|said| said.starts_with("3 rows of drawers once more")), "{report:?}");
}

#[tokio::test]
async fn a_row_changed_in_the_source_alone_differs_as_of_the_end_of_the_comparison() {
    let (left, right) = (holding(&rows(300)).await, holding(&rows(300)).await);
    let heard = AtomicU64::new(0);
    let change = |end: End, _: u64| {
        if end == End::Source && heard.fetch_add(1, Ordering::Relaxed) == 20 {
            at_once(&left, upserts(&changed("row-00003")));
            at_once(&left, ChangeBatch { deletes: vec!["row-00299".into()], ..ChangeBatch::default() });
        }
    };
    let comparison = compare_collection(&pair(&left, &right), MANNER, &change).await.unwrap();
    let differences = comparison.differences();
    assert_eq!(differences.iter().map(Difference::id).collect::<Vec<_>>(), ["row-00003", "row-00299"]);
    assert!(matches!(&differences[1], Difference::Extra { .. }), "{differences:?}");
    assert_eq!((verdict(&comparison), comparison.parity().compared_again), (Verdict::Different, 2));
}

#[tokio::test]
async fn a_difference_that_is_gone_at_the_end_is_none() {
    let mut before = rows(300);
    before.extend(changed("row-00003"));
    let (left, right) = (holding(&rows(300)).await, holding(&before).await);
    let heard = AtomicU64::new(0);
    let change = |end: End, _: u64| {
        if end == End::Target && heard.fetch_add(1, Ordering::Relaxed) == 20 {
            let original = rows(300);
            at_once(&right, upserts(&original.into_iter().filter(|(id, _)| id == "row-00003").collect()));
        }
    };
    let comparison = compare_collection(&pair(&left, &right), MANNER, &change).await.unwrap();
    assert_eq!((verdict(&comparison), comparison.parity().compared_again), (Verdict::Equal, 1));
}

#[tokio::test]
async fn a_row_that_never_lies_still_is_neither_equal_nor_different() {
    let (left, right) = (holding(&rows(300)).await, holding(&rows(300)).await);
    let heard = AtomicU64::new(0);
    let change = |_: End, _: u64| {
        let document = Some(heard.fetch_add(1, Ordering::Relaxed).to_string());
        at_once(&left, upserts(&[("row-00003".into(), Content { document, ..content(1) })].into()));
    };
    let comparison = compare_collection(&pair(&left, &right), MANNER, &change).await.unwrap();
    assert_eq!((verdict(&comparison), comparison.differences().len()), (Verdict::Inconclusive, 0));
    let parity = comparison.parity();
    assert_eq!(parity.inconclusive, ["rows are changed faster than they can be compared: 1"]);
    assert_eq!(parity.equal, 299);

    // Another one that lies still and differs settles it.
    put(right.as_ref(), &changed("row-00250")).await;
    let comparison = compare_collection(&pair(&left, &right), MANNER, &change).await.unwrap();
    let differences = comparison.differences();
    assert_eq!(differences.iter().map(Difference::id).collect::<Vec<_>>(), ["row-00250"]);
    assert_eq!(verdict(&comparison), Verdict::Different);
    let mut report = ParityReport::begin(("s", "t"), MANNER, false);
    report.add(&comparison);
    assert!(report.not_compared.iter().any(|said| said.starts_with("1 rows of drawers")), "{report:?}");
}

/// A store that tells no changes.
struct Silent;

#[async_trait]
impl Between for Silent {
    async fn feed_head(&self, _: &dyn Collection) -> Result<Option<FeedHead>> {
        Ok(None)
    }
}

#[tokio::test]
async fn a_store_that_tells_no_changes_is_inconclusive_if_its_number_of_rows_changes_and_said_to_be_silent() {
    let left = holding_behind(&rows(300), Some(Arc::new(Silent))).await;
    let right = holding(&rows(300)).await;
    let still = compare_collection(&pair(&left, &right), MANNER, &|_, _| {}).await.unwrap();
    assert_eq!(verdict(&still), Verdict::Equal);
    let mut report = ParityReport::begin(("s", "t"), MANNER, false);
    report.add(&still);
    assert!(report.not_compared.iter().any(|said| said.starts_with("whether the source was changed")), "{report:?}");
    let heard = AtomicU64::new(0);
    let change = |end: End, _: u64| {
        if end == End::Source && heard.fetch_add(1, Ordering::Relaxed) == 20 {
            at_once(&left, upserts(&changed("row-00003-and-a-half")));
        }
    };
    let grown = compare_collection(&pair(&left, &right), MANNER, &change).await.unwrap();
    assert_eq!(verdict(&grown), Verdict::Inconclusive);
    assert_eq!(grown.parity().inconclusive, ["the source was changed while it was read: 300 rows became 301"]);
}

/// A collection that is another one each time it is asked.
struct Anew(AtomicU64);

#[async_trait]
impl Between for Anew {
    async fn info(&self, behind: &dyn Collection) -> Result<CollectionInfo> {
        let n = self.0.fetch_add(1, Ordering::Relaxed);
        Ok(CollectionInfo { incarnation: Some(n.to_string()), ..behind.info().await? })
    }
}

#[tokio::test]
async fn a_collection_that_was_dropped_and_made_again_meanwhile_is_inconclusive() {
    let left = holding(&rows(30)).await;
    let right = holding_behind(&rows(30), Some(Arc::new(Anew(AtomicU64::new(0))))).await;
    put(left.as_ref(), &changed("row-00003")).await;
    let comparison = compare_collection(&pair(&left, &right), MANNER, &|_, _| {}).await.unwrap();
    assert_eq!(verdict(&comparison), Verdict::Inconclusive);
    let reasons = comparison.parity().inconclusive;
    assert_eq!(reasons, ["the target was dropped and made again while it was read"]);
}
