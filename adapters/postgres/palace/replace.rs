use super::{PostgresPalace, Standing, standings};
use crate::connection::Session;
use crate::layout::{Relation, Schema, index_name, key_name, marker, registry};
use crate::statement::identifier;
use palanquin_engine::contract::{EmbedderIdentity, ErrorKind, Result};
use std::collections::BTreeMap;
use std::io;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Transaction};

/// A staged table and the one it becomes.
struct Renamed {
    collection: String,
    staged: Relation,
    table: String,
    identity: Option<EmbedderIdentity>,
}

/// Drops the target's tables and gives their names to those of `staging`, with all that is recorded of them, in one
/// transaction. Owner and grants of a table that is replaced go to the one that replaces it.
///
/// The files beside the target are brought up to date after that. An entry of `mempalace_embedder.json` that would
/// contradict the new tables is taken out before, so that a crash in between leaves none.
pub(crate) async fn replace(target: &PostgresPalace, staging: &PostgresPalace) -> Result<()> {
    let place = &target.place;
    if target.names.prefix == staging.names.prefix {
        let detail = "both references name the same tables: stage under another id, or another namespace";
        return Err(place.error(ErrorKind::InvalidRequest, detail));
    }
    let mut session = target.server.session().await.map_err(|error| place.name(error))?;
    // Also where the caller goes away in the middle: what is under way is undone with the session.
    session.is_broken = true;
    let mut kept = BTreeMap::new();
    let done = replace_on(&mut session, target, staging, &mut kept).await;
    session.is_broken = done.is_err();
    drop(session);
    match done {
        Ok(renamed) => mark(target, &renamed).await,
        // Where only the answer was lost nobody knows which is there: the entries stay out, and contradict neither.
        Err(error) if error.kind() == ErrorKind::Unavailable => Err(error),
        Err(error) => {
            for (collection, identity) in &kept {
                target.record_in_file(collection, Some(identity)).await?;
            }
            Err(error)
        }
    }
}

/// The transaction. `kept` is what was taken out of the file beside the target.
async fn replace_on(
    session: &mut Session,
    target: &PostgresPalace,
    staging: &PostgresPalace,
    kept: &mut BTreeMap<String, EmbedderIdentity>,
) -> Result<Vec<Renamed>> {
    let failed = |error| target.place.sql("could not put the staged tables in the target's place", error);
    let transaction = session.transaction().await.map_err(failed)?;
    registry::lock(&transaction, "registry").await.map_err(failed)?;
    registry::ensure(&transaction, &target.schema).await.map_err(failed)?;
    let client = transaction.client();
    let old = standings(target, client).await?;
    let renamed = renamed(target, staging, client).await?;
    check_vacant(target, &old, &renamed, client).await?;
    withdraw(target, &old, &renamed, kept).await?;
    exchange(target, staging, &transaction, &old, &renamed).await?;
    transaction.commit().await.map_err(failed)?;
    Ok(renamed)
}

/// What is staged, and the names it is to have.
async fn renamed(target: &PostgresPalace, staging: &PostgresPalace, client: &Client) -> Result<Vec<Renamed>> {
    let failed = |error| staging.place.sql("could not look at the staged tables", error);
    let recorded = registry::palace(client, &staging.schema, &staging.names.prefix).await.map_err(failed)?;
    if recorded.is_none() {
        return Err(staging.place.error(ErrorKind::PalaceNotFound, "nothing is staged there"));
    }
    let standings = standings(staging, client).await?;
    let rename = |standing: Standing| Renamed {
        table: target.names.table(&standing.name),
        identity: standing.identity().cloned(),
        collection: standing.name,
        staged: standing.relation,
    };
    Ok(standings.into_iter().map(rename).collect())
}

/// That each name to be given is free, or of a table that is replaced.
async fn check_vacant(target: &PostgresPalace, old: &[Standing], renamed: &[Renamed], client: &Client) -> Result<()> {
    let failed = |error| target.place.sql("could not look at the target's tables", error);
    let tables: Vec<String> = renamed.iter().map(|renamed| renamed.table.clone()).collect();
    let is_replaced = |table: &str| old.iter().any(|standing| standing.relation.table == table);
    for record in registry::collections(client, &target.schema, &target.names.prefix, &tables).await.map_err(failed)? {
        let is_there = !is_replaced(&record.table) && tables.contains(&record.table);
        if is_there && record.prefix != target.names.prefix {
            let detail =
                format!("the table {} is that of collection {:?} of another palace", record.table, record.collection);
            return Err(target.place.error(ErrorKind::InvalidRequest, detail));
        }
    }
    let statement = "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                     WHERE n.nspname = $1 AND c.relname::text = ANY ($2)";
    let values: &[(&(dyn ToSql + Sync), Type)] = &[(&target.schema.name, Type::TEXT), (&tables, Type::TEXT_ARRAY)];
    for row in client.query_typed(statement, values).await.map_err(failed)? {
        let table: String = row.get(0);
        if !is_replaced(&table) {
            let detail = format!("{table} is there and is no table of this palace's rows");
            return Err(target.place.error(ErrorKind::NotAPalace, detail));
        }
    }
    Ok(())
}

