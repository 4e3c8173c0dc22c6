use crate::testing::{Owned, TestPalace, changes, contents, kind, row, scan, spec, try_scan, upserts};
use arrow_array::StringArray;
use lancedb::table::OptimizeAction;
use palanquin_engine::contract::{Collection, ErrorKind, KeyRange, ScanOrder, WriteMode};
use std::sync::Arc;

fn scattered_id(n: u64) -> String {
    format!("{:016x}-{}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17), ["'", "ä", "🙂", ""][n as usize % 4])
}

/// Several fragments, none in order, with holes and rewritten rows.
async fn worn(palace: &TestPalace) -> Arc<dyn Collection> {
    let collection = palace.collection().await;
    for part in 0..4u64 {
        let given: Vec<_> = (part * 300..(part + 1) * 300).map(|n| row(scattered_id(n), n as i64)).collect();
        collection.apply(upserts(&given), WriteMode::Append).await.unwrap();
    }
    let rewritten: Vec<_> = (100..700).step_by(7).map(|n| row(scattered_id(n), 5000 + n as i64)).collect();
    let gone: Vec<String> = (0..1200).step_by(11).filter(|n| !(100..700).contains(n)).map(scattered_id).collect();
    let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
    collection.apply(changes(&rewritten, &gone), WriteMode::Upsert).await.unwrap();
    collection
}

async fn in_order_everywhere(collection: &dyn Collection) {
    let expected: Vec<Owned> = contents(collection).await.into_values().collect();
    assert!(expected.len() > 1000);
    for batch in [1000, 97] {
        assert_eq!(scan(collection, KeyRange::ALL, ScanOrder::ById, batch).await, expected);
    }
    for per in [100, 333, 100_000] {
        let partitions = collection.cut(per).await.unwrap();
        let mut all = Vec::new();
        for partition in &partitions {
            let ordered = scan(collection, partition.range.clone(), ScanOrder::ById, 64).await;
            assert_eq!(ordered.len() as u64, partition.rows);
            let mut streamed = scan(collection, partition.range.clone(), ScanOrder::Any, 64).await;
            streamed.sort_by(|a, b| a.id.cmp(&b.id));
            assert_eq!(streamed, ordered);
            let last = collection.last_id(&partition.range).await.unwrap();
            assert_eq!(last.as_ref(), ordered.last().map(|row| &row.id));
            all.extend(ordered);
        }
        assert_eq!(all, expected);
    }
}

#[tokio::test]
async fn an_ordered_scan_is_in_byte_order_of_the_ids_across_fragments_holes_and_updates() {
    let palace = TestPalace::new().await;
    let collection = worn(&palace).await;
    in_order_everywhere(collection.as_ref()).await;
    palace.table("c").await.optimize(OptimizeAction::All).await.unwrap();
    in_order_everywhere(collection.as_ref()).await;
}

#[tokio::test]
async fn bounds_are_exclusive_below_and_inclusive_above_whatever_they_hold() {
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    let mut ids = ["", "'", "''", "a", "a'", "b", "ä", "\u{10000}", "\u{ffff}", "\u{0}", "a\nb", "\\", "%", "_"];
    let given: Vec<_> = ids.iter().map(|id| row(*id, 0)).collect();
    collection.apply(upserts(&given), WriteMode::Append).await.unwrap();
    ids.sort_unstable();
    for after in std::iter::once(None).chain(ids.iter().map(Some)) {
        for upto in std::iter::once(None).chain(ids.iter().map(Some)) {
            let range = KeyRange { after: after.map(ToString::to_string), upto: upto.map(ToString::to_string) };
            let expected: Vec<&str> = ids.iter().copied().filter(|id| range.contains(id)).collect();
            let found = scan(collection.as_ref(), range.clone(), ScanOrder::ById, 100).await;
            let found: Vec<&str> = found.iter().map(|row| row.id.as_str()).collect();
            assert_eq!(found, expected, "{range}");
            assert_eq!(collection.last_id(&range).await.unwrap().as_deref(), expected.last().copied());
        }
    }
}

#[tokio::test]
async fn an_empty_collection_is_one_partition_and_no_batch() {
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    let partitions = collection.cut(100).await.unwrap();
    assert_eq!((partitions.len(), partitions[0].rows, &partitions[0].range), (1, 0, &KeyRange::ALL));
    for order in [ScanOrder::ById, ScanOrder::Any] {
        assert!(scan(collection.as_ref(), KeyRange::ALL, order, 10).await.is_empty());
    }
    assert_eq!(collection.last_id(&KeyRange::ALL).await.unwrap(), None);
}

#[tokio::test]
async fn a_scan_under_way_keeps_to_its_version() {
    use futures::TryStreamExt;
    let palace = TestPalace::new().await;
    let collection = worn(&palace).await;
    let expected: Vec<Owned> = contents(collection.as_ref()).await.into_values().collect();
    let request =
        palanquin_engine::contract::ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows: 50 };
    let mut batches = collection.scan(request);
    let mut found: Vec<Owned> = batches.try_next().await.unwrap().unwrap().rows().map(Owned::of).collect();
    let ids: Vec<&str> = expected.iter().map(|row| row.id.as_str()).collect();
    collection.apply(changes(&[], &ids[..800]), WriteMode::Upsert).await.unwrap();
    palace.table("c").await.optimize(OptimizeAction::All).await.unwrap();
    while let Some(batch) = batches.try_next().await.unwrap() {
        found.extend(batch.rows().map(Owned::of));
    }
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_version_that_is_pruned_under_a_scan_is_busy_and_not_damage() {
    use futures::TryStreamExt;
    let palace = TestPalace::new().await;
    let collection = worn(&palace).await;
    let request =
        palanquin_engine::contract::ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows: 10 };
    let mut batches = collection.scan(request);
    batches.try_next().await.unwrap().unwrap();
    let table = palace.table("c").await;
    table.optimize(OptimizeAction::Compact { options: Default::default(), remap_options: None }).await.unwrap();
    prune(&table).await;
    let rest: Result<Vec<_>, _> = batches.try_collect().await;
    // Lance may still hold the files open or cached; what must not happen is a verdict of damage.
    if let Err(error) = rest {
        assert_eq!(error.kind(), ErrorKind::Busy, "{}", error.what());
    }
    assert_eq!(contents(collection.as_ref()).await.len() as u64, collection.count().await.unwrap());
}

