use super::PostgresPalace;
use super::open::USUAL;
use crate::collection::PostgresCollection;
use crate::connection::Session;
use crate::error::Place;
use crate::layout::registry::{self, CollectionRecord};
use crate::layout::{Relation, create as create_table, sidecar};
use palanquin_engine::contract::{
    CollectionInfo, CollectionSpec, EmbedderIdentity, ErrorKind, IdentityState, Metric, Result,
};
use std::collections::HashMap;
use std::sync::Arc;
use tokio_postgres::Client;

/// The widest column pgvector has.
pub(crate) const WIDEST: u32 = 16_000;

/// A table and what is recorded of it.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) name: String,
    pub(crate) relation: Relation,
    /// `None` for a table that MemPalace made, or made anew.
    pub(crate) record: Option<CollectionRecord>,
}

impl Standing {
    fn new(relation: Relation, record: Option<CollectionRecord>, fallback: &str) -> Self {
        // A record outlives its table; it tells nothing of another one made under the same name.
        let record = record.filter(|record| {
            Some(record.incarnation.as_str()) == relation.recorded_incarnation()
                || record.incarnation == relation.unrecorded_incarnation()
        });
        let name = record.as_ref().map_or(fallback, |record| &record.collection).to_owned();
        Self { name, relation, record }
    }

    pub(crate) fn incarnation(&self) -> String {
        match &self.record {
            Some(record) => record.incarnation.clone(),
            None => self.relation.unrecorded_incarnation(),
        }
    }

    /// MemPalace searches by cosine, whatever was copied into its tables.
    pub(crate) fn metric(&self) -> Metric {
        self.record.as_ref().and_then(|record| record.metric).unwrap_or(Metric::Cosine)
    }

    pub(crate) fn identity(&self) -> Option<&EmbedderIdentity> {
        self.record.as_ref().and_then(|record| record.identity.as_ref())
    }
}

/// The palace's tables, by the names of their collections.
pub(crate) async fn standings(palace: &PostgresPalace, client: &Client) -> Result<Vec<Standing>> {
    let failed = |error| palace.place.sql("could not list the tables", error);
    let names = &palace.names;
    let mut tables: Vec<String> = USUAL.iter().map(|name| names.table(name)).collect();
    let mut records = HashMap::new();
    if palace.is_registered(client).await.map_err(failed)? {
        for record in registry::collections(client, &palace.schema, &names.prefix, &tables).await.map_err(failed)? {
            if record.prefix == names.prefix {
                tables.push(record.table.clone());
            }
            records.insert(record.table.clone(), record);
        }
    }
    let usual: HashMap<String, &str> = USUAL.iter().map(|name| (names.table(name), *name)).collect();
    let beginning = format!("{}_", names.prefix);
    let mut standings = Vec::new();
    for relation in Relation::list(client, &palace.schema, &tables, Some(&beginning)).await.map_err(failed)? {
        if relation.problem().is_some() {
            continue;
        }
        let record = records.remove(&relation.table);
        let is_anothers = record.as_ref().is_some_and(|record| record.prefix != names.prefix);
        let table = relation.table.clone();
        let fallback = usual.get(&table).copied().or_else(|| names.collection_of(&table));
        let standing = Standing::new(relation, record, fallback.unwrap_or_default());
        if !(standing.name.is_empty() || is_anothers && standing.record.is_some()) {
            standings.push(standing);
        }
    }
    standings.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(standings)
}

pub(super) async fn list(palace: &Arc<PostgresPalace>) -> Result<Vec<CollectionInfo>> {
    let session = palace.server.session().await.map_err(|error| palace.place.name(error))?;
    let standings = standings(palace, &session).await?;
    drop(session);
    let mut infos = Vec::new();
    for standing in standings {
        let place = palace.place.collection(&standing.name);
        let collection = PostgresCollection::new(Arc::clone(palace), standing, place);
        infos.push(collection.describe().await?);
    }
    Ok(infos)
}

