//! Searches: the server orders by distance in single precision, and the nearest are ordered again by the reference's own
//! distance. Where rounding could have left a row out, the reference searches instead, so the answer is always its own.

use super::get::{Columns, Found, rows};
use crate::collection::{PostgresCollection, Table};
use crate::connection::Session;
use crate::filter::Predicate;
use crate::statement::{Value, Values};
use palanquin_engine::contract::{Include, Metric, QueryRequest, QueryResult, Result, reference};
use std::cmp::Ordering;

/// Rows asked for beyond those wanted, to make up for rounding.
const SPARE: usize = 32;
/// What pgvector's index can be asked for at once.
const INDEX_REACH: usize = 1_000;

pub(crate) async fn query(
    collection: &PostgresCollection,
    metric: Metric,
    request: &QueryRequest,
) -> Result<QueryResult> {
    let table = collection.table();
    let mut answers = Vec::with_capacity(request.embeddings.len());
    if request.results > 0 && !request.embeddings.is_empty() {
        let session = table.session().await?;
        let index = Index::of(table, &session).await?;
        if index == Index::Of(metric) || index == Index::None && metric != Metric::Ip {
            for vector in &request.embeddings {
                match nearest(table, &session, metric, index, request, vector).await? {
                    Some(hits) => answers.push(hits),
                    None => {
                        drop(session);
                        return reference::query(collection, request).await;
                    }
                }
            }
        } else {
            drop(session);
            return reference::query(collection, request).await;
        }
    } else {
        answers.resize_with(request.embeddings.len(), Vec::new);
    }
    Ok(collected(request, answers))
}

/// Whether an operator has built an index that answers approximately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Index {
    None,
    /// An index for searches by this metric.
    Of(Metric),
}

impl Index {
    async fn of(table: &Table, session: &Session) -> Result<Self> {
        let statement = "SELECT o.opcname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
                         JOIN pg_am a ON a.oid = c.relam JOIN pg_opclass o ON o.oid = i.indclass[0] \
                         WHERE i.indrelid = $1::text::regclass AND i.indisvalid AND a.amname IN ('hnsw', 'ivfflat')";
        let mut values = Values::default();
        values.text(table.name.as_str());
        let found = rows(table, session, statement, &values).await?;
        let of = |class: &str| match class {
            "vector_cosine_ops" => Some(Metric::Cosine),
            "vector_l2_ops" => Some(Metric::L2),
            "vector_ip_ops" => Some(Metric::Ip),
            _ => None,
        };
        Ok(found.iter().find_map(|row| of(row.get(0))).map_or(Self::None, Self::Of))
    }
}

/// The nearest rows to one vector, nearest first; `None` where only the reference can tell which they are.
async fn nearest(
    table: &Table,
    session: &Session,
    metric: Metric,
    index: Index,
    request: &QueryRequest,
    vector: &[f32],
) -> Result<Option<Vec<(f32, Found)>>> {
    let reach = request.results.saturating_mul(2).saturating_add(SPARE);
    let mut values = Values::default();
    let operator = match metric {
        Metric::Cosine => "<=>",
        Metric::L2 => "<->",
        Metric::Ip => "<#>",
    };
    let schema = table.vector_schema.trim_end_matches('.');
    let wanted = values.text(vector_literal(vector));
    let distance = format!("embedding OPERATOR({schema}.{operator}) {wanted}::text::{}", table.vector);
    let predicate = Predicate::of(&request.filter, &mut values);
    let columns = Columns::of(Include { embeddings: true, ..request.include }, &request.filter, predicate.is_exact);
    let limit = values.bind(Value::Number(i64::try_from(reach).unwrap_or(i64::MAX)));
    let (list, name) = (columns.list(table), &table.name);
    let statement = match index {
        // What has no distance (a vector of zeros, by cosine) comes first, so that it is looked at.
        Index::None => format!(
            "SELECT {list}, distance FROM (SELECT *, coalesce(nullif({distance}, 'NaN'), '-Infinity') AS distance FROM {name} \
             WHERE embedding IS NOT NULL AND {}) AS rows ORDER BY distance LIMIT {limit}",
            predicate.sql
        ),
        Index::Of(_) => format!(
            "SELECT {list}, 0::float8 FROM {name} WHERE embedding IS NOT NULL AND {} ORDER BY {distance} LIMIT {limit}",
            predicate.sql
        ),
    };
    if index != Index::None {
        let reach = reach.clamp(40, INDEX_REACH);
        let settings = format!("SET hnsw.ef_search = {reach}; SET hnsw.iterative_scan = strict_order");
        // An older pgvector knows no iterative scans.
        let _ = session.batch_execute(&settings).await;
    }
    let read = rows(table, session, &statement, &values).await?;
    let last = read.last().map(|row| row.get::<_, f64>(4)).filter(|_| read.len() == reach);
    let mut hits = Vec::with_capacity(read.len());
    for row in &read {
        let found = Found::read(table, row)?;
        if !predicate.is_exact && !found.passes(&request.filter) {
            continue;
        }
        let embedding = found.embedding.as_deref().unwrap_or_default();
        hits.push((reference::distance(metric, vector, embedding), found));
    }
    hits.sort_by(nearer);
    let is_approximate = index != Index::None;
    let is_complete = match (last, hits.get(request.results.wrapping_sub(1))) {
        (None, _) => true,
        (Some(last), Some((farthest, _))) => lowest(metric, last, vector.len()) > f64::from(*farthest),
        (Some(_), None) => false,
    };
    hits.truncate(request.results);
    Ok((is_approximate || is_complete).then_some(hits))
}

fn nearer(one: &(f32, Found), other: &(f32, Found)) -> Ordering {
    one.0.total_cmp(&other.0).then_with(|| one.1.id.cmp(&other.1.id))
}

/// What a distance that the server computed is at least, given how it rounds.
fn lowest(metric: Metric, computed: f64, width: usize) -> f64 {
    let unit = f64::from(f32::EPSILON) * (width as f64 + 4.0);
    match metric {
        Metric::Cosine => computed - unit,
        Metric::L2 => computed * computed * (1.0 - 2.0 * unit) - f64::from(f32::MIN_POSITIVE),
        Metric::Ip => f64::NEG_INFINITY,
    }
}

/// A vector as pgvector reads it, every bit of it.
pub(crate) fn vector_literal(vector: &[f32]) -> String {
    let mut text = String::with_capacity(vector.len() * 12);
    for (i, component) in vector.iter().enumerate() {
        text.push(if i == 0 { '[' } else { ',' });
        text.push_str(&component.to_string());
    }
    text.push(']');
    text
}

fn collected(request: &QueryRequest, answers: Vec<Vec<(f32, Found)>>) -> QueryResult {
    let include = request.include;
    let mut result = QueryResult { embeddings: include.embeddings.then(Vec::new), ..QueryResult::default() };
    for hits in answers {
        let (mut ids, mut documents, mut metadatas) = (Vec::new(), Vec::new(), Vec::new());
        let (mut distances, mut embeddings) = (Vec::new(), Vec::new());
        for (distance, found) in hits {
            ids.push(found.id);
            documents.push(found.document);
            metadatas.push(found.metadata);
            distances.push(distance);
            embeddings.push(found.embedding);
        }
        result.ids.push(ids);
        result.documents.push(if include.documents { documents } else { Vec::new() });
        result.metadatas.push(if include.metadatas { metadatas } else { Vec::new() });
        result.distances.push(if include.distances { distances } else { Vec::new() });
        if let Some(all) = &mut result.embeddings {
            all.push(embeddings);
        }
    }
    result
}
