//! Snapshots for tests, as of one moment.

use palanquin_actors::board::{
    Act, ActKind, ActStatus, CollectionView, Connection, EventEntry, Lag, LinkView, PalaceView, ParityView, Snapshot,
    Trend,
};
use palanquin_engine::contract::{
    CaptureLevel, Condition, EmbedderIdentity, Fidelity, Finding, Health, IdentityState, MaintenanceKind, Metric,
    Severity,
};
use palanquin_engine::link::{Eta, Event, LinkId, LinkKind, LinkState, Phase, Rates};
use std::sync::Arc;

/// 2026-03-01 12:04:31 UTC.
pub(super) const NOW_MS: i64 = 1_772_366_671_000;

pub(super) const CHROMA: &str = "chroma:/home/ann/.mempalace/palace";
pub(super) const LANCE: &str = "lance:/srv/palaces/ann.lance";
const POSTGRES: &str = "postgres://db.example.org/memory?palace=ann";

pub(super) fn collection(name: &str, rows: u64, identity_state: IdentityState) -> CollectionView {
    let identity = EmbedderIdentity { model_name: "minilm".into(), dimension: 384 };
    let known = identity_state != IdentityState::Unknown;
    CollectionView {
        name: name.into(),
        rows,
        dimension: Some(384),
        metric: Some(Metric::Cosine),
        identity: known.then_some(identity),
        identity_state,
    }
}

const MAINTENANCE_KINDS: [MaintenanceKind; 2] = [
    MaintenanceKind { name: "analyze", effect: "Refreshes the planner's statistics; takes seconds, locks nothing." },
    MaintenanceKind {
        name: "compact",
        effect: "Rewrites small files into large ones; reads and writes go on meanwhile.",
    },
];

pub(super) fn palace(address: &str, backend: &'static str) -> PalaceView {
    let (capture, maintenance) = match backend {
        "chroma" => (CaptureLevel::Log, serde_json::json!({"queued_rows": 0, "segments": 6, "vacuum": "never"})),
        "lance" => (
            CaptureLevel::Version,
            serde_json::json!({"version": 12, "fragments": 3, "indexes": {"vector": "ivf_pq", "unindexed_rows": 1204}}),
        ),
        _ => (CaptureLevel::Log, serde_json::json!({"dead_tuples": 418, "indexes": 2})),
    };
    PalaceView {
        address: address.into(),
        backend,
        connection: Connection::Open,
        health: Some(Health::healthy()),
        checked_at_ms: Some(NOW_MS - 12_000),
        capabilities: ["supports_embeddings_in", "supports_embeddings_out", "supports_migration_export", "local_mode"]
            .map(str::to_owned)
            .to_vec(),
        maintenance_kinds: &MAINTENANCE_KINDS,
        runs: Vec::new(),
        metrics: &[Metric::Cosine],
        fidelity: Fidelity::Exact,
        capture: Some(capture),
        maintenance: maintenance.as_object().map(|o| o.clone().into_iter().collect()).unwrap_or_default(),
        collections: vec![
            collection("mempalace_drawers", 1_180_400, IdentityState::KnownMatch),
            collection("mempalace_closets", 22_600, IdentityState::KnownMatch),
        ],
        restarts: 0,
    }
}

pub(super) fn link(id: &str, kind: LinkKind, state: LinkState) -> LinkView {
    LinkView {
        id: LinkId(id.into()),
        kind,
        source: CHROMA.into(),
        target: LANCE.into(),
        state,
        since_ms: NOW_MS - 192_000,
        rows_done: 412_310,
        rows_total: Some(1_203_000),
        bytes_done: 1_288_490_188,
        partitions_done: 12,
        partitions_total: 36,
        rates: Rates { recent: Some(4120.0), mean: Some(3904.0) },
        eta: Eta::Seconds(192),
        changes_applied: 0,
        lag: None,
        credit_used: 12 << 20,
        credit_total: 64 << 20,
        attempt: 0,
        restarts: 0,
        parity: None,
        findings: Vec::new(),
        act: None,
    }
}

fn event(number: u64, seconds_ago: i64, who: &str, from: &str, to: &str, reason: &str) -> Arc<EventEntry> {
    Arc::new(EventEntry {
        number,
        event: Event {
            who: who.into(),
            at_ms: NOW_MS - seconds_ago * 1000,
            from: from.into(),
            to: to.into(),
            reason: reason.into(),
            attempt: 0,
            next_try_at_ms: None,
        },
    })
}

