//! What only the server can tell of whether work would go through: read off catalogs and settings, nothing written.
//!
//! `server` looks at the server and at what stands before it, `rights` at what the role may do, `tables` at those that are
//! there already, `disk` at the space there is.

mod disk;
mod rights;
mod server;
mod tables;

use crate::connection::{Server, Session};
use crate::layout::Schema;
use crate::maintenance::WIDEST_INDEXED;
use crate::palace::{NO_SCHEMA, Opening, REPLICA, Standing, WIDEST, standings};
use palanquin_engine::contract::{Check, CollectionSpec, ErrorKind, Purpose, Result, advice};

/// The checks for a purpose, in the order in which they matter. Where one makes the rest meaningless it is the last.
pub(crate) async fn checks(opening: &Opening, purpose: Purpose, sessions: usize) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Err(error) = look(opening, purpose, sessions, &mut checks).await {
        checks.push(Check::fails("server", error.what(), error.advice()));
    }
    checks
}

async fn look(opening: &Opening, purpose: Purpose, sessions: usize, checks: &mut Vec<Check>) -> Result<()> {
    let place = &opening.place;
    let failed = |error| place.sql("could not look at the server", error);
    let (session, other) = match two_sessions(&opening.server).await {
        Ok(two) => two,
        // In words of its own: that nothing can be reached is not a failure of the check.
        Err(error) => {
            checks.push(Check::fails("server", error.what(), advice::operator_sentence(error.kind())));
            return Ok(());
        }
    };
    let about = server::About::look(&session).await.map_err(failed)?;
    checks.push(about.check(opening.server.dsn()));
    checks.push(server::pooler([&session, &other]).await.map_err(failed)?);
    drop(other);
    let Some(schema) = Schema::look(&session).await.map_err(failed)? else {
        let fix = "Create the schema the search path names, or grant USAGE on it to this role.";
        checks.push(Check::fails("permissions", NO_SCHEMA, fix));
        return Ok(());
    };
    // To be followed it is read first; what following takes beside that the feed looks at.
    let is_target = purpose == Purpose::Target;
    if schema.is_replica {
        if is_target {
            checks.push(Check::fails("replica", REPLICA, "Connect to the primary."));
            return Ok(());
        }
        checks.push(server::replica(&session).await.map_err(failed)?);
    }
    checks.push(server::extension(&session, &schema, &about, is_target).await.map_err(failed)?);
    let standings = of_palace(opening, &session, &schema).await?;
    let asked = rights::Asked { session: &session, schema: &schema, standings: &standings, is_target };
    checks.push(rights::check(&asked).await.map_err(failed)?);
    checks.push(tables::locks(&session, &standings, is_target).await.map_err(failed)?);
    if is_target {
        checks.extend(tables::vector_indexes(&session, &standings).await.map_err(failed)?);
        checks.push(disk::check(&session, opening.server.dsn()).await.map_err(failed)?);
    }
    checks.extend(server::sessions(&session, sessions).await.map_err(failed)?);
    Ok(())
}

/// Two at once: a pooler that shares the server's sessions gives itself away.
async fn two_sessions(server: &Server) -> Result<(Session, Session)> {
    Ok((server.dedicated().await?, server.dedicated().await?))
}

/// The palace's tables, unless its role may not even look at what is recorded of them, which is told under its rights.
async fn of_palace(opening: &Opening, session: &Session, schema: &Schema) -> Result<Vec<Standing>> {
    match standings(&opening.palace(schema.clone()), session).await {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(Vec::new()),
        standings => standings,
    }
}

/// What there is to say of a collection that is to be made.
pub(crate) fn remarks(spec: &CollectionSpec) -> Vec<Check> {
    let width = spec.dimension;
    if width > WIDEST {
        let found = format!("{} has vectors of {width} components; pgvector takes {WIDEST} at most", spec.name);
        return vec![Check::fails("width", found, "Choose another target, or leave the collection out.")];
    }
    if width > WIDEST_INDEXED {
        let found = format!(
            "{} has vectors of {width} components, and pgvector indexes {WIDEST_INDEXED} at most: every search will read \
             every row",
            spec.name
        );
        let fix = "Nothing, for a collection that is small; else use a model of fewer components.";
        return vec![Check::warns("width", found, fix)];
    }
    Vec::new()
}
