use super::setup::LinkSetup;
use crate::board::{Act, Lag, LinkView, ParityView, Trend};
use crate::clock::now_ms;
use palanquin_engine::contract::{Finding, Severity};
use palanquin_engine::link::{Eta, LinkState, Machine, Meter, Phase, Plan, Positions};
use palanquin_engine::parity::{End, ParityReport, Verdict};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// Ids listed in a finding, at most.
const LISTED: usize = 100;

/// What the operator sees of a link beyond its state and positions.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) since_ms: i64,
    pub(super) meter: Meter,
    pub(super) changes_applied: u64,
    pub(super) lag: Option<Lag>,
    pub(super) parity: Option<ParityView>,
    bare: BTreeMap<String, Bare>,
    pub(super) act: Option<Act>,
}

/// Rows of one collection that have no vector.
#[derive(Debug, Default)]
struct Bare {
    rows: u64,
    ids: Vec<String>,
}

impl Sight {
    pub(super) fn new() -> Self {
        Self {
            since_ms: now_ms(),
            meter: Meter::start(now_ms()),
            changes_applied: 0,
            lag: None,
            parity: None,
            bare: BTreeMap::new(),
            act: None,
        }
    }

    /// Counts rows that have no vector.
    pub(super) fn without_vector(&mut self, collection: &str, ids: Vec<String>) {
        let bare = self.bare.entry(collection.to_owned()).or_default();
        bare.rows += ids.len() as u64;
        let room = LISTED.saturating_sub(bare.ids.len());
        bare.ids.extend(ids.into_iter().take(room));
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        let finding = |(collection, bare): (&String, &Bare)| Finding {
            severity: Severity::Error,
            name: "rows-without-vector".to_owned(),
            summary: format!(
                "{} rows of {collection} have no vector in the source and are copied without one",
                bare.rows
            ),
            rows: bare.ids.clone(),
        };
        self.bare.iter().map(finding).collect()
    }

    pub(super) fn behind(&mut self, rows: u64, since_ms: Option<i64>) {
        let now = now_ms();
        let before = self.lag.as_ref().map_or(0, |lag| lag.rows);
        let trend = match rows.cmp(&before) {
            std::cmp::Ordering::Greater => Trend::Growing,
            std::cmp::Ordering::Equal => Trend::Holding,
            std::cmp::Ordering::Less => Trend::Draining,
        };
        let millis = since_ms.map_or(0, |since| now.saturating_sub(since).max(0) as u64);
        self.lag = Some(Lag { rows, millis, trend, measured_at_ms: now });
    }

    pub(super) fn comparing(&mut self, total_rows: u64) {
        self.parity = Some(ParityView { source_rows: 0, target_rows: 0, total_rows, differences: None, verdict: None });
    }

    pub(super) fn compared(&mut self, end: End, rows: u64) {
        if let Some(parity) = &mut self.parity {
            match end {
                End::Source => parity.source_rows += rows,
                End::Target => parity.target_rows += rows,
            }
        }
    }

    pub(super) fn concluded(&mut self, report: &ParityReport) {
        // The comparison reads every row once; the copy may have read some twice.
        for collection in report.collections.iter().filter(|collection| collection.without_vector > 0) {
            self.bare.entry(collection.name.clone()).or_default().rows = collection.without_vector;
        }
        if let Some(parity) = &mut self.parity {
            let differences = report.difference_count();
            parity.differences = Some(differences);
            parity.verdict = Some(match report.verdict() {
                Verdict::Equal => format!("all {} rows are equal", report.equal_rows()),
                Verdict::Different => format!("{differences} rows differ"),
                Verdict::Inconclusive => format!("inconclusive: {}", report.inconclusive().join("; ")),
            });
        }
    }
}

pub(super) fn link_view(
    setup: &LinkSetup,
    machine: &Machine,
    plan: Option<&Plan>,
    positions: &Positions,
    sight: &Sight,
) -> LinkView {
    let now = now_ms();
    let (rows_done, rows_total) = (positions.rows(), plan.map(Plan::rows));
    let copying = matches!(machine.state(), LinkState::Working { phase: Phase::Copying });
    let eta = match rows_total {
        Some(total) if copying => sight.meter.eta(rows_done, total, now),
        Some(_) => Eta::Unknown(format!("not copying: {}", machine.state().word())),
        None => Eta::Unknown("not planned yet".to_owned()),
    };
    LinkView {
        id: setup.id.clone(),
        kind: setup.spec.kind,
        source: setup.source.address.clone(),
        target: setup.target.address.clone(),
        state: machine.state().clone(),
        since_ms: sight.since_ms,
        rows_done,
        rows_total,
        bytes_done: positions.bytes(),
        partitions_done: positions.partitions_done(),
        partitions_total: plan.map_or(0, Plan::partitions),
        rates: sight.meter.rates(now),
        eta,
        changes_applied: sight.changes_applied,
        lag: sight.lag.clone(),
        credit_used: setup.credit.used(),
        credit_total: setup.credit.total(),
        attempt: machine.attempt(),
        restarts: setup.restarts.load(Ordering::Relaxed),
        parity: sight.parity.clone(),
        findings: sight.findings(),
        act: sight.act.clone(),
    }
}
