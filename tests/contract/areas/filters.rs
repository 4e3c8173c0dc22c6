//! The whole where-dialect (§1.4) against the reference evaluator.

use super::generated::{clause, document_clause, rows_to_filter};
use crate::rows::{Written, assert_rows, batch, got, ids_of, model_of, numbered, row, scanned, written};
use crate::world::{DRAWERS, WIDTH, World, assert_refused, seeded};
use futures::TryStreamExt;
use palanquin_engine::contract::{
    Collection, ErrorKind, Filter, GetRequest, KeyRange, QueryRequest, Result, ScanOrder, ScanRequest, Selection,
    reference, token,
};
use palanquin_engine::rows::RowBatch;
use rand::Rng;
use serde_json::json;

/// Whether the backend promises to answer this filter.
fn is_promised(world: &World, filter: &Filter) -> bool {
    (filter.range_operator().is_none() || world.has(token::RANGE_FILTERS))
        && (!filter.reads_metadata() || world.has(token::METADATA_FILTERS))
}

fn passing(rows: &[Written], filter: &Filter) -> Vec<Written> {
    let rows = model_of(rows).into_values();
    rows.filter(|row| filter.passes(row.document.as_deref(), &row.metadata)).collect()
}

/// The rows `get` finds are those the reference finds, or the filter is refused by name; a scan leaves none of them out.
async fn check_get(world: &World, drawers: &dyn Collection, rows: &[Written], filter: &Filter, what: &str) {
    let request = ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows: 1_000 };
    check_scan(world, drawers, rows, filter, request, what).await;
    let found = got(world, drawers, Selection::filter(filter.clone())).await;
    if !is_promised(world, filter) {
        assert_refused(found.map(drop), ErrorKind::UnsupportedFilter, what);
        return;
    }
    let wanted = ids_of(&passing(rows, filter));
    assert_eq!(ids_of(&found.unwrap_or_else(|error| panic!("{what}: {error}"))), wanted, "{what}");
}

/// Of the range, a scan for what passes gives every such row, whole and once, and none that is not there.
async fn check_scan(
    world: &World,
    drawers: &dyn Collection,
    rows: &[Written],
    filter: &Filter,
    request: ScanRequest,
    what: &str,
) {
    let what = format!("{what}, scanned over {} {:?}", request.range, request.order);
    let batches: Vec<RowBatch> = drawers.scan_passing(request.clone(), filter).try_collect().await.unwrap();
    assert!(batches.iter().all(|batch| batch.len() <= request.batch_rows), "{what}: no larger than asked for");
    let mut found: Vec<Written> = batches.iter().flat_map(written).collect();
    if request.order == ScanOrder::Any {
        found.sort_by(|one, other| one.id.cmp(&other.id));
    }
    let all: Vec<Written> = model_of(rows).into_values().filter(|row| request.range.contains(&row.id)).collect();
    let there = model_of(&all);
    assert!(found.iter().all(|row| there.contains_key(&row.id)), "{what}: only rows of the range");
    found.retain(|row| filter.passes(row.document.as_deref(), &row.metadata));
    assert_rows(world, &found, &passing(&all, filter), &what);
}

pub(crate) async fn a_scan_for_what_passes_leaves_out_no_such_row(world: &World) {
    let mut rng = seeded(0xf17e5);
    let rows = world.fitted(rows_to_filter(&mut rng, 120));
    let drawers = filled(world, &rows).await;
    let bound = |n: usize| Some(format!("id-{n:04}"));
    for turn in 0..60 {
        let (shown, filter) = generated_filter(&mut rng);
        let (after, upto) = (rng.random_range(0..60), rng.random_range(40..120));
        for range in [KeyRange::ALL, KeyRange { after: bound(after), upto: bound(upto) }] {
            let order = if turn % 2 == 0 { ScanOrder::ById } else { ScanOrder::Any };
            let request = ScanRequest { range, order, batch_rows: [1, 7, 50, 1_000][turn % 4] };
            check_scan(world, drawers.as_ref(), &rows, &filter, request, &shown).await;
        }
    }
}