/// The table of that collection as it is now.
pub(crate) async fn find(
    palace: &PostgresPalace,
    session: &Session,
    name: &str,
    place: &Place,
) -> Result<Option<Standing>> {
    if name.is_empty() || name.contains('\0') {
        return Ok(None);
    }
    let failed = |error| place.sql("could not look at the table", error);
    let table = palace.names.table(name);
    let Some(relation) = Relation::look(session, &palace.schema, &table).await.map_err(failed)? else {
        return Ok(None);
    };
    let record = match palace.is_registered(session).await.map_err(failed)? {
        true => registry::collection(session, &palace.schema, &table).await.map_err(failed)?,
        false => None,
    };
    Ok(Some(Standing::new(relation, record, name)))
}

pub(super) async fn open(palace: &Arc<PostgresPalace>, name: &str) -> Result<PostgresCollection> {
    let place = palace.place.collection(name);
    let session = palace.server.session().await.map_err(|error| place.name(error))?;
    let missing = || place.error(ErrorKind::CollectionNotInitialized, "the palace has no such collection");
    let standing = find(palace, &session, name, &place).await?.ok_or_else(missing)?;
    if let Some(problem) = standing.relation.problem() {
        return Err(place.error(ErrorKind::UnsupportedFormat, problem));
    }
    if standing.name != name || standing.record.as_ref().is_some_and(|record| record.prefix != palace.names.prefix) {
        return Err(missing());
    }
    let recorded = palace.recorded_in_file(name).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "{} cannot be read", sidecar::FILE_NAME);
        None
    });
    if let (Some(stored), Some(recorded)) = (standing.identity(), &recorded)
        && EmbedderIdentity::compare(Some(stored), Some(recorded)) == IdentityState::KnownMismatch
    {
        let detail = format!("the database says it is of {stored}, {} names {recorded}", sidecar::FILE_NAME);
        return Err(place.error(ErrorKind::EmbedderIdentityMismatch, detail));
    }
    Ok(PostgresCollection::new(Arc::clone(palace), standing, place))
}

pub(super) async fn create(palace: &Arc<PostgresPalace>, spec: &CollectionSpec) -> Result<PostgresCollection> {
    let place = palace.place.collection(&spec.name);
    palace.check_writable(&place)?;
    if let Some(problem) = spec_problem(spec) {
        return Err(place.error(ErrorKind::InvalidRequest, problem));
    }
    let failed = |error| place.sql("could not make the table", error);
    let mut session = palace.server.session().await.map_err(|error| place.name(error))?;
    let mut recorded = spec.identity.clone();
    if let Some(there) = find(palace, &session, &spec.name, &place).await? {
        check_same(palace, &there, spec, &place)?;
        recorded = there.identity().cloned();
    } else {
        // An entry of an earlier collection of this name would contradict the new one.
        if palace.recorded_in_file(&spec.name).await.ok().flatten() != spec.identity {
            palace.record_in_file(&spec.name, None).await?;
        }
        let transaction = session.transaction().await.map_err(failed)?;
        registry::lock(&transaction, "registry").await.map_err(failed)?;
        registry::ensure(&transaction, &palace.schema).await.map_err(failed)?;
        let table = palace.names.table(&spec.name);
        let schema = &palace.schema;
        let relation = Relation::look(transaction.client(), schema, &table).await.map_err(failed)?;
        match relation {
            // Made by another just now.
            Some(relation) => {
                let record = registry::collection(transaction.client(), schema, &table).await.map_err(failed)?;
                let there = Standing::new(relation, record, &spec.name);
                check_same(palace, &there, spec, &place)?;
                recorded = there.identity().cloned();
            }
            None => {
                let statement = create_table(schema, &table, spec.dimension, &spec.incarnation);
                transaction.batch_execute(&statement).await.map_err(failed)?;
                let record = CollectionRecord {
                    table,
                    prefix: palace.names.prefix.clone(),
                    collection: spec.name.clone(),
                    incarnation: spec.incarnation.clone(),
                    metric: Some(spec.metric),
                    identity: spec.identity.clone(),
                };
                registry::put_collection(&transaction, schema, &record).await.map_err(failed)?;
            }
        }
        transaction.commit().await.map_err(failed)?;
    }
    drop(session);
    if let Some(identity) = &recorded {
        palace.record_in_file(&spec.name, Some(identity)).await?;
    }
    open(palace, &spec.name).await
}

