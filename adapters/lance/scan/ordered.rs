use super::{begun_by, id_column, ids, read_failed, row_batch};
use crate::collection::{Pinned, TableHandle};
use crate::lookup::addresses_passing;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{Array, StringArray, UInt64Array};
use futures::{StreamExt, TryStreamExt};
use lance::dataset::{ProjectionRequest, TakeBuilder};
use palanquin_engine::contract::{ErrorKind, Filter, KeyRange, Result, RowStream, ScanRequest};
use std::sync::Arc;

/// The rows of the range that pass the filter in ascending order of their ids, all from one version: the newest when the
/// stream is first polled. Rows that share an id, possible in tables made by others, come out as often as they are stored.
///
/// Of rows that do not pass, only what the filter reads is read; a batch of them alone is empty.
///
/// It holds the ids of the range while it sorts them and 8 bytes per row from then on. Rows are taken by address from
/// the pinned version; where they lie in the order of their ids Lance reads them in one sweep.
pub(crate) fn ordered(handle: TableHandle, request: ScanRequest, filter: Filter) -> RowStream {
    begun_by(async move {
        let pinned = handle.pin().await?;
        let addresses = addresses_by_id(&pinned, &request.range).await?;
        let columns = ProjectionRequest::from_columns(pinned.layout.columns(), pinned.dataset.schema());
        let plan = columns.into_projection_plan(pinned.dataset.clone());
        let plan = Arc::new(plan.map_err(|error| pinned.place.store("could not plan the read", error))?);
        let batch_rows = request.batch_rows.max(1);
        let take = move |(pinned, plan, addresses, done): (Pinned, _, Vec<u64>, usize), filter: Filter| async move {
            let mut wanted: Vec<u64> = addresses[done..].iter().take(batch_rows).copied().collect();
            if wanted.is_empty() {
                return Ok(None);
            }
            let next = done + wanted.len();
            if !filter.is_all() {
                wanted = addresses_passing(&pinned, &filter, wanted).await?;
            }
            let count = wanted.len();
            let take = TakeBuilder::try_new_from_addresses(pinned.dataset.clone(), wanted, Arc::clone(&plan));
            let take = take.map_err(|error| pinned.place.store("could not plan the read", error))?;
            let batch = match take.execute().await {
                Ok(batch) => batch,
                Err(error) => return Err(read_failed(&pinned, error).await),
            };
            if batch.num_rows() != count {
                let detail = format!("{} rows came back of {count}", batch.num_rows());
                return Err(pinned.place.error(ErrorKind::Corrupt, detail));
            }
            let rows = row_batch(&pinned, &batch)?;
            Ok(Some((rows, (pinned, plan, addresses, next))))
        };
        let start = (pinned, plan, addresses, 0);
        Ok(futures::stream::try_unfold(start, move |state| take(state, filter.clone())).boxed())
    })
}

/// The addresses of the rows of the range, in the order of their ids.
async fn addresses_by_id(pinned: &Pinned, range: &KeyRange) -> Result<Vec<u64>> {
    let mut batches = ids(pinned, range, true).await?;
    let mut read: Vec<(StringArray, UInt64Array)> = Vec::new();
    loop {
        match batches.try_next().await {
            Ok(Some(batch)) => {
                let column =
                    batch.column_by_name("_rowaddr").and_then(|column| column.as_primitive_opt::<UInt64Type>());
                let Some(addresses) = column else {
                    return Err(pinned.place.error(ErrorKind::Internal, "a batch came back without row addresses"));
                };
                read.push((id_column(pinned, &batch)?.clone(), addresses.clone()));
            }
            Ok(None) => return Ok(sorted(&read)),
            Err(error) => return Err(read_failed(pinned, error).await),
        }
    }
}

fn sorted(read: &[(StringArray, UInt64Array)]) -> Vec<u64> {
    let all = read.iter().flat_map(|(ids, addresses)| (0..ids.len()).map(|row| (ids.value(row), addresses.value(row))));
    let mut rows: Vec<(&str, u64)> = all.collect();
    if !rows.is_sorted() {
        rows.sort_unstable();
    }
    rows.into_iter().map(|(_, address)| address).collect()
}
