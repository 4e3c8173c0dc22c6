use crate::world::World;
use futures::TryStreamExt;
use palanquin_engine::contract::{
    ChangeBatch, Collection, Filter, GetRequest, Include, KeyRange, Metadata, Result, ScanOrder, ScanRequest, Selection,
};
use palanquin_engine::rows::{Row, RowBatch, RowBatchBuilder, canonical_metadata};
use serde_json::Value;
use std::collections::BTreeMap;

/// A row, owned and easy to write down.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    pub(crate) id: String,
    pub(crate) document: Option<String>,
    pub(crate) metadata: Metadata,
    pub(crate) embedding: Option<Vec<f32>>,
}

/// A row with nothing but an id.
pub(crate) fn row(id: impl Into<String>) -> Written {
    Written { id: id.into(), ..Written::default() }
}

impl Written {
    pub(crate) fn named(self, id: &str) -> Self {
        Self { id: id.to_owned(), ..self }
    }

    pub(crate) fn document(self, document: impl Into<String>) -> Self {
        Self { document: Some(document.into()), ..self }
    }

    pub(crate) fn metadata(self, metadata: Value) -> Self {
        Self { metadata: metadata.as_object().expect("metadata is an object").clone(), ..self }
    }

    pub(crate) fn vector(self, embedding: impl Into<Vec<f32>>) -> Self {
        Self { embedding: Some(embedding.into()), ..self }
    }

    fn of(row: Row<'_>) -> Self {
        Self {
            id: row.id.to_owned(),
            document: row.document.map(str::to_owned),
            metadata: serde_json::from_str(row.metadata).expect("metadata is a JSON object"),
            embedding: row.embedding.map(<[f32]>::to_vec),
        }
    }

    /// What tells it from any other row, bits of floats included; `None` where the vectors differ by rounding alone.
    fn differs_from(&self, other: &Self, exact: bool) -> Option<&'static str> {
        let vectors_agree = match (&self.embedding, &other.embedding) {
            (None, None) => true,
            (Some(one), Some(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| near(*one, *other, exact))
            }
            _ => false,
        };
        if self.id != other.id {
            Some("id")
        } else if self.document != other.document {
            Some("document")
        } else if canonical_metadata(&self.metadata) != canonical_metadata(&other.metadata) {
            Some("metadata")
        } else if !vectors_agree {
            Some("embedding")
        } else {
            None
        }
    }

    fn shown(&self) -> String {
        let short = |text: String| text.chars().take(200).collect::<String>();
        short(format!("{:?} {:?} {:?} {:?}", self.id, self.metadata, self.document, self.embedding))
    }
}

fn near(one: f32, other: f32, exact: bool) -> bool {
    let ulp = one.abs().max(f32::MIN_POSITIVE) * f32::EPSILON;
    one.to_bits() == other.to_bits() || (!exact && (one - other).abs() <= 2.0 * ulp)
}

/// `count` rows that differ in every field, with ids from `row-00000`.
pub(crate) fn numbered(range: std::ops::Range<usize>, width: u32) -> Vec<Written> {
    range.map(|n| numbered_row(n, width)).collect()
}

pub(crate) fn numbered_row(n: usize, width: u32) -> Written {
    let embedding: Vec<f32> = (0..width).map(|i| ((n * 7 + i as usize * 3) % 101) as f32 / 8.0 + 0.125).collect();
    row(format!("row-{n:05}"))
        .document(format!("document {n}"))
        .metadata(serde_json::json!({"n": n, "wing": format!("wing-{}", n % 5)}))
        .vector(embedding)
}

pub(crate) fn batch(rows: &[Written], width: u32) -> RowBatch {
    let mut batch = RowBatchBuilder::with_capacity(rows.len(), width);
    for row in rows {
        let metadata = canonical_metadata(&row.metadata);
        let (document, embedding) = (row.document.as_deref(), row.embedding.as_deref());
        batch.push(Row { id: &row.id, document, metadata: &metadata, embedding }).expect("a row of that width");
    }
    batch.finish().expect("a batch")
}

pub(crate) fn deletes(ids: &[&str]) -> ChangeBatch {
    ChangeBatch { deletes: ids.iter().map(|id| (*id).to_owned()).collect(), ..ChangeBatch::default() }
}

