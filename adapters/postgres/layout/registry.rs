//! Our own tables beside MemPalace's: what a table's name no longer tells, and what MemPalace keeps nowhere in the
//! database. Written in the transaction that makes a collection, so that neither is there without the other.

use super::{Names, Schema};
use palanquin_engine::contract::{EmbedderIdentity, Metric};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row, Transaction};

/// The class of our advisory locks: "PALQ".
pub(crate) const LOCK_CLASS: i32 = 0x5041_4c51;

/// The palace that uses a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PalaceRecord {
    pub(crate) palace: String,
    pub(crate) namespace: Option<String>,
    pub(crate) shared_namespace: Option<String>,
}

impl std::fmt::Display for PalaceRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "palace {:?}", self.palace)?;
        match &self.namespace {
            Some(namespace) => write!(f, " of namespace {namespace:?}"),
            None => f.write_str(" without a namespace"),
        }
    }
}

/// What is recorded of a collection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CollectionRecord {
    pub(crate) table: String,
    pub(crate) prefix: String,
    pub(crate) collection: String,
    pub(crate) incarnation: String,
    pub(crate) metric: Option<Metric>,
    pub(crate) identity: Option<EmbedderIdentity>,
}

/// Makes the tables. In a transaction that holds [`lock`].
pub(crate) async fn ensure(transaction: &Transaction<'_>, schema: &Schema) -> Result<(), Error> {
    let name = |table: &str| schema.qualified(table);
    let statement = format!(
        "SET LOCAL client_min_messages = warning; \
         CREATE TABLE IF NOT EXISTS {} (prefix text PRIMARY KEY, palace text NOT NULL, namespace text, \
           shared_namespace text, made_at timestamptz NOT NULL DEFAULT now()); \
         CREATE TABLE IF NOT EXISTS {} (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, prefix text NOT NULL, \
           entry text NOT NULL); \
         CREATE TABLE IF NOT EXISTS {} (table_name text PRIMARY KEY, prefix text NOT NULL, collection text NOT NULL, \
           incarnation text NOT NULL, metric text, model_name text, model_dimension bigint, \
           made_at timestamptz NOT NULL DEFAULT now())",
        name("palanquin_palaces"),
        name("palanquin_migration_log"),
        name("palanquin_collections"),
    );
    transaction.batch_execute(&statement).await
}

/// Held to the end of the transaction: whoever else makes something of that name waits.
pub(crate) async fn lock(transaction: &Transaction<'_>, name: &str) -> Result<(), Error> {
    let key = super::lock_key(name);
    let parameters: &[(&(dyn ToSql + Sync), Type)] = &[(&LOCK_CLASS, Type::INT4), (&key, Type::INT4)];
    transaction.query_typed("SELECT pg_advisory_xact_lock($1, $2)", parameters).await.map(drop)
}

/// Who uses the prefix.
pub(crate) async fn palace(client: &Client, schema: &Schema, prefix: &str) -> Result<Option<PalaceRecord>, Error> {
    let statement = format!(
        "SELECT palace, namespace, shared_namespace FROM {} WHERE prefix = $1",
        schema.qualified("palanquin_palaces")
    );
    let row = client.query_typed_opt(&statement, &[(&prefix, Type::TEXT)]).await?;
    Ok(row.map(|row| PalaceRecord { palace: row.get(0), namespace: row.get(1), shared_namespace: row.get(2) }))
}

/// Records who uses a prefix, unless that is recorded.
pub(crate) async fn put_palace(transaction: &Transaction<'_>, schema: &Schema, names: &Names) -> Result<(), Error> {
    let statement = format!(
        "INSERT INTO {} (prefix, palace, namespace, shared_namespace) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        schema.qualified("palanquin_palaces")
    );
    let values: &[(&(dyn ToSql + Sync), Type)] = &[
        (&names.prefix, Type::TEXT),
        (&names.palace, Type::TEXT),
        (&names.namespace, Type::TEXT),
        (&names.shared_namespace, Type::TEXT),
    ];
    transaction.execute_typed(&statement, values).await.map(drop)
}

const COLLECTION: &str = "table_name, prefix, collection, incarnation, metric, model_name, model_dimension";

fn collection_of(row: &Row) -> CollectionRecord {
    let model: Option<String> = row.get(5);
    let dimension = row.get::<_, Option<i64>>(6).and_then(|dimension| u32::try_from(dimension).ok());
    CollectionRecord {
        table: row.get(0),
        prefix: row.get(1),
        collection: row.get(2),
        incarnation: row.get(3),
        metric: row.get::<_, Option<&str>>(4).and_then(Metric::from_name),
        identity: model.map(|model_name| EmbedderIdentity { model_name, dimension: dimension.unwrap_or(0) }),
    }
}

/// What is recorded of these tables and of all the palace's, by table.
pub(crate) async fn collections(
    client: &Client,
    schema: &Schema,
    prefix: &str,
    tables: &[String],
) -> Result<Vec<CollectionRecord>, Error> {
    let statement = format!(
        "SELECT {COLLECTION} FROM {} WHERE prefix = $1 OR table_name = ANY($2)",
        schema.qualified("palanquin_collections")
    );
    let rows = client.query_typed(&statement, &[(&prefix, Type::TEXT), (&tables, Type::TEXT_ARRAY)]).await?;
    Ok(rows.iter().map(collection_of).collect())
}

