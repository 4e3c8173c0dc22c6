use super::{DeadLetter, Digests, JournalError, KeptLetter};
use crate::contract::{Conversion, Cursor};
use crate::link::{ConvertedRows, LinkId, LinkSpec, Plan, Position, Positions};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// A link as the journal knows it, and the right to write on.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The link.
    pub link: LinkId,
    /// Fences: writes under an older epoch are refused.
    pub epoch: u64,
    /// The plan, if one was stored.
    pub plan: Option<Plan>,
    /// How far it has gone.
    pub positions: Positions,
    /// How it ended, if it did.
    pub ending: Option<Ending>,
}

/// How a link ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// Whether both ends were found equal.
    pub verified: bool,
    /// When, milliseconds since the epoch.
    pub at_ms: i64,
}

/// A link as the journal knows it, whoever works on it.
#[derive(Clone, Debug)]
pub struct KnownLink {
    /// The link.
    pub link: LinkId,
    /// What was asked for.
    pub spec: LinkSpec,
    /// The plan, if one was stored.
    pub plan: Option<Plan>,
    /// How far it has gone.
    pub positions: Positions,
    /// How it ended, if it did.
    pub ending: Option<Ending>,
}

/// Durable state of links. What a call has answered survives a crash of the machine.
#[async_trait]
pub trait Journal: Digests + Send + Sync + 'static {
    /// Takes a link over, making it known if it is new; earlier claims are fenced out.
    async fn claim(&self, spec: &LinkSpec) -> Result<Claim, JournalError>;

    /// Stores the plan. A link has one plan for life.
    ///
    /// # Errors
    /// `PlanExists` if there is one.
    async fn store_plan(&self, link: &LinkId, epoch: u64, plan: &Plan) -> Result<(), JournalError>;

    /// Moves positions forward: partitions by (collection, partition) index, feeds by collection index.
    async fn advance(
        &self,
        link: &LinkId,
        epoch: u64,
        partitions: &[(usize, usize, Position)],
        feeds: &[(usize, Cursor)],
    ) -> Result<(), JournalError>;

    /// Records how it ended.
    async fn end(&self, link: &LinkId, epoch: u64, ending: &Ending) -> Result<(), JournalError>;

    /// Takes back that it has ended: what it has made is to be looked at again. Plan and positions stay.
    async fn reopen(&self, link: &LinkId, epoch: u64) -> Result<(), JournalError>;

    /// Every link, by id. Takes over none of them.
    async fn links(&self) -> Result<Vec<KnownLink>, JournalError>;

    /// Keeps rows the target refused. A row that is kept already is replaced: replaying changes nothing.
    async fn set_aside(&self, link: &LinkId, epoch: u64, letters: &[DeadLetter]) -> Result<(), JournalError>;

    /// Forgets dead letters of a collection, by its name in the source; how many there were.
    async fn release(&self, link: &LinkId, epoch: u64, collection: &str, ids: &[String]) -> Result<u64, JournalError>;

    /// The dead letters of a link, by collection and id.
    async fn dead_letters(&self, link: &LinkId) -> Result<Vec<KeptLetter>, JournalError>;

    /// One dead letter with its content.
    async fn dead_letter(&self, link: &LinkId, collection: &str, id: &str) -> Result<Option<DeadLetter>, JournalError>;

    /// Records which rows of a collection were converted; each counts once, however often it is replayed.
    async fn note_converted(
        &self,
        link: &LinkId,
        epoch: u64,
        collection: &str,
        rows: &[(Conversion, String)],
    ) -> Result<(), JournalError>;

    /// The rows of a link that were converted.
    async fn converted(&self, link: &LinkId) -> Result<Vec<ConvertedRows>, JournalError>;

    /// Forgets a link, its plan, its positions and its dead letters.
    async fn forget(&self, link: &LinkId, epoch: u64) -> Result<(), JournalError>;
}
