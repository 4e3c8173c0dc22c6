use super::once::{self, There};
use crate::exit_code::Exit;
use crate::output;
use clap::{Args, Subcommand};
use palanquin_engine::contract::{EmbedderIdentity, Error, ErrorKind, OpenMode, Result, set_embedder};

/// Arguments of `palace`.
#[derive(Debug, Args)]
pub(super) struct Palace {
    #[command(subcommand)]
    command: PalaceCommand,
}

#[derive(Debug, Subcommand)]
enum PalaceCommand {
    /// Say which model a palace's vectors were made with; it is recorded, and written to its migration log
    SetEmbedder(SetEmbedder),
}

#[derive(Debug, Args)]
struct SetEmbedder {
    #[command(flatten)]
    there: There,
    /// The model's name
    #[arg(long, value_name = "NAME")]
    model: String,
    /// Width of its vectors, checked against what is stored [default: what is stored]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    dimension: u32,
    /// Only this collection (repeatable)
    #[arg(long = "collection", value_name = "NAME")]
    collections: Vec<String>,
    /// Also where another model is recorded
    #[arg(long)]
    force: bool,
}

impl Palace {
    pub(super) fn run(self) -> Result<Exit> {
        let PalaceCommand::SetEmbedder(command) = self.command;
        command.run()
    }
}

impl SetEmbedder {
    fn run(self) -> Result<Exit> {
        let (palace, _) = self.there.find()?;
        let identity = EmbedderIdentity { model_name: self.model.clone(), dimension: self.dimension };
        let work = async {
            let open = palace.backend.open(&palace.palace, OpenMode::Write.into()).await?;
            let there = open.collections().await?;
            let in_palace = |error: Error| error.in_palace(&palace.address);
            if let Some(missing) = self.collections.iter().find(|name| !there.iter().any(|info| &&info.name == name)) {
                let names: Vec<_> = there.iter().map(|info| info.name.as_str()).collect();
                let detail = format!("there is no collection {missing}; there are: {}", names.join(", "));
                return Err(in_palace(Error::new(ErrorKind::CollectionNotInitialized, detail)));
            }
            let mut told = Vec::new();
            for info in there.iter().filter(|info| self.collections.is_empty() || self.collections.contains(&info.name))
            {
                let before = set_embedder(open.as_ref(), info, &identity, self.force).await.map_err(in_palace)?;
                let before = before.map_or_else(|| "unknown".to_owned(), |before| before.to_string());
                told.push(format!("{}: model {identity}, was {before}", info.name));
            }
            Ok(told)
        };
        let Some(told) = once::run(work)? else { return Ok(Exit::Interrupted) };
        for line in &told {
            output::print(line);
        }
        if told.is_empty() {
            output::print("the palace has no collections; nothing was recorded");
        }
        Ok(Exit::Verified)
    }
}
