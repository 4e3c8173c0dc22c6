use super::check::connect;
use super::{Desk, gate};
use palanquin_engine::contract::{ErrorKind, LogEntry, MigrationRecord, OpenMode, RecordedCollection, Result};
use palanquin_engine::parity::{ParityReport, Verdict};

/// Leaves the record of a finished migration in the target (§8.3), once: a comparison that is repeated adds none.
/// A target that keeps no migration log has none, and the report says so.
pub(super) async fn leave(desk: &Desk, report: &mut ParityReport, pairs: &[super::Pair]) -> Result<()> {
    let setup = &desk.setup;
    let target = connect(&setup.target.actor, OpenMode::Create, false).await?;
    let judgement = gate::of_pairs(desk, pairs).await?;
    let mut collections = Vec::new();
    for pair in pairs {
        let (source, target) = (pair.source.info().await?, pair.target.info().await?);
        let compared = report.collections.iter().find(|compared| compared.name == pair.name);
        collections.push(RecordedCollection {
            name: pair.name.clone(),
            rows: compared.map_or(target.rows, |compared| compared.target_rows),
            source_model: source.identity,
            target_model: target.identity,
            model_known_by: judgement.model(&pair.name).map(|model| model.known_by),
            incarnation: target.incarnation,
        });
        desk.heartbeat.beat();
    }
    let record = MigrationRecord {
        link: setup.id.to_string(),
        source_backend: setup.source.backend.to_owned(),
        source: setup.source.address.clone(),
        target_backend: setup.target.backend.to_owned(),
        rows: collections.iter().map(|collection| collection.rows).sum(),
        // The conditions of §8.2, that the proof has held, and that nothing was converted or salvaged: that is not what
        // the source has.
        lossless: judgement.losses.is_empty()
            && setup.journal.converted(&setup.id).await?.is_empty()
            && setup.salvaged.rows().is_empty()
            && report.verdict() == Verdict::Equal,
        verified: report.verdict() == Verdict::Equal,
        re_embedded: judgement.re_embeds,
        flags: setup.spec.overrides.flags(),
        collections,
    };
    if target.migration_log().await?.iter().any(|entry| entry.is_of(&record)) {
        return Ok(());
    }
    match target.append_to_migration_log(&LogEntry::migration(&record)).await {
        Err(error) if error.kind() == ErrorKind::UnsupportedCapability => {
            report
                .not_compared
                .push("no record of the migration was left: the target keeps no migration log".to_owned());
            Ok(())
        }
        written => written,
    }
}
