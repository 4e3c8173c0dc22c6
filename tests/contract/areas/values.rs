//! Every value a row can carry comes back as it was, or the row is refused by name.

use crate::NulInText;
use crate::rows::{Written, assert_rows, batch, got, numbered, numbered_row, row, scanned, scanned_range};
use crate::world::{DRAWERS, WIDTH, World, assert_refused, refusal};
use palanquin_engine::contract::{
    ChangeBatch, Collection, ErrorKind, KeyRange, RowUpdates, ScanOrder, Selection, WriteMode, token,
};
use palanquin_engine::rows::canonical_metadata_text;
use serde_json::{Value, json};

/// Writes the rows one by one; each comes back by `get`, by `scan` and to another process, or is refused by name.
async fn check_each(world: &World, drawers: &dyn Collection, rows: Vec<Written>) {
    let mut kept = Vec::new();
    for row in rows {
        let shown: String = format!("{:?} {:?}", row.id, row.metadata).chars().take(120).collect();
        if let Err(error) = drawers.upsert(batch(std::slice::from_ref(&row), WIDTH)).await {
            let named = matches!(error.kind(), ErrorKind::RowRefused | ErrorKind::InvalidRequest);
            assert!(named, "{shown}: a row that cannot be held is refused as RowRefused, not {error}");
            println!("refused: {shown}");
            continue;
        }
        let wanted = as_kept(world, &row);
        let mut found = got(world, drawers, Selection::ids([wanted.id.as_str()])).await.unwrap();
        if !world.has(token::EMBEDDINGS_OUT) {
            found.iter_mut().for_each(|found| found.embedding.clone_from(&wanted.embedding));
        }
        assert_rows(world, &found, std::slice::from_ref(&wanted), &format!("{shown}, by get"));
        kept.push(wanted);
    }
    let kept: Vec<Written> = crate::rows::model_of(&kept).into_values().collect();
    assert_rows(world, &scanned(drawers).await, &kept, "by scan");
    assert_eq!(drawers.count().await.unwrap(), kept.len() as u64);
    let elsewhere = world.drawers_elsewhere("palace").await;
    let by_any_order = scanned_range(elsewhere.as_ref(), KeyRange::ALL, ScanOrder::Any, 7).await.unwrap();
    let by_any_order: Vec<Written> = crate::rows::model_of(&by_any_order).into_values().collect();
    assert_rows(world, &by_any_order, &kept, "to another process, by scan in any order");
}

/// The row as the store says it holds U+0000.
fn as_kept(world: &World, row: &Written) -> Written {
    let NulInText::ReplacedBy(instead) = world.limits().nul else { return row.clone() };
    let text = |text: &str| text.replace('\0', instead);
    fn value(of: &Value, text: &dyn Fn(&str) -> String) -> Value {
        match of {
            Value::String(string) => Value::String(text(string)),
            Value::Array(list) => list.iter().map(|of| value(of, text)).collect(),
            Value::Object(object) => object.iter().map(|(key, of)| (text(key), value(of, text))).collect(),
            other => other.clone(),
        }
    }
    Written {
        id: text(&row.id),
        document: row.document.as_deref().map(text),
        metadata: row.metadata.iter().map(|(key, of)| (text(key), value(of, &text))).collect(),
        embedding: row.embedding.clone(),
    }
}

pub(crate) async fn metadata_of_every_type_comes_back_as_it_was(world: &World) {
    let values = [
        json!({}),
        json!({"": "an empty key"}),
        json!({"text": "", "more": "a\nb\t\"c\" \\ / \u{1} \u{7f}"}),
        json!({"nul": "a\0b"}),
        json!({"unicode": "é e\u{301} 🙂 \u{202e}rtl עברית 日本語 \u{fffd} \u{feff} \u{10ffff}"}),
        json!({"née 🙂": 1, "a.b": 2, "$c": 3, "d'\"": 4, "e f": 5}),
        json!({"zero": 0, "minus": -1, "least": i64::MIN, "most": i64::MAX, "unsigned": u64::MAX}),
        json!({"beyond a double": 9_007_199_254_740_993_i64}),
        json!({"whole": 2.0, "tenth": 0.1, "large": 1e300, "small": 5e-324, "minus zero": -0.0, "third": 1.0 / 3.0}),
        json!({"float of an integer's size": 9.223372036854776e18, "1e16": 1e16, "1e15": 1e15, "1e-7": 1e-7}),
        json!({"true": true, "false": false, "null": null}),
        json!({"list": [], "mixed": [1, 1.0, "1", true, null, [2, [3]], {"a": []}]}),
        json!({"object": {}, "nested": {"b": {"c": {"d": [null, {"e": -0.0}]}}, "a": 1}}),
        json!({"_repaired_empty_meta": true, "and": "another"}),
        json!({"long": "x".repeat(100_000)}),
        Value::Object((0..300).map(|n| (format!("key {n}"), json!(n))).collect()),
    ];
    let drawers = world.drawers().await;
    let rows = values.into_iter().enumerate().map(|(n, value)| world.row(format!("{n:02}")).metadata(value)).collect();
    check_each(world, drawers.as_ref(), rows).await;
}

