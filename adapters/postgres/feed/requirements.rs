//! What a server, a role and tables must have before their changes can be followed by the log.

use super::slot;
use crate::connection::Session;
use crate::error::Place;
use crate::layout::Schema;
use crate::palace::Standing;
use palanquin_engine::contract::{Check, Error, ErrorKind, Result};
use tokio_postgres::types::Type;

/// The way out that needs nothing of the server.
const OR_SCAN: &str = "or follow it by comparison, with --capture scan";

/// One requirement, and the kind its lack is refused with.
pub(super) struct Requirement {
    pub(super) check: Check,
    kind: ErrorKind,
}

fn passes(name: &str, found: String) -> Requirement {
    Requirement { check: Check::passes(name, found), kind: ErrorKind::Internal }
}

fn fails(kind: ErrorKind, name: &str, found: String, fix: String) -> Requirement {
    Requirement { check: Check::fails(name, found, format!("{fix}, {OR_SCAN}")), kind }
}

const SERVER: &str = "SELECT current_setting('wal_level'), pg_is_in_recovery(), quote_ident(current_user), \
       r.rolsuper OR r.rolreplication OR EXISTS (SELECT FROM pg_roles g WHERE g.rolname = 'rds_replication' \
         AND pg_has_role(g.oid, 'member')), \
       r.rolsuper OR has_database_privilege(current_database(), 'CREATE'), \
       current_setting('max_replication_slots')::int8, (SELECT count(*) FROM pg_replication_slots), \
       current_setting('max_wal_senders')::int8, (SELECT count(*) FROM pg_stat_replication), \
       current_setting('max_slot_wal_keep_size'), quote_ident(current_database()), \
       EXISTS (SELECT FROM pg_publication WHERE pubname = $1) \
     FROM pg_roles r WHERE r.rolname = current_user";

const TABLE: &str = "SELECT pg_has_role(c.relowner, 'USAGE'), quote_ident(pg_get_userbyid(c.relowner)), c.relreplident::text, \
       EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = 'id' \
               WHERE i.indrelid = c.oid AND i.indisprimary AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum), \
       c.relpersistence::text, \
       EXISTS (SELECT FROM pg_publication_rel p JOIN pg_publication o ON o.oid = p.prpubid \
               WHERE p.prrelid = c.oid AND o.pubname = $2) \
     FROM pg_class c WHERE c.oid = $1::oid";

/// Looks at all of them, in the order an operator would settle them.
pub(super) async fn look(
    session: &Session,
    place: &Place,
    schema: &Schema,
    name: &str,
    tables: &[Standing],
) -> Result<Vec<Requirement>> {
    let failed = |error| place.sql("could not look at what following the log needs", error);
    let row = session.query_typed_one(SERVER, &[(&name, Type::TEXT)]).await.map_err(failed)?;
    let (wal_level, is_replica, user): (String, bool, String) = (row.get(0), row.get(1), row.get(2));
    let (may_replicate, may_create): (bool, bool) = (row.get(3), row.get(4));
    let (slots, slots_used, senders, senders_used): (i64, i64, i64, i64) =
        (row.get(5), row.get(6), row.get(7), row.get(8));
    let (keeps, database, is_published): (String, String, bool) = (row.get(9), row.get(10), row.get(11));
    let has_slot = slot::look(session, name).await.map_err(failed)?.is_some();
    let mut found = Vec::new();
    found.push(match is_replica {
        false => passes("primary", "the server is a primary".to_owned()),
        true => fails(
            ErrorKind::UnsupportedCapability,
            "primary",
            "the server is a read replica, where no publication can be made".to_owned(),
            "connect to the primary".to_owned(),
        ),
    });
    found.push(match wal_level.as_str() {
        "logical" => passes("wal_level", "wal_level is logical".to_owned()),
        other => fails(
            ErrorKind::UnsupportedCapability,
            "wal_level",
            format!("wal_level is {other}, and the log tells rows only with logical"),
            "run ALTER SYSTEM SET wal_level = logical and restart the server".to_owned(),
        ),
    });
    found.push(match may_replicate {
        true => passes("replication_privilege", format!("role {user} may replicate")),
        false => fails(
            ErrorKind::PermissionDenied,
            "replication_privilege",
            format!("role {user} may not replicate"),
            format!("let a superuser run ALTER ROLE {user} REPLICATION (it then reads every table through the log)"),
        ),
    });
    found.push(match has_slot || slots_used < slots {
        true => passes("free_slots", format!("{slots_used} of {slots} replication slots are used")),
        false => fails(
            ErrorKind::UnsupportedCapability,
            "free_slots",
            format!("all of the server's {slots} replication slots are used"),
            "drop one nobody needs (`palanquin slots list`), or raise max_replication_slots and restart the server"
                .to_owned(),
        ),
    });
    found.push(match senders_used < senders {
        true => passes("free_senders", format!("{senders_used} of {senders} WAL senders are used")),
        false => fails(
            ErrorKind::UnsupportedCapability,
            "free_senders",
            format!("all of the server's {senders} WAL senders are used"),
            "end one nobody needs, or raise max_wal_senders and restart the server".to_owned(),
        ),
    });
    if !is_published {
        found.push(match may_create {
            true => passes("publication", format!("role {user} may make a publication in {database}")),
            false => fails(
                ErrorKind::PermissionDenied,
                "publication",
                format!("role {user} may not make a publication in {database}"),
                format!("let its owner run GRANT CREATE ON DATABASE {database} TO {user}"),
            ),
        });
    }
    for standing in tables {
        found.extend(of_table(session, place, schema, (name, &user), standing).await?);
    }
    if keeps != "-1" && !has_slot {
        let what =
            format!("max_slot_wal_keep_size is {keeps}: while nobody follows, the server keeps no more of its log");
        let fix = "start the link again before so much was written, or it compares every row once";
        found.push(Requirement { check: Check::warns("retention", what, fix), kind: ErrorKind::Internal });
    }
    Ok(found)
}

