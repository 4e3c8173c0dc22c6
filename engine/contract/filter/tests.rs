use super::Filter;
use crate::contract::{ErrorKind, Metadata};
use serde_json::{Value, json};

fn passes(clause: Value, metadata: Value) -> bool {
    let metadata: Metadata = metadata.as_object().unwrap().clone();
    Filter::parse(&clause).unwrap().passes(Some("the document"), &metadata)
}

fn refused(clause: Value) -> ErrorKind {
    Filter::parse(&clause).unwrap_err().kind()
}

#[test]
fn an_absent_key_is_null() {
    for clause in
        [json!({"k": null}), json!({"k": {"$ne": 1}}), json!({"k": {"$nin": [1, 2]}}), json!({"k": {"$in": [null]}})]
    {
        assert!(passes(clause.clone(), json!({})), "{clause}");
        assert!(passes(clause.clone(), json!({"k": null})), "{clause}");
    }
    for clause in
        [json!({"k": 1}), json!({"k": {"$ne": null}}), json!({"k": {"$gt": 0}}), json!({"k": {"$contains": ""}})]
    {
        assert!(!passes(clause.clone(), json!({})), "{clause}");
    }
}

#[test]
fn numbers_compare_by_value_and_true_is_no_number() {
    assert!(passes(json!({"k": 1}), json!({"k": 1.0})));
    assert!(passes(json!({"k": 0}), json!({"k": -0.0})));
    assert!(!passes(json!({"k": 1}), json!({"k": true})));
    assert!(!passes(json!({"k": true}), json!({"k": 1})));
    assert!(!passes(json!({"k": 1}), json!({"k": "1"})));
    assert!(!passes(json!({"k": {"$gte": 0}}), json!({"k": true})));
}

#[test]
fn whole_numbers_and_floats_are_ordered_without_rounding() {
    let beyond = 9_007_199_254_740_993_i64;
    assert!(!passes(json!({"k": 9_007_199_254_740_992.0}), json!({"k": beyond})));
    assert!(passes(json!({"k": {"$gt": 9_007_199_254_740_992.0}}), json!({"k": beyond})));
    assert!(passes(json!({"k": {"$lt": 2.5}}), json!({"k": 2})));
    assert!(passes(json!({"k": {"$gt": -2.5}}), json!({"k": -2})));
    assert!(passes(json!({"k": {"$lt": -2}}), json!({"k": -2.5})));
    assert!(passes(json!({"k": {"$lt": 1e300}}), json!({"k": i64::MAX})));
    assert!(passes(json!({"k": {"$gt": -1e300}}), json!({"k": i64::MIN})));
    assert!(passes(json!({"k": u64::MAX}), json!({"k": u64::MAX})));
}

#[test]
fn what_cannot_be_ordered_does_not_match() {
    for value in [json!(null), json!(true), json!([1]), json!({"a": 1}), json!("1")] {
        for operator in ["$gt", "$gte", "$lt", "$lte"] {
            assert!(!passes(json!({"k": {operator: 1}}), json!({"k": value})), "{operator} {value}");
        }
    }
    assert!(passes(json!({"k": {"$gt": "Z"}}), json!({"k": "a"})));
}

#[test]
fn contains_finds_parts_of_texts_and_members_of_lists() {
    assert!(passes(json!({"k": {"$contains": "ell"}}), json!({"k": "hello"})));
    assert!(!passes(json!({"k": {"$contains": "ELL"}}), json!({"k": "hello"})));
    assert!(passes(json!({"k": {"$contains": ""}}), json!({"k": ""})));
    assert!(passes(json!({"k": {"$contains": 2}}), json!({"k": [1, 2.0]})));
    assert!(!passes(json!({"k": {"$contains": "1"}}), json!({"k": 213})));
}

#[test]
fn empty_clauses_and_empty_lists_have_one_meaning() {
    assert!(passes(json!({}), json!({})));
    assert!(passes(json!(null), json!({})));
    assert!(passes(json!({"$and": []}), json!({})));
    assert!(!passes(json!({"$or": []}), json!({})));
    assert!(!passes(json!({"k": {"$in": []}}), json!({"k": 1})));
    assert!(passes(json!({"k": {"$nin": []}}), json!({"k": 1})));
    assert!(Filter::parse(&json!({"$and": [{}, {"$and": []}]})).unwrap().is_all());
}

#[test]
fn several_keys_and_several_operators_are_joined_by_and() {
    let clause = json!({"a": {"$gt": 1, "$lt": 3}, "b": "x"});
    assert!(passes(clause.clone(), json!({"a": 2, "b": "x"})));
    assert!(!passes(clause.clone(), json!({"a": 2, "b": "y"})));
    assert!(!passes(clause, json!({"a": 3, "b": "x"})));
}

#[test]
fn a_document_is_searched_by_its_exact_text() {
    let filter = Filter::parse_document(&json!({"$or": [{"$contains": "cum"}, {"$contains": "zzz"}]})).unwrap();
    assert!(filter.passes(Some("the document"), &Metadata::new()));
    assert!(!filter.passes(Some("DOCUMENT"), &Metadata::new()));
    assert!(!filter.passes(None, &Metadata::new()));
}

#[test]
fn an_operator_that_is_not_of_the_dialect_is_refused_by_name() {
    for clause in [
        json!({"$not": {"a": 1}}),
        json!({"a": {"$regex": "x"}}),
        json!({"$and": [{"a": {"$exists": true}}]}),
        json!({"a": {"b": 1}}),
    ] {
        assert_eq!(refused(clause.clone()), ErrorKind::UnsupportedFilter, "{clause}");
    }
    let error = Filter::parse_document(&json!({"$not_contains": "x"})).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsupportedFilter);
}

#[test]
fn a_malformed_filter_is_refused_before_it_is_run() {
    let mut deep = json!({"a": 1});
    for _ in 0..100 {
        deep = json!({"$and": [deep]});
    }
    for clause in [
        json!([]),
        json!("a"),
        json!({"$and": {}}),
        json!({"$or": 1}),
        json!({"a": {"$in": 1}}),
        json!({"a": {}}),
        deep,
    ] {
        assert_eq!(refused(clause.clone()), ErrorKind::InvalidRequest, "{clause}");
    }
}
