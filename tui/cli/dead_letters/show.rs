use super::super::once;
use super::super::workshop::StateDirectory;
use super::{is_called, link_named, no_such};
use crate::exit_code::Exit;
use crate::output::{self, json};
use clap::Args;
use palanquin_engine::contract::Result;
use palanquin_engine::journal::{DeadLetter, Journal};
use palanquin_engine::link::SetAside;

#[derive(Debug, Args)]
pub(super) struct Show {
    /// The link's id, or how it begins
    link: String,
    /// The collection, by its name in the source
    collection: String,
    /// The row's id
    id: String,
    /// One JSON object on standard output, every component of the vector included
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    state: StateDirectory,
}

impl Show {
    pub(super) fn run(self) -> Result<Exit> {
        let journal = self.state.journal()?;
        let work = async {
            let link = link_named(&journal, &self.link).await?.spec.id();
            let kept = journal.dead_letters(&link).await?;
            let named = |about: &&SetAside| about.collection == self.collection && is_called(&about.id, &self.id);
            let letter = match kept.iter().map(|letter| &letter.about).find(named) {
                Some(about) => journal.dead_letter(&link, &about.collection, &about.id).await?,
                None => None,
            };
            let missing = || no_such(format!("link {link} has no dead letter {:?} of {}", self.id, self.collection));
            Ok((link.clone(), letter.ok_or_else(missing)?))
        };
        let Some((link, letter)) = once::run(work)? else { return Ok(Exit::Interrupted) };
        output::print(&if self.json { json::dead_letter(&link, &letter) } else { text(&letter) });
        Ok(Exit::Verified)
    }
}

fn text(letter: &DeadLetter) -> String {
    let DeadLetter { about, document, metadata, embedding, .. } = letter;
    let vector = match embedding {
        Some(vector) => {
            let first: Vec<String> = vector.iter().take(4).map(f32::to_string).collect();
            let more = if vector.len() > 4 { ", …" } else { "" };
            format!("{} components: {}{more}", vector.len(), first.join(", "))
        }
        None => "none".to_owned(),
    };
    format!(
        "row         {:?} of {}\nreason      {}: {}\nmetadata    {}\nvector      {vector}\ndocument    {}",
        about.id,
        about.collection,
        about.reason,
        about.detail,
        visible(metadata),
        document.as_deref().map_or_else(|| "none".to_owned(), visible),
    )
}

/// The text with what a terminal would obey made visible.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_cannot_command_the_terminal() {
        assert_eq!(visible("a\u{1b}[2J\0b\nc"), "a\\u{1b}[2J\\u{0}b\nc");
    }
}