pub(super) fn working(phase: Phase) -> LinkState {
    LinkState::Working { phase }
}

/// A migration under way.
pub(super) fn copying() -> Snapshot {
    let mut target = palace(LANCE, "lance");
    target.collections = vec![
        collection("mempalace_drawers", 412_310, IdentityState::KnownMatch),
        collection("mempalace_closets", 0, IdentityState::Unknown),
    ];
    Snapshot {
        at_ms: NOW_MS,
        palaces: vec![palace(CHROMA, "chroma").into(), target.into()],
        links: vec![link("3f9a1c0b2d4e", LinkKind::Migrate, working(Phase::Copying)).into()],
        events: [
            event(1, 200, &format!("palace {CHROMA}"), "opening", "open", ""),
            event(2, 199, &format!("palace {LANCE}"), "opening", "open", "made"),
            event(3, 196, "link 3f9a1c0b2d4e", "", "planned", ""),
            event(4, 195, "link 3f9a1c0b2d4e", "planned", "checking", ""),
            event(5, 192, "link 3f9a1c0b2d4e", "checking", "copying", "36 partitions, 1,203,000 rows"),
        ]
        .into(),
    }
}

/// Mirrors that follow their sources.
pub(super) fn live() -> Snapshot {
    let mut snapshot = copying();
    let mut calm = link("3f9a1c0b2d4e", LinkKind::Mirror, working(Phase::Live));
    calm.rows_done = 1_203_000;
    calm.changes_applied = 4120;
    calm.rates = Rates { recent: Some(3.2), mean: Some(2.8) };
    calm.lag = Some(Lag { rows: 12, millis: 412, trend: Trend::Draining, measured_at_ms: NOW_MS - 1000 });
    let mut behind = calm.clone();
    behind.id = LinkId("77aa00bb11cc".into());
    behind.target = POSTGRES.into();
    behind.lag = Some(Lag { rows: 18_204, millis: 94_000, trend: Trend::Growing, measured_at_ms: NOW_MS - 8000 });
    let mut catching = calm.clone();
    catching.id = LinkId("d00d1e5e1f00".into());
    catching.state = working(Phase::CatchingUp);
    catching.target = "chroma+http://chroma.internal:8000?tenant=ann".into();
    catching.lag = Some(Lag { rows: 512, millis: 12_000, trend: Trend::Holding, measured_at_ms: NOW_MS });
    snapshot.links = vec![calm.into(), behind.into(), catching.into()];
    snapshot.palaces.push(palace(POSTGRES, "postgres").into());
    snapshot.events.push_back(event(6, 90, "link 3f9a1c0b2d4e", "copying", "catching up", ""));
    snapshot.events.push_back(event(7, 80, "link 3f9a1c0b2d4e", "catching up", "live", ""));
    snapshot
}

