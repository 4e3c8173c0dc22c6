use palanquin_actors::board::{Connection, LinkView, PalaceView};
use palanquin_engine::contract::{Condition, IdentityState, Severity};
use palanquin_engine::link::LinkState;

/// Whether the operator should look at a palace.
pub(crate) fn palace_problem(palace: &PalaceView) -> bool {
    let connection = matches!(palace.connection, Connection::Waiting { .. } | Connection::Failed { .. });
    let health = palace.health.as_ref().is_some_and(|health| health.condition != Condition::Healthy);
    connection || health || palace_identity(palace) == Some(IdentityState::KnownMismatch)
}

/// Whether the operator should look at a link.
pub(crate) fn link_problem(link: &LinkView) -> bool {
    matches!(link.state, LinkState::Waiting { .. } | LinkState::Halted { .. })
        || link.parity.as_ref().and_then(|parity| parity.differences).is_some_and(|differences| differences > 0)
        || link.findings.iter().any(|finding| finding.severity >= Severity::Warning)
}

/// The worst of a palace's collections; `None` while none is known.
pub(crate) fn palace_identity(palace: &PalaceView) -> Option<IdentityState> {
    let rank = |state: &IdentityState| match state {
        IdentityState::KnownMatch => 0,
        IdentityState::Unknown => 1,
        IdentityState::KnownMismatch => 2,
    };
    palace.collections.iter().map(|collection| collection.identity_state).max_by_key(rank)
}

/// Rows of all collections; `None` while none is known.
pub(crate) fn palace_rows(palace: &PalaceView) -> Option<u64> {
    let rows = palace.collections.iter().map(|collection| collection.rows);
    rows.reduce(u64::saturating_add)
}
