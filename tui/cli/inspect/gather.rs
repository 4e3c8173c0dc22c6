use palanquin_actors::PalaceSource;
use palanquin_engine::contract::{
    CaptureLevel, Check, CollectionInfo, EmbedderIdentity, Fidelity, Health, IdentityState, LogEntry, MaintenanceKind,
    MaintenanceState, Metric, OpenMode, Palace, Purpose, Result, SelectedBy, token,
};
use serde::Serialize;

/// What is asked of a palace.
pub(super) struct Asked<'a> {
    pub(super) palace: &'a PalaceSource,
    pub(super) selected_by: SelectedBy,
    pub(super) current: Option<&'a EmbedderIdentity>,
    pub(super) exact: bool,
}

/// What a palace is and how it is.
#[derive(Debug, Serialize)]
pub(crate) struct Inspection {
    pub(super) palace: String,
    pub(super) backend: &'static str,
    pub(super) selected_by: SelectedBy,
    pub(super) health: Health,
    pub(super) collections: Vec<Inspected>,
    pub(super) capabilities: Vec<String>,
    pub(super) capture: Option<CaptureLevel>,
    pub(super) fidelity: Fidelity,
    pub(super) metrics: &'static [Metric],
    pub(super) maintenance_kinds: &'static [MaintenanceKind],
    pub(super) maintenance_state: MaintenanceState,
    pub(super) migration_log: Vec<LogEntry>,
    /// What its backend sees that a copy of it would meet: versions, permissions, locks and who holds them.
    pub(super) checks: Vec<Check>,
}

/// One collection.
#[derive(Debug, Serialize)]
pub(crate) struct Inspected {
    #[serde(flatten)]
    pub(super) info: CollectionInfo,
    /// Whether the rows were counted or estimated by the store.
    pub(super) rows_are_exact: bool,
    /// `None` where a model is recorded and there was none to compare it with.
    pub(super) identity_state: Option<IdentityState>,
}

pub(super) async fn gather(asked: Asked<'_>) -> Result<Inspection> {
    let PalaceSource { address, palace, backend } = asked.palace;
    let descriptor = backend.descriptor();
    let open = backend.open(palace, OpenMode::Read.into()).await?;
    let estimates = descriptor.capabilities.has(token::ESTIMATED_COUNT);
    let mut collections = Vec::new();
    for mut info in open.collections().await? {
        if asked.exact && estimates {
            info.rows = exact_count(open.as_ref(), &info).await?;
        }
        let rows_are_exact = asked.exact || !estimates;
        let identity_state = identity_state(&info, asked.current);
        collections.push(Inspected { info, rows_are_exact, identity_state });
    }
    Ok(Inspection {
        palace: address.clone(),
        backend: descriptor.name,
        selected_by: asked.selected_by,
        health: open.health().await,
        collections,
        capabilities: descriptor.capabilities.iter().map(str::to_owned).collect(),
        capture: descriptor.capture,
        fidelity: descriptor.fidelity,
        metrics: descriptor.metrics,
        maintenance_kinds: descriptor.maintenance_kinds,
        maintenance_state: open.maintenance_state().await?,
        migration_log: open.migration_log().await?,
        checks: backend.preflight(palace, Purpose::Source).await,
    })
}

async fn exact_count(palace: &dyn Palace, info: &CollectionInfo) -> Result<u64> {
    palace.collection(&info.name).await?.count().await
}

/// Unknown where nothing is recorded, whatever is asked; otherwise how it compares with what was asked.
fn identity_state(info: &CollectionInfo, current: Option<&EmbedderIdentity>) -> Option<IdentityState> {
    let named = info.identity.as_ref().filter(|identity| !identity.model_name.is_empty());
    match (named, current) {
        (None, _) => Some(IdentityState::Unknown),
        (Some(_), None) => None,
        (Some(stored), Some(current)) => Some(EmbedderIdentity::compare(Some(stored), Some(current))),
    }
}
