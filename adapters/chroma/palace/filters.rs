//! That what filters promise holds for a directory, through the rules around every backend.

use crate::ChromaBackend;
use crate::read::fixture::{Fixture, METADATA};
use palanquin_engine::contract::{
    Backend, Collection, Filter, GetRequest, OpenMode, PalaceRef, QueryRequest, Selection, enforce, token,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// Rows whose metadata has each type; `d` has none, and it and `e` are in the log alone.
fn fixture() -> Fixture {
    let fixture = Fixture::flushed();
    let values = "INSERT INTO embedding_metadata (id, key, int_value, float_value, bool_value) VALUES
                  (1, 'n', 1, NULL, NULL), (2, 'n', NULL, 2.5, NULL), (3, 'n', 3, NULL, NULL), (1, 'yes', NULL, NULL, 1)";
    fixture.database.execute(values, []).unwrap();
    let list = "INSERT INTO embedding_metadata_array VALUES (2, 'tags', 'x', NULL, NULL, NULL)";
    fixture.database.execute(list, []).unwrap();
    fixture.add_row("d", &[]);
    fixture.log(4, 2, "d", Some([1.0, 1.0]), None);
    fixture.set_max(METADATA, 4);
    // The tables are behind for this one.
    fixture.log(5, 2, "e", Some([9.0, 0.0]), Some(r#"{"n":2,"chroma:document":"E and A"}"#));
    fixture
}

async fn open(fixture: &Fixture) -> Arc<dyn Collection> {
    let backend = enforce(Arc::new(ChromaBackend::new()));
    let palace = backend.open(&PalaceRef::local(&fixture.path), OpenMode::Read.into()).await.unwrap();
    palace.collection("drawers").await.unwrap()
}

fn cases() -> Vec<(Value, &'static str)> {
    vec![
        (json!({}), "abcde"),
        (json!({"n": 1}), "a"),
        (json!({"n": {"$ne": 1}}), "bcde"),
        (json!({"n": {"$in": [1, 3, 7]}}), "ac"),
        (json!({"n": {"$nin": [1, 3]}}), "bde"),
        (json!({"n": {"$gt": 2}}), "bc"),
        (json!({"n": {"$gte": 2}}), "bce"),
        (json!({"n": {"$lt": 2.5}}), "ae"),
        (json!({"n": {"$lte": 2.5}}), "abe"),
        (json!({"yes": true}), "a"),
        (json!({"wing": {"$contains": "w"}}), "abc"),
        (json!({"tags": {"$contains": "x"}}), "b"),
        (json!({"$and": [{"wing": "w"}, {"n": {"$gt": 1}}]}), "bc"),
        (json!({"$or": [{"n": {"$lt": 2}}, {"n": {"$gt": 2.5}}]}), "ac"),
    ]
}

#[tokio::test]
async fn every_operator_selects_the_rows_it_should() {
    let fixture = fixture();
    let collection = open(&fixture).await;
    for (clause, expected) in cases() {
        let filter = Filter::parse(&clause).unwrap();
        let found = collection.get(&GetRequest::of(Selection::filter(filter.clone()))).await.unwrap();
        assert_eq!(found.ids.concat(), expected, "{clause}");
        let named = Selection { ids: Some(vec!["c".into(), "a".into()]), filter };
        let found = collection.get(&GetRequest::of(named)).await.unwrap();
        let expected: String = ["c", "a"].into_iter().filter(|id| expected.contains(id)).collect();
        assert_eq!(found.ids.concat(), expected, "{clause} of c and a");
    }
    let filter = Filter::parse_document(&json!({"$contains": "A"})).unwrap();
    let found = collection.get(&GetRequest::of(Selection::filter(filter))).await.unwrap();
    assert_eq!(found.ids.concat(), "ae");
}

#[tokio::test]
async fn a_query_finds_the_nearest_of_the_rows_that_pass() {
    let fixture = fixture();
    let collection = open(&fixture).await;
    // By cosine: a and e along the first axis, d at 45 degrees, b beyond it, c along the second.
    for (clause, all) in cases() {
        let request =
            QueryRequest { filter: Filter::parse(&clause).unwrap(), ..QueryRequest::of(vec![vec![1.0, 0.0]], 3) };
        let found = collection.query(&request).await.unwrap();
        let expected: String = "aedbc".chars().filter(|id| all.contains(*id)).take(3).collect();
        assert_eq!(found.ids[0].concat(), expected, "{clause}");
    }
}

#[test]
fn filters_are_advertised() {
    let backend = ChromaBackend::new();
    assert!(
        [token::METADATA_FILTERS, token::RANGE_FILTERS]
            .iter()
            .all(|token| backend.descriptor().capabilities.has(token))
    );
}
