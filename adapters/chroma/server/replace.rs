//! Putting a copy in a palace's place. A server gives one collection another name at a time, so it is done in steps, each of which
//! can be done again: what the palace held is set aside, not dropped, until the last collection has taken its place.
//!
//! How far it has come stands in the copy's migration log, whose collection goes last: as long as it is there, whoever was cut
//! off can go on.

use super::client::Described;
use super::log;
use super::palace::Addressed;
use crate::beside::Beside;
use palanquin_engine::contract::{Error, ErrorKind, Result};
use serde_json::json;

/// In the metadata of the copy's migration log: how far it has come.
const STEP: &str = "palanquin:replacing";
/// What has no counterpart in the copy is being set aside.
const SETTING_ASIDE: &str = "setting aside";
/// The copy's collections are taking their places.
const PLACING: &str = "placing";
/// Collections that others make of a name just when it becomes free.
const MOST_INTRUDERS: usize = 10;

/// A palace and the copy that takes its place.
struct Exchange<'a> {
    target: &'a Addressed,
    staging: &'a Addressed,
    beside: &'a Beside,
}

/// Makes the palace that is to take another's place, if it is not there: its migration log says that it is.
pub(super) async fn prepare(staging: &Addressed) -> Result<()> {
    log::open(staging).await.map(drop)
}

/// Whether there is such a palace.
pub(super) async fn is_there(staging: &Addressed) -> Result<bool> {
    Ok(staging.find(log::COLLECTION).await?.is_some())
}

/// Puts what is in `staging` in the place of what is in `target`, or goes on with it. `PalaceNotFound` where nothing is.
pub(super) async fn replace(target: &Addressed, staging: &Addressed) -> Result<()> {
    Exchange::of(target, staging)?.run().await
}

/// Goes on with what was begun; whether anything was.
pub(super) async fn finish(target: &Addressed, staging: &Addressed) -> Result<bool> {
    let exchange = Exchange::of(target, staging)?;
    let has_begun = staging.find(log::COLLECTION).await?.is_some_and(|log| step(&log).is_some());
    if has_begun {
        exchange.run().await?;
    }
    Ok(has_begun)
}

fn step(log: &Described) -> Option<&str> {
    log.metadata.as_ref()?.get(STEP)?.as_str()
}

impl<'a> Exchange<'a> {
    fn of(target: &'a Addressed, staging: &'a Addressed) -> Result<Self> {
        match &staging.beside {
            Some(beside) if target.database == staging.database && target.beside != staging.beside => {
                Ok(Self { target, staging, beside })
            }
            _ => {
                let detail = "a palace takes another's place out of the same database: stage it as \
                              ID.palanquin-new- and twelve hexadecimal digits";
                Err(Error::new(ErrorKind::InvalidRequest, detail))
            }
        }
    }

    async fn run(&self) -> Result<()> {
        let (target, staging) = (self.target, self.staging);
        let staged = staging.listed().await?;
        let Some(log) = staging.find(log::COLLECTION).await? else {
            return Err(Error::new(ErrorKind::PalaceNotFound, "nothing is staged there"));
        };
        if step(&log) != Some(PLACING) {
            let old = target.listed().await?;
            self.check_names(&staged, &old)?;
            self.note(&log, SETTING_ASIDE).await?;
            for described in old.iter().filter(|old| staged.iter().all(|new| new.name != old.name)) {
                self.set_aside(described).await?;
            }
            self.note(&log, PLACING).await?;
        }
        for described in &staged {
            self.place(described).await?;
        }
        if target.beside.is_some() {
            // Nobody asks for the log of what is beside a palace.
            self.drop(target.name_in_database(log::COLLECTION)).await?;
        } else {
            log::hand_over(staging, target).await?;
        }
        for described in target.client.collections(&target.database).await? {
            if self.beside.has_replaced(&described.name) {
                self.drop(Some(described.name)).await?;
            }
        }
        self.drop(staging.name_in_database(log::COLLECTION)).await
    }

    /// That every name to be given can be one, before anything is renamed.
    fn check_names(&self, staged: &[Described], old: &[Described]) -> Result<()> {
        let longest = old.iter().map(|described| self.second_name(described)).map(|name| name.len()).max();
        let unfit = staged.iter().find(|described| self.target.name_in_database(&described.name).is_none());
        if longest.is_none_or(|longest| longest <= 512) && unfit.is_none() {
            return Ok(());
        }
        let detail = "the names of its collections are too long to be given others while it is replaced";
        Err(Error::new(ErrorKind::InvalidRequest, detail))
    }

    async fn note(&self, log: &Described, step: &str) -> Result<()> {
        let mut metadata = log.metadata.clone().unwrap_or_default();
        metadata.insert(STEP.to_owned(), json!(step));
        self.staging.client.put_metadata(&self.staging.place(log), &metadata).await
    }

    /// Gives a staged collection its name, once nothing else has it.
    async fn place(&self, staged: &Described) -> Result<()> {
        let Some(name) = self.target.name_in_database(&staged.name) else { return Ok(()) };
        for _ in 0..MOST_INTRUDERS {
            if let Some(there) = self.target.find(&staged.name).await? {
                self.set_aside(&there).await?;
            }
            match self.target.client.rename(&self.target.place(staged), &name).await {
                Ok(()) => return Ok(()),
                // Somebody may have made one of that name just now, as MemPalace does where it finds none.
                Err(error) => match self.target.find(&staged.name).await? {
                    Some(there) if there.id == staged.id => return Ok(()),
                    Some(_) => {}
                    None => return Err(error),
                },
            }
        }
        let detail = "others make a collection of a name again and again that one of the copy is to have";
        Err(Error::new(ErrorKind::Busy, detail).in_collection(&staged.name))
    }

    /// Renames a collection of the target to what it is dropped by in the end.
    async fn set_aside(&self, described: &Described) -> Result<()> {
        let client = &self.target.client;
        let mut name = self.beside.old_name_of(&described.name);
        if client.collection(&self.target.database, &name).await?.is_some() {
            name = self.second_name(described);
        }
        client.rename(&self.target.place(described), &name).await
    }

    /// What it is called where another of the same name was set aside before.
    fn second_name(&self, described: &Described) -> String {
        format!("{}.{}", self.beside.old_name_of(&described.name), described.id)
    }

    async fn drop(&self, name: Option<String>) -> Result<()> {
        match name {
            Some(name) => self.target.client.drop_collection(&self.target.database, &name).await,
            None => Ok(()),
        }
    }
}
