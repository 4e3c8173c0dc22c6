use super::{LancePalace, identity};
use crate::collection::{LanceCollection, TableHandle};
use crate::error::Place;
use crate::layout;
use lance::dataset::WriteParams;
use lancedb::table::WriteOptions;
use palanquin_engine::contract::{CollectionSpec, EmbedderIdentity, ErrorKind, IdentityState, Result};

/// Makes a collection, with everything that is said of it in the first commit, or opens the same incarnation again.
pub(super) async fn create(palace: &LancePalace, spec: &CollectionSpec) -> Result<LanceCollection> {
    let place = palace.place.collection(&spec.name);
    if let Some(problem) = spec_problem(spec) {
        return Err(place.error(ErrorKind::InvalidRequest, problem));
    }
    let _lock = identity::lock(palace).await?;
    let is_there = match palace.open_collection(&spec.name).await {
        Ok(there) => {
            check_incarnation(&there, spec, &place)?;
            true
        }
        Err(error) if error.kind() == ErrorKind::CollectionNotInitialized => false,
        Err(error) => return Err(error),
    };
    if !is_there {
        // An entry of an earlier collection of this name would contradict the new one.
        let recorded = palace.home.recorded_identity(&spec.name).await.ok().flatten();
        if recorded != spec.identity {
            identity::record_beside(palace, &spec.name, None).await?;
        }
        create_table(palace, spec).await?;
    }
    let settled = palace.durability(&spec.name).settle().await;
    settled.map_err(|error| place.io("could not make the new table durable", error))?;
    // A creation that was told it succeeded may still have lost; what is there now decides.
    let collection = palace.open_collection(&spec.name).await?;
    check_incarnation(&collection, spec, &place)?;
    if let Some(identity) = &spec.identity {
        identity::record_beside(palace, &spec.name, Some(identity)).await?;
    }
    Ok(collection)
}

/// Makes the table; one that another made meanwhile is not an error here.
async fn create_table(palace: &LancePalace, spec: &CollectionSpec) -> Result<()> {
    let place = palace.place.collection(&spec.name);
    let write = WriteParams { enable_stable_row_ids: true, ..WriteParams::default() };
    let made = palace
        .connection
        .create_empty_table(&spec.name, layout::table_schema(spec))
        .write_options(WriteOptions { lance_write_params: Some(write) })
        .execute()
        .await;
    match made {
        Ok(table) => give_back(TableHandle::of_rows(table, place), spec).await,
        Err(lancedb::Error::TableAlreadyExists { .. }) => Ok(()),
        Err(error) => Err(place.store("could not make the table", error)),
    }
}

/// Lance looks twice whether a table is there, and a table made by another program between the two looks is
/// overwritten, in a version after its own. That version is undone: the table is the other's.
pub(super) async fn give_back(handle: TableHandle, spec: &CollectionSpec) -> Result<()> {
    let made = handle.pin().await?;
    let version = made.dataset.version_id();
    if version == 1 || made.layout.incarnation.as_ref() != Some(&spec.incarnation) {
        return Ok(());
    }
    tracing::warn!(palace = %handle.place, table = spec.name, "another program made the same table just now");
    let failed = |error| handle.place.store("could not give an overwritten table back", error);
    let mut before = made.dataset.checkout_version(version - 1).await.map_err(failed)?;
    before.restore().await.map_err(failed)
}

fn spec_problem(spec: &CollectionSpec) -> Option<String> {
    if let Some(problem) = layout::name_problem(&spec.name) {
        return Some(format!("a collection's name {problem}"));
    }
    if spec.dimension == 0 || i32::try_from(spec.dimension).is_err() {
        return Some(format!("vectors cannot have {} components", spec.dimension));
    }
    if spec.incarnation.is_empty() || spec.incarnation.contains(':') {
        return Some("the incarnation is empty or contains ':'".to_owned());
    }
    let stated = spec.identity.as_ref().map_or(0, |identity| identity.dimension);
    (stated != 0 && stated != spec.dimension)
        .then(|| format!("vectors of {} components cannot be of a model of {stated}", spec.dimension))
}

fn check_incarnation(there: &LanceCollection, spec: &CollectionSpec, place: &Place) -> Result<()> {
    let layout = there.layout();
    if layout.incarnation.as_ref() != Some(&spec.incarnation) {
        return Err(place.error(ErrorKind::PalaceExists, "a collection of this name is there already"));
    }
    if layout.dimension != spec.dimension {
        let detail = format!("the collection was made for vectors of {}, not {}", layout.dimension, spec.dimension);
        return Err(place.error(ErrorKind::DimensionMismatch, detail));
    }
    let identities = EmbedderIdentity::compare(layout.identity.as_ref(), spec.identity.as_ref());
    if let (IdentityState::KnownMismatch, Some(stored), Some(asked)) = (identities, &layout.identity, &spec.identity) {
        let detail = format!("the collection was made for {stored}, not {asked}");
        return Err(place.error(ErrorKind::EmbedderIdentityMismatch, detail));
    }
    Ok(())
}
