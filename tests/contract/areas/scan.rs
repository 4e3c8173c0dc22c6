//! Scans, cuts and last ids: how copies read.

use crate::rows::{assert_rows, batch, ids_of, model_of, numbered, scanned, scanned_range};
use crate::world::{WIDTH, World, seeded};
use futures::TryStreamExt;
use palanquin_engine::contract::{KeyRange, ScanOrder, ScanRequest};
use palanquin_engine::rows::RowBatch;
use rand::Rng;
use std::collections::BTreeSet;

/// Ids whose order differs by locale, by UTF-16 and by case folding from that of their bytes.
const IDS: [&str; 20] = [
    "-",
    "0",
    "10",
    "2",
    "A",
    "B",
    "Z",
    "_",
    "a",
    "a b",
    "a-b",
    "aB",
    "a_b",
    "ab",
    "b",
    "z",
    "é",
    "日",
    "\u{ffff}",
    "\u{10000}",
];

fn ranges() -> Vec<KeyRange> {
    let bounds = || {
        [
            None,
            Some("0"),
            Some("5"),
            Some("B"),
            Some("a"),
            Some("a-b"),
            Some("zz"),
            Some("\u{ffff}"),
            Some("\u{10ffff}"),
        ]
    };
    let own = |bound: Option<&str>| bound.map(str::to_owned);
    bounds()
        .into_iter()
        .flat_map(|after| bounds().map(|upto| KeyRange { after: own(after), upto: own(upto) }))
        .collect()
}

pub(crate) async fn rows_come_in_the_byte_order_of_their_ids(world: &World) {
    let drawers = world.drawers().await;
    let rows: Vec<_> = IDS.iter().rev().map(|id| world.row(*id).document(*id)).collect();
    drawers.upsert(batch(&rows, WIDTH)).await.unwrap();
    let mut wanted = IDS.map(str::to_owned).to_vec();
    wanted.sort();
    assert_eq!(ids_of(&scanned(drawers.as_ref()).await), wanted);
    assert_eq!(ids_of(&crate::rows::got_all(world, drawers.as_ref()).await), wanted, "and so by get");
}

pub(crate) async fn a_range_is_open_below_and_closed_above(world: &World) {
    let drawers = world.drawers().await;
    let rows = IDS.map(|id| world.row(id).document(id));
    drawers.upsert(batch(&rows, WIDTH)).await.unwrap();
    let sorted: BTreeSet<&str> = IDS.into_iter().collect();
    for range in ranges() {
        let wanted: Vec<&str> = sorted.iter().copied().filter(|id| range.contains(id)).collect();
        for batch_rows in [1, 3, 100] {
            let found = scanned_range(drawers.as_ref(), range.clone(), ScanOrder::ById, batch_rows).await.unwrap();
            assert_eq!(ids_of(&found), wanted, "{range}, {batch_rows} at a time");
        }
        let mut found = ids_of(&scanned_range(drawers.as_ref(), range.clone(), ScanOrder::Any, 3).await.unwrap());
        found.sort();
        assert_eq!(found, wanted, "{range}, in any order");
        let last = drawers.last_id(&range).await.unwrap();
        assert_eq!(last.as_deref(), wanted.last().copied(), "the last id of {range}");
    }
}

pub(crate) async fn no_batch_is_larger_than_was_asked_for(world: &World) {
    let drawers = world.drawers().await;
    drawers.upsert(batch(&numbered(0..100, WIDTH), WIDTH)).await.unwrap();
    drawers.upsert(batch(&numbered(60..160, WIDTH), WIDTH)).await.unwrap();
    for order in [ScanOrder::ById, ScanOrder::Any] {
        for batch_rows in [1, 7, 64, 159, 160, 1_000] {
            let request = ScanRequest { range: KeyRange::ALL, order, batch_rows };
            let batches: Vec<RowBatch> = drawers.scan(request).try_collect().await.unwrap();
            let sizes: Vec<usize> = batches.iter().map(RowBatch::len).collect();
            assert!(sizes.iter().all(|size| *size <= batch_rows), "{order:?} by {batch_rows}: {sizes:?}");
            assert_eq!(sizes.iter().sum::<usize>(), 160, "{order:?} by {batch_rows}");
            assert!(batches.iter().all(|batch| batch.dimension() == WIDTH), "of the collection's width");
        }
    }
}

