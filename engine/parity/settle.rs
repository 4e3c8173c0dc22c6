use super::found::Found;
use super::mark::{Change, FOLLOWED, Mark};
use super::merge::merge;
use super::pick::rows_of;
use super::{Compared, End, Heard, Manner};
use crate::contract::Result;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Looks at rows that are changed under the comparison, at most.
const ROUNDS: usize = 5;
/// How long nothing is heard of an end, at most.
const HEARD_EVERY: Duration = Duration::from_secs(5);

/// What became of the rows that changed while they were compared.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Rows compared again.
    pub(super) again: u64,
    /// Rows that were still being changed when it was given up; nothing is said of them.
    pub(super) moving: u64,
    /// Why nothing can be concluded.
    pub(super) inconclusive: Vec<String>,
}

/// Both ends' marks.
#[derive(Debug)]
pub(super) struct Marks {
    source: Mark,
    target: Mark,
}

impl Marks {
    /// `heard` hears of it now and then: where a filter stands between, counting may be reading.
    pub(super) async fn of(compared: &Compared, heard: Heard<'_>) -> Result<Self> {
        let both = async { futures::try_join!(Mark::of(compared.source.as_ref()), Mark::of(compared.target.as_ref())) };
        let mut both = std::pin::pin!(both);
        loop {
            match tokio::time::timeout(HEARD_EVERY, &mut both).await {
                Ok(marks) => return marks.map(|(source, target)| Self { source, target }),
                Err(_) => [End::Source, End::Target].into_iter().for_each(|end| heard(end, 0)),
            }
        }
    }

    /// The ends whose store does not tell which rows were changed.
    pub(super) fn silent(&self) -> impl Iterator<Item = End> {
        let of = |mark: &Mark, end| (!mark.is_of_a_feed()).then_some(end);
        of(&self.source, End::Source).into_iter().chain(of(&self.target, End::Target))
    }
}

/// Compares again what changed since `before`, until nothing changes any more: what is found then is true of one
/// moment. Of rows that never lie still nothing is concluded. Rows beside `only` are of no interest, if it is given.
pub(super) async fn settle(
    compared: &Compared,
    manner: Manner,
    mut before: Marks,
    only: Option<&BTreeSet<String>>,
    heard: Heard<'_>,
    found: &mut Found,
) -> Result<Settled> {
    let mut settled = Settled::default();
    for round in 0.. {
        let now = Marks::of(compared, heard).await?;
        let (of_source, of_target) = futures::try_join!(
            before.source.change(&now.source, compared.source.as_ref(), End::Source),
            before.target.change(&now.target, compared.target.as_ref(), End::Target),
        )?;
        let mut touched = BTreeSet::new();
        for change in [of_source, of_target] {
            match change {
                Change::Touched(ids) => touched.extend(ids),
                Change::Unknown(reason) => settled.inconclusive.push(reason),
            }
        }
        if let Some(only) = only {
            touched.retain(|id| only.contains(id));
        }
        if touched.is_empty() || !settled.inconclusive.is_empty() {
            return Ok(settled);
        }
        settled.again += touched.len() as u64;
        if round >= ROUNDS || settled.again > FOLLOWED as u64 {
            settled.moving = touched.len() as u64;
            if found.is_complete() {
                found.replace(&touched, Found::default());
            }
            // A row that lay still while it was compared and differs is a difference, whatever moves beside it.
            if found.counts.total() == 0 {
                let detail = format!("rows are changed faster than they can be compared: {}", settled.moving);
                settled.inconclusive.push(detail);
            }
            return Ok(settled);
        }
        before = now;
        again(compared, manner, touched, heard, found).await?;
    }
    Ok(settled)
}

/// Compares some rows again, as they are now.
pub(super) async fn again(
    compared: &Compared,
    manner: Manner,
    ids: BTreeSet<String>,
    heard: Heard<'_>,
    found: &mut Found,
) -> Result<()> {
    let ids = Arc::new(ids);
    let mut later = Found::default();
    let source = rows_of(&compared.source, &ids, manner.batch_rows);
    let target = rows_of(&compared.target, &ids, manner.batch_rows);
    merge((source, target), manner.vectors, heard, &mut later).await?;
    // Of more differences than are kept, those of these rows cannot be taken out; they are few beside the others.
    if found.is_complete() {
        found.replace(&ids, later);
    }
    Ok(())
}
