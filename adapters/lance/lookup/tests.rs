use crate::testing::{Owned, TestPalace, changes, kind, row, rows, spec, upserts};
use arrow_array::StringArray;
use lancedb::index::Index;
use lancedb::table::OptimizeAction;
use palanquin_engine::contract::{
    Collection, CollectionSpec, ErrorKind, Filter, GetRequest, Include, Metric, QueryRequest, Selection, WriteMode,
    reference,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::sync::Arc;

const DIMENSION: usize = 4;

fn seeds() -> Vec<u64> {
    let seed = std::env::var("PALANQUIN_SEED").ok().and_then(|seed| seed.parse().ok());
    seed.map_or_else(|| (0..2).map(|_| rand::random()).collect(), |seed| vec![seed])
}

fn pick<'a, T>(random: &mut StdRng, from: &'a [T]) -> &'a T {
    &from[random.random_range(0..from.len())]
}

fn some_value(random: &mut StdRng) -> Value {
    let values = [
        json!(1),
        json!(1.0),
        json!(1.5),
        json!(-3),
        json!(9_007_199_254_740_993_u64),
        json!("1"),
        json!("it's \"x\" \\ ä🙂"),
        json!(""),
        json!(true),
        json!(null),
        json!(["a", 1]),
        json!({"k": 1}),
    ];
    pick(random, &values).clone()
}

fn some_row(random: &mut StdRng, id: String) -> Owned {
    let mut metadata = serde_json::Map::new();
    for key in ["a", "b", "it's", "$x"] {
        if random.random_bool(0.6) {
            metadata.insert(key.into(), some_value(random));
        }
    }
    let vectors =
        [vec![0.0; 4], vec![1e30; 4], vec![-1e30, 1e30, 0.0, 1e-30], vec![1.0, 0.0, 0.0, 0.0], vec![1e-40; 4]];
    let documents = ["", "the Lemon tree", "lemon", "ä🙂 it's 100%", "a_b", "x\ny"];
    Owned {
        id,
        document: random.random_bool(0.8).then(|| (*pick(random, &documents)).to_owned()),
        metadata: palanquin_engine::rows::canonical_metadata(&metadata),
        embedding: random.random_bool(0.85).then(|| match random.random_range(0..3) {
            0 => pick(random, &vectors).clone(),
            _ => (0..DIMENSION).map(|_| random.random_range(-2..=2) as f32).collect(),
        }),
    }
}

fn some_filter(random: &mut StdRng, depth: u32) -> Value {
    let operators = ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$contains"];
    match random.random_range(0..if depth == 0 { 3 } else { 5 }) {
        0 => json!({ *pick(random, &["a", "b", "it's", "no such key"]): some_plain(random) }),
        1 => json!({ *pick(random, &["a", "b", "it's"]): { *pick(random, &operators): some_value(random) } }),
        2 => {
            let members: Vec<Value> = (0..random.random_range(0..4)).map(|_| some_value(random)).collect();
            json!({ *pick(random, &["a", "b"]): { *pick(random, &["$in", "$nin"]): members } })
        }
        which => {
            let parts: Vec<Value> = (0..random.random_range(0..4)).map(|_| some_filter(random, depth - 1)).collect();
            json!({ if which == 3 { "$and" } else { "$or" }: parts })
        }
    }
}

/// A bare value; an object would be read as operators.
fn some_plain(random: &mut StdRng) -> Value {
    match some_value(random) {
        Value::Object(_) => json!(2),
        value => value,
    }
}

fn filter(random: &mut StdRng) -> Filter {
    let metadata = match random.random_range(0..6) {
        0 => Filter::All,
        _ => Filter::parse(&some_filter(random, 2)).unwrap(),
    };
    match random.random_range(0..3) {
        0 => {
            let part = *pick(random, &["lemon", "Lemon", "'", "%", "_", "", "🙂", "\n"]);
            metadata.and(Filter::DocumentContains(part.to_owned()))
        }
        _ => metadata,
    }
}

