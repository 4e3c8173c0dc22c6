use super::once::{self, There};
use crate::exit_code::Exit;
use crate::output::{self, json, tree};
use clap::Args;
use palanquin_engine::contract::{LogEntry, OpenMode, Result};

/// Arguments of `history`.
#[derive(Debug, Args)]
pub(super) struct History {
    #[command(flatten)]
    there: There,
    /// One JSON object per entry on standard output
    #[arg(long)]
    pub(super) json: bool,
}

impl History {
    pub(super) fn run(self) -> Result<Exit> {
        let (palace, _) = self.there.find()?;
        let work = async {
            let open = palace.backend.open(&palace.palace, OpenMode::Read.into()).await?;
            open.migration_log().await
        };
        let Some(log) = once::run(work)? else { return Ok(Exit::Interrupted) };
        for entry in &log {
            output::print(&if self.json { json::log_entry(entry) } else { text(entry) });
        }
        if log.is_empty() && !self.json {
            output::print("nothing is recorded: no migration into this palace, no model settled by hand");
        }
        Ok(Exit::Verified)
    }
}

/// An entry of a migration log.
pub(super) fn text(entry: &LogEntry) -> String {
    format!("{}  {}\n{}", entry.at, entry.kind, tree::of(&entry.details, 1))
}
