use crate::statement::{identifier, literal};
use std::collections::BTreeMap;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

/// `"C"` and `"POSIX"` in `pg_collation`, and what stands for the database's own.
const COLLATION_C: [i64; 2] = [950, 951];
const COLLATION_OF_DATABASE: i64 = 100;

/// What is to be known of a database before its tables can be spoken of.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    /// The schema MemPalace's tables are in: the current one.
    pub(crate) name: String,
    /// The schema pgvector is in, if it is installed.
    pub(crate) vector: Option<String>,
    /// Version of pgvector.
    pub(crate) vector_version: Option<String>,
    /// Whether texts are ordered by their bytes unless told otherwise.
    pub(crate) is_bytewise: bool,
    /// Whether the server is a replica.
    pub(crate) is_replica: bool,
    /// Whether our own tables are there.
    pub(crate) has_registry: bool,
}

impl Schema {
    /// `None` without a schema in the search path.
    pub(crate) async fn look(client: &Client) -> Result<Option<Self>, tokio_postgres::Error> {
        // An ICU database may say C for what libc would do. Before version 15 there was libc only.
        let row = client.query_typed_one(
            "SELECT current_schema()::text, n.nspname::text, e.extversion, \
                    CASE coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') \
                         WHEN 'c' THEN d.datcollate IN ('C', 'POSIX') WHEN 'b' THEN true ELSE false END, \
                    pg_is_in_recovery(), \
                    to_regclass(quote_ident(current_schema()) || '.palanquin_collections') IS NOT NULL \
             FROM pg_database d LEFT JOIN pg_extension e ON e.extname = 'vector' \
             LEFT JOIN pg_namespace n ON n.oid = e.extnamespace WHERE d.datname = current_database()",
            &[],
        );
        let row = row.await?;
        Ok(row.get::<_, Option<String>>(0).map(|name| Self {
            name,
            vector: row.get(1),
            vector_version: row.get(2),
            is_bytewise: row.get(3),
            is_replica: row.get(4),
            has_registry: row.get::<_, Option<bool>>(5).unwrap_or(false),
        }))
    }

    /// A table of this schema, quoted.
    pub(crate) fn qualified(&self, table: &str) -> String {
        format!("{}.{}", identifier(&self.name), identifier(table))
    }

    /// A type or function of pgvector, quoted.
    pub(crate) fn of_vector(&self, name: &str) -> String {
        format!("{}.{name}", identifier(self.vector.as_deref().unwrap_or("public")))
    }
}

/// What is to be known of a table with rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Relation {
    pub(crate) table: String,
    /// Changes when the table is dropped and made again.
    pub(crate) oid: i64,
    pub(crate) comment: Option<String>,
    /// Width of the vectors; `None` where the column takes any.
    pub(crate) dimension: Option<u32>,
    /// Whether the primary key orders ids by their bytes.
    pub(crate) id_is_bytewise: bool,
    /// Whether every row needs a document: in tables that MemPalace made.
    pub(crate) needs_document: bool,
    columns: BTreeMap<String, String>,
}

impl Relation {
    /// The table of that name; whether it is one of rows is told by [`Self::problem`].
    pub(crate) async fn look(
        client: &Client,
        schema: &Schema,
        table: &str,
    ) -> Result<Option<Self>, tokio_postgres::Error> {
        Ok(Self::list(client, schema, &[table.to_owned()], None).await?.into_iter().next())
    }

    /// The tables of these names, and those whose name begins so, by name.
    pub(crate) async fn list(
        client: &Client,
        schema: &Schema,
        names: &[String],
        beginning: Option<&str>,
    ) -> Result<Vec<Self>, tokio_postgres::Error> {
        let statement = "SELECT c.relname::text, c.oid::int8, obj_description(c.oid, 'pg_class'), a.attname::text, \
                    format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attcollation::int8 \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
             WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') \
               AND (c.relname::text = ANY($2) OR left(c.relname::text, length($3)) = $3) \
             ORDER BY c.relname::text COLLATE \"C\", a.attnum";
        let values: &[(&(dyn ToSql + Sync), Type)] =
            &[(&schema.name, Type::TEXT), (&names, Type::TEXT_ARRAY), (&beginning, Type::TEXT)];
        let mut relations: Vec<Self> = Vec::new();
        for row in client.query_typed(statement, values).await? {
            let (table, column): (String, String) = (row.get(0), row.get(3));
            if relations.last().is_none_or(|last| last.table != table) {
                relations.push(Self { table, oid: row.get(1), comment: row.get(2), ..Self::default() });
            }
            let Some(relation) = relations.last_mut() else { continue };
            let (kind, not_null, collation): (String, bool, i64) = (row.get(4), row.get(5), row.get(6));
            match column.as_str() {
                "id" => {
                    relation.id_is_bytewise =
                        COLLATION_C.contains(&collation) || collation == COLLATION_OF_DATABASE && schema.is_bytewise;
                }
                "document" => relation.needs_document = not_null,
                "embedding" => {
                    let width = kind.rsplit_once('(').and_then(|(_, width)| width.strip_suffix(')'));
                    relation.dimension = width.and_then(|width| width.parse().ok());
                }
                _ => {}
            }
            relation.columns.insert(column, kind);
        }
        Ok(relations)
    }

    /// Why it is not a table of rows, if it is none.
    pub(crate) fn problem(&self) -> Option<String> {
        let expected = [("id", "text"), ("document", "text"), ("metadata", "jsonb"), ("embedding", "vector")];
        for (column, expected) in expected {
            match self.columns.get(column) {
                None => return Some(format!("the table {} has no column {column}", self.table)),
                Some(kind) => {
                    let bare = kind.split('(').next().unwrap_or(kind);
                    if bare.rsplit('.').next() != Some(expected) {
                        return Some(format!("column {column} of the table {} is {kind}, not {expected}", self.table));
                    }
                }
            }
        }
        None
    }

    pub(crate) fn has_updated_at(&self) -> bool {
        self.columns.contains_key("updated_at")
    }

    /// What ids are ordered and compared by: `id` where the primary key can do it, spelled out where it cannot.
    pub(crate) fn ordered_id(&self) -> &'static str {
        if self.id_is_bytewise { "id" } else { "id COLLATE \"C\"" }
    }

    /// Changes when the table is dropped and made again, whoever made it.
    pub(crate) fn unrecorded_incarnation(&self) -> String {
        format!("table-{}", self.oid)
    }

    /// The incarnation that was written onto the table when we made it.
    pub(crate) fn recorded_incarnation(&self) -> Option<&str> {
        self.comment.as_deref()?.strip_prefix(COMMENT)
    }
}

const COMMENT: &str = "palanquin incarnation ";

/// MemPalace's table, made so that it serves MemPalace no worse: ids are ordered by their bytes whatever the database's
/// collation, a row may have no document, and pages keep room for updates in place.
pub(crate) fn create(schema: &Schema, table: &str, dimension: u32, incarnation: &str) -> String {
    let (name, vector) = (schema.qualified(table), schema.of_vector("vector"));
    format!(
        "CREATE TABLE {name} (id text COLLATE \"C\" PRIMARY KEY, document text DEFAULT '', \
         metadata jsonb NOT NULL DEFAULT '{{}}'::jsonb, embedding {vector}({dimension}), updated_at timestamptz) \
         WITH (fillfactor = 70); COMMENT ON TABLE {name} IS {}",
        literal(&format!("{COMMENT}{incarnation}"))
    )
}