pub(crate) async fn documents_of_every_kind_come_back_as_they_were(world: &World) {
    let documents = [
        String::new(),
        " ".to_owned(),
        "plain".to_owned(),
        "lines\r\nand\ttabs\n".to_owned(),
        "a NUL \0 inside".to_owned(),
        "🙂👩‍👩‍👧‍👦🏳️‍🌈".to_owned(),
        "\u{202e}עברית العربية\u{202c}".to_owned(),
        "e\u{301} é ﬁ Å Å".to_owned(),
        "\u{feff}with a mark \u{fffe} \u{ffff} \u{10ffff}".to_owned(),
        r#"{"json": "x'; DROP TABLE rows; --"}"#.to_owned(),
        "0123456789abcdef".repeat(65_536),
    ];
    let drawers = world.drawers().await;
    let mut rows: Vec<Written> =
        documents.into_iter().enumerate().map(|(n, text)| world.row(format!("{n:02}")).document(text)).collect();
    rows.push(world.row("none"));
    check_each(world, drawers.as_ref(), rows).await;
}

pub(crate) async fn ids_of_every_kind_name_their_own_rows(world: &World) {
    let ids = [
        "",
        " ",
        "a",
        "A",
        "a ",
        "é",
        "e\u{301}",
        "日本語 🙂",
        "it's \"quoted\" `ticked`",
        "x'; DROP TABLE rows; --",
        "../../etc/passwd",
        "a/b\\c",
        "%_*?[]{}",
        "null",
        "0",
        "00",
        "-1",
        "nul\0inside",
        "line\nbreak",
    ];
    let drawers = world.drawers().await;
    let ids = ids.map(str::to_owned).into_iter().chain(["x".repeat(1_000), "é".repeat(500)]);
    let rows: Vec<Written> =
        ids.map(|id| world.row(id.clone()).document(format!("of {id:?}").replace('\0', ""))).collect();
    check_each(world, drawers.as_ref(), rows.clone()).await;
    for row in &rows {
        let there = scanned(drawers.as_ref()).await.len();
        let id = as_kept(world, row).id;
        let deleted = drawers.delete(&Selection::ids([id.as_str()])).await.unwrap();
        let left = scanned(drawers.as_ref()).await;
        assert_eq!(left.len() as u64 + deleted, there as u64, "deleting {id:?} removes its row alone");
        assert!(left.iter().all(|left| left.id != id), "{id:?} was deleted");
    }
}

pub(crate) async fn vectors_come_back_bit_for_bit(world: &World) {
    if !world.has(token::EMBEDDINGS_PASSTHROUGH) {
        return println!("not advertised: given vectors are thrown away");
    }
    let vectors = [
        [0.0; 4],
        [-0.0, 0.0, -0.0, 1.0],
        [1e30, -1e30, 1.0, 1e-30],
        [f32::MAX, f32::MIN, f32::MIN_POSITIVE, -f32::MIN_POSITIVE],
        [f32::from_bits(1), -f32::from_bits(1), f32::MIN_POSITIVE / 2.0, 1.0],
        [0.1, 1.0 / 3.0, 16_777_217.0, std::f32::consts::PI],
        [3.0, 4.0, 0.0, 0.0],
    ];
    let drawers = world.drawers().await;
    let mut rows: Vec<Written> =
        vectors.into_iter().enumerate().map(|(n, vector)| row(format!("{n:02}")).vector(vector)).collect();
    rows.push(row("none").document("no vector"));
    check_each(world, drawers.as_ref(), rows).await;
}

pub(crate) async fn a_vector_that_is_no_number_is_refused_from_a_caller_and_not_altered_in_a_copy(world: &World) {
    let drawers = world.drawers().await;
    let rows = numbered(0..3, WIDTH);
    drawers.upsert(batch(&rows, WIDTH)).await.unwrap();
    for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let wrong = [numbered_row(7, WIDTH), row("odd").vector([1.0, odd, 0.0, 0.0]), numbered_row(8, WIDTH)];
        assert_refused(drawers.upsert(batch(&wrong, WIDTH)).await, ErrorKind::RowRefused, ("upsert", odd));
        assert_refused(drawers.add(batch(&wrong, WIDTH)).await, ErrorKind::RowRefused, ("add", odd));
        let updates = RowUpdates::try_new(vec!["row-00001".into()], None, None, Some(vec![vec![odd; WIDTH as usize]]));
        assert_refused(drawers.update(updates.unwrap()).await, ErrorKind::RowRefused, ("update", odd));
        assert_rows(world, &scanned(drawers.as_ref()).await, &rows, "nothing was written");
    }
    for (n, odd) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].into_iter().enumerate() {
        let copied = row(format!("odd-{n}")).vector([odd; WIDTH as usize]);
        let changes = ChangeBatch::upserts(batch(std::slice::from_ref(&copied), WIDTH));
        match drawers.apply(changes, WriteMode::Upsert).await {
            Err(error) => assert_eq!(error.kind(), ErrorKind::RowRefused, "{odd}: {error}"),
            Ok(_) if !world.has(token::EMBEDDINGS_PASSTHROUGH) => {}
            Ok(_) => {
                let range = KeyRange { after: None, upto: Some(copied.id.clone()) };
                let found = scanned_range(drawers.as_ref(), range, ScanOrder::ById, 100).await.unwrap();
                let found: Vec<Written> = found.into_iter().filter(|row| row.id == copied.id).collect();
                assert_rows(world, &found, &[copied], "a copy does not judge");
            }
        }
    }
}

