//! `dead-letters`: the rows that targets refused and the journal keeps. Only [`show`] shows content.

mod discard;
mod list;
mod retry;
mod show;

use super::workshop::StateDirectory;
use crate::exit_code::Exit;
use clap::{Args, Subcommand};
use palanquin_engine::contract::{Error, ErrorKind, Result};
use palanquin_engine::journal::{Journal, KeptLetter, KnownLink, SqliteJournal};

/// Arguments of `dead-letters`.
#[derive(Debug, Args)]
pub(super) struct DeadLetters {
    #[command(subcommand)]
    command: DeadLettersCommand,
}

#[derive(Debug, Subcommand)]
enum DeadLettersCommand {
    /// Which rows were set aside, by link, and why
    List(list::List),
    /// One of them with all its content
    Show(show::Show),
    /// Write them to the target again, converted where it can only hold them so; what arrives is no dead letter any more
    Retry(retry::Retry),
    /// Forget them: the rows stay out of the target
    Discard(discard::Discard),
}

/// Some dead letters of one link.
#[derive(Debug, Args)]
struct Chosen {
    /// The link's id, or how it begins; `palanquin dead-letters list` tells it
    link: String,
    /// Only those of this collection, by its name in the source
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
    /// Only the row of this id (repeatable)
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    state: StateDirectory,
}

impl DeadLetters {
    pub(super) fn prints_json(&self) -> bool {
        match &self.command {
            DeadLettersCommand::List(list) => list.json,
            DeadLettersCommand::Show(show) => show.json,
            DeadLettersCommand::Retry(_) | DeadLettersCommand::Discard(_) => false,
        }
    }

    pub(super) fn run(self) -> Result<Exit> {
        match self.command {
            DeadLettersCommand::List(list) => list.run(),
            DeadLettersCommand::Show(show) => show.run(),
            DeadLettersCommand::Retry(retry) => retry.run(),
            DeadLettersCommand::Discard(discard) => discard.run(),
        }
    }
}

impl Chosen {
    /// The link and its chosen dead letters, of which there must be one for every id that was named.
    async fn find(&self, journal: &SqliteJournal) -> Result<(KnownLink, Vec<KeptLetter>)> {
        let link = link_named(journal, &self.link).await?;
        let mut letters = journal.dead_letters(&link.spec.id()).await?;
        letters.retain(|letter| {
            self.collection.as_ref().is_none_or(|name| name == &letter.about.collection)
                && (self.ids.is_empty() || self.ids.iter().any(|given| is_called(&letter.about.id, given)))
        });
        match self.ids.iter().find(|id| !letters.iter().any(|letter| is_called(&letter.about.id, id))) {
            Some(missing) => Err(no_such(format!("link {} has no dead letter {missing:?}", link.spec.id()))),
            None => Ok((link, letters)),
        }
    }
}

/// Whether an id is the one that was given, as it is or as a list shows it: no argument holds a U+0000.
fn is_called(id: &str, given: &str) -> bool {
    let listed = format!("{id:?}");
    given == id || given == listed || listed.strip_prefix('"').and_then(|id| id.strip_suffix('"')) == Some(given)
}

async fn link_named(journal: &SqliteJournal, name: &str) -> Result<KnownLink> {
    let mut links: Vec<KnownLink> =
        journal.links().await?.into_iter().filter(|link| link.spec.id().0.starts_with(name)).collect();
    match (links.pop(), links.is_empty()) {
        (Some(link), true) => Ok(link),
        (None, _) => Err(no_such(format!("the journal knows no link {name}"))),
        (Some(_), false) => Err(no_such(format!("the ids of several links begin with {name}"))),
    }
}

fn no_such(detail: String) -> Error {
    Error::new(ErrorKind::InvalidRequest, detail)
}
