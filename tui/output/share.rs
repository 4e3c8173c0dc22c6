use crate::format::permille;
use palanquin_actors::board::LinkView;
use palanquin_engine::link::{LinkState, Phase};

/// How much of the phase is done, in tenths of a percent; never all of it while there is something left to do. Of a
/// filtered copy it is counted by partitions: how many rows of one will pass is not known.
pub(crate) fn share_done(link: &LinkView) -> Option<u16> {
    let share = |done: u64, total: u64| permille(done, total).map(|share| share.min(999));
    match (&link.state, link.state.phase()) {
        // Rows that were set aside are not in the target, and never all of it is there without them.
        (LinkState::Done { .. }, _) => {
            let rows = link.rows_total.filter(|_| !link.is_filtered);
            rows.and_then(|total| permille(link.rows_done, total)).or(Some(1000))
        }
        (_, Some(Phase::Live | Phase::CatchingUp | Phase::Maintaining)) => None,
        (_, Some(Phase::Verifying)) => {
            let parity = link.parity.as_ref()?;
            share(parity.source_rows.saturating_add(parity.target_rows), parity.total_rows)
        }
        _ if link.is_filtered => share(link.partitions_done as u64, link.partitions_total as u64),
        _ => share(link.rows_done, link.rows_total?),
    }
}
