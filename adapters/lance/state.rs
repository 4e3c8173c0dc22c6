use crate::collection::{Pinned, TableHandle};
use crate::home::sidecar;
use crate::layout::Layout;
use crate::maintenance::figures;
use crate::palace::LancePalace;
use arrow_schema::Schema;
use palanquin_engine::contract::{
    CollectionInfo, Condition, EmbedderIdentity, Finding, Health, IdentityState, MaintenanceState, Result, Severity,
};
use serde_json::{Value, json};

/// More small fragments than this slow every read and every commit down.
const MANY_SMALL_FRAGMENTS: usize = 100;

/// What can be told of a collection that cannot be opened.
pub(crate) async fn unusable_collection(palace: &LancePalace, name: &str) -> CollectionInfo {
    let mut info = CollectionInfo {
        name: name.to_owned(),
        rows: 0,
        dimension: None,
        metric: None,
        identity: None,
        incarnation: None,
        settings: Default::default(),
    };
    let Ok(handle) = palace.table(name).await else { return info };
    if let Ok(dataset) = handle.newest().await {
        info.rows = dataset.count_rows(None).await.unwrap_or(0) as u64;
    }
    if let Ok(Pinned { layout, .. }) = handle.pin().await {
        info.dimension = Some(layout.dimension);
        (info.metric, info.identity, info.incarnation) = (layout.metric, layout.identity, layout.incarnation);
    }
    info
}

/// Looks at manifests and at the sidecar, at no row.
pub(crate) async fn health(palace: &LancePalace) -> Health {
    let names = match palace.names().await {
        Ok(names) => names,
        Err(error) => {
            return Health { condition: Condition::Unavailable, reason: Some(error.what()), findings: Vec::new() };
        }
    };
    let mut findings = Vec::new();
    for name in names {
        match palace.table(&name).await {
            Ok(table) => findings.extend(findings_of(palace, &name, table).await),
            Err(error) => findings.push(finding(Severity::Error, "unreadable_table", error.what())),
        }
    }
    Health::from_findings(findings)
}

async fn findings_of(palace: &LancePalace, name: &str, handle: TableHandle) -> Vec<Finding> {
    let mut findings = Vec::new();
    match handle.table.stats().await {
        Ok(stats) if stats.fragment_stats.num_small_fragments > MANY_SMALL_FRAGMENTS => {
            let small = stats.fragment_stats.num_small_fragments;
            let summary = format!("{name} consists of {small} small fragments; compaction would make it faster");
            findings.push(finding(Severity::Info, "small_fragments", summary));
        }
        Ok(_) => {}
        Err(error) => {
            let error = palace.place().collection(name).store("could not read the table's statistics", error);
            findings.push(finding(Severity::Error, "unreadable_table", error.what()));
        }
    }
    let Ok(dataset) = handle.newest().await else { return findings };
    if !dataset.manifest().uses_stable_row_ids() {
        let summary = format!("{name} has no stable row ids, so its changes cannot be followed");
        findings.push(finding(Severity::Info, "no_change_feed", summary));
    }
    match Layout::read(&Schema::from(dataset.schema())) {
        Ok(layout) => findings.extend(identity_finding(palace, name, &layout).await),
        Err(problem) => {
            let summary = format!("{name} is not a table of rows: {problem}");
            findings.push(finding(Severity::Warning, "unsupported_table", summary));
        }
    }
    findings
}

async fn identity_finding(palace: &LancePalace, name: &str, layout: &Layout) -> Option<Finding> {
    let stored = layout.stored_identity();
    match palace.home().recorded_identity(name).await {
        Err(error) => {
            let summary = format!("{} cannot be read: {error}", sidecar::FILE_NAME);
            Some(finding(Severity::Warning, "unreadable_sidecar", summary))
        }
        Ok(Some(recorded))
            if EmbedderIdentity::compare(Some(&stored), Some(&recorded)) == IdentityState::KnownMismatch =>
        {
            let summary = format!("{name} was made for {stored}, {} names {recorded}", sidecar::FILE_NAME);
            Some(finding(Severity::Error, "identity_mismatch", summary))
        }
        Ok(_) => None,
    }
}

fn finding(severity: Severity, name: &str, summary: String) -> Finding {
    Finding { severity, name: name.to_owned(), summary, rows: Vec::new() }
}

/// Per collection: versions, rows, fragments, bytes of the current version, indexes. Read from manifests.
pub(crate) async fn maintenance_state(palace: &LancePalace) -> Result<MaintenanceState> {
    let mut state = MaintenanceState::new();
    for name in palace.names().await? {
        // One that is damaged must not hide the others.
        let figures = table_state(palace, &name).await.unwrap_or_else(|error| json!({"error": error.what()}));
        state.insert(name, figures);
    }
    Ok(state)
}

async fn table_state(palace: &LancePalace, name: &str) -> Result<Value> {
    let handle = palace.table(name).await?;
    figures(handle.newest().await?.as_ref(), &handle.place).await
}
