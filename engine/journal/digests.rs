use super::sqlite::fence;
use super::{JournalError, SqliteJournal};
use crate::link::LinkId;
use crate::rows::RowDigest;
use async_trait::async_trait;
use rusqlite::params;

/// Rows are known by link, collection and id. `digest` is null while it is not known what the target holds of a row;
/// `missing` is set on rows the source no longer has, until they are removed from the target too.
pub(super) const FORMAT: &str = "
CREATE TABLE carried (
    link TEXT NOT NULL REFERENCES link(id) ON DELETE CASCADE, collection INTEGER NOT NULL, id TEXT NOT NULL,
    digest BLOB, missing INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (link, collection, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX carried_missing ON carried (link, collection, id) WHERE missing;
";

/// What is known of a row in the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// Nothing: a write of it has begun, and it is not known to have ended.
    Unknown,
    /// It holds what the source returned with this digest.
    As(RowDigest),
    /// The source has it no more; what the target holds is yet to be removed.
    Missing,
    /// It is not there.
    Removed,
}

/// Digests of rows as the *source* returned them when they were last carried over, for links that learn of changes by
/// comparison (capture level `scan`). What a call has answered survives a crash of the machine.
///
/// A row is [`Carried::Unknown`] from before a write of it begins until the write is known to be durable. So a digest
/// that stands here is what the target holds, whenever the program was killed.
#[async_trait]
pub trait Digests: Send + Sync + 'static {
    /// Up to `limit` rows of a collection after the id `after`, ascending by id in the byte order of UTF-8; `None` where
    /// it is not known what the target holds.
    async fn carried_after(
        &self,
        link: &LinkId,
        collection: usize,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Option<RowDigest>)>, JournalError>;

    /// Records what is known of rows of a collection.
    ///
    /// # Errors
    /// `Fenced` if a later claim has taken the link over.
    async fn record_carried(
        &self,
        link: &LinkId,
        epoch: u64,
        collection: usize,
        rows: Vec<(String, Carried)>,
    ) -> Result<(), JournalError>;

    /// Up to `limit` ids of rows that are [`Carried::Missing`], ascending.
    async fn missing(&self, link: &LinkId, collection: usize, limit: usize) -> Result<Vec<String>, JournalError>;

    /// Makes of every row that is [`Carried::Missing`] one that is [`Carried::Unknown`]: what was found missing by a round
    /// that did not end is found out anew.
    async fn forget_missing(&self, link: &LinkId, epoch: u64, collection: usize) -> Result<(), JournalError>;
}