fn spec_problem(spec: &CollectionSpec) -> Option<String> {
    if spec.name.is_empty() || spec.name.contains('\0') {
        return Some("a collection's name is empty or has a NUL in it".to_owned());
    }
    if spec.incarnation.is_empty() || spec.incarnation.contains('\0') {
        return Some("the incarnation is empty or has a NUL in it".to_owned());
    }
    if spec.dimension == 0 || spec.dimension > WIDEST {
        return Some(format!("pgvector takes vectors of 1 to {WIDEST} components, not of {}", spec.dimension));
    }
    let stated = spec.identity.as_ref().map_or(0, |identity| identity.dimension);
    (stated != 0 && stated != spec.dimension)
        .then(|| format!("vectors of {} components cannot be of a model of {stated}", spec.dimension))
}

/// That what is there is what was asked for. Whether its model may be written is for the caller to say (§1.5).
fn check_same(palace: &PostgresPalace, there: &Standing, spec: &CollectionSpec, place: &Place) -> Result<()> {
    if let Some(record) = &there.record
        && (record.prefix != palace.names.prefix || record.collection != spec.name)
    {
        let of = if record.prefix == palace.names.prefix { "this palace" } else { "another palace" };
        let detail = format!(
            "its table would be {}, which is that of collection {:?} of {of}; choose another name",
            record.table, record.collection
        );
        return Err(place.error(ErrorKind::InvalidRequest, detail));
    }
    if there.incarnation() != spec.incarnation {
        return Err(place.error(ErrorKind::PalaceExists, "a collection of this name is there already"));
    }
    if there.relation.dimension != Some(spec.dimension) {
        let stored = there.relation.dimension.map_or_else(|| "any width".to_owned(), |width| width.to_string());
        let detail = format!("the collection was made for vectors of {stored}, not {}", spec.dimension);
        return Err(place.error(ErrorKind::DimensionMismatch, detail));
    }
    Ok(())
}

pub(super) async fn record_identity(palace: &PostgresPalace, name: &str, identity: &EmbedderIdentity) -> Result<()> {
    let place = palace.place.collection(name);
    let failed = |error| place.sql("could not record the identity", error);
    if identity.model_name.contains('\0') {
        return Err(place.error(ErrorKind::InvalidRequest, "the model's name has a NUL in it"));
    }
    let mut session = palace.server.session().await.map_err(|error| place.name(error))?;
    let Some(standing) = find(palace, &session, name, &place).await?.filter(|standing| standing.name == name) else {
        return Err(place.error(ErrorKind::CollectionNotInitialized, "the palace has no such collection"));
    };
    let transaction = session.transaction().await.map_err(failed)?;
    registry::lock(&transaction, "registry").await.map_err(failed)?;
    registry::ensure(&transaction, &palace.schema).await.map_err(failed)?;
    let incarnation = standing.incarnation();
    let record = CollectionRecord {
        table: standing.relation.table.clone(),
        prefix: palace.names.prefix.clone(),
        collection: name.to_owned(),
        incarnation,
        metric: standing.record.and_then(|record| record.metric),
        identity: Some(identity.clone()),
    };
    registry::put_collection(&transaction, &palace.schema, &record).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    drop(session);
    palace.record_in_file(name, Some(identity)).await
}
