use super::super::once;
use super::{Chosen, no_such};
use crate::exit_code::Exit;
use crate::format::counted;
use crate::output;
use clap::Args;
use palanquin_engine::contract::Result;
use palanquin_engine::journal::{Journal, LinkLock};

#[derive(Debug, Args)]
pub(super) struct Discard {
    #[command(flatten)]
    chosen: Chosen,
    /// All that are chosen, if no id is named
    #[arg(long, conflicts_with = "ids")]
    all: bool,
}

impl Discard {
    pub(super) fn run(self) -> Result<Exit> {
        if self.chosen.ids.is_empty() && !self.all {
            return Err(no_such("say which with --id, or --all: a discarded row is gone".to_owned()));
        }
        let state = self.chosen.state.path()?;
        let journal = self.chosen.state.journal()?;
        let work = async {
            let (link, letters) = self.chosen.find(&journal).await?;
            let _lock = LinkLock::acquire(&state, &link.spec, &[])?;
            let claim = journal.claim(&link.spec).await?;
            let mut discarded = 0;
            for letter in letters {
                let about = letter.about;
                discarded += journal.release(&claim.link, claim.epoch, &about.collection, &[about.id]).await?;
            }
            Ok((claim.link, discarded))
        };
        let Some((link, discarded)) = once::run(work)? else { return Ok(Exit::Interrupted) };
        output::print(&format!("{} of link {link} discarded", counted(discarded, "dead letter")));
        Ok(Exit::Verified)
    }
}
