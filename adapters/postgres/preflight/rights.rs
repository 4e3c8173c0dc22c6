use crate::connection::Session;
use crate::layout::Schema;
use crate::palace::Standing;
use palanquin_engine::contract::Check;
use tokio_postgres::Error;
use tokio_postgres::types::{ToSql, Type};

/// What the role's rights are looked at for.
pub(super) struct Asked<'a> {
    pub(super) session: &'a Session,
    pub(super) schema: &'a Schema,
    pub(super) standings: &'a [Standing],
    pub(super) is_target: bool,
}

/// What is lacking, with the statement that grants it. To make a table, and to be sure that ours are there, takes CREATE
/// on the schema; to merge rows, a temporary table; to write them, the tables that are there already.
const LACKING: &str = "WITH wanted (object, kind, granted, privilege) AS ( \
    SELECT current_database()::text, 'DATABASE', has_database_privilege(current_database(), 'TEMP'), 'TEMPORARY' WHERE $2 \
    UNION ALL SELECT $1, 'SCHEMA', has_schema_privilege($1, 'CREATE'), 'CREATE' WHERE $2 \
    UNION ALL SELECT c.relname::text, 'TABLE', has_table_privilege(c.oid, p.privilege), p.privilege \
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN unnest($3::text[]) AS p (privilege) \
      WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') \
        AND (c.relname::text = ANY ($4) \
             OR c.relname IN ('palanquin_palaces', 'palanquin_collections', 'palanquin_migration_log'))) \
  SELECT format('%s on %s %s', string_agg(privilege, ', ' ORDER BY privilege), lower(kind), object), \
         format('GRANT %s ON %s %s TO %I', string_agg(privilege, ', ' ORDER BY privilege), kind, \
                CASE kind WHEN 'TABLE' THEN quote_ident($1) || '.' || quote_ident(object) ELSE quote_ident(object) END, \
                current_user) \
  FROM wanted WHERE NOT granted GROUP BY kind, object ORDER BY kind, object";

/// Whether the role may do each thing the purpose takes.
pub(super) async fn check(asked: &Asked<'_>) -> Result<Check, Error> {
    let privileges: &[&str] = if asked.is_target { &["SELECT", "INSERT", "UPDATE", "DELETE"] } else { &["SELECT"] };
    let tables: Vec<&str> = asked.standings.iter().map(|standing| standing.relation.table.as_str()).collect();
    let values: &[(&(dyn ToSql + Sync), Type)] = &[
        (&asked.schema.name, Type::TEXT),
        (&asked.is_target, Type::BOOL),
        (&privileges, Type::TEXT_ARRAY),
        (&tables, Type::TEXT_ARRAY),
    ];
    let rows = asked.session.query_typed(LACKING, values).await?;
    if rows.is_empty() {
        let found = match asked.is_target {
            true => "the role may make tables and write rows",
            false => "the role may read the tables",
        };
        return Ok(Check::passes("permissions", found));
    }
    let texts = |column: usize| rows.iter().map(|row| row.get::<_, &str>(column)).collect::<Vec<_>>().join("; ");
    let (lacking, grants) = (texts(0), texts(1));
    let found = format!("the role lacks {lacking}");
    Ok(Check::fails("permissions", found, format!("Have the owner run: {grants}")))
}