async fn prune(table: &lancedb::Table) {
    let prune = OptimizeAction::Prune {
        older_than: Some(lancedb::table::Duration::zero()),
        delete_unverified: Some(true),
        error_if_tagged_old_versions: Some(false),
    };
    table.optimize(prune).await.unwrap();
}

async fn foreign(palace: &TestPalace, rows: &[(Option<&str>, Option<&str>)]) {
    let (ids, metadata): (StringArray, StringArray) =
        (rows.iter().map(|row| row.0).collect(), rows.iter().map(|row| row.1).collect());
    palace.foreign_table("foreign", ids, metadata).await;
}

#[tokio::test]
async fn a_table_made_by_others_is_read_as_it_is() {
    let palace = TestPalace::new().await;
    let stored = [(Some("b"), Some(r#"{ "z": 1, "a": 1.0 }"#)), (Some("a"), None), (Some("b"), Some("{}"))];
    foreign(&palace, &stored).await;
    let collection = palace.palace.collection("foreign").await.unwrap();
    let info = collection.info().await.unwrap();
    assert_eq!((info.rows, info.dimension, info.identity), (3, Some(2), None));
    assert!(info.incarnation.is_some());
    let found = scan(collection.as_ref(), KeyRange::ALL, ScanOrder::ById, 10).await;
    let found: Vec<_> = found.iter().map(|row| (row.id.as_str(), row.metadata.as_str())).collect();
    assert_eq!(found, [("a", "{}"), ("b", r#"{"a":1.0,"z":1}"#), ("b", "{}")]);
    assert_eq!(collection.cut(1).await.unwrap().iter().map(|partition| partition.rows).sum::<u64>(), 3);
    assert_eq!(collection.feed_head().await.unwrap(), None);
}

#[tokio::test]
async fn a_row_without_an_id_and_metadata_that_is_no_object_are_found_and_not_passed_over() {
    let palace = TestPalace::new().await;
    foreign(&palace, &[(Some("a"), None), (None, None)]).await;
    let collection = palace.palace.collection("foreign").await.unwrap();
    let below = KeyRange { after: None, upto: Some("m".into()) };
    for (range, order) in [(KeyRange::ALL, ScanOrder::Any), (below.clone(), ScanOrder::Any), (below, ScanOrder::ById)] {
        assert_eq!(kind(try_scan(collection.as_ref(), range, order, 10).await), ErrorKind::Corrupt);
    }
    assert_eq!(kind(collection.cut(10).await), ErrorKind::Corrupt);

    let palace = TestPalace::new().await;
    foreign(&palace, &[(Some("a"), Some("[1]"))]).await;
    let collection = palace.palace.collection("foreign").await.unwrap();
    let error = try_scan(collection.as_ref(), KeyRange::ALL, ScanOrder::Any, 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.what().contains(r#"row "a""#), "{}", error.what());
}

#[tokio::test]
async fn a_table_of_another_shape_is_listed_and_refused_by_what_is_missing() {
    let palace = TestPalace::new().await;
    palace.palace.create_collection(&spec("good", 2)).await.unwrap();
    let batch = arrow_array::record_batch!(("id", Utf8, ["a"]), ("text", Utf8, ["x"])).unwrap();
    palace.connection().await.create_table("code", batch).execute().await.unwrap();
    let infos = palace.palace.collections().await.unwrap();
    let listed: Vec<_> = infos.iter().map(|info| (info.name.as_str(), info.rows, info.dimension)).collect();
    assert_eq!(listed, [("code", 1, None), ("good", 0, Some(2))]);
    let error = palace.palace.collection("code").await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::UnsupportedFormat);
    assert!(error.what().contains("column embedding is missing"), "{}", error.what());
}
