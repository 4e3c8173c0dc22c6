use super::position::{Log, Lsn, Position};
use super::slot::{self, Now};
use super::{Feed, Followed, State, requirements, stream};
use crate::connection::{Server, Session};
use crate::error::Place;
use crate::palace::{PostgresPalace, Standing, standings};
use crate::statement::{identifier, literal};
use palanquin_engine::contract::{Check, ErrorKind, FeedHead, Result};
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::types::Type;

/// What is waited for transactions that were open when a table was taken up.
const ENDED_WITHIN: Duration = Duration::from_secs(30);

impl Feed {
    /// Where the log ends now, for a table that is followed. For one that is not, a place from which it can be:
    /// whatever a scan that begins now does not see comes after it. Slot and publication are made for that.
    ///
    /// # Errors
    /// What lacks for it, by name and with what to do.
    pub(crate) async fn head(&self, palace: &PostgresPalace, standing: &Standing, place: &Place) -> Result<FeedHead> {
        let mut state = self.state.lock().await;
        let table = u32::try_from(standing.relation.oid).unwrap_or_default();
        let found = self.find(&mut state, palace, table, place).await;
        if found.is_err() {
            // A server that is being stopped waits for those who read its log, as long as they do.
            state.stop();
        }
        let (log, lsn) = found?;
        Ok(FeedHead { cursor: Position { log, table, lsn }.cursor(), changed_at_ms: None })
    }

    async fn find(&self, state: &mut State, palace: &PostgresPalace, table: u32, place: &Place) -> Result<(Log, Lsn)> {
        let session = self.server.session().await.map_err(|error| place.name(error))?;
        let now = slot::now(&session, &self.name, table).await;
        let Now { log, end, has_table, kept } = now.map_err(|error| explained(place, error))?;
        state.used();
        state.take_up(self.confirmed(log));
        let usable = kept.filter(|kept| !kept.slot.lost);
        if let (Some(followed), Some(_)) = (state.tables.get(&table), &usable) {
            if !has_table {
                return Err(place.error(ErrorKind::CursorExpired, "its table was dropped"));
            }
            let news = followed.read.as_ref().is_none_or(|read| !read.is_empty());
            let seen = state.stream.as_ref().is_some_and(|stream| stream.boundary >= end);
            return Ok((log, if seen && !news { followed.handed } else { end.max(followed.handed) }));
        }
        let tables = standings(palace, &session).await?;
        let found = requirements::look(&session, place, &self.schema, &self.name, &tables).await?;
        requirements::refusal(place, &found)?;
        let added = self.publish(&session, place, &tables).await?;
        drop(session);
        let lsn = match usable {
            // Nobody's position depends on what is there.
            Some(_) if state.tables.is_empty() => self.make(state, place).await?,
            None => self.make(state, place).await?,
            Some(kept) => match state.made {
                Some(made) if kept.confirmed <= made && !added => made,
                _ => self.join(place, kept.confirmed, added).await?,
            },
        };
        state.expired.remove(&table);
        state.tables.insert(table, Followed { handed: lsn, read: None });
        state.stop();
        Ok((log, lsn))
    }

    /// A slot that begins now.
    async fn make(&self, state: &mut State, place: &Place) -> Result<Lsn> {
        state.stop();
        state.tables.clear();
        slot::remove(&self.server, place, &self.name).await?;
        let made = stream::make_slot(&self.server, place, &self.name).await?;
        state.made = Some(made);
        Ok(made)
    }

    /// A place in the log of a slot that others' positions depend on.
    async fn join(&self, place: &Place, confirmed: Lsn, added: bool) -> Result<Lsn> {
        let session = self.server.session().await.map_err(|error| place.name(error))?;
        let failed = |error| place.sql("could not look at the open transactions", error);
        // A table that was published just now is in the log from here on only.
        let lsn = if added { slot::now(&session, &self.name, 0).await.map_err(failed)?.end } else { confirmed };
        let open = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text";
        let upto: String = session.query_typed_one(open, &[]).await.map_err(failed)?.get(0);
        let ended = "SELECT pg_snapshot_xmin(pg_current_snapshot()) >= $1::text::xid8";
        let deadline = Instant::now() + ENDED_WITHIN;
        while !session.query_typed_one(ended, &[(&upto, Type::TEXT)]).await.map_err(failed)?.get::<_, bool>(0) {
            if Instant::now() > deadline {
                let seconds = ENDED_WITHIN.as_secs();
                let detail = format!("a transaction has been open for {seconds} s, and following begins when it ends");
                return Err(place.error(ErrorKind::Busy, detail));
            }
            tokio::time::sleep(slot::LOOK_EVERY).await;
        }
        Ok(lsn)
    }

