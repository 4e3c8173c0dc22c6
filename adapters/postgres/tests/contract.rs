//! The contract suite on real servers: palaces without a directory on version 18, palaces with one on version 16.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod database;

use database::Database;
use palanquin_contract::{Limits, Store};
use palanquin_engine::contract::{Backend, PalaceRef, kind};
use palanquin_postgres::{Dsn, PostgresBackend, PostgresOptions};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

struct Scratch {
    database: Database,
    directory: Option<TempDir>,
}

impl Scratch {
    async fn on_18() -> Self {
        Self { database: Database::on("PALANQUIN_TEST_POSTGRES").await, directory: None }
    }

    async fn on_16() -> Self {
        Self { database: Database::on("PALANQUIN_TEST_POSTGRES_16").await, directory: Some(TempDir::new().unwrap()) }
    }

    fn backend_at(dsn: &str) -> Arc<dyn Backend> {
        let options = PostgresOptions { sessions: 4, ..PostgresOptions::of(Dsn::parse(dsn).unwrap()) };
        Arc::new(PostgresBackend::new(options))
    }

    async fn number(&self, statement: &str) -> u64 {
        let row = self.database.client().await.query_one(statement, &[]).await.unwrap();
        row.get::<_, i64>(0).unsigned_abs()
    }
}

#[async_trait::async_trait]
impl Store for Scratch {
    fn backend(&self) -> Arc<dyn Backend> {
        Self::backend_at(&self.database.dsn())
    }

    fn palace(&self, name: &str) -> PalaceRef {
        let path = self.directory.as_ref().map(|directory| {
            let folder = folder_of(name);
            directory.path().join(folder)
        });
        PalaceRef { id: name.to_owned(), local_path: path, namespace: None }
    }

    fn limits(&self) -> Limits {
        Limits { widest: 16_000, ..Limits::default() }
    }

    async fn picture(&self, except: Option<&PalaceRef>) -> Option<String> {
        let client = self.database.client().await;
        let mut picture = String::new();
        let tables = "SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace \
                      AND c.relkind IN ('r', 'S', 'i') ORDER BY 1";
        let mut prefix = String::from("no table begins like this");
        let tables: Vec<String> = client.query(tables, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
        if let (Some(palace), true) = (except, tables.iter().any(|table| table == "palanquin_palaces")) {
            let rows = client.query("SELECT prefix FROM palanquin_palaces WHERE palace = $1", &[&palace.id]).await;
            if let Some(row) = rows.unwrap().first() {
                prefix = row.get(0);
            }
        }
        for table in tables.iter().filter(|table| !table.starts_with(&prefix)) {
            picture.push_str(&format!("{table}\n"));
            let statement = format!("SELECT row_to_json(t)::text FROM \"{table}\" AS t ORDER BY 1");
            for row in client.query(&statement, &[]).await.unwrap_or_default() {
                let row: String = row.get(0);
                if !row.contains(&prefix) {
                    picture.push_str(&format!("  {row}\n"));
                }
            }
        }
        if let Some(directory) = &self.directory {
            let except = except.and_then(|palace| palace.local_path.as_deref());
            picture_of(directory.path(), except, &mut picture);
        }
        Some(picture)
    }

    fn unreachable(&self) -> Option<Arc<dyn Backend>> {
        Some(Self::backend_at("postgresql://nobody@127.0.0.1:1/nowhere"))
    }

    async fn work_left(&self, kind: &str, _palace: &PalaceRef) -> Option<u64> {
        let table = "relname LIKE 'mempalace%drawers'";
        let indexes = format!("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND {table}");
        match kind {
            kind::ANALYZE => Some(
                self.number(&format!(
                    "SELECT count(*) FROM pg_class WHERE {table} AND relkind = 'r' AND reltuples <> 300"
                ))
                .await,
            ),
            kind::REINDEX => {
                let built =
                    "SELECT count(*) FROM pg_index WHERE indisvalid AND indexrelid::regclass::text LIKE '%hnsw_idx%'";
                Some(self.number(&indexes).await - self.number(built).await)
            }
            _ => None,
        }
    }
}

fn picture_of(path: &Path, except: Option<&Path>, picture: &mut String) {
    let mut entries: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries.into_iter().filter(|path| Some(path.as_path()) != except) {
        if path.is_dir() {
            picture_of(&path, except, picture);
        } else {
            picture.push_str(&format!("{} {}\n", path.display(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// A folder for any name.
fn folder_of(name: &str) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

mod on_18 {
    use super::*;
    palanquin_contract::suite!(Scratch::on_18().await);
}

mod on_16 {
    use super::*;
    palanquin_contract::suite!(Scratch::on_16().await);
}
