use super::{Store, migrate, migration};
use palanquin_engine::contract::Filter;
use palanquin_engine::rows::Row;
use palanquin_tests::{Program, ReadRow, Scratch, read_lance};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn ids<'a>(rows: impl IntoIterator<Item = &'a ReadRow>) -> BTreeSet<(String, String)> {
    rows.into_iter().map(|row| (row.collection.clone(), row.id.clone())).collect()
}

fn passes(filter: &Value, row: &ReadRow) -> bool {
    let row = Row { id: &row.id, document: row.document.as_deref(), metadata: &row.metadata, embedding: None };
    Filter::parse(filter).unwrap().matches(row).unwrap()
}

#[test]
fn a_part_of_a_palace_in_any_store_is_the_rows_that_pass_and_is_never_called_lossless() {
    let scratch = Scratch::new();
    let (first, state) = (format!("chroma:{}", scratch.palace().display()), scratch.path("state"));
    let whole = scratch.path("whole");
    migrate(&first, &format!("lance:{}", whole.display()), &state);
    let whole = read_lance(&whole);
    let filters = [
        json!({"wing": {"$ne": "code"}, "chunk_index": {"$gte": 2}}),
        json!({"$or": [{"tags": {"$contains": "a"}}, {"pinned": true}, {"drawer_count": {"$in": [1, 2, 3]}}]}),
        json!({"absent": "nowhere"}),
    ];
    for from in Store::ALL {
        let source = from.address(&scratch, &format!("part-{}", from.name()));
        migrate(&first, &source, &state);
        for (number, filter) in filters.iter().enumerate() {
            let of = format!("{} where {filter}", from.name());
            let target = scratch.path(&format!("part-of-{}-{number}", from.name()));
            let address = format!("lance:{}", target.display());
            let run = migration(&source, &address, &state).arg("--where").arg(&filter.to_string()).run();
            assert_eq!(run.code, Some(0), "{of}: {}{}", run.stdout, run.stderr);
            let there = read_lance(&target);
            let wanted = ids(whole.iter().filter(|row| passes(filter, row)));
            assert_eq!((there.len(), ids(&there)), (wanted.len(), wanted), "{of}");
            let history = Program::with(["history"]).arg(&address).run();
            assert!(history.stdout.contains("lossless        no"), "{of}: {}", history.stdout);
        }
    }
    let found = |filter: &Value| whole.iter().filter(|row| passes(filter, row)).count();
    let found: Vec<usize> = filters.iter().map(found).collect();
    assert!(found[0] > 100 && found[1] > 100 && found[2] == 0, "{found:?} of {} rows", whole.len());
}
