//! Filters on a Chroma directory against what chromadb itself makes of them.

use palanquin_chroma::ChromaBackend;
use palanquin_engine::contract::{Filter, GetRequest, OpenMode, PalaceRef, QueryRequest, Selection, enforce};
use palanquin_tests::{Scratch, dump_of, fixture, python};
use serde_json::{Value, json};
use std::process::Command;
use std::sync::Arc;

const COLLECTION: &str = "mempalace_drawers";

/// Prints, for each clause of a JSON list, the ids that chromadb selects by it.
const SELECT: &str = r#"
import json, sys
import chromadb
collection = chromadb.PersistentClient(sys.argv[1]).get_collection("mempalace_drawers", embedding_function=None)
for clause in json.loads(sys.argv[2]):
    print(json.dumps(sorted(collection.get(include=[], **clause)["ids"])))
"#;

/// Where the dialects agree: keys that are absent, and texts in texts, chromadb takes otherwise.
fn clauses() -> Vec<Value> {
    vec![
        json!({"where": {"wing": "code"}}),
        json!({"where": {"wing": {"$ne": "code"}}}),
        json!({"where": {"pinned": true}}),
        json!({"where": {"pinned": {"$ne": true}}}),
        json!({"where": {"room": {"$in": ["ci", "diary"]}}}),
        json!({"where": {"room": {"$nin": ["ci"]}}}),
        json!({"where": {"chunk_index": {"$gt": 2}}}),
        json!({"where": {"chunk_index": {"$gte": 2}}}),
        json!({"where": {"whole": {"$lt": 100.0}}}),
        json!({"where": {"source_mtime": {"$lte": 1_772_366_500.25}}}),
        json!({"where": {"big": {"$gt": 4_611_686_018_427_388_904_i64}}}),
        json!({"where": {"$and": [{"wing": "people"}, {"chunk_index": 3}]}}),
        json!({"where": {"$or": [{"wing": "people"}, {"chunk_index": {"$lt": 1}}]}}),
        json!({"where_document": {"$contains": "river"}}),
        json!({"where_document": {"$contains": "日本語"}}),
        json!({"where": {"room": "ci"}, "where_document": {"$contains": "stone"}}),
    ]
}

fn filter(clause: &Value) -> Filter {
    let part = |key: &str| clause.get(key).cloned().unwrap_or(Value::Null);
    let document = match part("where_document") {
        Value::Null => Filter::All,
        clause => Filter::parse_document(&clause).unwrap(),
    };
    Filter::parse(&part("where")).unwrap().and(document)
}

#[tokio::test]
async fn filters_select_what_chromadb_selects_and_queries_find_the_nearest_of_it() {
    let scratch = Scratch::new();
    let palace = scratch.palace();
    let backend = enforce(Arc::new(ChromaBackend::new()));
    let opened = backend.open(&PalaceRef::local(&palace), OpenMode::Read.into()).await.unwrap();
    let collection = opened.collection(COLLECTION).await.unwrap();
    let clauses = clauses();
    let mut found = Vec::new();
    for clause in &clauses {
        found.push(collection.get(&GetRequest::of(Selection::filter(filter(clause)))).await.unwrap().ids);
    }

    // chromadb changes a palace by opening it: it has a copy.
    let opened = scratch.path("opened");
    palanquin_tests::copy_folder(&palace, &opened);
    let list = Value::from(clauses.clone()).to_string();
    let output = Command::new(python().get_program()).args(["-c", SELECT]).arg(&opened).arg(list).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let expected: Vec<Vec<String>> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(expected.len(), clauses.len());
    for ((clause, found), expected) in clauses.iter().zip(&found).zip(&expected) {
        assert!(!expected.is_empty(), "{clause} selects nothing");
        assert_eq!(found, expected, "{clause}");
    }

    let rows = dump_of(&fixture().join("dump.jsonl"));
    let vector = |id: &String| &rows[&(COLLECTION.to_owned(), id.clone())].embedding;
    let wanted = vector(&expected[0][0]).clone();
    let distance =
        |id: &String| 1.0 - vector(id).iter().zip(&wanted).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    for (clause, ids) in clauses.iter().zip(&expected) {
        let request = QueryRequest { filter: filter(clause), ..QueryRequest::of(vec![wanted.clone()], 5) };
        let hits = collection.query(&request).await.unwrap();
        let mut nearest: Vec<&String> = ids.iter().collect();
        nearest.sort_by(|one, other| distance(one).total_cmp(&distance(other)));
        assert!(hits.ids[0].iter().eq(nearest.into_iter().take(5)), "{clause}");
    }
}
