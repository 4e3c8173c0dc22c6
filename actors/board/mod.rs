//! What is observable: one [`Snapshot`] per change on a `watch`; dashboard, plain output and JSON all read that value.
//!
//! Actors change it through a [`Board`]; nobody reads an actor's state directly.

mod maintenance;
mod publish;
mod snapshot;

pub use maintenance::{MaintenanceRun, RunState};
pub use publish::Board;
pub use snapshot::{
    Act, ActKind, ActStatus, CaptureView, CollectionView, Connection, EventEntry, Lag, Limiter, LinkView,
    MaintenanceView, PalaceView, ParityView, Round, Snapshot, Trend,
};
