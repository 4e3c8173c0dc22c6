use super::row::{self, Sent};
use super::within;
use crate::collection::Table;
use crate::connection::Lease;
use crate::filter::Predicate;
use crate::statement::Values;
use futures::stream::{self, StreamExt};
use palanquin_engine::contract::{ErrorKind, Filter, Result, RowStream, ScanOrder, ScanRequest};
use palanquin_engine::rows::{RowBatch, RowBatchBuilder};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::binary_copy::BinaryCopyOutStream;
use tokio_postgres::types::Type;

/// How long a filtered scan says nothing.
const TOLD_EVERY: Duration = Duration::from_secs(5);
/// What a row's columns are read as; the bytes of the last two are decoded here.
const COLUMNS: [Type; 4] = [Type::TEXT, Type::TEXT, Type::BYTEA, Type::BYTEA];

/// A scan under way. The server sends no more than the socket holds, and is read no further than the stream is polled.
struct Running {
    lease: Lease,
    rows: Pin<Box<BinaryCopyOutStream>>,
    dimension: u32,
    vector: Vec<f32>,
    has_ended: bool,
    is_filtered: bool,
}

enum State {
    Asked(ScanRequest, Filter),
    Running(Box<Running>, usize),
}

/// The rows of one statement, hence of one snapshot; at least those that pass the filter.
pub(crate) fn scan(table: Arc<Table>, request: ScanRequest, filter: Filter) -> RowStream {
    stream::try_unfold((table, State::Asked(request, filter)), |(table, state)| async move {
        let (mut running, batch_rows) = match state {
            State::Asked(request, filter) => {
                let batch_rows = request.batch_rows.max(1);
                (Box::new(start(&table, &request, &filter).await?), batch_rows)
            }
            State::Running(running, batch_rows) => (running, batch_rows),
        };
        let batch = next(&table, &mut running, batch_rows).await?;
        Ok(batch.map(|batch| (batch, (table, State::Running(running, batch_rows)))))
    })
    .boxed()
}

async fn start(table: &Table, request: &ScanRequest, filter: &Filter) -> Result<Running> {
    let lease = table.server.lease().await.map_err(|error| table.place.name(error))?;
    let failed = |error| table.place.sql("could not begin to read the rows", error);
    let dimension = match table.dimension {
        Some(dimension) => dimension,
        None => super::dimension(&lease, table).await?.unwrap_or(0),
    };
    let rows = lease.copy_out(statement(table, request, filter).as_str()).await.map_err(failed)?;
    let rows = Box::pin(BinaryCopyOutStream::new(rows, &COLUMNS));
    Ok(Running { lease, rows, dimension, vector: Vec::new(), has_ended: false, is_filtered: !filter.is_all() })
}

fn statement(table: &Table, request: &ScanRequest, filter: &Filter) -> String {
    let passes = Predicate::of(filter, &mut Values::Within).sql;
    let (name, condition) = (&table.name, format!("{} AND {passes}", within(table, &request.range)));
    let columns = "id, document, metadata, embedding";
    let rows = match request.order {
        ScanOrder::Any => format!("SELECT {columns} FROM {name} WHERE {condition}"),
        ScanOrder::ById if table.id_is_bytewise => {
            format!("SELECT {columns} FROM {name} WHERE {condition} ORDER BY id")
        }
        // No index has this order: the ids alone are sorted, and the rows are fetched in that order.
        ScanOrder::ById => format!(
            "WITH ids AS MATERIALIZED (SELECT id FROM {name} WHERE {condition}) \
             SELECT {columns} FROM ids JOIN {name} USING (id) ORDER BY id COLLATE \"C\""
        ),
    };
    format!("COPY ({rows}) TO STDOUT (FORMAT binary)")
}

/// Up to so many rows; `None` once there is none left.
async fn next(table: &Table, running: &mut Running, batch_rows: usize) -> Result<Option<RowBatch>> {
    let failed = |error| table.place.sql("could not read the rows", error);
    let mut batch: Option<RowBatchBuilder> = None;
    let mut count = 0;
    while count < batch_rows && !running.has_ended {
        let builder = || RowBatchBuilder::with_capacity(batch_rows.min(4_096), running.dimension);
        let next = match running.is_filtered {
            // Whoever waits learns that something goes on, however few rows pass.
            true => match timeout(TOLD_EVERY, running.rows.next()).await {
                Ok(next) => next,
                Err(_) => {
                    batch.get_or_insert_with(builder);
                    break;
                }
            },
            false => running.rows.next().await,
        };
        let Some(row) = next.transpose().map_err(failed)? else {
            running.lease.ended();
            running.has_ended = true;
            break;
        };
        let batch = batch.get_or_insert_with(builder);
        let sent = Sent {
            id: row.try_get(0).map_err(failed)?,
            document: row.try_get(1).map_err(failed)?,
            metadata: row.try_get(2).map_err(failed)?,
            embedding: row.try_get(3).map_err(failed)?,
        };
        let pushed = row::push(batch, sent, &mut running.vector);
        pushed.map_err(|error| table.place.error(ErrorKind::Corrupt, "a stored row").with_source(error))?;
        count += 1;
    }
    let finished = batch.map(RowBatchBuilder::finish).transpose();
    finished.map_err(|error| table.place.error(ErrorKind::Internal, "rows that were read").with_source(error))
}
