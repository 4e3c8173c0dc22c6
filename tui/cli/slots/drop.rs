use crate::cli::links::Known;
use crate::cli::once::{self, There};
use crate::exit_code::Exit;
use crate::output;
use clap::Args;
use palanquin_engine::contract::{Error, ErrorKind, Result};
use palanquin_engine::journal::LastRun;
use palanquin_engine::link::LinkId;

/// Arguments of `slots drop`.
#[derive(Debug, Args)]
pub(super) struct Drop {
    #[command(flatten)]
    there: There,
    /// The slot, as `slots list` names it
    name: String,
    #[command(flatten)]
    known: Known,
}

impl Drop {
    pub(super) fn run(self) -> Result<Exit> {
        let (palace, _) = self.there.find()?;
        let work = async {
            let slots = palace.backend.slots(&palace.palace).await?;
            let consumer = slots.iter().find(|slot| slot.name == self.name).and_then(|slot| slot.consumer.clone());
            if let Some(consumer) = consumer
                && let Some(LastRun { pid: Some(pid), .. }) =
                    LastRun::of(&self.known.state()?, &LinkId(consumer.clone()))?
            {
                let detail = format!("link {consumer} follows by it, in process {pid}");
                return Err(Error::new(ErrorKind::InUse, detail).in_palace(&palace.address));
            }
            palace.backend.drop_slot(&palace.palace, &self.name).await
        };
        if once::run(work)?.is_none() {
            return Ok(Exit::Interrupted);
        }
        output::print(&format!("dropped: {}", self.name));
        Ok(Exit::Verified)
    }
}
