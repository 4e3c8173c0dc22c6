//! Results are typed and have the shape of the request (§1).

use crate::rows::{assert_rows, batch, got_all, ids_of, numbered, numbered_row, row};
use crate::world::{WIDTH, World, assert_refused};
use palanquin_engine::contract::{
    ErrorKind, Filter, GetRequest, Include, QueryRequest, RowLists, RowUpdates, Selection, token,
};
use serde_json::json;

pub(crate) async fn an_empty_result_has_the_shape_of_the_query(world: &World) {
    let drawers = world.drawers().await;
    let vectors = vec![vec![1.0; WIDTH as usize]; 3];
    for filled in [false, true] {
        let filter = if filled && world.has(token::METADATA_FILTERS) {
            drawers.upsert(batch(&numbered(0..5, WIDTH), WIDTH)).await.unwrap();
            Filter::parse(&json!({"n": "no row"})).unwrap()
        } else {
            Filter::DocumentContains("no row has this".into())
        };
        let request = QueryRequest { filter, ..QueryRequest::of(vectors.clone(), 5) };
        let result = drawers.query(&request).await.expect("an empty result is no error");
        assert_eq!(result.ids, vec![Vec::<String>::new(); 3]);
        assert_eq!((result.documents.len(), result.metadatas.len(), result.distances.len()), (3, 3, 3));
        assert!(result.documents.iter().all(Vec::is_empty) && result.metadatas.iter().all(Vec::is_empty));
        assert!(result.distances.iter().all(Vec::is_empty) && result.embeddings.is_none());
        if world.has(token::EMBEDDINGS_OUT) {
            let request = QueryRequest { include: Include::ALL, ..request };
            let result = drawers.query(&request).await.unwrap();
            assert_eq!(result.embeddings, Some(vec![Vec::new(); 3]));
        }
    }
}

pub(crate) async fn a_query_of_no_vectors_or_for_no_results_is_empty(world: &World) {
    let drawers = world.drawers().await;
    drawers.upsert(batch(&numbered(0..5, WIDTH), WIDTH)).await.unwrap();
    let result = drawers.query(&QueryRequest::of(Vec::new(), 5)).await.unwrap();
    assert!(result.ids.is_empty() && result.documents.is_empty() && result.metadatas.is_empty());
    assert!(result.distances.is_empty());
    let result = drawers.query(&QueryRequest::of(vec![vec![1.0; WIDTH as usize]; 2], 0)).await.unwrap();
    assert_eq!(result.ids, vec![Vec::<String>::new(); 2]);
    assert_eq!(result.distances, vec![Vec::<f32>::new(); 2]);
}

pub(crate) async fn a_query_carries_what_was_included_and_nothing_else(world: &World) {
    let drawers = world.drawers().await;
    let rows = numbered(0..5, WIDTH);
    drawers.upsert(batch(&rows, WIDTH)).await.unwrap();
    for bits in 0..16_u8 {
        let include = include(bits);
        let request = QueryRequest { include, ..QueryRequest::of(vec![vec![0.5; WIDTH as usize]; 2], 3) };
        let result = drawers.query(&request).await;
        if include.embeddings && !world.has(token::EMBEDDINGS_OUT) {
            assert_refused(result, ErrorKind::UnsupportedCapability, include);
            continue;
        }
        let result = result.unwrap();
        assert_eq!(result.ids.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3], "ids always come");
        let wanted = |included: bool| vec![if included { 3 } else { 0 }; 2];
        let lengths =
            |list: Vec<usize>, included: bool, of: &str| assert_eq!(list, wanted(included), "{of} {include:?}");
        lengths(result.documents.iter().map(Vec::len).collect(), include.documents, "documents");
        lengths(result.metadatas.iter().map(Vec::len).collect(), include.metadatas, "metadatas");
        lengths(result.distances.iter().map(Vec::len).collect(), include.distances, "distances");
        assert_eq!(result.embeddings.is_some(), include.embeddings, "{include:?}");
        if let Some(list) = &result.embeddings {
            lengths(list.iter().map(Vec::len).collect(), true, "embeddings");
        }
        for (at, id) in result.ids[0].iter().enumerate() {
            let row = rows.iter().find(|row| &row.id == id).expect("a row that is there");
            assert!(!include.documents || result.documents[0][at] == row.document, "the document of its row");
            assert!(!include.metadatas || result.metadatas[0][at] == row.metadata, "the metadata of its row");
        }
    }
}