/// Much that wants the operator.
pub(super) fn degraded() -> Snapshot {
    let mut snapshot = copying();
    let damaged = Finding {
        severity: Severity::Error,
        name: "hnsw_incomplete".into(),
        summary: "the vector index holds 38,797 of 40,000 vectors; the others are read from the log".into(),
        rows: vec!["drawer_0001".into(), "drawer_0417".into(), "drawer_8213".into()],
    };
    let mut source = palace(CHROMA, "chroma");
    source.health = Some(Health::from_findings(vec![damaged.clone()]));
    source.restarts = 2;
    let mut target = palace(POSTGRES, "postgres");
    target.connection = Connection::Waiting {
        reason: "connection refused (db.example.org:5432)".into(),
        next_try_at_ms: NOW_MS + 7400,
    };
    target.health = None;
    let mut waiting = link(
        "77aa00bb11cc",
        LinkKind::Mirror,
        LinkState::Waiting {
            phase: Phase::Copying,
            reason: "target: connection refused (db.example.org:5432)".into(),
            next_try_at_ms: NOW_MS + 7400,
        },
    );
    waiting.target = POSTGRES.into();
    waiting.attempt = 3;
    waiting.restarts = 1;
    let mut halted = link(
        "d00d1e5e1f00",
        LinkKind::Migrate,
        LinkState::Halted {
            phase: Phase::Checking,
            reason: "DimensionMismatch: mempalace_drawers is 384 wide in the source and 768 in the target".into(),
            advice: "Vectors of different widths cannot share a collection; choose another target.".into(),
        },
    );
    halted.findings = vec![damaged];
    halted.rows_done = 0;
    halted.rows_total = None;
    let mut done = link("0123456789ab", LinkKind::Migrate, LinkState::Done { verified: true });
    done.rows_done = 1_203_000;
    done.parity = Some(ParityView {
        source_rows: 1_203_000,
        target_rows: 1_203_000,
        total_rows: 2_406_000,
        differences: Some(0),
        verdict: Some("equal: every row compared".into()),
    });
    let mut paused = link("9999aaaabbbb", LinkKind::Migrate, LinkState::Paused { phase: Phase::Copying });
    paused.act = Some(Act { kind: ActKind::Pause, at_ms: NOW_MS - 30_000, status: ActStatus::Done });
    snapshot.palaces = vec![source.into(), target.into()];
    snapshot.links = vec![waiting.into(), halted.into(), paused.into(), done.into()];
    let mut retry = event(6, 4, "link 77aa00bb11cc", "copying", "waiting", "target: connection refused");
    let failed = Arc::make_mut(&mut retry);
    failed.event.attempt = 3;
    failed.event.next_try_at_ms = Some(NOW_MS + 7400);
    snapshot.events.push_back(retry);
    snapshot.events.push_back(event(7, 2, "link d00d1e5e1f00", "checking", "halted", "DimensionMismatch: 384 and 768"));
    snapshot
}

/// So many links, a tenth of them waiting.
pub(super) fn many(links: usize) -> Snapshot {
    let mut snapshot = copying();
    let one = |index: usize| {
        let state = match index % 10 {
            9 => LinkState::Waiting {
                phase: Phase::Copying,
                reason: format!("target {index} does not answer"),
                next_try_at_ms: NOW_MS + 5000,
            },
            _ => working(Phase::Copying),
        };
        Arc::new(link(&format!("{index:012x}"), LinkKind::Mirror, state))
    };
    snapshot.links = (0..links).map(one).collect();
    snapshot
}

/// Text that wants to do harm: wide, without end, with control characters.
pub(super) fn hostile() -> Snapshot {
    let nasty = format!("chroma:/家/{}\x1b[2J\u{202e}\n\t/👩‍👩‍👧/{}", "宮殿/".repeat(40), "é".repeat(300));
    let mut snapshot = degraded();
    let mut source = palace(&nasty, "chroma");
    source.connection = Connection::Failed { reason: nasty.clone() };
    source.health =
        Some(Health { condition: Condition::Unavailable, reason: Some(nasty.clone()), findings: Vec::new() });
    source.collections.push(collection(&nasty, u64::MAX, IdentityState::KnownMismatch));
    source.capabilities.push(nasty.clone());
    source.maintenance.insert(nasty.clone(), nasty.clone().into());
    snapshot.palaces.push(source.into());
    let mut odd = link(&nasty, LinkKind::Mirror, working(Phase::Copying));
    odd.source = nasty.clone();
    odd.target = nasty.clone();
    odd.rows_done = u64::MAX;
    odd.rows_total = Some(0);
    odd.since_ms = i64::MAX;
    odd.rates = Rates { recent: Some(f64::INFINITY), mean: Some(-1.0) };
    odd.eta = Eta::Seconds(u64::MAX);
    odd.lag = Some(Lag { rows: u64::MAX, millis: u64::MAX, trend: Trend::Growing, measured_at_ms: i64::MIN });
    odd.act = Some(Act { kind: ActKind::Pause, at_ms: i64::MIN, status: ActStatus::Refused(nasty.clone()) });
    odd.parity = Some(ParityView {
        source_rows: u64::MAX,
        target_rows: u64::MAX,
        total_rows: 1,
        differences: Some(u64::MAX),
        verdict: Some(nasty.clone()),
    });
    odd.findings = vec![Finding {
        severity: Severity::Info,
        name: nasty.clone(),
        summary: nasty.clone(),
        rows: vec![nasty.clone()],
    }];
    snapshot.links.push(odd.into());
    snapshot.events.push_back(event(8, -1, &nasty, &nasty, &nasty, &nasty));
    snapshot
}
