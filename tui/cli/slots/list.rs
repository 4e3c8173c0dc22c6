use crate::cli::links::Known;
use crate::cli::once::{self, There};
use crate::exit_code::Exit;
use crate::format;
use crate::output::{self, json, table};
use clap::Args;
use jiff::Timestamp;
use palanquin_engine::contract::{Result, Slot};

/// Arguments of `slots list`.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    there: There,
    #[command(flatten)]
    known: Known,
    /// One JSON object per slot on standard output
    #[arg(long)]
    pub(super) json: bool,
}

impl List {
    pub(super) fn run(self) -> Result<Exit> {
        let (palace, _) = self.there.find()?;
        let work = async {
            let slots = palace.backend.slots(&palace.palace).await?;
            Ok((slots, self.known.links().await?))
        };
        let Some((slots, links)) = once::run(work)? else { return Ok(Exit::Interrupted) };
        let link_of = |slot: &Slot| {
            let consumer = slot.consumer.as_ref()?;
            links.iter().map(|known| &known.link).find(|link| &link.0 == consumer)
        };
        if self.json {
            slots.iter().for_each(|slot| output::print(&json::slot(slot, link_of(slot))));
            return Ok(Exit::Verified);
        }
        if slots.is_empty() {
            output::print(&format!("{} keeps nothing of its log for anybody", palace.address));
            return Ok(Exit::Verified);
        }
        let now = Timestamp::now().as_millisecond();
        let rows = slots.iter().map(|slot| {
            let link = match (&slot.consumer, link_of(slot)) {
                (_, Some(link)) => link.to_string(),
                (Some(consumer), None) => format!("{consumer} (not in this journal)"),
                (None, None) => "-".to_owned(),
            };
            let since = match (slot.active, slot.inactive_since_ms) {
                (true, _) => "is read".to_owned(),
                (false, Some(at)) => format!("unread for {}", format::duration(format::seconds_between(at, now))),
                (false, None) => "unread".to_owned(),
            };
            let retained = slot.retained_bytes.map_or_else(|| "-".to_owned(), format::bytes);
            let status = slot.status.clone().unwrap_or_else(|| "-".to_owned());
            let status = if slot.lost && status != "lost" { format!("{status}, lost") } else { status };
            vec![slot.name.clone(), link, since, retained, status]
        });
        output::print(&table::of(&["SLOT", "LINK", "READER", "KEEPS", "STATUS"], rows));
        Ok(Exit::Verified)
    }
}
