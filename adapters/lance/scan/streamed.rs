use super::{Rebatch, begun_by, filter, read_failed, row_batch, scanner};
use crate::collection::{Pinned, TableHandle};
use crate::lookup::of_filter;
use futures::{StreamExt, TryStreamExt};
use lance::dataset::scanner::DatasetRecordBatchStream;
use lancedb::datafusion::logical_expr::Expr;
use palanquin_engine::contract::{Filter, Result, RowStream, ScanRequest};
use palanquin_engine::rows::RowBatch;

/// The rows of the range that pass the filter as they are stored, from the version that is newest when the stream is first
/// polled.
pub(crate) fn streamed(handle: TableHandle, request: ScanRequest, filter: Filter) -> RowStream {
    begun_by(async move {
        let pinned = handle.pin().await?;
        let batches = all_columns(&pinned, &request, &filter).await?;
        Ok(even_batches(pinned, batches, request.batch_rows))
    })
}

async fn all_columns(pinned: &Pinned, request: &ScanRequest, passing: &Filter) -> Result<DatasetRecordBatchStream> {
    let failed = |error| pinned.place.store("could not begin to read the rows", error);
    let mut scanner = scanner(pinned);
    scanner.batch_size(request.batch_rows.max(1)).project(&pinned.layout.columns()).map_err(failed)?;
    let within = filter::of_range(&request.range, pinned.layout.id_nullable);
    if let Some(wanted) = within.into_iter().chain(of_filter(passing)).reduce(Expr::and) {
        scanner.filter_expr(wanted);
    }
    scanner.try_into_stream().await.map_err(failed)
}

/// Rows of a stream over the pinned version, `batch_rows` at a time.
fn even_batches(pinned: Pinned, batches: DatasetRecordBatchStream, batch_rows: usize) -> RowStream {
    let state = (pinned, batches, Rebatch::new(batch_rows));
    futures::stream::try_unfold(state, |(pinned, mut batches, mut held)| async move {
        Ok(next_rows(&pinned, &mut batches, &mut held).await?.map(|rows| (rows, (pinned, batches, held))))
    })
    .boxed()
}

async fn next_rows(
    pinned: &Pinned,
    batches: &mut DatasetRecordBatchStream,
    held: &mut Rebatch,
) -> Result<Option<RowBatch>> {
    let failed = |error| pinned.place.store("could not put the rows together", error);
    loop {
        if let Some(batch) = held.full().map_err(failed)? {
            return row_batch(pinned, &batch).map(Some);
        }
        match batches.try_next().await {
            Ok(Some(batch)) => held.push(batch),
            Ok(None) => {
                let rest = held.take(usize::MAX).map_err(failed)?;
                return rest.map(|batch| row_batch(pinned, &batch)).transpose();
            }
            Err(error) => return Err(read_failed(pinned, error).await),
        }
    }
}
