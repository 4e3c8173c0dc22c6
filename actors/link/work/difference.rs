//! What a source differs in from what is known of its copy, both in the order of ids, a page of each in memory.

use async_trait::async_trait;
use palanquin_engine::contract::{Error, ErrorKind, Result};
use palanquin_engine::rows::{RowBatch, RowBatchBuilder, RowDigest};
use std::collections::VecDeque;

/// An id of a copy, and the digest of its row; `None` where it is not known what it holds.
pub(super) type Copied = (String, Option<RowDigest>);

/// What is known of a copy.
#[async_trait]
pub(super) trait CopyRows: Send {
    /// Further ids, in their order; `None` after the last one.
    async fn next_page(&mut self) -> Result<Option<Vec<Copied>>>;

    /// The failure, told of where the copy is.
    fn named(&self, error: Error) -> Error {
        error
    }
}

/// What a batch of the source differs in from its copy.
pub(super) struct Difference {
    /// Rows that are new, changed, or not known to have arrived.
    pub(super) upserts: Option<RowBatch>,
    /// Ids before the batch's last that the source has no more.
    pub(super) missing: Vec<String>,
    /// Ids of upserts that stand several times in the copy: an upsert does not make one row of two.
    pub(super) doubled: Vec<String>,
}

/// A copy that is being compared.
pub(super) struct Known<C> {
    copy: C,
    page: VecDeque<Copied>,
    ended: bool,
    /// Last id that was read of the copy.
    read: Option<String>,
    /// Last id of the source that was compared.
    compared: Option<String>,
}

impl<C: CopyRows> Known<C> {
    pub(super) fn of(copy: C) -> Self {
        Self { copy, page: VecDeque::new(), ended: false, read: None, compared: None }
    }

    async fn peek(&mut self) -> Result<Option<&Copied>> {
        while self.page.is_empty() && !self.ended {
            let Some(page) = self.copy.next_page().await.map_err(|error| self.copy.named(error))? else {
                self.ended = true;
                break;
            };
            let before = self.read.iter().chain(page.iter().map(|(id, _)| id));
            if before.zip(page.iter().skip(usize::from(self.read.is_none()))).any(|(one, (next, _))| one > next) {
                let error = Error::new(ErrorKind::Corrupt, "the copy returned ids out of order");
                return Err(self.copy.named(error));
            }
            self.read = page.last().map(|(id, _)| id.clone()).or_else(|| self.read.take());
            self.page = page.into();
        }
        Ok(self.page.front())
    }

    /// The rows of that id, which is at or after those that were looked at, moved out.
    async fn take(&mut self, id: &str) -> Result<Vec<Option<RowDigest>>> {
        let mut taken = Vec::new();
        while self.peek().await?.is_some_and(|(known, _)| known == id) {
            taken.extend(self.page.pop_front().map(|(_, digest)| digest));
        }
        Ok(taken)
    }

