//! Dead letters and converted rows: what a link could not carry as it was.

use crate::contract::Conversion;
use crate::journal::{DeadLetter, KeptLetter};
use crate::link::{ConvertedRows, LinkId, SetAside};
use rusqlite::{OptionalExtension, Row, Transaction, params};

pub(super) const TABLES: &str = "
CREATE TABLE dead_letter (
    link TEXT NOT NULL REFERENCES link(id) ON DELETE CASCADE, collection TEXT NOT NULL, id TEXT NOT NULL,
    reason TEXT NOT NULL, detail TEXT NOT NULL, at_ms INTEGER NOT NULL,
    document TEXT, metadata TEXT NOT NULL, embedding BLOB,
    PRIMARY KEY (link, collection, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE converted_row (
    link TEXT NOT NULL REFERENCES link(id) ON DELETE CASCADE, collection TEXT NOT NULL, conversion TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (link, collection, conversion, id)
) STRICT, WITHOUT ROWID;
";

/// Ids of converted rows that are listed; the others are counted.
const LISTED: u64 = 100;

pub(super) fn set_aside(transaction: &Transaction<'_>, link: &LinkId, letters: &[DeadLetter]) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT OR REPLACE INTO dead_letter (link, collection, id, reason, detail, at_ms, document, metadata, embedding)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    for DeadLetter { about, at_ms, document, metadata, embedding } in letters {
        let SetAside { collection, id, reason, detail } = about;
        let vector = embedding.as_ref().map(|vector| bytes_of(vector));
        statement.execute(params![link.0, collection, id, reason, detail, at_ms, document, metadata, vector])?;
    }
    Ok(())
}

pub(super) fn release(
    transaction: &Transaction<'_>,
    link: &LinkId,
    collection: &str,
    ids: &[String],
) -> rusqlite::Result<u64> {
    let mut statement =
        transaction.prepare_cached("DELETE FROM dead_letter WHERE link = ?1 AND collection = ?2 AND id = ?3")?;
    let mut released = 0;
    for id in ids {
        released += statement.execute(params![link.0, collection, id])? as u64;
    }
    Ok(released)
}

pub(super) fn list(transaction: &Transaction<'_>, link: &LinkId) -> rusqlite::Result<Vec<KeptLetter>> {
    let mut statement = transaction.prepare_cached(
        "SELECT collection, id, reason, detail, at_ms,
                coalesce(octet_length(document), 0) + octet_length(metadata) + coalesce(octet_length(embedding), 0)
         FROM dead_letter WHERE link = ?1 ORDER BY collection, id",
    )?;
    let rows = statement
        .query_map([&link.0], |row| Ok(KeptLetter { about: about(row)?, at_ms: row.get(4)?, bytes: row.get(5)? }))?;
    rows.collect()
}

pub(super) fn one(
    transaction: &Transaction<'_>,
    link: &LinkId,
    collection: &str,
    id: &str,
) -> rusqlite::Result<Option<DeadLetter>> {
    let mut statement = transaction.prepare_cached(
        "SELECT collection, id, reason, detail, at_ms, document, metadata, embedding
         FROM dead_letter WHERE link = ?1 AND collection = ?2 AND id = ?3",
    )?;
    let letter = statement.query_row(params![link.0, collection, id], |row| {
        let embedding: Option<Vec<u8>> = row.get(7)?;
        Ok(DeadLetter {
            about: about(row)?,
            at_ms: row.get(4)?,
            document: row.get(5)?,
            metadata: row.get(6)?,
            embedding: embedding.map(|bytes| vector_of(&bytes)),
        })
    });
    letter.optional()
}

pub(super) fn note_converted(
    transaction: &Transaction<'_>,
    link: &LinkId,
    collection: &str,
    rows: &[(Conversion, String)],
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT OR IGNORE INTO converted_row (link, collection, conversion, id) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (conversion, id) in rows {
        statement.execute(params![link.0, collection, conversion.name(), id])?;
    }
    Ok(())
}

pub(super) fn converted(transaction: &Transaction<'_>, link: &LinkId) -> rusqlite::Result<Vec<ConvertedRows>> {
    let mut statement = transaction.prepare_cached(
        "SELECT collection, conversion, count(*) FROM converted_row WHERE link = ?1 GROUP BY collection, conversion",
    )?;
    let counted = statement.query_map([&link.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let counted: Vec<(String, String, u64)> = counted.collect::<rusqlite::Result<_>>()?;
    let mut statement = transaction.prepare_cached(
        "SELECT id FROM converted_row WHERE link = ?1 AND collection = ?2 AND conversion = ?3 ORDER BY id LIMIT ?4",
    )?;
    let with_ids = |(collection, conversion, count): (String, String, u64)| {
        let ids = statement.query_map(params![link.0, collection, conversion, LISTED], |row| row.get(0))?;
        let ids = ids.collect::<rusqlite::Result<_>>()?;
        let sentence = Conversion::named(&conversion).map_or(conversion, |known| known.sentence().to_owned());
        Ok(ConvertedRows { collection, conversion: sentence, count, ids })
    };
    counted.into_iter().map(with_ids).collect()
}

/// Every link there is, in the order of their ids.
fn about(row: &Row<'_>) -> rusqlite::Result<SetAside> {
    Ok(SetAside { collection: row.get(0)?, id: row.get(1)?, reason: row.get(2)?, detail: row.get(3)? })
}

/// Each component's bits, least significant byte first: what comes back is what went in, NaN included.
fn bytes_of(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|component| component.to_le_bytes()).collect()
}

fn vector_of(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|component| f32::from_le_bytes(*component)).collect()
}
