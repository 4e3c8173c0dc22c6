use crate::testing::{DIMENSION, Owned, TestPalace, contents, kind, row, rows, spec, upserts};
use futures::future::join_all;
use lancedb::table::OptimizeAction;
use palanquin_engine::contract::{Collection, ErrorKind, Metadata, Result, RowUpdates, Selection, WriteMode};
use serde_json::{Value, json};
use std::sync::Arc;

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn object(value: Value) -> Metadata {
    value.as_object().unwrap().clone()
}

async fn handles(palace: &TestPalace, several: usize) -> Vec<Arc<dyn Collection>> {
    let mut handles = Vec::new();
    for _ in 0..several {
        handles.push(palace.again().await.collection("c").await.unwrap());
    }
    handles
}

#[tokio::test]
async fn an_update_replaces_the_given_fields_in_one_commit_and_passes_over_what_is_not_there() {
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    let given = [row("a", 0), row("b", 5), row("c", 6), row("untouched", 7)];
    collection.apply(upserts(&given), WriteMode::Append).await.unwrap();
    let before = palace.table("c").await.version().await.unwrap();
    let updates = RowUpdates::try_new(
        ids(&["a", "absent", "b", "a"]),
        Some(vec![Some("first".into()), None, None, Some("last".into())]),
        Some(vec![object(json!({"x": 0})), Metadata::new(), object(json!({"n": null})), object(json!({"x": 1.0}))]),
        None,
    );
    assert_eq!(collection.update(updates.unwrap()).await.unwrap(), 2);
    assert_eq!(palace.table("c").await.version().await.unwrap(), before + 1);
    let found = contents(collection.as_ref()).await;
    let a = Owned { document: Some("last".into()), metadata: r#"{"n":0,"x":1.0}"#.into(), ..given[0].clone() };
    assert_eq!(found["a"], a);
    assert_eq!(found["b"], Owned { document: None, metadata: "{}".into(), ..given[1].clone() });
    assert_eq!((&found["c"], &found["untouched"], found.len()), (&given[2], &given[3], 4));

    let vectors = RowUpdates::try_new(ids(&["c"]), None, None, Some(vec![vec![9.0; 4]])).unwrap();
    assert_eq!(collection.update(vectors).await.unwrap(), 1);
    assert_eq!(contents(collection.as_ref()).await["c"], Owned { embedding: Some(vec![9.0; 4]), ..given[2].clone() });
}

#[tokio::test]
async fn an_update_of_nothing_that_is_there_is_no_commit_and_one_of_another_width_is_refused() {
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    let update = |id: &str, width| RowUpdates::try_new(ids(&[id]), None, None, Some(vec![vec![0.5; width]])).unwrap();
    assert_eq!(collection.update(update("absent", 4)).await.unwrap(), 0);
    let none = RowUpdates::try_new(Vec::new(), Some(Vec::new()), None, None).unwrap();
    assert_eq!(collection.update(none).await.unwrap(), 0);
    assert_eq!(palace.table("c").await.version().await.unwrap(), 1);
    collection.apply(upserts(&[row("a", 0)]), WriteMode::Append).await.unwrap();
    assert_eq!(kind(collection.update(update("a", 3)).await), ErrorKind::DimensionMismatch);
    assert_eq!(contents(collection.as_ref()).await["a"], row("a", 0));
}

/// Each writer adds keys of its own to the same row. An update that rested on an older state would take some away.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn updates_of_the_same_row_by_several_writers_lose_nothing() {
    let palace = TestPalace::new().await;
    let first = palace.collection().await;
    first.apply(upserts(&[row("a", 0), row("b", 0), row("other", 0)]), WriteMode::Append).await.unwrap();
    let handles = handles(&palace, 3).await;
    let (writers, rounds) = (handles.len(), 5);
    let write = |writer: usize| {
        let handle = handles[writer].clone();
        async move {
            for round in 0..rounds {
                let new = object(json!({ format!("w{writer}-{round}"): round }));
                let updates = RowUpdates::try_new(ids(&["a", "b"]), None, Some(vec![new.clone(), new]), None).unwrap();
                assert_eq!(handle.update(updates).await.unwrap(), 2);
            }
        }
    };
    let compact = async {
        for _ in 0..4 {
            let table = palace.table("c").await;
            // It may lose against the writers; what matters is what it does to them.
            drop(table.optimize(OptimizeAction::Compact { options: Default::default(), remap_options: None }).await);
        }
    };
    let others = async {
        for n in 0..6 {
            first.apply(upserts(&[row("other", n), row(format!("new {n}"), n)]), WriteMode::Upsert).await.unwrap();
        }
    };
    tokio::join!(join_all((0..writers).map(write)), compact, others);
    let found = contents(first.as_ref()).await;
    for id in ["a", "b"] {
        let metadata: Metadata = serde_json::from_str(&found[id].metadata).unwrap();
        assert_eq!(metadata.len(), 1 + writers * rounds, "{id}: {metadata:?}");
    }
    assert_eq!((found.len(), &found["other"]), (9, &row("other", 5)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_row_removed_under_an_update_does_not_come_back() {
    let palace = TestPalace::new().await;
    let first = palace.collection().await;
    let handles = handles(&palace, 2).await;
    for round in 0..8 {
        let id = format!("{round}");
        first.apply(upserts(&[row(&id, 0), row("stays", 0)]), WriteMode::Upsert).await.unwrap();
        let updates = RowUpdates::try_new(vec![id.clone()], Some(vec![Some("new".into())]), None, None).unwrap();
        let selection = Selection::ids([&id]);
        let (updated, deleted) = tokio::join!(handles[0].update(updates), handles[1].delete(&selection));
        assert!(updated.unwrap() <= 1);
        assert_eq!(deleted.unwrap(), 1);
        assert_eq!(contents(first.as_ref()).await.into_keys().collect::<Vec<_>>(), ["stays"]);
    }
}

/// Two rows are always written together; whoever reads them must see them equal.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_never_sees_half_of_an_update() {
    let palace = TestPalace::new().await;
    let writer = palace.collection().await;
    writer.apply(upserts(&[row("a", 0)]), WriteMode::Append).await.unwrap();
    writer.apply(upserts(&[row("b", 0)]), WriteMode::Append).await.unwrap();
    let reader = handles(&palace, 1).await.remove(0);
    let (done, mut is_done) = tokio::sync::oneshot::channel();
    let write = async {
        for n in 0..10 {
            let document = Some(format!("{n}"));
            let updates = RowUpdates::try_new(ids(&["a", "b"]), Some(vec![document.clone(), document]), None, None);
            writer.update(updates.unwrap()).await.unwrap();
        }
        done.send(()).unwrap();
    };
    let read = async {
        let mut states = 0;
        while is_done.try_recv().is_err() {
            let found = contents(reader.as_ref()).await;
            assert_eq!(found.len(), 2);
            assert!(
                states == 0 || found["a"].document == found["b"].document || found["a"] == row("a", 0),
                "{found:?}"
            );
            states += 1;
        }
        states
    };
    let ((), states) = tokio::join!(write, read);
    assert!(states > 0);
}

#[tokio::test]
async fn adding_a_row_that_is_there_or_comes_twice_writes_nothing() {
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    collection.add(rows(&[row("a", 0), row("b", 1)])).await.unwrap();
    for refused in [vec![row("c", 0), row("a", 5)], vec![row("c", 0), row("d", 1), row("c", 2)]] {
        assert_eq!(kind(collection.add(rows(&refused)).await), ErrorKind::IdExists);
    }
    let found = contents(collection.as_ref()).await;
    assert_eq!(found.into_values().collect::<Vec<_>>(), [row("a", 0), row("b", 1)]);
    let wider = palace.palace.create_collection(&spec("wider", DIMENSION + 1)).await.unwrap();
    assert_eq!(kind(wider.add(rows(&[row("a", 0)])).await), ErrorKind::DimensionMismatch);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_several_that_add_the_same_id_one_succeeds() {
    let palace = TestPalace::new().await;
    let first = palace.collection().await;
    let handles = handles(&palace, 3).await;
    for round in 0..6 {
        let of = |writer: usize| vec![row(format!("same {round}"), writer as i64), row(format!("{round}/{writer}"), 0)];
        let adds = handles.iter().enumerate().map(|(writer, handle)| handle.add(rows(&of(writer))));
        let added: Vec<Result<()>> = join_all(adds).await;
        assert_eq!(added.iter().filter(|added| added.is_ok()).count(), 1, "{added:?}");
        let found = contents(first.as_ref()).await;
        assert_eq!(found.len(), 2 * (round + 1));
        let winner = added.iter().position(Result::is_ok).unwrap();
        assert_eq!(found[&format!("same {round}")], row(format!("same {round}"), winner as i64));
        for refused in added.into_iter().filter_map(Result::err) {
            assert_eq!(refused.kind(), ErrorKind::IdExists, "{}", refused.what());
        }
    }
}
