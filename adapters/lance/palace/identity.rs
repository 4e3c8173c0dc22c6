use super::LancePalace;
use crate::error::Place;
use crate::home::{Held, migration_log, sidecar};
use crate::{layout, retry};
use palanquin_engine::contract::{EmbedderIdentity, Error, ErrorKind, LogEntry, Result};
use std::io;

/// Stores whose vectors a collection holds: in the table's schema first, in one commit that leaves all else in it as it
/// is, then in the sidecar. Torn between the two by a crash they disagree, which is told at the next open and settled
/// by recording again. That is also how a disagreement somebody else made is settled, so the collection is not opened
/// for this.
pub(super) async fn record(palace: &LancePalace, name: &str, identity: &EmbedderIdentity) -> Result<()> {
    palace.check_there(name).await?;
    let _lock = lock(palace).await?;
    let handle = palace.table(name).await?;
    let place = &handle.place;
    let pinned = handle.pin().await?;
    if identity.dimension != 0 && identity.dimension != pinned.layout.dimension {
        let detail = format!("vectors of {} components cannot be of {identity}", pinned.layout.dimension);
        return Err(place.error(ErrorKind::DimensionMismatch, detail));
    }
    let recorded = retry::while_busy(|| async {
        let pinned = handle.pin().await?;
        if pinned.layout.identity.as_ref() == Some(identity) {
            return Ok(());
        }
        let mut dataset = pinned.dataset.as_ref().clone();
        let updated = dataset.update_schema_metadata(layout::identity_entries(identity)).await;
        updated.map(drop).map_err(|error| place.store("could not store the identity", error))
    });
    recorded.await?;
    palace.durability(name).settle().await.map_err(|error| place.not_durable(error))?;
    record_beside(palace, name, Some(identity)).await
}

/// Replaces what the sidecar says of a collection. The caller holds the palace's [`lock`].
pub(super) async fn record_beside(palace: &LancePalace, name: &str, identity: Option<&EmbedderIdentity>) -> Result<()> {
    let recorded = palace.home.record_identity(name, identity).await;
    recorded.map_err(|error| file_error(&palace.place.collection(name), "update", sidecar::FILE_NAME, error))
}

pub(super) async fn migration_log(palace: &LancePalace) -> Result<Vec<LogEntry>> {
    let entries = palace.home.migration_log().await;
    entries.map_err(|error| file_error(&palace.place, "read", migration_log::FILE_NAME, error))
}

pub(super) async fn append_to_migration_log(palace: &LancePalace, entry: &LogEntry) -> Result<()> {
    let _lock = lock(palace).await?;
    let added = palace.home.append_to_migration_log(entry).await;
    added.map_err(|error| file_error(&palace.place, "update", migration_log::FILE_NAME, error))
}

/// Held while a collection is made or a file beside the tables replaced: two creations at once must not both find
/// nothing there, and of two replacements neither may be lost.
pub(super) async fn lock(palace: &LancePalace) -> Result<Held> {
    palace.home.lock().await.map_err(|error| palace.place.io("could not lock the palace", error))
}

fn file_error(place: &Place, what: &str, file: &str, error: io::Error) -> Error {
    let detail = format!("could not {what} {file}");
    match error.kind() {
        io::ErrorKind::InvalidData => place.error(ErrorKind::Corrupt, format!("{detail}: {error}")),
        _ => place.io(detail, error),
    }
}
