//! The commands, one file or folder each.

mod allowances;
mod backends;
mod dashboard;
mod dead_letters;
mod demo;
mod freeze;
mod history;
mod inspect;
mod links;
mod maintain;
mod migrate;
mod mirror;
mod once;
mod overwrite;
mod palace;
mod plan;
mod receipt;
mod restart;
mod salvage;
mod share;
mod verify;
mod workshop;
pub(crate) use inspect::Inspection;
pub(crate) use migrate::Migrated;
mod slots;
pub(crate) use links::Listed;
pub(crate) use plan::MigrationPlan;

use crate::configuration;
use crate::exit_code::{Exit, TABLE};
use crate::output;
use crate::registry::Registry;
use clap::{Args, Parser, Subcommand};
use palanquin_config::{AddressError, Given};
use std::io::IsTerminal;
use std::path::PathBuf;

/// Carries MemPalace palaces between storage backends, watched from the terminal.
#[derive(Debug, Parser)]
#[command(name = "palanquin", version, after_help = TABLE)]
struct Cli {
    /// The configuration file [default: PALANQUIN_CONFIG, else $XDG_CONFIG_HOME/palanquin/config.toml or config.json]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Copy a palace into another one, and prove the copy
    #[command(after_help = TABLE)]
    Migrate(Box<migrate::Migrate>),
    /// Copy a palace into another one and keep it equal while it changes, until stopped
    #[command(after_help = TABLE)]
    Mirror(Box<mirror::Mirror>),
    /// What a migration would do, and what is in its way; nothing is written
    #[command(after_help = TABLE)]
    Plan(Box<plan::Plan>),
    /// Whether two palaces hold the same rows, and find the same; on demand it makes them so
    #[command(after_help = TABLE)]
    Verify(Box<verify::Verify>),
    /// What a migration or a comparison left as evidence: show it, check that nothing in it was changed
    #[command(after_help = TABLE)]
    Receipt(receipt::Receipt),
    /// What a palace is and how it is: backend, collections, models, health, maintenance state; nothing is written
    #[command(after_help = TABLE)]
    Inspect(inspect::Inspect),
    /// Watch palaces on the dashboard, and maintain them from there
    #[command(after_help = TABLE)]
    Dashboard(dashboard::Dashboard),
    /// Run maintenance on a palace
    #[command(after_help = TABLE)]
    Maintain(maintain::Maintain),
    /// The rows targets refused: look at them, write them again, forget them
    #[command(after_help = TABLE)]
    DeadLetters(dead_letters::DeadLetters),
    /// Settle what is recorded of a palace
    #[command(after_help = TABLE)]
    Palace(palace::Palace),
    /// What was migrated into a palace, and which models were settled by hand
    History(history::History),
    /// Keep MemPalace from writing to a Chroma palace, as for a cutover, until stopped; reading goes on
    Freeze(freeze::Freeze),
    /// The links this machine's journal knows, and forgetting one
    #[command(after_help = TABLE)]
    Links(links::Links),
    /// What a palace's server keeps of its log for those who follow it, and dropping that
    #[command(after_help = TABLE)]
    Slots(slots::Slots),
    /// The backends there are: capabilities, maintenance kinds, how changes are captured
    Backends(backends::Backends),
    /// See it work: a sample palace is copied, then mirrored while it changes, in a scratch directory
    Demo(demo::Demo),
}

/// How a command shows itself.
#[derive(Clone, Copy, Debug, Args)]
struct Face {
    /// One JSON object per line on standard output
    #[arg(long, conflicts_with = "plain")]
    json: bool,
    /// Progress lines even on a terminal
    #[arg(long)]
    plain: bool,
    /// Look only: the dashboard's acts are switched off
    #[arg(long)]
    read_only: bool,
    /// No characters beyond ASCII on the dashboard
    #[arg(long)]
    ascii: bool,
}

impl Face {
    fn choose(self) -> output::Face {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let terminal = std::io::stdout().is_terminal() && std::io::stdin().is_terminal() && !dumb;
        match (self.json, self.plain || !terminal) {
            (true, _) => output::Face::Json,
            (false, true) => output::Face::Plain,
            (false, false) => output::Face::Dashboard {
                read_only: self.read_only,
                ascii: self.ascii || !speaks_utf8(),
                color: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            },
        }
    }
}

/// The first of the locale variables that is set decides, as in POSIX; none of them means a bare terminal.
fn speaks_utf8() -> bool {
    let locale =
        ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(std::env::var_os).find(|value| !value.is_empty());
    locale.is_none_or(|locale| {
        let locale = locale.to_string_lossy().to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// A palace as a command is given it; its name is looked up once the configuration is read.
fn given(text: &str) -> Result<Given, AddressError> {
    text.parse()
}

impl Command {
    /// Whether it works with palaces of the operator's.
    fn reads_the_configuration(&self) -> bool {
        !matches!(self, Self::Demo(_) | Self::Backends(_))
    }
}

/// Runs the command on the command line to its end.
pub(crate) fn run() -> Exit {
    let Cli { config, command } = Cli::parse();
    if command.reads_the_configuration()
        && let Err(error) = configuration::load(config.as_deref(), &Registry::new().names())
    {
        let exit = Exit::of_error(&error);
        output::failure(output::Face::Plain, &error, exit);
        return exit;
    }
    let (face, ended) = match command {
        Command::Migrate(migrate) => (migrate.face.choose(), migrate.run()),
        Command::Mirror(mirror) => (mirror.face.choose(), mirror.run()),
        Command::Demo(demo) => (demo.face.choose(), demo.run()),
        Command::Plan(plan) => (lines(plan.json), plan.run()),
        Command::Verify(verify) => (lines(verify.json), verify.run()),
        Command::Receipt(receipt) => (lines(receipt.is_json()), receipt.run()),
        Command::History(history) => (lines(history.json), history.run()),
        Command::Inspect(inspect) => (lines(inspect.json), inspect.run()),
        Command::Dashboard(dashboard) => (output::Face::Plain, dashboard.run()),
        Command::Maintain(maintain) => (lines(maintain.json), maintain.run()),
        Command::DeadLetters(letters) => (lines(letters.prints_json()), letters.run()),
        Command::Freeze(freeze) => (output::Face::Plain, freeze.run()),
        Command::Palace(palace) => (output::Face::Plain, palace.run()),
        Command::Links(links) => (links.face(), links.run()),
        Command::Slots(slots) => (slots.face(), slots.run()),
        Command::Backends(backends) => (lines(backends.json), backends.run()),
    };
    ended.unwrap_or_else(|error| {
        let exit = Exit::of_error(&error);
        output::failure(face, &error, exit);
        exit
    })
}

fn lines(json: bool) -> output::Face {
    if json { output::Face::Json } else { output::Face::Plain }
}
