use super::copy::{Failed, Rows};
use crate::collection::Table;
use crate::connection::Session;
use crate::error::is_conflict;
use palanquin_engine::contract::{Applied, ChangeBatch, Error, ErrorKind, Include, Patch, Result, WriteMode};
use palanquin_engine::rows::RowBatch;
use std::collections::HashSet;
use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

/// Where rows wait to be merged. One per session, emptied at each commit.
const STAGING: &str = "pg_temp.palanquin_staging";

/// Applies a batch in one transaction, committed to disk when it returns.
pub(crate) async fn apply(table: &Table, batch: ChangeBatch, mode: WriteMode) -> Result<Applied> {
    let upserts = batch.upserts.filter(|rows| !rows.is_empty());
    if let Some(rows) = &upserts {
        check_width(table, rows)?;
    }
    for patch in batch.patches.iter().filter(|patch| patch.fields.embeddings) {
        check_width(table, &patch.rows)?;
    }
    let deletes = deletes_of(batch.deletes, upserts.as_ref());
    if upserts.is_none() && batch.patches.is_empty() {
        let mut session = table.session().await?;
        let transaction = begin(table, &mut session).await?;
        let deleted = delete(table, &transaction, &deletes).await?;
        commit(table, transaction).await?;
        return Ok(Applied { deleted, ..Applied::default() });
    }
    let rows = upserts.as_ref().map(Rows::last_of_each_id);
    if let (WriteMode::Append, Some(rows), true) = (mode, &rows, batch.patches.is_empty()) {
        match append(table, rows, &deletes).await {
            // Some of them are there: an answer that was lost, say. What was copied has been undone.
            Err(error) if error.kind() == ErrorKind::IdExists => {}
            applied => return applied,
        }
    }
    merge(table, rows.as_ref(), &deletes, &batch.patches).await
}

/// Inserts rows none of which is there.
pub(crate) async fn add(table: &Table, rows: &RowBatch) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    check_width(table, rows)?;
    let distinct: HashSet<&str> = rows.ids().iter().flatten().collect();
    if distinct.len() < rows.len() {
        let detail = format!("of {} rows to add, {} ids come twice", rows.len(), rows.len() - distinct.len());
        return Err(table.place.error(ErrorKind::IdExists, detail));
    }
    append(table, &Rows::last_of_each_id(rows), &[]).await.map(drop)
}

fn check_width(table: &Table, rows: &RowBatch) -> Result<()> {
    match table.dimension {
        Some(width) if width != rows.dimension() => {
            let detail = format!("vectors of {} for a collection of {width}", rows.dimension());
            Err(table.place.error(ErrorKind::DimensionMismatch, detail))
        }
        _ => Ok(()),
    }
}

async fn append(table: &Table, rows: &Rows<'_>, deletes: &[String]) -> Result<Applied> {
    let mut session = table.session().await?;
    // Also where the caller goes away in the middle.
    session.is_broken = true;
    let applied = append_on(&mut session, table, rows, deletes).await;
    session.is_broken = applied.is_err();
    applied
}

async fn merge(table: &Table, rows: Option<&Rows<'_>>, deletes: &[String], patches: &[Patch]) -> Result<Applied> {
    let mut session = table.session().await?;
    // Also where the caller goes away in the middle.
    session.is_broken = true;
    let applied = merge_on(&mut session, table, rows, deletes, patches).await;
    session.is_broken = applied.is_err();
    applied
}

/// Copies straight into the table.
async fn append_on(session: &mut Session, table: &Table, rows: &Rows<'_>, deletes: &[String]) -> Result<Applied> {
    let transaction = begin(table, session).await?;
    let deleted = delete(table, &transaction, deletes).await?;
    let updated_at = if table.has_updated_at { ", updated_at" } else { "" };
    let columns = format!("id, document, metadata, embedding{updated_at}");
    let statement = format!("COPY {} ({columns}) FROM STDIN (FORMAT binary)", table.name);
    let sink = transaction.copy_in(statement.as_str()).await.map_err(|error| refused(table, rows, error))?;
    let sent = rows.send(sink, table.has_updated_at, &table.place).await;
    let upserted = sent.map_err(|failed| failed_to_send(table, rows, failed))?;
    commit(table, transaction).await?;
    Ok(Applied { upserted, deleted, ..Applied::default() })
}

/// Copies into a temporary table and merges from there. A row that is there bit for bit is not written again: `*<>`
/// compares images, where `=` would take `1` for `1.0` and −0 for 0.
async fn merge_on(
    session: &mut Session,
    table: &Table,
    rows: Option<&Rows<'_>>,
    deletes: &[String],
    patches: &[Patch],
) -> Result<Applied> {
    make_staging(table, session).await?;
    let transaction = begin(table, session).await?;
    let mut applied = Applied { deleted: delete(table, &transaction, deletes).await?, ..Applied::default() };
    if let Some(rows) = rows {
        stage(table, &transaction, rows).await?;
        let (columns, values, set) = match table.has_updated_at {
            true => (", updated_at", ", clock_timestamp()", ", updated_at = excluded.updated_at"),
            false => ("", "", ""),
        };
        let statement = format!(
            "INSERT INTO {} AS there (id, document, metadata, embedding{columns}) \
             SELECT id, document, metadata, embedding{values} FROM {STAGING} \
             ON CONFLICT (id) DO UPDATE SET document = excluded.document, metadata = excluded.metadata, \
               embedding = excluded.embedding{set} \
             WHERE ROW(there.document, there.metadata, there.embedding)::record \
               *<> ROW(excluded.document, excluded.metadata, excluded.embedding)::record",
            table.name
        );
        transaction.batch_execute(&statement).await.map_err(|error| refused(table, rows, error))?;
        applied.upserted += rows.len() as u64;
    }
    for patch in patches.iter().filter(|patch| !patch.rows.is_empty()) {
        let rows = Rows::last_of_each_id(&patch.rows);
        let missing = replace_fields(table, &transaction, &rows, patch.fields).await?;
        applied.upserted += (rows.len() - missing.len()) as u64;
        applied.missing.extend(missing);
    }
    commit(table, transaction).await?;
    Ok(applied)
}