/// What is recorded of a table.
pub(crate) async fn collection(
    client: &Client,
    schema: &Schema,
    table: &str,
) -> Result<Option<CollectionRecord>, Error> {
    let statement =
        format!("SELECT {COLLECTION} FROM {} WHERE table_name = $1", schema.qualified("palanquin_collections"));
    Ok(client.query_typed_opt(&statement, &[(&table, Type::TEXT)]).await?.as_ref().map(collection_of))
}

/// Records a collection, instead of whatever was recorded of a table of that name.
pub(crate) async fn put_collection(
    transaction: &Transaction<'_>,
    schema: &Schema,
    record: &CollectionRecord,
) -> Result<(), Error> {
    let statement = format!(
        "INSERT INTO {} ({COLLECTION}) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (table_name) DO UPDATE SET \
         prefix = excluded.prefix, collection = excluded.collection, incarnation = excluded.incarnation, \
         metric = excluded.metric, model_name = excluded.model_name, model_dimension = excluded.model_dimension, \
         made_at = excluded.made_at",
        schema.qualified("palanquin_collections")
    );
    let metric = record.metric.map(Metric::name);
    let model = record.identity.as_ref().map(|identity| identity.model_name.as_str());
    let dimension = record.identity.as_ref().map(|identity| i64::from(identity.dimension));
    let values: &[(&(dyn ToSql + Sync), Type)] = &[
        (&record.table, Type::TEXT),
        (&record.prefix, Type::TEXT),
        (&record.collection, Type::TEXT),
        (&record.incarnation, Type::TEXT),
        (&metric, Type::TEXT),
        (&model, Type::TEXT),
        (&dimension, Type::INT8),
    ];
    transaction.execute_typed(&statement, values).await.map(drop)
}

/// The migration log, oldest first, as it was written.
pub(crate) async fn log(client: &Client, schema: &Schema, prefix: &str) -> Result<Vec<String>, Error> {
    let statement =
        format!("SELECT entry FROM {} WHERE prefix = $1 ORDER BY number", schema.qualified("palanquin_migration_log"));
    let rows = client.query_typed(&statement, &[(&prefix, Type::TEXT)]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Adds to the migration log.
pub(crate) async fn append_to_log(
    transaction: &Transaction<'_>,
    schema: &Schema,
    prefix: &str,
    entry: &str,
) -> Result<(), Error> {
    let statement =
        format!("INSERT INTO {} (prefix, entry) VALUES ($1, $2)", schema.qualified("palanquin_migration_log"));
    transaction.execute_typed(&statement, &[(&prefix, Type::TEXT), (&entry, Type::TEXT)]).await.map(drop)
}

/// Gives what is recorded of the palace of one prefix to that of another, of which nothing may be recorded but its log and
/// itself: its collections with the names of their tables, from old to new, and its log. The first prefix is nobody's then.
pub(crate) async fn hand_over(
    transaction: &Transaction<'_>,
    schema: &Schema,
    (from, to): (&str, &str),
    tables: &[(String, String)],
) -> Result<(), Error> {
    let (old, new): (Vec<&str>, Vec<&str>) = tables.iter().map(|(old, new)| (old.as_str(), new.as_str())).unzip();
    let statement = format!(
        "UPDATE {} AS c SET prefix = $2, table_name = renamed.new \
         FROM unnest($3::text[], $4::text[]) AS renamed (old, new) WHERE c.prefix = $1 AND c.table_name = renamed.old",
        schema.qualified("palanquin_collections")
    );
    let values: &[(&(dyn ToSql + Sync), Type)] =
        &[(&from, Type::TEXT), (&to, Type::TEXT), (&old, Type::TEXT_ARRAY), (&new, Type::TEXT_ARRAY)];
    transaction.execute_typed(&statement, values).await?;
    forget_collections(transaction, schema, from, &[]).await?;
    let statement = format!("UPDATE {} SET prefix = $2 WHERE prefix = $1", schema.qualified("palanquin_migration_log"));
    transaction.execute_typed(&statement, &[(&from, Type::TEXT), (&to, Type::TEXT)]).await?;
    let statement = format!("DELETE FROM {} WHERE prefix = $1", schema.qualified("palanquin_palaces"));
    transaction.execute_typed(&statement, &[(&from, Type::TEXT)]).await.map(drop)
}

/// Forgets what is recorded of the palace's collections, and of these tables whosesoever they were.
pub(crate) async fn forget_collections(
    transaction: &Transaction<'_>,
    schema: &Schema,
    prefix: &str,
    tables: &[String],
) -> Result<(), Error> {
    let statement =
        format!("DELETE FROM {} WHERE prefix = $1 OR table_name = ANY ($2)", schema.qualified("palanquin_collections"));
    transaction.execute_typed(&statement, &[(&prefix, Type::TEXT), (&tables, Type::TEXT_ARRAY)]).await.map(drop)
}
