use crate::cli::{Inspection, Listed, Migrated, MigrationPlan};
use crate::exit_code::Exit;
use palanquin_actors::LinkEnd;
use palanquin_actors::board::{EventEntry, LinkView, PalaceView};
use palanquin_engine::contract::{
    Capabilities, CaptureLevel, Conversion, Descriptor, Error, Fidelity, Finding, LogEntry, MaintenanceKind,
    MaintenanceResult, MaintenanceStep, Metric, Slot,
};
use palanquin_engine::journal::{DeadLetter, KeptLetter};
use palanquin_engine::link::{ConvertedRows, LinkId, SetAside};
use palanquin_engine::parity::{ParityReport, Repaired};
use serde::Serialize;
use serde_json::Value;

/// Version of the lines' shape; a change that breaks readers raises it.
const SCHEMA: u32 = 1;

/// One line.
#[derive(Serialize)]
pub(crate) struct Line<'a> {
    schema: u32,
    #[serde(flatten)]
    content: Content<'a>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Content<'a> {
    Palace {
        palace: &'a PalaceView,
    },
    Progress {
        link: &'a LinkView,
    },
    Event {
        event: &'a EventEntry,
    },
    Result {
        exit_code: u8,
        outcome: &'a str,
        rows: u64,
        report: Option<&'a ParityReport>,
        findings: &'a [Finding],
        dead_letters: &'a [SetAside],
        conversions: &'a [ConvertedRows],
    },
    KeptLetter {
        link: &'a LinkId,
        about: &'a SetAside,
        at_ms: i64,
        bytes: u64,
    },
    DeadLetter {
        link: &'a LinkId,
        about: &'a SetAside,
        at_ms: i64,
        document: Option<&'a str>,
        metadata: Option<Value>,
        embedding: Option<&'a [f32]>,
    },
    Inspection {
        inspection: &'a Inspection,
    },
    MaintenanceStep {
        step: &'a MaintenanceStep,
    },
    Maintenance {
        result: &'a MaintenanceResult,
        millis: u64,
    },
    Backend {
        backend: Described<'a>,
    },
    Plan {
        plan: &'a MigrationPlan,
    },
    LogEntry {
        entry: &'a LogEntry,
    },
    Migrations {
        palaces: &'a [Migrated],
    },
    Comparing {
        doing: &'a str,
        source_rows: u64,
        target_rows: u64,
        total_rows: u64,
    },
    Verification {
        exit_code: u8,
        conclusion: &'a str,
        report: &'a ParityReport,
        repaired: Option<&'a Repaired>,
    },
    Receipt {
        exit_code: u8,
        intact: bool,
        stamp: &'a str,
    },
    Slot {
        slot: &'a Slot,
        link: Option<&'a LinkId>,
    },
    Link {
        link: &'a Listed<'a>,
    },
    Note {
        text: &'a str,
    },
    Error {
        exit_code: u8,
        name: &'static str,
        message: String,
        advice: &'static str,
    },
}

/// A backend's descriptor.
#[derive(Serialize)]
struct Described<'a> {
    name: &'static str,
    spec_version: String,
    capabilities: &'a Capabilities,
    maintenance_kinds: &'static [MaintenanceKind],
    metrics: &'static [Metric],
    capture: Option<CaptureLevel>,
    fidelity: Fidelity,
    conversions: &'static [Conversion],
}

fn line(content: Content<'_>) -> String {
    // Everything in a line has string keys and finite numbers, which JSON can always hold.
    serde_json::to_string(&Line { schema: SCHEMA, content }).unwrap_or_default()
}

pub(crate) fn palace(palace: &PalaceView) -> String {
    line(Content::Palace { palace })
}

pub(crate) fn progress(link: &LinkView) -> String {
    line(Content::Progress { link })
}

pub(crate) fn event(event: &EventEntry) -> String {
    line(Content::Event { event })
}

pub(crate) fn result(end: &LinkEnd, exit: Exit, outcome: &str) -> String {
    let report = end.report.as_deref();
    line(Content::Result {
        exit_code: exit as u8,
        outcome,
        rows: end.rows,
        report,
        findings: &end.findings,
        dead_letters: &end.account.dead_letters,
        conversions: &end.account.conversions,
    })
}

pub(crate) fn kept_letter(link: &LinkId, letter: &KeptLetter) -> String {
    line(Content::KeptLetter { link, about: &letter.about, at_ms: letter.at_ms, bytes: letter.bytes })
}

/// With its content; components that are no numbers are null.
pub(crate) fn dead_letter(link: &LinkId, letter: &DeadLetter) -> String {
    line(Content::DeadLetter {
        link,
        about: &letter.about,
        at_ms: letter.at_ms,
        document: letter.document.as_deref(),
        metadata: serde_json::from_str(&letter.metadata).ok(),
        embedding: letter.embedding.as_deref(),
    })
}

pub(crate) fn inspection(inspection: &Inspection) -> String {
    line(Content::Inspection { inspection })
}

pub(crate) fn maintenance_step(step: &MaintenanceStep) -> String {
    line(Content::MaintenanceStep { step })
}

pub(crate) fn maintenance(result: &MaintenanceResult, millis: u64) -> String {
    line(Content::Maintenance { result, millis })
}

pub(crate) fn backend(backend: &Descriptor) -> String {
    line(Content::Backend {
        backend: Described {
            name: backend.name,
            spec_version: backend.spec_version.to_string(),
            capabilities: &backend.capabilities,
            maintenance_kinds: backend.maintenance_kinds,
            metrics: backend.metrics,
            capture: backend.capture,
            fidelity: backend.fidelity,
            conversions: backend.conversions,
        },
    })
}

pub(crate) fn plan(plan: &MigrationPlan) -> String {
    line(Content::Plan { plan })
}

pub(crate) fn migrations(palaces: &[Migrated]) -> String {
    line(Content::Migrations { palaces })
}

pub(crate) fn log_entry(entry: &LogEntry) -> String {
    line(Content::LogEntry { entry })
}

pub(crate) fn comparing(doing: &str, source_rows: u64, target_rows: u64, total_rows: u64) -> String {
    line(Content::Comparing { doing, source_rows, target_rows, total_rows })
}

pub(crate) fn verification(report: &ParityReport, repaired: Option<&Repaired>, exit: Exit) -> String {
    line(Content::Verification { exit_code: exit as u8, conclusion: report.conclusion(), report, repaired })
}

pub(crate) fn receipt_checked(stamp: &str, intact: bool, exit: Exit) -> String {
    line(Content::Receipt { exit_code: exit as u8, intact, stamp })
}

/// A slot, and the link it is kept for if the journal knows it.
pub(crate) fn slot(slot: &Slot, link: Option<&LinkId>) -> String {
    line(Content::Slot { slot, link })
}

pub(crate) fn link(link: &Listed<'_>) -> String {
    line(Content::Link { link })
}

pub(crate) fn note(text: &str) -> String {
    line(Content::Note { text })
}

pub(crate) fn failure(error: &Error, exit: Exit) -> String {
    let (name, advice) = (error.kind().name(), error.advice());
    line(Content::Error { exit_code: exit as u8, name, message: error.what(), advice })
}
