use crate::board::{CollectionView, Connection, MaintenanceRun, PalaceView};
use palanquin_engine::contract::{
    CollectionInfo, Descriptor, EmbedderIdentity, Health, IdentityState, MaintenanceState,
};
use std::collections::BTreeMap;

/// What one look at a palace found.
#[derive(Debug)]
pub(super) struct Checkup {
    pub(super) health: Health,
    pub(super) collections: Vec<CollectionInfo>,
    pub(super) maintenance: MaintenanceState,
    pub(super) at_ms: i64,
}

/// Identities stored at the other end of a link, by collection.
pub(super) type OtherEnd = BTreeMap<String, Option<EmbedderIdentity>>;

pub(super) fn palace_view(
    address: &str,
    backend: &Descriptor,
    connection: Connection,
    checkup: Option<&Checkup>,
    other_end: &OtherEnd,
    runs: &[MaintenanceRun],
    restarts: u32,
) -> PalaceView {
    let collections = checkup.map(|checkup| checkup.collections.as_slice()).unwrap_or_default();
    PalaceView {
        address: address.to_owned(),
        backend: backend.name,
        connection,
        health: checkup.map(|checkup| checkup.health.clone()),
        checked_at_ms: checkup.map(|checkup| checkup.at_ms),
        capabilities: backend.capabilities.iter().map(str::to_owned).collect(),
        maintenance_kinds: backend.maintenance_kinds,
        runs: runs.to_vec(),
        metrics: backend.metrics,
        fidelity: backend.fidelity,
        capture: backend.capture,
        maintenance: checkup.map(|checkup| checkup.maintenance.clone()).unwrap_or_default(),
        collections: collections.iter().map(|collection| collection_view(collection, other_end)).collect(),
        restarts,
    }
}

fn collection_view(collection: &CollectionInfo, other_end: &OtherEnd) -> CollectionView {
    let identity_state = match other_end.get(&collection.name) {
        Some(other) => EmbedderIdentity::compare(collection.identity.as_ref(), other.as_ref()),
        None => IdentityState::Unknown,
    };
    CollectionView {
        name: collection.name.clone(),
        rows: collection.rows,
        dimension: collection.dimension,
        metric: collection.metric,
        identity: collection.identity.clone(),
        identity_state,
    }
}