    /// The ids before that one, moved out into `ids`.
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

/// Compares a batch, by what the target is to hold of it, with what its copy has of its ids. What differs is told as the
/// source has it.
///
/// # Errors
/// `Corrupt` where ids do not ascend: what lies between them could be taken for missing.
pub(super) async fn difference<C: CopyRows>(
    batch: RowBatch,
    as_copied: RowBatch,
    known: &mut Known<C>,
) -> Result<Difference> {
    let digests = digests(as_copied).await?;
    let (mut missing, mut doubled) = (Vec::new(), Vec::new());
    let mut differs = vec![false; digests.len()];
    for ((id, digest), differs) in digests.iter().zip(&mut differs) {
        if known.compared.as_ref().is_some_and(|before| before >= id) {
            return Err(Error::new(ErrorKind::Corrupt, "the source returned ids out of order"));
        }
        known.skip_before(id, &mut missing).await?;
        let copies = known.take(id).await?;
        *differs = copies != [Some(*digest)];
        if copies.len() > 1 {
            doubled.push(id.clone());
        }
        known.compared = Some(id.clone());
    }
    let upserts = picked(batch, &differs)?;
    Ok(Difference { upserts, missing, doubled })
}

/// The rows that are marked.
fn picked(batch: RowBatch, marked: &[bool]) -> Result<Option<RowBatch>> {
    let broken = |error| Error::new(ErrorKind::Internal, "rows of the source").with_source(error);
    let count = marked.iter().filter(|marked| **marked).count();
    if count == 0 {
        return Ok(None);
    }
    if count == batch.len() {
        return Ok(Some(batch));
    }
    let mut rows = RowBatchBuilder::with_capacity(count, batch.dimension());
    for (row, _) in batch.rows().zip(marked).filter(|(_, marked)| **marked) {
        rows.push(row).map_err(broken)?;
    }
    rows.finish().map(Some).map_err(broken)
}

/// Ids and digests of a batch. Hashing a few MiB takes milliseconds: too long for a thread that serves other tasks.
pub(super) async fn digests(batch: RowBatch) -> Result<Vec<(String, RowDigest)>> {
    let hashed =
        tokio::task::spawn_blocking(move || batch.rows().map(|row| (row.id.to_owned(), RowDigest::of(row))).collect());
    hashed.await.map_err(|error| Error::new(ErrorKind::Internal, "hashing rows failed").with_source(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use palanquin_engine::rows::Row;

    struct Pages(std::vec::IntoIter<Vec<Copied>>);

    #[async_trait]
    impl CopyRows for Pages {
        async fn next_page(&mut self) -> Result<Option<Vec<Copied>>> {
            Ok(self.0.next())
        }
    }

    fn row(id: &str) -> Row<'_> {
        Row { id, document: Some("d"), metadata: "{}", embedding: Some(&[1.0, 0.5]) }
    }

    fn batch(ids: &[&str]) -> RowBatch {
        let mut batch = RowBatchBuilder::with_capacity(ids.len(), 2);
        ids.iter().for_each(|id| batch.push(row(id)).unwrap());
        batch.finish().unwrap()
    }

    /// A copy of these ids, in these pages; a row whose id ends with `!` is another one.
    fn copy(pages: &[&[&str]]) -> Known<Pages> {
        let copied = |id: &&str| match id.strip_suffix('!') {
            Some(id) => (id.to_owned(), Some(RowDigest::of(Row { document: None, ..row(id) }))),
            None => ((*id).to_owned(), Some(RowDigest::of(row(id)))),
        };
        let pages: Vec<Vec<Copied>> = pages.iter().map(|page| page.iter().map(copied).collect()).collect();
        Known::of(Pages(pages.into_iter()))
    }

    async fn compared(ids: &[&str], known: &mut Known<Pages>) -> Result<(Vec<String>, Vec<String>, Vec<String>)> {
        let found = difference(batch(ids), batch(ids), known).await?;
        let upserts = found.upserts.iter().flat_map(RowBatch::rows).map(|row| row.id.to_owned()).collect();
        Ok((upserts, found.missing, found.doubled))
    }

    fn names(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[tokio::test]
    async fn what_is_new_changed_missing_or_there_several_times_is_told() {
        let mut known = copy(&[&["a", "b!"], &[], &["c", "d", "d"], &["d", "f"], &["g", "x"], &["y"]]);
        let first = compared(&["a", "b", "d"], &mut known).await.unwrap();
        assert_eq!(first, (names(&["b", "d"]), names(&["c"]), names(&["d"])));
        let second = compared(&["e", "f"], &mut known).await.unwrap();
        assert_eq!(second, (names(&["e"]), names(&[]), names(&[])));
        assert_eq!(known.rest(2).await.unwrap(), Some(names(&["g", "x"])));
        assert_eq!(known.rest(2).await.unwrap(), Some(names(&["y"])));
        assert_eq!(known.rest(2).await.unwrap(), None);
    }

    #[tokio::test]
    async fn ids_out_of_order_are_refused_before_they_are_taken_for_missing() {
        let mut known = copy(&[&["a", "b"]]);
        compared(&["a", "b"], &mut known).await.unwrap();
        for id in ["b", "a"] {
            assert_eq!(compared(&[id], &mut known).await.unwrap_err().kind(), ErrorKind::Corrupt);
        }
        for pages in [&[&["b", "a"][..]][..], &[&["b"], &[], &["a"]]] {
            let error = compared(&["c"], &mut copy(pages)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{pages:?}");
        }
    }
}