#[async_trait]
impl Digests for SqliteJournal {
    async fn carried_after(
        &self,
        link: &LinkId,
        collection: usize,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Option<RowDigest>)>, JournalError> {
        let (link, after) = (link.clone(), after.map(str::to_owned));
        self.transact(move |transaction| {
            // The empty id is greater than none.
            let beyond = if after.is_some() { ">" } else { ">=" };
            let mut statement = transaction.prepare_cached(&format!(
                "SELECT id, digest FROM carried WHERE link = ?1 AND collection = ?2 AND id {beyond} ?3
                 ORDER BY id LIMIT ?4"
            ))?;
            let rows = statement.query_map(params![link.0, collection, after.unwrap_or_default(), limit], |row| {
                Ok((row.get(0)?, row.get::<_, Option<[u8; 32]>>(1)?.map(RowDigest)))
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn record_carried(
        &self,
        link: &LinkId,
        epoch: u64,
        collection: usize,
        rows: Vec<(String, Carried)>,
    ) -> Result<(), JournalError> {
        let link = link.clone();
        self.transact(move |transaction| {
            fence(transaction, &link, epoch)?;
            let mut put = transaction.prepare_cached(
                "INSERT INTO carried (link, collection, id, digest, missing) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO UPDATE SET digest = excluded.digest, missing = excluded.missing",
            )?;
            let mut remove =
                transaction.prepare_cached("DELETE FROM carried WHERE link = ?1 AND collection = ?2 AND id = ?3")?;
            for (id, carried) in rows {
                let (digest, missing) = match carried {
                    Carried::Unknown => (None, false),
                    Carried::As(digest) => (Some(digest.0), false),
                    Carried::Missing => (None, true),
                    Carried::Removed => {
                        remove.execute(params![link.0, collection, id])?;
                        continue;
                    }
                };
                put.execute(params![link.0, collection, id, digest, missing])?;
            }
            Ok(())
        })
        .await
    }

    async fn missing(&self, link: &LinkId, collection: usize, limit: usize) -> Result<Vec<String>, JournalError> {
        let link = link.clone();
        self.transact(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT id FROM carried WHERE link = ?1 AND collection = ?2 AND missing ORDER BY id LIMIT ?3",
            )?;
            let ids = statement.query_map(params![link.0, collection, limit], |row| row.get(0))?;
            Ok(ids.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn forget_missing(&self, link: &LinkId, epoch: u64, collection: usize) -> Result<(), JournalError> {
        let link = link.clone();
        self.transact(move |transaction| {
            fence(transaction, &link, epoch)?;
            transaction.execute(
                "UPDATE carried SET missing = 0 WHERE link = ?1 AND collection = ?2 AND missing",
                params![link.0, collection],
            )?;
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Claim, Journal};
    use crate::link::{LinkKind, LinkSpec};

    const ONE: RowDigest = RowDigest([1; 32]);
    const TWO: RowDigest = RowDigest([2; 32]);

    async fn claimed() -> (tempfile::TempDir, SqliteJournal, Claim) {
        let state = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open(state.path()).unwrap();
        let claim = journal.claim(&LinkSpec::new(LinkKind::Mirror, "s", "t")).await.unwrap();
        (state, journal, claim)
    }

    async fn all(journal: &SqliteJournal, claim: &Claim) -> Vec<(String, Option<RowDigest>)> {
        journal.carried_after(&claim.link, 0, None, 100).await.unwrap()
    }

    #[tokio::test]
    async fn digests_come_back_in_the_byte_order_of_their_ids_page_by_page() {
        let (_state, journal, claim) = claimed().await;
        let ids = ["", "\u{0}", "A", "a", "a\u{0}b", "b", "é", "\u{ffff}", "\u{10000}"];
        let rows = ids.iter().rev().map(|id| ((*id).to_owned(), Carried::As(ONE))).collect();
        journal.record_carried(&claim.link, claim.epoch, 0, rows).await.unwrap();
        journal.record_carried(&claim.link, claim.epoch, 1, vec![("other".into(), Carried::As(TWO))]).await.unwrap();
        let mut read = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = journal.carried_after(&claim.link, 0, after.as_deref(), 2).await.unwrap();
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            read.extend(page.into_iter().map(|(id, _)| id));
        }
        assert_eq!(read, ids);
    }

    #[tokio::test]
    async fn what_was_found_missing_stays_so_until_it_is_removed_or_found_out_anew() {
        let (_state, journal, claim) = claimed().await;
        let (link, epoch) = (&claim.link, claim.epoch);
        let rows = ["a", "b", "c"].map(|id| (id.to_owned(), Carried::As(ONE))).to_vec();
        journal.record_carried(link, epoch, 0, rows).await.unwrap();
        let missing = ["a", "b"].map(|id| (id.to_owned(), Carried::Missing)).to_vec();
        journal.record_carried(link, epoch, 0, missing).await.unwrap();
        assert_eq!(journal.missing(link, 0, 1).await.unwrap(), ["a"]);
        journal.record_carried(link, epoch, 0, vec![("a".into(), Carried::Removed)]).await.unwrap();
        assert_eq!(journal.missing(link, 0, 10).await.unwrap(), ["b"]);
        journal.forget_missing(link, epoch, 0).await.unwrap();
        assert_eq!(journal.missing(link, 0, 10).await.unwrap(), [""; 0]);
        assert_eq!(all(&journal, &claim).await, [("b".into(), None), ("c".into(), Some(ONE))]);
    }

    #[tokio::test]
    async fn they_survive_go_with_their_link_and_are_fenced() {
        let (state, journal, old) = claimed().await;
        journal.record_carried(&old.link, old.epoch, 0, vec![("a".into(), Carried::As(ONE))]).await.unwrap();
        drop(journal);
        let journal = SqliteJournal::open(state.path()).unwrap();
        let new = journal.claim(&LinkSpec::new(LinkKind::Mirror, "s", "t")).await.unwrap();
        assert_eq!(all(&journal, &new).await, [("a".into(), Some(ONE))]);
        let refused = journal.record_carried(&old.link, old.epoch, 0, vec![("a".into(), Carried::As(TWO))]).await;
        assert!(matches!(refused, Err(JournalError::Fenced(_))), "{refused:?}");
        journal.forget(&new.link, new.epoch).await.unwrap();
        assert_eq!(all(&journal, &new).await, []);
    }
}