/// Every row by a scan in order of ids.
pub(crate) async fn scanned(collection: &dyn Collection) -> Vec<Written> {
    scanned_range(collection, KeyRange::ALL, ScanOrder::ById, 1_000).await.expect("a scan")
}

pub(crate) async fn scanned_range(
    collection: &dyn Collection,
    range: KeyRange,
    order: ScanOrder,
    batch_rows: usize,
) -> Result<Vec<Written>> {
    let batches: Vec<RowBatch> = collection.scan(ScanRequest { range, order, batch_rows }).try_collect().await?;
    Ok(batches.iter().flat_map(written).collect())
}

/// Rows of a selection by `get`, every field the backend gives out.
pub(crate) async fn got(world: &World, collection: &dyn Collection, selection: Selection) -> Result<Vec<Written>> {
    let embeddings = world.has(palanquin_engine::contract::token::EMBEDDINGS_OUT);
    let include = Include { embeddings, ..Include::ALL };
    let result = collection.get(&GetRequest { include, ..GetRequest::of(selection) }).await?;
    let rows = result.ids.len();
    assert_eq!((result.documents.len(), result.metadatas.len()), (rows, rows), "lists of one length");
    let mut embeddings = result.embeddings.map(|list| {
        assert_eq!(list.len(), rows, "as many vectors as rows");
        list.into_iter()
    });
    let fields = result.ids.into_iter().zip(result.documents).zip(result.metadatas);
    Ok(fields
        .map(|((id, document), metadata)| Written {
            id,
            document,
            metadata,
            embedding: embeddings.as_mut().and_then(|list| list.next().flatten()),
        })
        .collect())
}

pub(crate) async fn got_all(world: &World, collection: &dyn Collection) -> Vec<Written> {
    got(world, collection, Selection::filter(Filter::All)).await.expect("a get of everything")
}

/// That both are the same rows in the same order, as exactly as the backend promises.
#[track_caller]
pub(crate) fn assert_rows(world: &World, found: &[Written], wanted: &[Written], when: &str) {
    for (found, wanted) in found.iter().zip(wanted) {
        if let Some(field) = found.differs_from(wanted, world.is_exact()) {
            panic!("{when}: the {field} differs\n  wanted {}\n  found  {}", wanted.shown(), found.shown());
        }
    }
    let ids = |rows: &[Written]| rows.iter().map(|row| row.id.clone()).take(20).collect::<Vec<_>>();
    assert_eq!(found.len(), wanted.len(), "{when}: wanted {:?}…, found {:?}…", ids(wanted), ids(found));
}

/// Rows by id: what a store should hold.
pub(crate) type Model = BTreeMap<String, Written>;

pub(crate) fn model_of(rows: &[Written]) -> Model {
    rows.iter().map(|row| (row.id.clone(), row.clone())).collect()
}

/// That the collection holds exactly these rows: by scan, by get and by count.
pub(crate) async fn assert_holds(world: &World, collection: &dyn Collection, wanted: &[Written], when: &str) {
    let wanted: Vec<Written> = model_of(wanted).into_values().collect();
    assert_rows(world, &scanned(collection).await, &wanted, &format!("{when}, by scan"));
    let mut by_get = got_all(world, collection).await;
    if !world.has(palanquin_engine::contract::token::EMBEDDINGS_OUT) {
        for (row, wanted) in by_get.iter_mut().zip(&wanted) {
            row.embedding.clone_from(&wanted.embedding);
        }
    }
    assert_rows(world, &by_get, &wanted, &format!("{when}, by get"));
    assert_eq!(collection.count().await.expect("a count"), wanted.len() as u64, "{when}, by count");
}

/// The rows of a batch, owned.
pub(crate) fn written(batch: &RowBatch) -> Vec<Written> {
    batch.rows().map(Written::of).collect()
}

pub(crate) fn ids_in(batch: &RowBatch) -> Vec<String> {
    batch.rows().map(|row| row.id.to_owned()).collect()
}

pub(crate) fn ids_of(rows: &[Written]) -> Vec<String> {
    rows.iter().map(|row| row.id.clone()).collect()
}