/// Copies rows into the temporary table, instead of those in it.
async fn stage(table: &Table, transaction: &Transaction<'_>, rows: &Rows<'_>) -> Result<()> {
    let statement = format!("COPY {STAGING} (id, document, metadata, embedding) FROM STDIN (FORMAT binary)");
    let sink = transaction.copy_in(statement.as_str()).await.map_err(|error| refused(table, rows, error))?;
    let sent = rows.send(sink, false, &table.place).await;
    sent.map(drop).map_err(|failed| failed_to_send(table, rows, failed))
}

/// Replaces whole fields of the rows that are there, and tells which are not.
async fn replace_fields(
    table: &Table,
    transaction: &Transaction<'_>,
    rows: &Rows<'_>,
    fields: Include,
) -> Result<Vec<String>> {
    let failed = |error| refused(table, rows, error);
    transaction.batch_execute(&format!("DELETE FROM {STAGING}")).await.map_err(failed)?;
    stage(table, transaction, rows).await?;
    let columns = [(fields.documents, "document"), (fields.metadatas, "metadata"), (fields.embeddings, "embedding")];
    let columns: Vec<&str> = columns.into_iter().filter(|(wanted, _)| *wanted).map(|(_, column)| column).collect();
    if !columns.is_empty() {
        let set: Vec<String> = columns.iter().map(|column| format!("{column} = new.{column}")).collect();
        let of = |row: &str| columns.iter().map(|column| format!("{row}.{column}")).collect::<Vec<_>>().join(", ");
        let statement = format!(
            "UPDATE {} AS there SET {}{} FROM {STAGING} AS new WHERE there.id = new.id \
             AND ROW({})::record *<> ROW({})::record",
            table.name,
            set.join(", "),
            if table.has_updated_at { ", updated_at = clock_timestamp()" } else { "" },
            of("there"),
            of("new"),
        );
        transaction.batch_execute(&statement).await.map_err(failed)?;
    }
    let missing = format!(
        "SELECT new.id FROM {STAGING} AS new WHERE NOT EXISTS (SELECT FROM {} AS there WHERE there.id = new.id)",
        table.name
    );
    let missing = transaction.query_typed(&missing, &[]).await.map_err(failed)?;
    Ok(missing.iter().map(|row| row.get(0)).collect())
}

async fn make_staging(table: &Table, session: &mut Session) -> Result<()> {
    if session.has_staging {
        return Ok(());
    }
    let statement = format!(
        "CREATE TEMPORARY TABLE palanquin_staging (id text, document text, metadata jsonb, embedding {}) \
         ON COMMIT DELETE ROWS",
        table.vector
    );
    let made = session.batch_execute(&statement).await;
    made.map_err(|error| table.place.sql("could not make a temporary table for the rows", error))?;
    session.has_staging = true;
    Ok(())
}

async fn delete(table: &Table, transaction: &Transaction<'_>, ids: &[String]) -> Result<u64> {
    if ids.is_empty() {
        return Ok(0);
    }
    let statement = format!("DELETE FROM {} WHERE id = ANY ($1)", table.name);
    let deleted = transaction.execute_typed(&statement, &[(&ids, Type::TEXT_ARRAY)]).await;
    deleted.map_err(|error| table.place.sql("could not delete the rows", error))
}

/// The ids to delete, each once; one that is also upserted stays, and one with a NUL in it is not there.
fn deletes_of(deletes: Vec<String>, upserts: Option<&RowBatch>) -> Vec<String> {
    if deletes.is_empty() {
        return deletes;
    }
    let kept: HashSet<&str> = upserts.map(|rows| rows.ids().iter().flatten().collect()).unwrap_or_default();
    let mut seen = HashSet::new();
    let gone = |id: &String| !kept.contains(id.as_str()) && !id.contains('\0') && seen.insert(id.clone());
    deletes.into_iter().filter(gone).collect()
}

pub(super) async fn begin<'a>(table: &Table, session: &'a mut Session) -> Result<Transaction<'a>> {
    session.transaction().await.map_err(|error| table.place.sql("could not begin a transaction", error))
}

pub(super) async fn commit(table: &Table, transaction: Transaction<'_>) -> Result<()> {
    transaction.commit().await.map_err(|error| table.place.sql("could not commit the rows", error))
}

fn failed_to_send(table: &Table, rows: &Rows<'_>, failed: Failed) -> Error {
    match failed {
        Failed::Row(error) => error,
        Failed::Sql(error) => refused(table, rows, error),
    }
}

/// Names the row where the server does not.
fn refused(table: &Table, rows: &Rows<'_>, error: tokio_postgres::Error) -> Error {
    if is_conflict(&error) {
        return table.place.error(ErrorKind::IdExists, "some of the rows to add are there already");
    }
    let error = table.place.sql("could not write the rows", error);
    match rows.overlong_id() {
        Some(id) if error.kind() == ErrorKind::RowRefused => {
            let shown: String = id.chars().take(200).collect();
            let detail = format!("Postgres cannot hold row {shown:?}…: its id of {} bytes is too long", id.len());
            table.place.error(ErrorKind::RowRefused, detail).with_source(error)
        }
        _ => error,
    }
}
