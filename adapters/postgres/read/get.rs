use super::row::decode_vector;
use crate::collection::Table;
use crate::filter::Predicate;
use crate::statement::{Value, Values};
use crate::write::json_of;
use futures::TryStreamExt;
use palanquin_engine::contract::{ErrorKind, Filter, GetRequest, GetResult, Include, Metadata, Result};
use palanquin_engine::rows::REPAIRED_EMPTY;
use std::collections::HashMap;
use tokio_postgres::{Client, Row};

/// Ids in one statement.
const IDS: usize = 10_000;

/// Which columns a statement reads besides the id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    pub(crate) document: bool,
    pub(crate) metadata: bool,
    pub(crate) embedding: bool,
}

impl Columns {
    /// What is asked for, and what has to be looked at again.
    pub(crate) fn of(include: Include, filter: &Filter, is_exact: bool) -> Self {
        Self {
            document: include.documents || !is_exact && filter.reads_documents(),
            metadata: include.metadatas || !is_exact && filter.reads_metadata(),
            embedding: include.embeddings,
        }
    }

    /// As a select list; a column that is not read is null.
    pub(crate) fn list(self, table: &Table) -> String {
        let column = |wanted, column: &str, kind: &str| match wanted {
            true => column.to_owned(),
            false => format!("NULL::{kind}"),
        };
        format!(
            "id, {}, {}, {}",
            column(self.document, "document", "text"),
            column(self.metadata, "metadata::text", "text"),
            column(self.embedding, &format!("{}(embedding)", table.vector_send), "bytea"),
        )
    }
}

/// A row that was selected.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) document: Option<String>,
    pub(crate) metadata: Metadata,
    pub(crate) embedding: Option<Vec<f32>>,
}

impl Found {
    /// Reads a row of a statement whose first columns are [`Columns::list`]'s.
    pub(crate) fn read(table: &Table, row: &Row) -> Result<Self> {
        let corrupt = |what: &str| table.place.error(ErrorKind::Corrupt, format!("stored {what}"));
        let metadata = match row.get::<_, Option<&str>>(2) {
            None => Metadata::new(),
            Some(text) => serde_json::from_str(&json_of(text))
                .map_err(|error| corrupt("metadata is no JSON object").with_source(error))?,
        };
        let is_mark = metadata.len() == 1 && metadata.get(REPAIRED_EMPTY) == Some(&true.into());
        let embedding = match row.get::<_, Option<&[u8]>>(3) {
            None => None,
            Some(bytes) => {
                let mut vector = Vec::new();
                decode_vector(bytes, &mut vector).map_err(|error| corrupt("vector is malformed").with_source(error))?;
                Some(vector)
            }
        };
        let (id, document) = (row.get(0), row.get(1));
        Ok(Self { id, document, metadata: if is_mark { Metadata::new() } else { metadata }, embedding })
    }

    pub(crate) fn passes(&self, filter: &Filter) -> bool {
        filter.passes(self.document.as_deref(), &self.metadata)
    }

    fn into_result(self, result: &mut GetResult, include: Include) {
        result.ids.push(self.id);
        if include.documents {
            result.documents.push(self.document);
        }
        if include.metadatas {
            result.metadatas.push(self.metadata);
        }
        if let Some(embeddings) = &mut result.embeddings {
            embeddings.push(self.embedding);
        }
    }
}

/// The rows of a selection: those named in the order of their names, others ascending by id.
pub(crate) async fn get(table: &Table, request: &GetRequest) -> Result<GetResult> {
    let include = request.include;
    let mut result = GetResult { embeddings: include.embeddings.then(Vec::new), ..GetResult::default() };
    let found = match request.selection.distinct_ids() {
        Some(ids) => named(table, request, &ids).await?,
        None => selected(table, request).await?,
    };
    found.into_iter().for_each(|found| found.into_result(&mut result, include));
    Ok(result)
}

async fn named(table: &Table, request: &GetRequest, ids: &[&str]) -> Result<Vec<Found>> {
    let session = table.session().await?;
    let filter = &request.selection.filter;
    let mut found: HashMap<String, Found> = HashMap::new();
    for ids in ids.chunks(IDS) {
        let mut values = Values::default();
        // No id holds a NUL, and no parameter may.
        let named = values.texts(ids.iter().copied().filter(|id| !id.contains('\0')));
        let predicate = Predicate::of(filter, &mut values);
        let statement = format!(
            "SELECT {} FROM {} WHERE id = ANY ({named}) AND {}",
            Columns::of(request.include, filter, predicate.is_exact).list(table),
            table.name,
            predicate.sql
        );
        for row in rows(table, &session, &statement, &values).await? {
            let row = Found::read(table, &row)?;
            if predicate.is_exact || row.passes(filter) {
                found.insert(row.id.clone(), row);
            }
        }
    }
    let ordered = ids.iter().filter_map(|id| found.remove(*id));
    Ok(ordered.skip(request.offset).take(request.limit.unwrap_or(usize::MAX)).collect())
}

async fn selected(table: &Table, request: &GetRequest) -> Result<Vec<Found>> {
    let filter = &request.selection.filter;
    let mut values = Values::default();
    let predicate = Predicate::of(filter, &mut values);
    let number = |count: usize| Value::Number(i64::try_from(count).unwrap_or(i64::MAX));
    let mut statement = format!(
        "SELECT {} FROM {} WHERE {} ORDER BY {}",
        Columns::of(request.include, filter, predicate.is_exact).list(table),
        table.name,
        predicate.sql,
        table.ordered_id
    );
    let (mut passed_over, mut wanted) = (0, usize::MAX);
    if predicate.is_exact {
        if let Some(limit) = request.limit {
            statement.push_str(&format!(" LIMIT {}", values.bind(number(limit))));
        }
        if request.offset > 0 {
            statement.push_str(&format!(" OFFSET {}", values.bind(number(request.offset))));
        }
    } else {
        (passed_over, wanted) = (request.offset, request.limit.unwrap_or(usize::MAX));
    }
    let mut lease = table.server.lease().await.map_err(|error| table.place.name(error))?;
    let failed = |error| table.place.sql("could not read the rows", error);
    let rows = lease.query_typed_raw(&statement, values.typed()).await.map_err(failed)?;
    let mut rows = std::pin::pin!(rows);
    let mut found = Vec::new();
    while found.len() < wanted {
        let Some(row) = rows.try_next().await.map_err(failed)? else {
            lease.ended();
            break;
        };
        let row = Found::read(table, &row)?;
        if !predicate.is_exact && !row.passes(filter) {
            continue;
        }
        if passed_over > 0 {
            passed_over -= 1;
        } else {
            found.push(row);
        }
    }
    Ok(found)
}

pub(super) async fn rows(table: &Table, client: &Client, statement: &str, values: &Values) -> Result<Vec<Row>> {
    let rows = client.query_typed(statement, &values.typed()).await;
    rows.map_err(|error| table.place.sql("could not read the rows", error))
}
