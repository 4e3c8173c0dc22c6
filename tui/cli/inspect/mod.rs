//! `inspect`: what a palace is and how it is, without writing anything. [`gather`] asks, [`text`] writes it for people.

mod gather;
mod text;

pub(crate) use gather::Inspection;

use super::once::{self, There};
use crate::configuration;
use crate::exit_code::Exit;
use crate::output::{self, json};
use clap::Args;
use palanquin_engine::contract::{EmbedderIdentity, Result};

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    #[command(flatten)]
    there: There,
    /// Count the rows one by one where the backend would estimate
    #[arg(long)]
    exact: bool,
    /// Compare each collection's recorded model with this one [default: the configuration's embedder]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// One JSON object on standard output
    #[arg(long)]
    pub(super) json: bool,
}

impl Inspect {
    pub(super) fn run(self) -> Result<Exit> {
        let (palace, selected_by) = self.there.find()?;
        let embedder = configuration::current().embedder().map(|embedder| embedder.model.clone());
        let current = self.model.or(embedder).map(|model_name| EmbedderIdentity { model_name, dimension: 0 });
        let asked = gather::Asked { palace: &palace, selected_by, current: current.as_ref(), exact: self.exact };
        let Some(inspection) = once::run(gather::gather(asked))? else { return Ok(Exit::Interrupted) };
        output::print(&if self.json { json::inspection(&inspection) } else { text::of(&inspection) });
        Ok(Exit::Verified)
    }
}
