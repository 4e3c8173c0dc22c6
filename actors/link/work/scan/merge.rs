use super::carrying::{Digested, digests};
use palanquin_engine::contract::{Error, ErrorKind, Result};
use palanquin_engine::rows::{RowBatch, RowBatchBuilder, RowDigest};
use std::collections::VecDeque;

/// Rows of the journal read at once.
const PAGE: usize = 5_000;

/// What a batch of the source differs in from what was carried over.
pub(super) struct Difference {
    /// Rows that are new, changed, or not known to have arrived.
    pub(super) upserts: Option<RowBatch>,
    /// Ids before the batch's last that the source has no more.
    pub(super) missing: Vec<String>,
}

/// What was carried over, in the order of ids, a page at a time.
pub(super) struct Known {
    digested: Digested,
    page: VecDeque<(String, Option<RowDigest>)>,
    /// Last id of the pages read.
    upto: Option<String>,
    ended: bool,
    /// Last id of the source that was compared.
    compared: Option<String>,
}

impl Known {
    pub(super) fn of(digested: Digested) -> Self {
        Self { digested, page: VecDeque::new(), upto: None, ended: false, compared: None }
    }

    async fn peek(&mut self) -> Result<Option<&(String, Option<RowDigest>)>> {
        if self.page.is_empty() && !self.ended {
            self.page = self.digested.after(self.upto.as_deref(), PAGE).await?.into();
            self.ended = self.page.len() < PAGE;
            self.upto = self.page.back().map(|(id, _)| id.clone());
        }
        Ok(self.page.front())
    }

    /// What was carried over and lies before `id`, moved out into `ids`.
    async fn skip_before(&mut self, id: &str, ids: &mut Vec<String>) -> Result<()> {
        while self.peek().await?.is_some_and(|(known, _)| known.as_str() < id) {
            ids.extend(self.page.pop_front().map(|(id, _)| id));
        }
        Ok(())
    }

    /// The next ids beyond the source's last row; `None` if there are no more.
    pub(super) async fn rest(&mut self, limit: usize) -> Result<Option<Vec<String>>> {
        let mut ids = Vec::new();
        while ids.len() < limit && self.peek().await?.is_some() {
            ids.extend(self.page.pop_front().map(|(id, _)| id));
        }
        Ok((!ids.is_empty()).then_some(ids))
    }
}

/// Compares a batch, by what the target is to hold of it, with what was carried over of its ids. What differs is told as
/// the source has it.
///
/// # Errors
/// `Corrupt` where the source's ids do not ascend: what lies between them could be taken for missing.
pub(super) async fn difference(batch: RowBatch, as_copied: RowBatch, known: &mut Known) -> Result<Difference> {
    let broken = |error| Error::new(ErrorKind::Internal, "rows of the source").with_source(error);
    let digests = digests(as_copied).await?;
    let mut missing = Vec::new();
    let mut differs = vec![false; digests.len()];
    for ((id, digest), differs) in digests.iter().zip(&mut differs) {
        if known.compared.as_ref().is_some_and(|before| before >= id) {
            return Err(Error::new(ErrorKind::Corrupt, "the source returned ids out of order"));
        }
        known.skip_before(id, &mut missing).await?;
        *differs = true;
        if known.peek().await?.is_some_and(|(known, _)| known == id) {
            *differs = known.page.pop_front().and_then(|(_, carried)| carried) != Some(*digest);
        }
        known.compared = Some(id.clone());
    }
    let count = differs.iter().filter(|differs| **differs).count();
    if count == 0 {
        return Ok(Difference { upserts: None, missing });
    }
    if count == batch.len() {
        return Ok(Difference { upserts: Some(batch), missing });
    }
    let mut upserts = RowBatchBuilder::with_capacity(count, batch.dimension());
    for (row, _) in batch.rows().zip(&differs).filter(|(_, differs)| **differs) {
        upserts.push(row).map_err(broken)?;
    }
    Ok(Difference { upserts: Some(upserts.finish().map_err(broken)?), missing })
}