async fn filled(palace: &TestPalace, random: &mut StdRng, metric: Metric) -> Arc<dyn Collection> {
    let spec = CollectionSpec { metric, ..spec("c", DIMENSION as u32) };
    let collection = palace.palace.create_collection(&spec).await.unwrap();
    for part in 0..4 {
        let given: Vec<_> = (0..40).map(|n| some_row(random, format!("{part}'{n}"))).collect();
        collection.apply(upserts(&given), WriteMode::Append).await.unwrap();
    }
    let again: Vec<_> = (0..10).map(|n| some_row(random, format!("2'{n}"))).collect();
    collection.apply(changes(&again, &["0'3", "3'39"]), WriteMode::Upsert).await.unwrap();
    collection
}

fn include(random: &mut StdRng) -> Include {
    let mut on = || random.random_bool(0.5);
    Include { documents: on(), metadatas: on(), distances: on(), embeddings: on() }
}

/// Everything that is answered, against the answers made of nothing but scans.
async fn same_answers(collection: &Arc<dyn Collection>, random: &mut StdRng, times: usize) {
    for _ in 0..times {
        let ids: Option<Vec<String>> = random.random_bool(0.4).then(|| {
            let id = |random: &mut StdRng| format!("{}'{}", random.random_range(0..4), random.random_range(0..44));
            (0..random.random_range(0..30)).map(|_| id(random)).collect()
        });
        let request = GetRequest {
            selection: Selection { ids, filter: filter(random) },
            limit: random.random_bool(0.5).then(|| random.random_range(0..30)),
            offset: random.random_range(0..3) * random.random_range(0..20),
            include: include(random),
        };
        assert_eq!(
            collection.get(&request).await.unwrap(),
            reference::get(collection.as_ref(), &request).await.unwrap(),
            "{request:?}"
        );

        let vectors = [vec![0.0; 4], vec![1e30; 4], vec![1.0, -1.0, 0.5, 0.0], vec![2.0, 2.0, 2.0, 2.0]];
        let request = QueryRequest {
            embeddings: (0..random.random_range(0..3)).map(|_| pick(random, &vectors).clone()).collect(),
            results: random.random_range(0..12),
            filter: filter(random),
            include: include(random),
        };
        assert_eq!(
            collection.query(&request).await.unwrap(),
            reference::query(collection.as_ref(), &request).await.unwrap(),
            "{request:?}"
        );
    }
}

#[tokio::test]
async fn lookups_give_the_answers_of_the_reference() {
    for seed in seeds() {
        println!("PALANQUIN_SEED={seed}");
        let mut random = StdRng::seed_from_u64(seed);
        for metric in [Metric::Cosine, Metric::L2, Metric::Ip] {
            let palace = TestPalace::new().await;
            let collection = filled(&palace, &mut random, metric).await;
            same_answers(&collection, &mut random, 40).await;
        }
    }
}

