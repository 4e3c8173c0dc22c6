use super::JournalError;
use crate::contract::Cursor;
use crate::link::{LinkId, LinkSpec, Plan, Position, Positions};
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
pub trait Journal: Send + Sync + 'static {
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

    /// Every link, by id. Takes over none of them.
    async fn links(&self) -> Result<Vec<KnownLink>, JournalError>;

    /// Forgets a link, its plan and its positions.
    async fn forget(&self, link: &LinkId, epoch: u64) -> Result<(), JournalError>;
}