pub(crate) async fn numbers_and_texts_that_json_cannot_express_are_refused_where_they_enter(_world: &World) {
    for text in ["NaN", "Infinity", "-Infinity", "1e999", "nan", "inf", r#""\ud800""#, r#""\udc00 \ud800""#, "'a'"] {
        let text = format!(r#"{{"k": {text}}}"#);
        assert!(canonical_metadata_text(Some(&text)).is_err(), "{text}");
        assert!(serde_json::from_str::<Value>(&text).is_err(), "{text}");
    }
    assert!(serde_json::Number::from_f64(f64::NAN).is_none(), "there is no JSON number for it");
    let pair = canonical_metadata_text(Some(r#"{"k": "\ud83d\ude42"}"#)).unwrap();
    assert_eq!(pair, r#"{"k":"🙂"}"#, "a whole pair is one character");
}

pub(crate) async fn no_metadata_and_the_mark_of_a_repaired_one_are_the_same(world: &World) {
    let drawers = world.drawers().await;
    let rows = [world.row("a"), world.row("b").metadata(json!({"_repaired_empty_meta": true}))];
    drawers.upsert(batch(&rows, WIDTH)).await.unwrap();
    for found in scanned(drawers.as_ref()).await {
        assert!(found.metadata.is_empty(), "{}: {:?}", found.id, found.metadata);
    }
}

pub(crate) async fn every_width_the_store_can_hold_works(world: &World) {
    let palace = world.palace("palace").await;
    let without = world.limits().rows_without_vector.then(|| row("without"));
    for width in [1, 2, 3, 384, 3_072, 16_000].into_iter().filter(|width| *width <= world.limits().widest) {
        let name = format!("wide_{width}");
        let collection = palace.create_collection(&world.spec(&name, width)).await.unwrap();
        let rows: Vec<Written> = numbered(0..5, width).into_iter().chain(without.clone()).collect();
        collection.upsert(batch(&rows, width)).await.unwrap();
        let found = world.palace_elsewhere("palace").await.collection(&name).await.unwrap();
        assert_eq!(found.info().await.unwrap().dimension, Some(width));
        let wanted: Vec<Written> = crate::rows::model_of(&rows).into_values().collect();
        if world.has(token::EMBEDDINGS_PASSTHROUGH) {
            assert_rows(world, &scanned(found.as_ref()).await, &wanted, &name);
        }
    }
}

pub(crate) async fn vectors_of_another_width_are_refused_and_write_nothing(world: &World) {
    let drawers = world.drawers().await;
    for filled in [false, true] {
        let rows = if filled { numbered(0..3, WIDTH) } else { Vec::new() };
        drawers.upsert(batch(&rows, WIDTH)).await.unwrap();
        for handle in [world.drawers().await, world.drawers_elsewhere("palace").await] {
            for width in [1, WIDTH - 1, WIDTH + 1, 384] {
                let wrong = || batch(&numbered(1..2, width), width);
                assert_refused(handle.upsert(wrong()).await, ErrorKind::DimensionMismatch, ("upsert", width));
                assert_refused(handle.add(wrong()).await, ErrorKind::DimensionMismatch, ("add", width));
                for mode in [WriteMode::Append, WriteMode::Upsert] {
                    let applied = handle.apply(ChangeBatch::upserts(wrong()), mode).await;
                    assert_refused(applied, ErrorKind::DimensionMismatch, (mode, width));
                }
                let vectors = Some(vec![vec![1.0; width as usize]]);
                let updates = RowUpdates::try_new(vec!["row-00001".into()], None, None, vectors).unwrap();
                assert_refused(handle.update(updates).await, ErrorKind::DimensionMismatch, ("update", width));
            }
        }
        assert_rows(world, &scanned(drawers.as_ref()).await, &rows, "nothing was written");
    }
    let palace = world.palace("palace").await;
    let refused = palace.create_collection(&world.spec("of no width", 0)).await;
    assert_refused(refused.map(drop), ErrorKind::InvalidRequest, "a collection of no width");
    let missing = refusal(palace.collection("of no width").await, "it was not made");
    assert_eq!(missing.kind(), ErrorKind::CollectionNotInitialized, "{missing}, beside {DRAWERS}");
}