async fn filled(world: &World, rows: &[Written]) -> std::sync::Arc<dyn Collection> {
    let drawers = world.drawers().await;
    drawers.upsert(batch(rows, WIDTH)).await.unwrap();
    drawers
}

pub(crate) async fn every_operator_answers_as_the_dialect_says(world: &World) {
    let values = [
        json!({}),
        json!({"k": null}),
        json!({"k": true}),
        json!({"k": false}),
        json!({"k": 0}),
        json!({"k": 1}),
        json!({"k": 1.0}),
        json!({"k": 1.5}),
        json!({"k": -0.0}),
        json!({"k": 9_007_199_254_740_993_i64}),
        json!({"k": u64::MAX}),
        json!({"k": i64::MIN}),
        json!({"k": 1e300}),
        json!({"k": ""}),
        json!({"k": "1"}),
        json!({"k": "true"}),
        json!({"k": "Hello 100% of_it \\ 'quoted' \"twice\""}),
        json!({"k": "héllo 🙂"}),
        json!({"k": []}),
        json!({"k": [1, "a", null, true]}),
        json!({"k": {"a": 1}}),
        json!({"k.a": 1, "k\"'": 2, "$odd": 3, "": 4}),
    ];
    let rows = values.iter().enumerate().map(|(n, value)| row(format!("{n:02}")).metadata(value.clone()));
    let rows = world.fitted(rows.collect());
    let drawers = filled(world, &rows).await;
    let operands = [
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(1.0),
        json!(1.5),
        json!(9_007_199_254_740_992_i64),
        json!(9_007_199_254_740_992.0),
        json!(u64::MAX),
        json!(""),
        json!("1"),
        json!("o"),
        json!("%"),
        json!("_"),
        json!("\\"),
        json!("'quoted' \""),
        json!("🙂"),
        json!("a"),
        json!([1, "a", null, true]),
        json!({"a": 1}),
    ];
    for operand in &operands {
        for operator in ["$eq", "$ne", "$contains", "$gt", "$gte", "$lt", "$lte"] {
            let clause = json!({"k": {operator: operand}});
            check_get(world, drawers.as_ref(), &rows, &Filter::parse(&clause).unwrap(), &clause.to_string()).await;
        }
        for operator in ["$in", "$nin"] {
            let clause = json!({"k": {operator: [operand, "zz"]}});
            check_get(world, drawers.as_ref(), &rows, &Filter::parse(&clause).unwrap(), &clause.to_string()).await;
        }
    }
    for clause in [
        json!({}),
        json!(null),
        json!({"$and": []}),
        json!({"$or": []}),
        json!({"k": {"$in": []}}),
        json!({"k": {"$nin": []}}),
        json!({"$or": [{"k": 1}, {"k": "1"}]}),
        json!({"$and": [{"k": {"$ne": 1}}, {"$or": [{"k": true}, {"k": ""}]}]}),
        json!({"k": {"$ne": null, "$nin": [1, true]}}),
        json!({"absent": null}),
        json!({"absent": {"$ne": 1}}),
        json!({"k.a": 1}),
        json!({"k\"'": 2}),
        json!({"": 4}),
        json!({"k": {"$contains": "x'); DROP TABLE rows; --"}}),
    ] {
        check_get(world, drawers.as_ref(), &rows, &Filter::parse(&clause).unwrap(), &clause.to_string()).await;
    }
}

pub(crate) async fn documents_are_searched_by_their_exact_text(world: &World) {
    let texts =
        ["", "plain", "100% of_it", "back\\slash", "it's \"quoted\"", "ÄÖ é", "e\u{301}", "🙂🙃", "a\nb\tc", "PLAIN"];
    let mut rows: Vec<Written> = texts.iter().map(|text| world.row(format!("of {text}")).document(*text)).collect();
    rows.push(world.row("without a document"));
    let drawers = filled(world, &rows).await;
    for part in ["", "plain", "PLAIN", "%", "_", "\\", "'", "\"", "é", "e\u{301}", "\u{301}", "🙃", "\n", "a\nb", "zzz"]
    {
        let clause = json!({"$contains": part});
        let filter = Filter::parse_document(&clause).unwrap();
        check_get(world, drawers.as_ref(), &rows, &filter, &clause.to_string()).await;
        let twice = json!({"$or": [{"$contains": part}, {"$and": [{"$contains": "l"}, {"$contains": "a"}]}]});
        let filter = Filter::parse_document(&twice).unwrap();
        check_get(world, drawers.as_ref(), &rows, &filter, &twice.to_string()).await;
    }
}