async fn of_table(
    session: &Session,
    place: &Place,
    schema: &Schema,
    (name, user): (&str, &str),
    standing: &Standing,
) -> Result<Option<Requirement>> {
    let table = schema.qualified(&standing.relation.table);
    let oid = u32::try_from(standing.relation.oid).unwrap_or_default();
    let row = session.query_typed_opt(TABLE, &[(&oid, Type::OID), (&name, Type::TEXT)]).await;
    let row = row.map_err(|error| place.sql("could not look at the table", error))?;
    let Some(row) = row else { return Ok(None) };
    let (owns, owner, identity): (bool, String, String) = (row.get(0), row.get(1), row.get(2));
    let (has_key, persistence, is_published): (bool, String, bool) = (row.get(3), row.get(4), row.get(5));
    let collection = &standing.name;
    let check = |what: &str| format!("{what} of {collection}");
    Ok(Some(if persistence != "p" {
        fails(
            ErrorKind::UnsupportedCapability,
            &check("table"),
            format!("the table of {collection} is not logged"),
            format!("run ALTER TABLE {table} SET LOGGED"),
        )
    } else if !has_key {
        fails(
            ErrorKind::UnsupportedCapability,
            &check("primary_key"),
            format!(
                "the table of {collection} has no primary key on id: published, it would refuse every UPDATE and DELETE"
            ),
            format!("run ALTER TABLE {table} ADD PRIMARY KEY (id)"),
        )
    } else if identity != "d" && identity != "f" {
        fails(
            ErrorKind::UnsupportedCapability,
            &check("replica_identity"),
            format!("the replica identity of the table of {collection} is not its primary key"),
            format!("run ALTER TABLE {table} REPLICA IDENTITY DEFAULT"),
        )
    } else if !owns && !is_published {
        fails(
            ErrorKind::PermissionDenied,
            &check("ownership"),
            format!("the table of {collection} is owned by {owner}, and only its owner can publish it"),
            format!("connect as {owner}, or run GRANT {owner} TO {user}"),
        )
    } else {
        passes(&check("table"), format!("the table of {collection} can be followed"))
    }))
}

/// The first that is not met, as a refusal.
pub(super) fn refusal(place: &Place, found: &[Requirement]) -> Result<()> {
    let missing = found.iter().find(|one| one.check.standing == palanquin_engine::contract::Standing::Fails);
    let Some(Requirement { check, kind }) = missing else { return Ok(()) };
    let fix = check.fix.as_deref().unwrap_or_default();
    Err(refused(place, *kind, &check.found, fix))
}

fn refused(place: &Place, kind: ErrorKind, found: &str, fix: &str) -> Error {
    place.error(kind, format!("it cannot be followed by its log: {found}; {fix}"))
}