pub(crate) async fn partitions_cover_every_id_there_can_be_once(world: &World) {
    let mut rng = seeded(0xc07);
    let drawers = world.drawers().await;
    for count in [0, 1, 500] {
        let rows: Vec<_> = (0..count).map(|_| world.row(format!("{:x}", rng.random::<u32>()))).collect();
        drawers.upsert(batch(&rows, WIDTH)).await.unwrap();
        let held = scanned(drawers.as_ref()).await;
        for rows_per_partition in [1, 10, 100, 499, 10_000] {
            let partitions = drawers.cut(rows_per_partition).await.unwrap();
            let shown = format!("{} rows by {rows_per_partition}", held.len());
            assert_eq!(partitions.first().expect("at least one").range.after, None, "{shown}: open below");
            assert_eq!(partitions.last().expect("at least one").range.upto, None, "{shown}: open above");
            for pair in partitions.windows(2) {
                assert!(pair[0].range.upto.is_some(), "{shown}: only the last is open above");
                assert_eq!(pair[0].range.upto, pair[1].range.after, "{shown}: one begins where the other ends");
            }
            let (mut found, mut largest) = (Vec::new(), 0);
            for partition in &partitions {
                let order = ScanOrder::ById;
                let rows = scanned_range(drawers.as_ref(), partition.range.clone(), order, 64).await.unwrap();
                largest = largest.max(rows.len());
                found.extend(rows);
            }
            assert_rows(world, &found, &held, &shown);
            let bound = (rows_per_partition as usize * 4).max(8);
            assert!(largest <= bound, "{shown}: a partition of {largest} rows");
        }
    }
}

pub(crate) async fn a_scan_of_nothing_ends_at_once(world: &World) {
    let drawers = world.drawers().await;
    assert!(scanned(drawers.as_ref()).await.is_empty());
    assert_eq!(drawers.last_id(&KeyRange::ALL).await.unwrap(), None);
    drawers.upsert(batch(&numbered(0..3, WIDTH), WIDTH)).await.unwrap();
    let beyond = KeyRange { after: Some("zzz".into()), upto: None };
    assert!(scanned_range(drawers.as_ref(), beyond.clone(), ScanOrder::ById, 10).await.unwrap().is_empty());
    assert_eq!(drawers.last_id(&beyond).await.unwrap(), None);
}

pub(crate) async fn rows_that_do_not_change_are_each_seen_once_while_others_do(world: &World) {
    let drawers = world.drawers().await;
    let kept: Vec<_> = (0..300).map(|n| world.row(format!("{n:03}-kept")).document("kept")).collect();
    drawers.upsert(batch(&kept, WIDTH)).await.unwrap();
    let writer = world.drawers_elsewhere("palace").await;
    for order in [ScanOrder::ById, ScanOrder::Any] {
        let mut batches = drawers.scan(ScanRequest { range: KeyRange::ALL, order, batch_rows: 20 });
        let (mut seen, mut turn) = (Vec::new(), 0);
        while let Some(batch_read) = batches.try_next().await.unwrap() {
            seen.extend(batch_read.ids().iter().flatten().map(str::to_owned));
            // Between two batches rows come, change and go on both sides of where the scan is.
            let others: Vec<_> = (0..300).step_by(13).map(|n| world.row(format!("{n:03}-turn-{}", turn % 3))).collect();
            writer.upsert(batch(&others, WIDTH)).await.unwrap();
            if turn % 2 == 1 {
                let gone = ids_of(&others);
                writer.delete(&palanquin_engine::contract::Selection::ids(gone)).await.unwrap();
            }
            turn += 1;
        }
        let seen_kept: Vec<&String> = seen.iter().filter(|id| id.ends_with("kept")).collect();
        let distinct: BTreeSet<&&String> = seen_kept.iter().collect();
        assert_eq!((seen_kept.len(), distinct.len()), (300, 300), "{order:?}: each row that stayed, once");
    }
    let left = model_of(&scanned(drawers.as_ref()).await);
    assert!(kept.iter().all(|row| left.contains_key(&row.id)));
}
