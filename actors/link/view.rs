use super::setup::LinkSetup;
use crate::board::{Act, CaptureView, Lag, LinkView, MaintenanceView, ParityView, Round, Trend};
use crate::clock::now_ms;
use palanquin_engine::contract::{CaptureLevel, Finding, Severity};
use palanquin_engine::link::{Account, Eta, LinkKind, LinkSpec, LinkState, Machine, Meter, Phase, Plan, Positions};
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
    pub(super) maintenance: Option<MaintenanceView>,
    round: Option<Round>,
    bare: BTreeMap<String, Bare>,
    found: Vec<Finding>,
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
            maintenance: None,
            round: None,
            bare: BTreeMap::new(),
            found: Vec::new(),
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

    fn findings(&self, account: &Account) -> Vec<Finding> {
        let bare = |(collection, bare): (&String, &Bare)| Finding {
            severity: Severity::Error,
            name: "rows-without-vector".to_owned(),
            summary: format!(
                "{} of {collection} without a vector in the source, copied without one unless the target refuses that",
                if bare.rows == 1 { "1 row is".to_owned() } else { format!("{} rows are", bare.rows) }
            ),
            rows: bare.ids.clone(),
        };
        let mut findings: Vec<Finding> = self.bare.iter().map(bare).collect();
        let letters = &account.dead_letters;
        if let Some(first) = letters.first() {
            findings.push(Finding {
                severity: Severity::Error,
                name: "dead-letters".to_owned(),
                summary: format!(
                    "set aside, since the target refuses it as the source has it: {}: {}, …",
                    if letters.len() == 1 { "1 row".to_owned() } else { format!("{} rows", letters.len()) },
                    first.detail
                ),
                rows: letters.iter().take(LISTED).map(|letter| letter.id.clone()).collect(),
            });
        }
        for converted in &account.conversions {
            findings.push(Finding {
                severity: Severity::Warning,
                name: "converted-rows".to_owned(),
                summary: format!("in {} rows of {} {}", converted.count, converted.collection, converted.conversion),
                rows: converted.ids.iter().take(LISTED).cloned().collect(),
            });
        }
        findings.extend(self.found.iter().cloned());
        findings
    }

    /// Keeps a finding; work that is repeated finds it again, and once is enough.
    pub(super) fn found(&mut self, finding: Finding) {
        if !self.found.contains(&finding) {
            self.found.push(finding);
        }
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

    /// A round of comparison is done: as of its beginning, nothing is behind.
    pub(super) fn compared_all(&mut self, round: Round) {
        self.behind(0, None);
        self.round = Some(round);
    }

    /// Of a filtered copy both ends are read for the rows that were copied, else for those that were planned.
    pub(super) fn comparing(&mut self, spec: &LinkSpec, plan: &Plan, positions: &Positions) {
        let total_rows = 2 * if spec.filter.is_some() { positions.rows() } else { plan.rows() };
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
    account: &Account,
) -> LinkView {
    let now = now_ms();
    let is_filtered = setup.spec.filter.is_some();
    let (rows_done, rows_total) = (positions.rows(), plan.map(Plan::rows).filter(|_| !is_filtered));
    let copying = matches!(machine.state(), LinkState::Working { phase: Phase::Copying });
    let eta = match rows_total {
        Some(total) if copying => sight.meter.eta(rows_done, total, now),
        _ if plan.is_some() && !copying => Eta::Unknown(format!("not copying: {}", machine.state().word())),
        None if plan.is_some() => Eta::Unknown("how many rows pass the filter is not known".to_owned()),
        _ => Eta::Unknown("not planned yet".to_owned()),
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
        is_filtered,
        bytes_done: positions.bytes(),
        partitions_done: positions.partitions_done(),
        partitions_total: plan.map_or(0, Plan::partitions),
        rates: sight.meter.rates(now),
        eta,
        changes_applied: sight.changes_applied,
        capture: capture(setup, sight),
        lag: sight.lag.clone(),
        credit_used: setup.credit.used(),
        credit_total: setup.credit.total(),
        limiter: copying.then(|| setup.limits.limiter(&setup.credit)),
        dead_letters: account.dead_letters.len() as u64,
        converted: account.conversions.iter().map(|rows| rows.count).sum(),
        attempt: machine.attempt(),
        restarts: setup.restarts.load(Ordering::Relaxed),
        parity: sight.parity.clone(),
        maintenance: sight.maintenance.clone(),
        findings: findings(setup, sight, account),
        act: sight.act.clone(),
    }
}

/// How a mirror learns of changes.
fn capture(setup: &LinkSetup, sight: &Sight) -> Option<CaptureView> {
    if setup.spec.kind != LinkKind::Mirror {
        return None;
    }
    let interval_ms = setup.spec.scan_every_ms;
    let level = if interval_ms.is_some() { Some(CaptureLevel::Scan) } else { setup.source.capture };
    level.map(|level| CaptureView { level, interval_ms, last_round: sight.round })
}

/// What the operator should look at.
pub(super) fn findings(setup: &LinkSetup, sight: &Sight, account: &Account) -> Vec<Finding> {
    let mut findings = sight.findings(account);
    findings.extend(setup.salvaged.findings());
    findings
}