    /// Has exactly these tables published; whether one was added.
    async fn publish(&self, session: &Session, place: &Place, tables: &[Standing]) -> Result<bool> {
        let failed = |error| place.sql(format!("could not publish the palace's tables as {}", self.name), error);
        let there = "SELECT o.oid::int8, p.prrelid::int8 FROM pg_publication o \
                     LEFT JOIN pg_publication_rel p ON p.prpubid = o.oid WHERE o.pubname = $1";
        let there = session.query_typed(there, &[(&self.name, Type::TEXT)]).await.map_err(failed)?;
        let mut published: Vec<i64> = there.iter().filter_map(|row| row.get::<_, Option<i64>>(1)).collect();
        let mut wanted: Vec<i64> = tables.iter().map(|standing| standing.relation.oid).collect();
        published.sort_unstable();
        wanted.sort_unstable();
        if !there.is_empty() && published == wanted {
            return Ok(false);
        }
        let names: Vec<String> = tables
            .iter()
            .map(|standing| format!("TABLE {}", self.schema.qualified(&standing.relation.table)))
            .collect();
        let (name, list) = (identifier(&self.name), names.join(", "));
        let statement = match there.is_empty() {
            true => format!(
                "CREATE PUBLICATION {name} FOR {list} WITH (publish = {})",
                literal("insert, update, delete, truncate")
            ),
            false => format!("ALTER PUBLICATION {name} SET {list}"),
        };
        session.batch_execute(&statement).await.map_err(failed)?;
        Ok(wanted.iter().any(|oid| published.binary_search(oid).is_err()))
    }
}

/// A replica has no end of its log to write to.
fn explained(place: &Place, error: tokio_postgres::Error) -> palanquin_engine::contract::Error {
    let error = place.sql("could not look at the server's log", error);
    match error.what().contains("recovery") {
        true => place.error(
            ErrorKind::UnsupportedCapability,
            "it cannot be followed by its log: the server is a read replica, where no publication can be made; connect \
             to the primary, or follow it by comparison, with --capture scan",
        ),
        false => error,
    }
}

/// Whether the palace could be followed by a consumer that has nothing on the server yet.
pub(crate) async fn preflight(palace: &PostgresPalace) -> Vec<Check> {
    let look = async {
        let session = palace.server.session().await.map_err(|error| palace.place.name(error))?;
        let tables = standings(palace, &session).await?;
        requirements::look(&session, &palace.place, &palace.schema, &slot::name_of("preflight"), &tables).await
    };
    match look.await {
        Ok(found) => found.into_iter().map(|one| one.check).collect(),
        Err(error) => vec![Check::fails("change_log", error.what(), error.advice())],
    }
}

/// Drops what is kept for a consumer, and tells what that was.
pub(crate) async fn release(server: &Server, place: &Place, consumer: &str) -> Result<Vec<String>> {
    let name = slot::name_of(consumer);
    let mut dropped = slot::remove(server, place, &name).await?;
    dropped.extend(slot::unpublish(server, place, &name).await?);
    Ok(dropped)
}

/// Drops one of our slots by its name.
pub(crate) async fn drop_slot(server: &Server, place: &Place, name: &str) -> Result<()> {
    let session = server.session().await.map_err(|error| place.name(error))?;
    let kept = slot::look(&session, name).await;
    let kept = kept.map_err(|error| place.sql("could not look at the replication slot", error))?;
    drop(session);
    match kept {
        None => Err(place.error(ErrorKind::InvalidRequest, format!("the server has no replication slot {name:?}"))),
        Some(kept) if kept.slot.consumer.is_none() => {
            let detail = format!("the replication slot {name} is not one of Palanquin's; drop it where it was made");
            Err(place.error(ErrorKind::InvalidRequest, detail))
        }
        Some(_) => {
            slot::remove(server, place, name).await?;
            slot::unpublish(server, place, name).await.map(drop)
        }
    }
}
