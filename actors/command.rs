use crate::board::ActKind;
use palanquin_engine::link::LinkId;

/// What an operator asks of the engine. Every command is answered on the board: the link's act shows how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Have a link do something.
    Act {
        /// Which link.
        link: LinkId,
        /// What.
        kind: ActKind,
    },
    /// Run maintenance on a palace; its [`runs`](crate::board::PalaceView::runs) show how far it is.
    Maintain {
        /// Address of the palace.
        palace: String,
        /// A kind its backend advertises.
        kind: String,
    },
    /// Cancel a maintenance run that is queued or being done; one that has ended stays as it is.
    CancelMaintenance {
        /// Address of the palace.
        palace: String,
        /// The run's [`number`](crate::board::MaintenanceRun::number).
        run: u64,
    },
    /// Stop every link at the next durable position and end.
    Drain,
}
