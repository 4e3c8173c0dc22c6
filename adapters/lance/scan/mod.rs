//! Reading one pinned version of a table.
//!
//! `filter` turns a range of ids into an expression. `streamed` reads rows as they are stored; `ordered` reads the ids
//! of the range, sorts the addresses of their rows and takes the rows by address. Both end in `rows`, which makes
//! row batches of what Lance returns and brings metadata into canonical form (`canonical` spots text that is in it
//! already), and in `rebatch`, which evens out the sizes.

mod canonical;
mod filter;
mod ordered;
mod rebatch;
mod rows;
mod streamed;
#[cfg(test)]
mod tests;

use crate::collection::Pinned;
use crate::error::is_missing;
use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use lance::dataset::scanner::{DatasetRecordBatchStream, Scanner};
use palanquin_engine::contract::{Error, ErrorKind, KeyRange, Result};

pub(crate) use ordered::ordered;
pub(crate) use rebatch::Rebatch;
pub(crate) use rows::{canonical_text, check_vectors, row_batch, to_row_schema};
pub(crate) use streamed::streamed;

/// A stream that begins with work of its own when it is first polled; without it the stream would have to be awaited.
pub(crate) fn begun_by<T: Send + 'static>(
    begin: impl Future<Output = Result<BoxStream<'static, Result<T>>>> + Send + 'static,
) -> BoxStream<'static, Result<T>> {
    futures::stream::once(begin).try_flatten().boxed()
}

/// What Lance may hold of files it has read ahead, in bytes. Its default of 2 GiB is meant for object stores; a copy is
/// bounded by its target, and this is memory the credits of a link do not see.
const READ_AHEAD_BYTES: u64 = 32 << 20;

/// A scanner over the version that reads little ahead. It does not use scalar indexes: whether a row is copied must not
/// depend on one being right.
pub(crate) fn scanner(pinned: &Pinned) -> Scanner {
    let mut scanner = pinned.dataset.scan();
    scanner.io_buffer_size(READ_AHEAD_BYTES).batch_readahead(2).fragment_readahead(2).use_scalar_index(false);
    scanner
}

/// Streams the `id` column of a range; rows without an id, possible in tables made by others, are an error.
pub(crate) async fn ids(pinned: &Pinned, range: &KeyRange, with_addresses: bool) -> Result<DatasetRecordBatchStream> {
    let failed = |error| pinned.place.store("could not read the ids", error);
    let mut scanner = scanner(pinned);
    scanner.project(&["id"]).map_err(failed)?;
    if let Some(filter) = filter::of_range(range, pinned.layout.id_nullable) {
        scanner.filter_expr(filter);
    }
    if with_addresses {
        scanner.with_row_address();
    }
    scanner.try_into_stream().await.map_err(failed)
}

/// The column `id` of a batch read from the table.
pub(crate) fn id_column<'a>(pinned: &Pinned, batch: &'a RecordBatch) -> Result<&'a arrow_array::StringArray> {
    let ids = batch.column_by_name("id").and_then(|column| column.as_string_opt::<i32>());
    let ids = ids.ok_or_else(|| pinned.place.error(ErrorKind::Internal, "a batch came back without its ids"))?;
    match ids.null_count() {
        0 => Ok(ids),
        nulls => Err(pinned.place.error(ErrorKind::Corrupt, format!("{nulls} rows have no id"))),
    }
}

/// The greatest id in the range.
pub(crate) async fn last_id(pinned: &Pinned, range: &KeyRange) -> Result<Option<String>> {
    let mut batches = ids(pinned, range, false).await?;
    let mut last: Option<String> = None;
    loop {
        match batches.try_next().await {
            Ok(Some(batch)) => {
                let greatest = id_column(pinned, &batch)?.iter().flatten().max();
                if greatest > last.as_deref() {
                    last = greatest.map(str::to_owned);
                }
            }
            Ok(None) => return Ok(last),
            Err(error) => return Err(read_failed(pinned, error).await),
        }
    }
}

/// What a failed read of a pinned version means: a file that is gone because the version was pruned meanwhile is no
/// damage.
pub(crate) async fn read_failed(pinned: &Pinned, error: lance::Error) -> Error {
    let version = pinned.dataset.version_id();
    if is_missing(&error)
        && let Err(gone) = pinned.dataset.read_version_transaction(version).await
        && is_missing(&gone)
    {
        let detail = format!("version {version} was pruned while it was read");
        return pinned.place.error(ErrorKind::Busy, detail).with_source(error);
    }
    pinned.place.store("could not read the rows", error)
}