pub(crate) async fn a_get_carries_what_was_included_and_nothing_else(world: &World) {
    let drawers = world.drawers().await;
    drawers.upsert(batch(&[numbered_row(0, WIDTH), world.row("bare")], WIDTH)).await.unwrap();
    for bits in 0..16_u8 {
        let include = include(bits);
        let result = drawers.get(&GetRequest { include, ..GetRequest::of(Selection::default()) }).await;
        if include.embeddings && !world.has(token::EMBEDDINGS_OUT) {
            assert_refused(result, ErrorKind::UnsupportedCapability, include);
            continue;
        }
        let result = result.unwrap();
        assert_eq!(result.ids, ["bare", "row-00000"], "ids always come, ascending");
        let wanted = |included: bool| if included { 2 } else { 0 };
        assert_eq!(result.documents.len(), wanted(include.documents), "{include:?}");
        assert_eq!(result.metadatas.len(), wanted(include.metadatas), "{include:?}");
        assert_eq!(result.embeddings.as_ref().map(Vec::len), include.embeddings.then_some(2), "{include:?}");
        if let Some(embeddings) = result.embeddings {
            let has_none = world.limits().rows_without_vector;
            assert!(embeddings[0].is_none() == has_none && embeddings[1].is_some(), "a row without vector has none");
        }
    }
}

pub(crate) async fn limit_and_offset_tile_a_get_without_gap_or_overlap(world: &World) {
    let drawers = world.drawers().await;
    let rows = numbered(0..23, WIDTH);
    drawers.upsert(batch(&rows, WIDTH)).await.unwrap();
    let mut tiled = Vec::new();
    for offset in (0..30).step_by(5) {
        let request = GetRequest { limit: Some(5), offset, ..GetRequest::of(Selection::default()) };
        tiled.extend(drawers.get(&request).await.unwrap().ids);
    }
    assert_eq!(tiled, ids_of(&rows));
    let request = GetRequest { limit: Some(0), ..GetRequest::of(Selection::default()) };
    assert!(drawers.get(&request).await.unwrap().ids.is_empty(), "limit 0");
    let named = Selection::ids(["row-00009", "absent", "row-00002", "row-00005", "row-00001"]);
    let request = GetRequest { limit: Some(2), offset: 1, ..GetRequest::of(named) };
    assert_eq!(drawers.get(&request).await.unwrap().ids, ["row-00002", "row-00005"], "of named ids");
    let request = GetRequest { limit: None, offset: 20, ..GetRequest::of(Selection::default()) };
    assert_eq!(drawers.get(&request).await.unwrap().ids.len(), 3, "an offset alone");
}

pub(crate) async fn a_get_of_an_empty_collection_is_empty(world: &World) {
    let drawers = world.drawers().await;
    assert!(got_all(world, drawers.as_ref()).await.is_empty());
    let result = drawers.get(&GetRequest::of(Selection::ids(["absent"]))).await.unwrap();
    assert!(result.ids.is_empty() && result.documents.is_empty() && result.metadatas.is_empty());
    assert_eq!(drawers.count().await.unwrap(), 0);
    assert_eq!(drawers.delete(&Selection::ids(["absent"])).await.unwrap(), 0);
}

pub(crate) async fn lists_of_different_lengths_and_unknown_fields_are_refused(world: &World) {
    let drawers = world.drawers().await;
    let lists = |ids: usize, documents: Option<usize>, metadatas: Option<usize>, embeddings: Option<usize>| RowLists {
        ids: (0..ids).map(|n| n.to_string()).collect(),
        documents: documents.map(|n| vec![None; n]),
        metadatas: metadatas.map(|n| vec![palanquin_engine::contract::Metadata::new(); n]),
        embeddings: embeddings.map(|n| vec![Some(vec![0.0; WIDTH as usize]); n]),
    };
    for wrong in [lists(2, Some(1), None, None), lists(2, None, Some(3), None), lists(1, None, None, Some(0))] {
        assert_refused(wrong.clone().into_batch(WIDTH), ErrorKind::InvalidRequest, &wrong);
        let updates = RowUpdates::try_new(
            wrong.ids.clone(),
            wrong.documents.clone(),
            wrong.metadatas.clone(),
            wrong.embeddings.clone().map(|list| list.into_iter().flatten().collect()),
        );
        assert_refused(updates, ErrorKind::InvalidRequest, &wrong);
    }
    assert_refused(RowUpdates::try_new(vec!["a".into()], None, None, None), ErrorKind::InvalidRequest, "no field");
    assert_refused(Include::parse(["documents", "uris"]), ErrorKind::InvalidRequest, "an unknown field");
    assert_eq!(Include::parse(["documents", "metadatas", "distances", "embeddings"]).unwrap(), Include::ALL);
    drawers.upsert(lists(2, Some(2), Some(2), Some(2)).into_batch(WIDTH).unwrap()).await.unwrap();
    let wanted = ["0", "1"].map(|id| row(id).vector(vec![0.0; WIDTH as usize]));
    let found = crate::rows::scanned(drawers.as_ref()).await;
    assert_rows(world, &found, &wanted, "lists of one length");
}

fn include(bits: u8) -> Include {
    Include { documents: bits & 1 != 0, metadatas: bits & 2 != 0, distances: bits & 4 != 0, embeddings: bits & 8 != 0 }
}