pub(crate) async fn a_generated_filter_answers_like_the_reference(world: &World) {
    let mut rng = seeded(0x5eed);
    let rows = world.fitted(rows_to_filter(&mut rng, 120));
    let drawers = filled(world, &rows).await;
    for n in 0..150 {
        let (shown, filter) = generated_filter(&mut rng);
        check_get(world, drawers.as_ref(), &rows, &filter, &format!("filter {n}: {shown}")).await;
        let some: Vec<String> = ids_of(&rows).into_iter().step_by(3).rev().collect();
        if is_promised(world, &filter) {
            let selection = Selection { ids: Some(some.clone()), filter: filter.clone() };
            let found = ids_of(&got(world, drawers.as_ref(), selection).await.unwrap());
            let passing = ids_of(&passing(&rows, &filter));
            let wanted: Vec<String> = some.into_iter().filter(|id| passing.contains(id)).collect();
            assert_eq!(found, wanted, "filter {n} with ids: {shown}");
        }
    }
}

pub(crate) async fn a_query_filters_before_it_ranks(world: &World) {
    let mut rng = seeded(0xf117);
    let rows = world.fitted(rows_to_filter(&mut rng, 120));
    let drawers = filled(world, &rows).await;
    for n in 0..60 {
        let (shown, filter) = generated_filter(&mut rng);
        let vector: Vec<f32> = (0..WIDTH).map(|_| rng.random_range(-4.0..4.0)).collect();
        let request = QueryRequest { filter: filter.clone(), ..QueryRequest::of(vec![vector.clone()], 5) };
        let found = drawers.query(&request).await;
        if !is_promised(world, &filter) {
            assert_refused(found, ErrorKind::UnsupportedFilter, shown);
            continue;
        }
        let found = found.unwrap_or_else(|error| panic!("filter {n} {shown}: {error}"));
        let mut wanted: Vec<(f32, String)> = passing(&rows, &filter)
            .into_iter()
            .filter_map(|row| Some((reference::distance(world.metric(), &vector, row.embedding.as_ref()?), row.id)))
            .collect();
        wanted.sort_by(|one, other| one.0.total_cmp(&other.0).then_with(|| one.1.cmp(&other.1)));
        wanted.truncate(5);
        super::query::assert_ranking(&found.ids[0], &found.distances[0], &wanted, |id| {
            let row = rows.iter().find(|row| row.id == id).expect("a row that is there");
            assert!(filter.passes(row.document.as_deref(), &row.metadata), "filter {n} {shown}: {id} does not pass");
            reference::distance(world.metric(), &vector, row.embedding.as_ref().expect("a vector"))
        });
    }
}

pub(crate) async fn a_delete_removes_what_passes_and_nothing_else(world: &World) {
    let mut rng = seeded(0xde1e7e);
    let mut rows = model_of(&world.fitted(rows_to_filter(&mut rng, 200)));
    let all: Vec<Written> = rows.values().cloned().collect();
    let drawers = filled(world, &all).await;
    for n in 0..40 {
        let (shown, filter) = generated_filter(&mut rng);
        let mut selection = Selection::filter(filter.clone());
        if n % 3 == 0 {
            selection.ids = Some(rows.keys().step_by(2).cloned().collect());
        }
        if selection.ids.is_none() && filter.is_all() {
            continue;
        }
        let deleted = drawers.delete(&selection).await;
        if !is_promised(world, &filter) {
            assert_refused(deleted, ErrorKind::UnsupportedFilter, shown);
            continue;
        }
        let gone: Vec<String> = rows
            .values()
            .filter(|row| selection.ids.as_ref().is_none_or(|ids| ids.contains(&row.id)))
            .filter(|row| filter.passes(row.document.as_deref(), &row.metadata))
            .map(|row| row.id.clone())
            .collect();
        assert_eq!(deleted.unwrap(), gone.len() as u64, "delete {n}: {shown}");
        for id in &gone {
            rows.remove(id);
        }
        let wanted: Vec<Written> = rows.values().cloned().collect();
        assert_rows(world, &scanned(drawers.as_ref()).await, &wanted, &format!("delete {n}: {shown}"));
        // Refilled now and then, so that there is something to delete.
        if rows.len() < 60 {
            rows = model_of(&all);
            drawers.upsert(batch(&all, WIDTH)).await.unwrap();
        }
    }
}