#[tokio::test]
async fn an_index_on_the_ids_changes_no_answer() {
    for seed in seeds() {
        println!("PALANQUIN_SEED={seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let palace = TestPalace::new().await;
        let collection = filled(&palace, &mut random, Metric::L2).await;
        let table = palace.table("c").await;
        table.create_index(&["id"], Index::BTree(Default::default())).execute().await.unwrap();
        same_answers(&collection, &mut random, 20).await;
        let given: Vec<_> = (0..30).map(|n| some_row(&mut random, format!("{}'{n}", n % 4))).collect();
        collection.apply(changes(&given, &["1'31", "2'32"]), WriteMode::Upsert).await.unwrap();
        same_answers(&collection, &mut random, 20).await;
        table.checkout_latest().await.unwrap();
        table.optimize(OptimizeAction::All).await.unwrap();
        same_answers(&collection, &mut random, 20).await;
    }
}

#[tokio::test]
async fn a_delete_by_filter_removes_exactly_what_passes_in_one_commit() {
    for seed in seeds() {
        println!("PALANQUIN_SEED={seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let palace = TestPalace::new().await;
        let collection = filled(&palace, &mut random, Metric::Cosine).await;
        let all = crate::testing::contents(collection.as_ref()).await;
        for _ in 0..15 {
            let ids = random.random_bool(0.3).then(|| (0..40).map(|n| format!("1'{n}")).collect());
            let selection = Selection { ids, filter: filter(&mut random) };
            let doomed = reference::get(collection.as_ref(), &GetRequest::of(selection.clone())).await.unwrap().ids;
            let before = palace.table("c").await.version().await.unwrap();
            assert_eq!(collection.delete(&selection).await.unwrap(), doomed.len() as u64, "{selection:?}");
            let commits = palace.table("c").await.version().await.unwrap() - before;
            assert_eq!(commits, u64::from(!doomed.is_empty()), "{selection:?}");
            let left = crate::testing::contents(collection.as_ref()).await;
            assert_eq!(left.len(), all.len() - doomed.len());
            assert!(doomed.iter().all(|id| !left.contains_key(id)));
            let put_back: Vec<_> = doomed.iter().map(|id| all[id].clone()).collect();
            collection.apply(upserts(&put_back), WriteMode::Upsert).await.unwrap();
        }
    }
}

#[tokio::test]
async fn more_ids_than_a_list_may_hold_are_found_too() {
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    let given: Vec<_> = (0..25_000).map(|n| row(format!("{n:06}"), n)).collect();
    collection.apply(upserts(&given), WriteMode::Append).await.unwrap();
    let named = Selection::ids(given.iter().rev().map(|row| row.id.clone()).chain(["absent".to_owned()]));
    let request =
        GetRequest { include: Include::IDS, offset: 10, limit: Some(20_000), ..GetRequest::of(named.clone()) };
    let found = collection.get(&request).await.unwrap().ids;
    assert_eq!((found.len(), found[0].as_str(), found[19_999].as_str()), (20_000, "024989", "004990"));
    let even = Filter::parse(&json!({"n": {"$gte": 1000}})).unwrap();
    assert_eq!(collection.delete(&Selection { filter: even, ..named }).await.unwrap(), 24_000 - (24_000 / 7 + 1));
}

#[tokio::test]
async fn in_a_table_made_by_others_a_filter_sees_what_a_scan_shows() {
    let palace = TestPalace::new().await;
    let metadata = StringArray::from(vec![
        Some(r#"{ "a": 1.0 }"#),
        None,
        Some(""),
        Some("null"),
        Some(r#"{"_repaired_empty_meta":true}"#),
    ]);
    let ids = StringArray::from(vec!["a", "b", "c", "d", "e"]);
    palace.foreign_table("foreign", ids, metadata).await;
    let collection = palace.palace.collection("foreign").await.unwrap();
    for clause in [json!({"a": 1}), json!({"a": null}), json!({"_repaired_empty_meta": true}), json!({"a": {"$ne": 1}})]
    {
        let request = GetRequest::of(Selection::filter(Filter::parse(&clause).unwrap()));
        assert_eq!(
            collection.get(&request).await.unwrap(),
            reference::get(collection.as_ref(), &request).await.unwrap(),
            "{clause}"
        );
    }
}

#[tokio::test]
async fn metadata_that_is_no_object_is_damage_to_whoever_filters_by_it() {
    let palace = TestPalace::new().await;
    palace.foreign_table("foreign", StringArray::from(vec!["a"]), StringArray::from(vec!["[1]"])).await;
    let collection = palace.palace.collection("foreign").await.unwrap();
    let selection = Selection::filter(Filter::parse(&json!({"a": 1})).unwrap());
    let error = collection.get(&GetRequest::of(selection.clone())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{}", error.what());
    assert!(error.what().contains("collection foreign"), "{}", error.what());
    assert_eq!(kind(collection.delete(&selection).await), ErrorKind::Corrupt);
    let all = GetRequest::of(Selection::default());
    assert_eq!(kind(collection.get(&all).await), ErrorKind::Corrupt);
    assert_eq!(collection.get(&GetRequest { include: Include::IDS, ..all }).await.unwrap().ids, ["a"]);
}

#[tokio::test]
async fn an_empty_collection_answers_with_empty_lists() {
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    assert!(collection.get(&GetRequest::of(Selection::default())).await.unwrap().ids.is_empty());
    let found = collection.query(&QueryRequest::of(vec![vec![0.0; 4]; 2], 3)).await.unwrap();
    assert_eq!((found.ids.len(), found.distances.len(), found.embeddings), (2, 2, None));
    assert_eq!(collection.delete(&Selection::ids(["a"])).await.unwrap(), 0);
    collection.add(rows(&[])).await.unwrap();
    assert_eq!(palace.table("c").await.version().await.unwrap(), 1);
}
