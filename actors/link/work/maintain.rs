use super::check::connect;
use super::{Desk, Done, News};
use palanquin_engine::contract::{
    Finding, MaintenanceKind, MaintenanceResult, MaintenanceState, MaintenanceStep, OpenMode, Palace, Progress, Result,
    Severity, kind,
};

/// What is run after a copy, in this order: indexes are built once all rows are there, statistics last.
const AFTER_A_COPY: [&str; 2] = [kind::REINDEX, kind::ANALYZE];

/// What maintenance after a copy has come to.
#[derive(Debug, Default)]
pub(in crate::link) struct Upkeep {
    /// The target's state before.
    pub(in crate::link) before: MaintenanceState,
    /// The target's state after.
    pub(in crate::link) after: MaintenanceState,
    /// Runs that ended without a failure.
    pub(in crate::link) results: Vec<MaintenanceResult>,
}

/// The kinds that are run after a copy into a backend that advertises these.
pub fn maintenance_after_a_copy(advertised: &'static [MaintenanceKind]) -> Vec<&'static MaintenanceKind> {
    let find = |name: &&str| advertised.iter().find(|kind| kind.name == *name);
    AFTER_A_COPY.iter().filter_map(find).collect()
}

/// Maintains the target of a verified copy. A failure is something to look at and no more: the copy stays verified.
pub(super) async fn run(desk: &Desk) -> Result<Done> {
    let mut upkeep = Upkeep::default();
    let worked = tokio::select! {
        () = desk.shift.stop.cancelled() => return Ok(Done::Stopped),
        worked = all(desk, &mut upkeep) => worked,
    };
    if let Err(error) = worked {
        desk.tell(News::Found(maintenance_failed("maintenance", &error.what())));
    }
    Ok(Done::Maintained(upkeep))
}

async fn all(desk: &Desk, upkeep: &mut Upkeep) -> Result<()> {
    let target = connect(&desk.setup.target.actor, OpenMode::Create, false).await?;
    upkeep.before = target.maintenance_state().await?;
    for kind in maintenance_after_a_copy(desk.setup.target.maintenance_kinds) {
        match one(desk, target.as_ref(), kind.name).await {
            Ok(result) => upkeep.results.push(result),
            Err(error) => desk.tell(News::Found(maintenance_failed(kind.name, &error.what()))),
        }
    }
    upkeep.after = target.maintenance_state().await?;
    Ok(())
}

async fn one(desk: &Desk, target: &dyn Palace, kind: &'static str) -> Result<MaintenanceResult> {
    let told = desk.clone();
    let step = move |step: MaintenanceStep| told.tell(News::Maintaining { kind, step: Some(step) });
    desk.tell(News::Maintaining { kind, step: None });
    let progress = Progress::to(step);
    let running = target.run_maintenance(kind, &progress);
    tokio::pin!(running);
    // A store may build an index for long without a word: the work itself says that it waits for one.
    let beat_every = desk.setup.options.patience / 4;
    loop {
        tokio::select! {
            result = &mut running => return result,
            () = tokio::time::sleep(beat_every) => desk.heartbeat.beat(),
        }
    }
}

/// That maintenance after the copy failed, which takes nothing from the copy.
pub(in crate::link) fn maintenance_failed(what: &str, reason: &str) -> Finding {
    Finding {
        severity: Severity::Warning,
        name: "maintenance-failed".to_owned(),
        summary: format!("{what} after the copy failed, the copy itself is verified: {reason}"),
        rows: Vec::new(),
    }
}