pub(crate) async fn an_operator_that_is_not_of_the_dialect_is_refused_by_name(_world: &World) {
    for clause in [
        json!({"$not": {"a": 1}}),
        json!({"a": {"$regex": "x"}}),
        json!({"$and": [{"a": {"$exists": true}}]}),
        json!({"a": {"$eq": 1, "$like": "x"}}),
        json!({"$gt": 1}),
    ] {
        let refused = Filter::parse(&clause);
        assert_refused(refused, ErrorKind::UnsupportedFilter, clause);
    }
    assert_refused(Filter::parse_document(&json!({"$regex": "x"})), ErrorKind::UnsupportedFilter, "of a document");
}

pub(crate) async fn a_malformed_filter_is_refused_before_anything_runs(_world: &World) {
    let mut deep = json!({"a": 1});
    for _ in 0..100 {
        deep = json!({"$and": [deep]});
    }
    for clause in [
        json!([]),
        json!("a"),
        json!(1),
        json!({"$and": {}}),
        json!({"$or": [1]}),
        json!({"a": {"$in": 1}}),
        json!({"a": {}}),
    ] {
        assert_refused(Filter::parse(&clause), ErrorKind::InvalidRequest, clause);
    }
    assert_refused(Filter::parse(&deep), ErrorKind::InvalidRequest, "100 levels");
}

pub(crate) async fn a_filter_of_an_operator_that_is_not_advertised_is_refused(world: &World) {
    let drawers = filled(world, &numbered(0..5, WIDTH)).await;
    let metadata = world.has(token::METADATA_FILTERS);
    let cases = [
        (json!({"n": 1}), metadata),
        (json!({"n": {"$contains": "x"}}), metadata),
        (json!({"n": {"$gt": 1}}), metadata && world.has(token::RANGE_FILTERS)),
        (json!({"$and": [{"n": 1}, {"$or": [{"n": {"$lte": 1}}]}]}), metadata && world.has(token::RANGE_FILTERS)),
    ];
    for (clause, promised) in cases {
        let filter = Filter::parse(&clause).unwrap();
        let vector = vec![1.0; WIDTH as usize];
        let query = QueryRequest { filter: filter.clone(), ..QueryRequest::of(vec![vector], 3) };
        let outcomes: [Result<()>; 3] = [
            drawers.get(&GetRequest::of(Selection::filter(filter.clone()))).await.map(drop),
            drawers.query(&query).await.map(drop),
            drawers.delete(&Selection { ids: Some(vec!["absent".into()]), filter }).await.map(drop),
        ];
        for outcome in outcomes {
            match promised {
                true => assert!(outcome.is_ok(), "{clause}: advertised, and it answers {outcome:?}"),
                false => assert_refused(outcome, ErrorKind::UnsupportedFilter, &clause),
            }
        }
    }
    assert_eq!(drawers.count().await.unwrap(), 5, "in {DRAWERS} nothing was deleted");
}

fn generated_filter(rng: &mut impl Rng) -> (String, Filter) {
    let (metadata, document) = (clause(rng, 3), document_clause(rng));
    let parsed = Filter::parse(&metadata).expect("a clause of the dialect");
    match rng.random_bool(0.3) {
        false => (metadata.to_string(), parsed),
        true => {
            let shown = format!("{metadata} and of the document {document}");
            (shown, parsed.and(Filter::parse_document(&document).expect("a clause of the dialect")))
        }
    }
}
