use super::{Handle, PostgresPalace};
use crate::connection::{Server, Session};
use crate::error::Place;
use crate::feed::Feed;
use crate::layout::marker::{self, Standing};
use crate::layout::registry::{self, PalaceRecord};
use crate::layout::{Names, Relation, Schema};
use palanquin_engine::contract::{Error, ErrorKind, OpenMode, Result};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// MemPalace's collections: found by name even where a long namespace leaves nothing of the palace in a table's name.
pub(super) const USUAL: [&str; 5] = [
    "mempalace_drawers",
    "mempalace_closets",
    "mempalace_assets",
    "mempalace_compressed",
    "mempalace_session_recovery",
];

pub(crate) const NO_SCHEMA: &str = "the search path names no schema this role can use";
pub(crate) const REPLICA: &str =
    "the server is a read replica: it can be a source, and to write connect to the primary";

/// A palace that is about to be opened.
pub(crate) struct Opening {
    pub(crate) names: Names,
    pub(crate) local_path: Option<PathBuf>,
    pub(crate) mode: OpenMode,
    pub(crate) server: Server,
    pub(crate) index_memory_mib: Option<u32>,
    pub(crate) place: Place,
    /// Who follows it.
    pub(crate) consumer: Option<String>,
}

impl Opening {
    /// A palace is there if its directory holds a marker of its tables, or the database knows its name, or holds tables
    /// of it. What is refused leaves nothing behind.
    pub(crate) async fn open(self) -> Result<Handle> {
        let marked = self.look_at_directory().await?;
        let mut session = self.server.session().await.map_err(|error| self.place.name(error))?;
        let failed = |error| self.place.sql("could not look at the database", error);
        let (mut schema, record) = self.look_at_database(&session).await?;
        if record.is_none() && !marked {
            let is_there = !self.tables(&session, &schema).await.map_err(failed)?.is_empty();
            if !is_there && self.mode != OpenMode::Create {
                return Err(self.place.error(ErrorKind::PalaceNotFound, "the database holds no such palace"));
            }
        }
        if self.mode == OpenMode::Create {
            if schema.vector.is_none() {
                self.make_extension(&session).await?;
                schema = Schema::look(&session).await.map_err(failed)?.unwrap_or(schema);
            }
            if record.is_none() {
                self.make(&mut session, &mut schema).await?;
            }
            self.make_directory().await?;
        }
        Ok(Handle(Arc::new(self.palace(schema))))
    }

    /// The palace, whether it is there or not: for what is about to put it there.
    pub(crate) async fn unopened(self) -> Result<PostgresPalace> {
        self.look_at_directory().await?;
        let session = self.server.session().await.map_err(|error| self.place.name(error))?;
        let (schema, _) = self.look_at_database(&session).await?;
        Ok(self.palace(schema))
    }

    /// The palace as it would be opened in this schema.
    pub(crate) fn palace(&self, schema: Schema) -> PostgresPalace {
        let feed = |consumer: &String| Arc::new(Feed::new(consumer, &self.server, &schema));
        PostgresPalace {
            feed: self.consumer.as_ref().map(feed),
            registered: AtomicBool::new(schema.has_registry),
            names: self.names.clone(),
            schema,
            server: self.server.clone(),
            place: self.place.clone(),
            local_path: self.local_path.clone(),
            mode: self.mode,
            index_memory_mib: self.index_memory_mib,
        }
    }

    /// What the database is like, and whose the tables' names are.
    async fn look_at_database(&self, session: &Session) -> Result<(Schema, Option<PalaceRecord>)> {
        let failed = |error| self.place.sql("could not look at the database", error);
        let Some(schema) = Schema::look(session).await.map_err(failed)? else {
            return Err(self.place.error(ErrorKind::PermissionDenied, NO_SCHEMA));
        };
        if self.mode.is_writable() && schema.is_replica {
            return Err(self.place.error(ErrorKind::PermissionDenied, REPLICA));
        }
        let record = match schema.has_registry {
            true => registry::palace(session, &schema, &self.names.prefix).await.map_err(failed)?,
            false => None,
        };
        if let Some(record) = &record {
            self.check_is_this(record)?;
        }
        Ok((schema, record))
    }

