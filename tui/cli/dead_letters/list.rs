use super::super::once;
use super::super::workshop::StateDirectory;
use super::link_named;
use crate::exit_code::Exit;
use crate::format::{bytes, counted};
use crate::output::{self, json};
use clap::Args;
use palanquin_engine::contract::Result;
use palanquin_engine::journal::{Journal, KeptLetter};
use palanquin_engine::link::LinkSpec;
use std::collections::BTreeMap;

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those of this link, by its id or how it begins
    link: Option<String>,
    /// One JSON object per dead letter on standard output
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    state: StateDirectory,
}

impl List {
    pub(super) fn run(self) -> Result<Exit> {
        let journal = self.state.journal()?;
        let work = async {
            let links = match &self.link {
                Some(name) => vec![link_named(&journal, name).await?],
                None => journal.links().await?,
            };
            let mut found = Vec::new();
            for link in links {
                let letters = journal.dead_letters(&link.spec.id()).await?;
                if !letters.is_empty() {
                    found.push((link.spec, letters));
                }
            }
            Ok(found)
        };
        let Some(found) = once::run(work)? else { return Ok(Exit::Interrupted) };
        for (spec, letters) in &found {
            if self.json {
                letters.iter().for_each(|letter| output::print(&json::kept_letter(&spec.id(), letter)));
            } else {
                output::print(text(spec, letters).trim_end());
            }
        }
        if found.is_empty() && !self.json {
            output::print("there are no dead letters");
        }
        Ok(Exit::Verified)
    }
}

fn text(spec: &LinkSpec, letters: &[KeptLetter]) -> String {
    let mut text = format!(
        "link {}: {} from {} to {}: {}\n",
        spec.id(),
        spec.kind,
        spec.source,
        spec.target,
        counted(letters.len() as u64, "dead letter")
    );
    let mut reasons: BTreeMap<(&str, &str), Vec<&KeptLetter>> = BTreeMap::new();
    for letter in letters {
        reasons.entry((&letter.about.collection, &letter.about.reason)).or_default().push(letter);
    }
    for ((collection, reason), letters) in reasons {
        text.push_str(&format!("  {collection}: {reason}: {}\n", letters.len()));
        for letter in letters {
            text.push_str(&format!("    {:?}  {}  {}\n", letter.about.id, bytes(letter.bytes), letter.about.detail));
        }
    }
    text
}
