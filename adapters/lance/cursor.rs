use crate::collection::Pinned;
use palanquin_engine::contract::{Cursor, ErrorKind, Result};

/// A version of a table and whose version it is: `<incarnation>:<version>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) incarnation: String,
    pub(crate) version: u64,
}

impl Mark {
    /// Reads a cursor; `None` if it is not one of this store's.
    pub(crate) fn parse(cursor: &Cursor) -> Option<Self> {
        let (incarnation, version) = cursor.0.rsplit_once(':')?;
        Some(Self { incarnation: incarnation.to_owned(), version: version.parse().ok()? })
    }

    pub(crate) fn cursor(&self) -> Cursor {
        Cursor(format!("{}:{}", self.incarnation, self.version))
    }

    /// Where the pinned version is. A table made by others carries no incarnation; there the transaction that made
    /// the version stands for it, which tells a table that was made again just as well while the version is kept.
    pub(crate) async fn of(pinned: &Pinned) -> Result<Self> {
        let version = pinned.dataset.version_id();
        let incarnation = match &pinned.layout.incarnation {
            Some(incarnation) => incarnation.clone(),
            None => {
                let transaction = pinned.dataset.read_transaction_by_version(version).await;
                let transaction =
                    transaction.map_err(|error| pinned.place.store("could not read the transaction log", error))?;
                let Some(transaction) = transaction else {
                    let detail = format!("version {version} does not name the transaction that made it");
                    return Err(pinned.place.error(ErrorKind::UnsupportedFormat, detail));
                };
                format!("tx-{}", transaction.uuid)
            }
        };
        Ok(Self { incarnation, version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_anything_else_is_not_taken_for_one() {
        let mark = Mark { incarnation: "a-b".into(), version: 12 };
        assert_eq!(mark.cursor().0, "a-b:12");
        assert_eq!(Mark::parse(&mark.cursor()), Some(mark));
        for text in ["", "12", "a:", "a:x", "a:-1"] {
            assert_eq!(Mark::parse(&Cursor(text.into())), None, "{text:?}");
        }
    }
}