    /// Whether the palace's directory says that its tables are these.
    async fn look_at_directory(&self) -> Result<bool> {
        let Some(path) = self.local_path.clone() else { return Ok(false) };
        let (names, dsn) = (self.names.clone(), self.server.dsn().clone());
        let looked = tokio::task::spawn_blocking(move || marker::look(&path, &names, &dsn)).await;
        let failed = |error| self.place.io("could not look at the palace's directory", error);
        match looked.map_err(io::Error::other).flatten().map_err(failed)? {
            Standing::Ours => Ok(true),
            Standing::Vacant => Ok(false),
            Standing::Other(found) => {
                Err(self.place.error(ErrorKind::NotAPalace, format!("not a palace in Postgres: {found}")))
            }
            Standing::Elsewhere(differing) => {
                let detail = format!(
                    "{} in its directory names other tables ({} differ); connect as it was connected when it was made",
                    marker::FILE_NAME,
                    differing.join(", ")
                );
                Err(self.place.error(ErrorKind::InvalidRequest, detail))
            }
        }
    }

    /// Names that differ can fall together in a table's name; rows are only ever shown to the one that was first.
    fn check_is_this(&self, record: &PalaceRecord) -> Result<()> {
        let PalaceRecord { palace, namespace, shared_namespace } = record;
        if self.names.is_same_palace(palace, namespace.as_deref(), shared_namespace.as_deref()) {
            return Ok(());
        }
        let kind = if self.mode == OpenMode::Create { ErrorKind::InvalidRequest } else { ErrorKind::PalaceNotFound };
        let detail = format!("its tables' names ({}_…) are those of {record}; choose another name", self.names.prefix);
        Err(self.place.error(kind, detail))
    }

    async fn tables(&self, session: &Session, schema: &Schema) -> Result<Vec<Relation>, tokio_postgres::Error> {
        let usual: Vec<String> = USUAL.iter().map(|name| self.names.table(name)).collect();
        let relations = Relation::list(session, schema, &usual, Some(&format!("{}_", self.names.prefix))).await?;
        Ok(relations.into_iter().filter(|relation| relation.problem().is_none()).collect())
    }

    async fn make_extension(&self, session: &Session) -> Result<()> {
        // Two at once: the second one finds it made, or fails on the name.
        let made =
            session.batch_execute("SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS vector").await;
        let Err(error) = made else { return Ok(()) };
        if crate::error::is_conflict(&error) {
            return Ok(());
        }
        let error = self.place.sql("the database has no extension pgvector", error);
        Err(match error.kind() {
            ErrorKind::PermissionDenied => error_with(
                &self.place,
                ErrorKind::PermissionDenied,
                "the database has no extension pgvector, and this role may not create it: let one that may run CREATE EXTENSION vector",
                error,
            ),
            ErrorKind::UnsupportedCapability | ErrorKind::Unavailable | ErrorKind::Internal => error_with(
                &self.place,
                ErrorKind::UnsupportedCapability,
                "the server does not have pgvector: install it there, then run CREATE EXTENSION vector",
                error,
            ),
            _ => error,
        })
    }

    /// Records the palace under its true names.
    async fn make(&self, session: &mut Session, schema: &mut Schema) -> Result<()> {
        let failed = |error| self.place.sql("could not record the palace", error);
        let transaction = session.transaction().await.map_err(failed)?;
        registry::lock(&transaction, "registry").await.map_err(failed)?;
        registry::ensure(&transaction, schema).await.map_err(failed)?;
        registry::put_palace(&transaction, schema, &self.names).await.map_err(failed)?;
        let record = registry::palace(transaction.client(), schema, &self.names.prefix).await.map_err(failed)?;
        if let Some(record) = record {
            self.check_is_this(&record)?;
        }
        transaction.commit().await.map_err(failed)?;
        schema.has_registry = true;
        Ok(())
    }

    async fn make_directory(&self) -> Result<()> {
        let Some(path) = self.local_path.clone() else { return Ok(()) };
        let (names, dsn) = (self.names.clone(), self.server.dsn().clone());
        let written = tokio::task::spawn_blocking(move || marker::write(&path, &names, &dsn)).await;
        let failed = |error| self.place.io("could not make the palace's directory", error);
        written.map_err(io::Error::other).flatten().map_err(failed)
    }
}

fn error_with(place: &Place, kind: ErrorKind, detail: &str, source: Error) -> Error {
    let cause = std::error::Error::source(&source).map(ToString::to_string).unwrap_or_default();
    place.error(kind, format!("{detail} ({cause})"))
}
