//! `--salvage`: rows that have lost their vector are given one that was found elsewhere.

use crate::registry;
use clap::Args;
use palanquin_actors::PalaceSource;
use palanquin_engine::contract::Result;

/// The argument of commands that read a palace whole.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct Salvage {
    /// Chroma directories: give rows that have lost their vector the newest one found in the indexes MemPalace has set
    /// aside (.drift-*, .corrupt-*), take an index that cannot be read for lost, and report each such row
    #[arg(long)]
    salvage: bool,
}

impl Salvage {
    /// The source as it is to be read.
    ///
    /// # Errors
    /// If it is no Chroma directory.
    pub(super) fn of(self, source: PalaceSource) -> Result<PalaceSource> {
        if self.salvage { registry::salvaging(source) } else { Ok(source) }
    }
}