/// Takes out of the target's file what would contradict the new tables, and keeps it.
async fn withdraw(
    target: &PostgresPalace,
    old: &[Standing],
    renamed: &[Renamed],
    kept: &mut BTreeMap<String, EmbedderIdentity>,
) -> Result<()> {
    let names = old.iter().map(|standing| &standing.name).chain(renamed.iter().map(|renamed| &renamed.collection));
    for name in names {
        let Some(recorded) = target.recorded_in_file(name).await? else { continue };
        let new =
            renamed.iter().find(|renamed| renamed.collection == *name).and_then(|renamed| renamed.identity.as_ref());
        if new != Some(&recorded) {
            target.record_in_file(name, None).await?;
            kept.insert(name.clone(), recorded);
        }
    }
    Ok(())
}

async fn exchange(
    target: &PostgresPalace,
    staging: &PostgresPalace,
    transaction: &Transaction<'_>,
    old: &[Standing],
    renamed: &[Renamed],
) -> Result<()> {
    let (schema, place) = (&target.schema, &target.place);
    let failed = |error| place.sql("could not put the staged tables in the target's place", error);
    let mut heirs = Vec::new();
    for standing in old {
        let table = &standing.relation.table;
        if let Some(renamed) = renamed.iter().find(|renamed| renamed.table == *table) {
            heirs.push(inheritance(transaction.client(), schema, table, &renamed.table).await.map_err(failed)?);
        }
        let statement = format!("DROP TABLE {}", schema.qualified(table));
        transaction.batch_execute(&statement).await.map_err(failed)?;
    }
    let gone: Vec<String> = old.iter().map(|standing| standing.relation.table.clone()).collect();
    registry::forget_collections(transaction, schema, &target.names.prefix, &gone).await.map_err(failed)?;
    for Renamed { staged, table, .. } in renamed {
        rename(transaction, schema, &staged.table, table).await.map_err(failed)?;
    }
    for statement in heirs.into_iter().filter(|statement| !statement.is_empty()) {
        transaction.batch_execute(&statement).await.map_err(failed)?;
    }
    registry::put_palace(transaction, schema, &target.names).await.map_err(failed)?;
    let tables: Vec<_> = renamed.iter().map(|renamed| (renamed.staged.table.clone(), renamed.table.clone())).collect();
    let prefixes = (staging.names.prefix.as_str(), target.names.prefix.as_str());
    registry::hand_over(transaction, schema, prefixes, &tables).await.map_err(failed)
}

/// Renames a table, its key and its vector index, which MemPalace finds by name.
async fn rename(
    transaction: &Transaction<'_>,
    schema: &Schema,
    from: &str,
    to: &str,
) -> Result<(), tokio_postgres::Error> {
    let alter = format!("ALTER TABLE {} RENAME TO {}", schema.qualified(from), identifier(to));
    transaction.batch_execute(&alter).await?;
    for (from, to) in [(key_name(from), key_name(to)), (index_name(from), index_name(to))] {
        let statement = "SELECT to_regclass($1) IS NOT NULL AND to_regclass($2) IS NULL";
        let values: &[(&(dyn ToSql + Sync), Type)] =
            &[(&schema.qualified(&from), Type::TEXT), (&schema.qualified(&to), Type::TEXT)];
        if transaction.query_typed(statement, values).await?.iter().any(|row| row.get(0)) {
            let alter = format!("ALTER INDEX {} RENAME TO {}", schema.qualified(&from), identifier(&to));
            transaction.batch_execute(&alter).await?;
        }
    }
    Ok(())
}

/// The statements that give one table's owner and grants to another.
async fn inheritance(
    client: &Client,
    schema: &Schema,
    table: &str,
    heir: &str,
) -> Result<String, tokio_postgres::Error> {
    let statement = "SELECT CASE WHEN g.grantee IS NULL \
           THEN format('ALTER TABLE %s OWNER TO %I', $2, pg_get_userbyid(c.relowner)) \
           ELSE format('GRANT %s ON TABLE %s TO %s%s', g.privilege_type, $2, \
                       CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END, \
                       CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) END \
         FROM pg_class c CROSS JOIN LATERAL ( \
           SELECT NULL::oid AS grantee, NULL::text AS privilege_type, false AS is_grantable \
             WHERE c.relowner <> (SELECT oid FROM pg_roles WHERE rolname = current_user) \
           UNION ALL SELECT grantee, privilege_type, is_grantable FROM aclexplode(c.relacl) \
             WHERE grantee <> c.relowner) AS g \
         WHERE c.oid = $1::text::regclass ORDER BY g.grantee NULLS FIRST";
    let (from, to) = (schema.qualified(table), schema.qualified(heir));
    let rows = client.query_typed(statement, &[(&from, Type::TEXT), (&to, Type::TEXT)]).await?;
    Ok(rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("; "))
}

/// Brings the files beside the target up to date.
async fn mark(target: &PostgresPalace, renamed: &[Renamed]) -> Result<()> {
    let Some(path) = target.local_path.clone() else { return Ok(()) };
    let (names, dsn) = (target.names.clone(), target.server.dsn().clone());
    let written = tokio::task::spawn_blocking(move || marker::write(&path, &names, &dsn)).await;
    let failed = |error| target.place.io("could not write the palace's marker", error);
    written.map_err(io::Error::other).flatten().map_err(failed)?;
    for Renamed { collection, identity, .. } in renamed {
        if let Some(identity) = identity {
            target.record_in_file(collection, Some(identity)).await?;
        }
    }
    Ok(())
}
