use super::Desk;
use super::check::connect;
use palanquin_engine::contract::{
    Capabilities, EmbedderIdentity, ErrorKind, IdentityState, LogEntry, MigrationRecord, OpenMode, RecordedCollection,
    Result, token,
};
use palanquin_engine::parity::{ParityReport, Verdict};

/// Leaves the record of a finished migration in the target (§8.3), once: a comparison that is repeated adds none.
/// A target that keeps no migration log has none, and the report says so.
pub(super) async fn leave(desk: &Desk, report: &mut ParityReport, pairs: &[super::Pair]) -> Result<()> {
    let setup = &desk.setup;
    let target = connect(&setup.target.actor, OpenMode::Create, false).await?;
    let mut collections = Vec::new();
    let mut models_agree = true;
    for pair in pairs {
        let (source, target) = (pair.source.info().await?, pair.target.info().await?);
        let state = EmbedderIdentity::compare(source.identity.as_ref(), target.identity.as_ref());
        models_agree &= state != IdentityState::KnownMismatch;
        let compared = report.collections.iter().find(|compared| compared.name == pair.name);
        collections.push(RecordedCollection {
            name: pair.name.clone(),
            rows: compared.map_or(target.rows, |compared| compared.target_rows),
            source_model: source.identity,
            target_model: target.identity,
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
        // What was converted is not what the source has.
        lossless: setup.spec.is_of_the_whole_palace()
            && setup.journal.converted(&setup.id).await?.is_empty()
            && is_lossless(&setup.source.capabilities, &setup.target.capabilities, models_agree, report),
        verified: report.verdict() == Verdict::Equal,
        flags: Vec::new(),
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

/// The three conditions of §8, and that the proof has held.
fn is_lossless(source: &Capabilities, target: &Capabilities, models_agree: bool, report: &ParityReport) -> bool {
    source.has(token::MIGRATION_EXPORT)
        && target.has(token::EMBEDDINGS_PASSTHROUGH)
        && models_agree
        && report.verdict() == Verdict::Equal
}
