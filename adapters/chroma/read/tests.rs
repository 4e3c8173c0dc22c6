use super::fixture::{Fixture, METADATA, Seen, VECTOR, scan};
use palanquin_engine::contract::{ErrorKind, KeyRange, Metric};
use rusqlite::params;

fn row(id: &str, document: Option<&str>, metadata: &str, vector: Option<[f32; 2]>) -> Seen {
    (id.into(), document.map(str::to_owned), metadata.into(), vector.map(|vector| vector.to_vec()))
}

fn vectors(rows: &[Seen]) -> Vec<(&str, Option<&[f32]>)> {
    rows.iter().map(|(id, _, _, vector)| (id.as_str(), vector.as_deref())).collect()
}

#[tokio::test]
async fn flushed_rows_are_read_by_the_labels_their_elements_carry() {
    let rows = Fixture::flushed().scan(2).await.unwrap();
    let expected = [
        row("a", Some("A"), r#"{"wing":"w"}"#, Some([2.0, 0.0])),
        row("b", Some("B"), r#"{"wing":"w"}"#, Some([0.6 * 5.0, 0.8 * 5.0])),
        row("c", Some("C"), r#"{"wing":"w"}"#, Some([0.0, 3.0])),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn norms_are_used_for_cosine_alone() {
    for space in ["l2", "ip"] {
        let fixture = Fixture::flushed();
        fixture.database.execute("UPDATE collection_metadata SET str_value = ?1", [space]).unwrap();
        std::fs::remove_file(fixture.segment().join("length.bin")).unwrap();
        let rows = fixture.scan(10).await.unwrap();
        assert_eq!(vectors(&rows)[1], ("b", Some(&[0.6, 0.8][..])), "{space}");
        assert_eq!(fixture.open().await.unwrap().info().await.unwrap().metric, Metric::from_name(space));
    }
}

#[tokio::test]
async fn the_tail_of_the_log_is_newer_than_the_index() {
    let fixture = Fixture::flushed();
    fixture.add_row("d", &[]);
    fixture.log(4, 1, "a", Some([7.0, 7.0]), None);
    fixture.log(5, 0, "b", Some([8.0, 8.0]), None);
    fixture.log(6, 0, "d", Some([9.0, 9.0]), None);
    fixture.log(7, 1, "c", None, Some(r#"{"wing":"x"}"#));
    fixture.set_max(METADATA, 7);
    let rows = fixture.scan(2).await.unwrap();
    let expected: [(&str, Option<&[f32]>); 4] =
        [("a", Some(&[7.0, 7.0])), ("b", Some(&[3.0, 4.0])), ("c", Some(&[0.0, 3.0])), ("d", Some(&[9.0, 9.0]))];
    assert_eq!(vectors(&rows), expected);
}

#[tokio::test]
async fn a_row_whose_vector_is_nowhere_has_none() {
    let fixture = Fixture::flushed();
    fixture.add_row("d", &[]);
    let rows = fixture.scan(10).await.unwrap();
    assert_eq!(rows[3], row("d", None, "{}", None));
}

#[tokio::test]
async fn without_an_index_only_what_the_log_is_sure_of_is_a_vector() {
    let fixture = Fixture::flushed();
    fixture.log(2, 0, "b", Some([1.0, 1.0]), None);
    fixture.log(3, 2, "c", Some([2.0, 2.0]), None);
    std::fs::remove_dir_all(fixture.segment()).unwrap();
    let rows = fixture.scan(10).await.unwrap();
    assert_eq!(vectors(&rows), [("a", None), ("b", None), ("c", Some(&[2.0, 2.0][..]))]);
}

#[tokio::test]
async fn metadata_that_is_behind_the_log_is_caught_up_with() {
    let fixture = Fixture::flushed();
    fixture.log(4, 3, "a", None, Some("{}"));
    fixture.log(5, 1, "b", None, Some(r#"{"wing":null,"n":1.0}"#));
    fixture.log(6, 2, "bb", Some([5.0, 5.0]), Some(r#"{"chroma:document":"BB","z":[1,2]}"#));
    fixture.log(7, 1, "nobody", Some([5.0, 5.0]), Some("{}"));
    fixture.log(8, 2, "d", Some([6.0, 6.0]), None);
    let expected = [
        row("b", Some("B"), r#"{"n":1.0}"#, Some([3.0, 4.0])),
        row("bb", Some("BB"), r#"{"z":[1,2]}"#, Some([5.0, 5.0])),
        row("c", Some("C"), r#"{"wing":"w"}"#, Some([0.0, 3.0])),
        row("d", None, "{}", Some([6.0, 6.0])),
    ];
    let collection = fixture.open().await.unwrap();
    for rows in 1..6 {
        assert_eq!(scan(collection.as_ref(), KeyRange::ALL, rows).await.unwrap(), expected, "pages of {rows}");
    }
    assert_eq!(collection.count().await.unwrap(), 4);
    assert_eq!(collection.last_id(&KeyRange::ALL).await.unwrap().as_deref(), Some("d"));
    let upto = |id: &str| KeyRange { after: None, upto: Some(id.to_owned()) };
    assert_eq!(collection.last_id(&upto("bz")).await.unwrap().as_deref(), Some("bb"));
    assert_eq!(collection.last_id(&upto("a")).await.unwrap(), None);
}

#[tokio::test]
async fn a_delete_in_the_log_of_a_row_made_again_leaves_the_new_vector() {
    let fixture = Fixture::flushed();
    fixture.log(4, 3, "a", None, Some("{}"));
    fixture.log(5, 0, "a", Some([4.0, 4.0]), Some(r#"{"k":"v"}"#));
    let rows = fixture.scan(10).await.unwrap();
    assert_eq!(rows[0], row("a", None, r#"{"k":"v"}"#, Some([4.0, 4.0])));
}

#[tokio::test]
async fn every_kind_of_metadata_is_read_in_canonical_form() {
    let fixture = Fixture::flushed();
    let sql = "INSERT INTO embedding_metadata VALUES (1, 'i', NULL, 5, NULL, NULL), (1, 'f', NULL, NULL, 2.0, NULL),
               (1, 't', NULL, NULL, NULL, 1), (1, 'é\"\\', '\u{1}ü', NULL, NULL, NULL), (1, 'gone', NULL, NULL, NULL, NULL)";
    fixture.database.execute(sql, []).unwrap();
    let expected = "{\"f\":2.0,\"i\":5,\"t\":true,\"wing\":\"w\",\"é\\\"\\\\\":\"\\u0001ü\"}";
    assert_eq!(fixture.scan(10).await.unwrap()[0].2, expected);
    let sql =
        "INSERT INTO embedding_metadata_array VALUES (1, 'l', 'x', NULL, NULL, NULL), (1, 'l', 'a', NULL, NULL, NULL)";
    fixture.database.execute(sql, []).unwrap();
    let rows = fixture.scan(10).await.unwrap();
    assert_eq!(rows[0].2, expected.replace("\"t\":", "\"l\":[\"x\",\"a\"],\"t\":"));
    assert_eq!((rows[0].1.as_deref(), rows[1].2.as_str()), (Some("A"), r#"{"wing":"w"}"#));
}

#[tokio::test]
async fn an_empty_document_is_not_no_document_and_the_repair_mark_is_no_metadata() {
    let fixture = Fixture::flushed();
    fixture.database.execute("DELETE FROM embedding_metadata WHERE id = 1", []).unwrap();
    fixture
        .database
        .execute("UPDATE embedding_metadata SET string_value = '' WHERE id = 2 AND key = 'chroma:document'", [])
        .unwrap();
    let sql = "UPDATE embedding_metadata SET key = '_repaired_empty_meta', string_value = NULL, bool_value = 1 WHERE id = 3 AND key = 'wing'";
    fixture.database.execute(sql, []).unwrap();
    let rows = fixture.scan(10).await.unwrap();
    assert_eq!((rows[0].1.as_deref(), rows[0].2.as_str()), (None, "{}"));
    assert_eq!(rows[1].1.as_deref(), Some(""));
    assert_eq!((rows[2].1.as_deref(), rows[2].2.as_str()), (Some("C"), "{}"));
}

#[tokio::test]
async fn partitions_cover_every_id_and_overlap_nowhere() {
    let fixture = Fixture::empty();
    let collection = fixture.open().await.unwrap();
    let whole = collection.cut(10).await.unwrap();
    assert_eq!((whole.len(), whole[0].rows, &whole[0].range), (1, 0, &KeyRange::ALL));
    for i in 0..25 {
        fixture.add_row(&format!("{i:02}"), &[]);
    }
    for step in [1, 4, 5, 24, 25, 26, u64::MAX] {
        let parts = collection.cut(step).await.unwrap();
        assert_eq!(parts.iter().map(|part| part.rows).sum::<u64>(), 25, "{step}");
        assert!(parts[0].range.after.is_none() && parts[parts.len() - 1].range.upto.is_none());
        assert!(parts.windows(2).all(|pair| pair[0].range.upto.is_some() && pair[0].range.upto == pair[1].range.after));
        let mut seen = Vec::new();
        for part in &parts {
            let rows = scan(collection.as_ref(), part.range.clone(), 3).await.unwrap();
            assert_eq!(rows.len() as u64, part.rows, "{step}");
            seen.extend(rows);
        }
        assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}

#[tokio::test]
async fn ids_are_ordered_and_bounded_by_their_bytes() {
    let fixture = Fixture::empty();
    let mut ids = ["", "A", "a", "a\u{0}b", "aa", "z", "ß", "\u{ffff}", "🙂"];
    for id in ids {
        fixture.add_row(id, &[]);
    }
    ids.sort_unstable();
    let collection = fixture.open().await.unwrap();
    for after in ids.iter().map(|id| Some((*id).to_owned())).chain([None]) {
        for upto in ids.iter().map(|id| Some((*id).to_owned())).chain([None]) {
            let range = KeyRange { after: after.clone(), upto };
            let expected: Vec<&str> = ids.iter().copied().filter(|id| range.contains(id)).collect();
            let rows = scan(collection.as_ref(), range.clone(), 2).await.unwrap();
            assert_eq!(rows.iter().map(|row| row.0.as_str()).collect::<Vec<_>>(), expected, "{range:?}");
            assert_eq!(collection.last_id(&range).await.unwrap().as_deref(), expected.last().copied());
        }
    }
}

#[tokio::test]
async fn a_collection_never_written_is_empty() {
    let fixture = Fixture::empty();
    fixture.database.execute("UPDATE collections SET dimension = NULL", []).unwrap();
    assert!(fixture.scan(10).await.unwrap().is_empty());
    assert_eq!(fixture.open().await.unwrap().info().await.unwrap().dimension, None);
}

#[tokio::test]
async fn sequence_numbers_of_old_palaces_are_read() {
    let fixture = Fixture::flushed();
    fixture.log(4, 2, "a", Some([7.0, 7.0]), None);
    for (segment, seq_id) in [(METADATA, 4u64), (VECTOR, 3)] {
        let sql = "UPDATE max_seq_id SET seq_id = ?2 WHERE segment_id = ?1";
        fixture.database.execute(sql, params![segment, seq_id.to_be_bytes()]).unwrap();
    }
    assert_eq!(vectors(&fixture.scan(10).await.unwrap())[0], ("a", Some(&[7.0, 7.0][..])));
}

#[tokio::test]
async fn a_flush_between_two_pages_is_noticed() {
    use futures::StreamExt;
    let fixture = Fixture::flushed();
    let collection = fixture.open().await.unwrap();
    let request = palanquin_engine::contract::ScanRequest {
        range: KeyRange::ALL,
        order: palanquin_engine::contract::ScanOrder::ById,
        batch_rows: 1,
    };
    let mut pages = collection.scan(request);
    pages.next().await.unwrap().unwrap();
    fixture.log(4, 2, "c", Some([3.0, 4.0]), None);
    fixture.set_max(METADATA, 4);
    fixture.set_max(VECTOR, 4);
    fixture.write_index(&[("c", 4, [0.6, 0.8], 5.0), ("b", 1, [1.0, 0.0], 1.0), ("a", 3, [1.0, 0.0], 2.0)]);
    let second = pages.next().await.unwrap().unwrap();
    assert_eq!(second.rows().next().unwrap().embedding, Some(&[1.0, 0.0][..]));
    let third = pages.next().await.unwrap().unwrap();
    assert_eq!(third.rows().next().unwrap().embedding, Some(&[3.0, 4.0][..]));
    assert!(pages.next().await.is_none());
}

#[tokio::test]
async fn a_collection_dropped_under_a_scan_is_an_error_and_not_an_end() {
    let fixture = Fixture::flushed();
    let collection = fixture.open().await.unwrap();
    fixture.database.execute_batch("DELETE FROM collections; DELETE FROM embeddings").unwrap();
    let error = scan(collection.as_ref(), KeyRange::ALL, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CollectionNotInitialized);
}

#[tokio::test]
async fn a_database_put_in_place_of_another_is_not_read_on() {
    let fixture = Fixture::flushed();
    let collection = fixture.open().await.unwrap();
    let path = super::fixture::database_of(&fixture.path);
    std::fs::copy(&path, fixture.path.join("copy")).unwrap();
    std::fs::rename(fixture.path.join("copy"), &path).unwrap();
    let error = scan(collection.as_ref(), KeyRange::ALL, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendClosed);
}
