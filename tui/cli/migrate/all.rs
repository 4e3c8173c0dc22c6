use super::one::{Ended, Migration};
use super::{How, destination};
use crate::configuration;
use crate::exit_code::Exit;
use crate::format::count;
use crate::output::{self, Face, json};
use crate::registry::Registry;
use palanquin_engine::contract::{Error, ErrorKind, Result};
use serde::Serialize;

/// What became of one palace of the configuration.
#[derive(Debug, Serialize)]
pub(crate) struct Migrated {
    /// Its name.
    name: String,
    /// Where it was to go; `None` where that could not be told.
    target: Option<String>,
    /// Rows durable in the target.
    rows: u64,
    /// How it ended, in a few words.
    outcome: String,
    /// `None` for one that was passed over.
    exit_code: Option<u8>,
}

/// Migrates every palace of the configuration, one after the other in the order of their names. One that fails does not
/// keep the others from their turn; an interruption does. The exit code is that of the worst.
pub(super) fn run(registry: &Registry, to: &str, root: Option<&str>, how: &How, face: Face) -> Result<Exit> {
    let palaces = configuration::current().palaces();
    if palaces.is_empty() {
        let detail =
            "there is no palace in the configuration; name the file with --config, or a palace instead of --all";
        return Err(Error::new(ErrorKind::InvalidRequest, detail));
    }
    // One after the other they have no screen to share; what happens is told in lines.
    let face = if face == Face::Json { face } else { Face::Plain };
    let (mut table, mut worst, mut interrupted) = (Vec::new(), Exit::Verified, false);
    for name in palaces.keys() {
        if interrupted {
            table.push(passed_over(name, None, "not begun"));
            continue;
        }
        let (migrated, exit) = one(registry, name, to, root, how, face);
        interrupted = exit == Some(Exit::Interrupted);
        worst = exit.map_or(worst, |exit| worse(worst, exit));
        table.push(migrated);
    }
    output::print(&if face == Face::Json { json::migrations(&table) } else { text(&table) });
    Ok(worst)
}

fn one(
    registry: &Registry,
    name: &str,
    to: &str,
    root: Option<&str>,
    how: &How,
    face: Face,
) -> (Migrated, Option<Exit>) {
    let mut shown = None;
    let tried = (|| {
        let source = configuration::current().palace(name, configuration::variable)?;
        let kind = configuration::current().backend_type(to);
        let (read, _) = registry.found(&source, None)?;
        if read.backend.descriptor().name == kind {
            return Ok(None);
        }
        let target = destination::of(&source, to, root)?;
        shown = Some(registry.target(&target)?.address);
        output::note(face, &format!("{name}: {} to {}", read.address, shown.as_deref().unwrap_or_default()));
        Migration { source, from: None, target, how: how.clone() }.run(face).map(Some)
    })();
    let (rows, outcome, exit) = match tried {
        Ok(None) => return (passed_over(name, shown, "there already"), None),
        Ok(Some(Ended { exit, rows })) if how.dry_run => {
            let found = if exit == Exit::Verified { "planned: nothing is in the way" } else { "planned: refused" };
            (rows, found.to_owned(), exit)
        }
        Ok(Some(Ended { exit, rows })) => (rows, word(exit).to_owned(), exit),
        Err(error) => {
            let exit = Exit::of_error(&error);
            output::failure(face, &error, exit);
            (0, format!("{}: {}", word(exit), error.what()), exit)
        }
    };
    (Migrated { name: name.to_owned(), target: shown, rows, outcome, exit_code: Some(exit as u8) }, Some(exit))
}

fn passed_over(name: &str, target: Option<String>, outcome: &str) -> Migrated {
    Migrated { name: name.to_owned(), target, rows: 0, outcome: outcome.to_owned(), exit_code: None }
}

fn word(exit: Exit) -> &'static str {
    match exit {
        Exit::Verified => "done",
        Exit::Failed => "failed",
        Exit::BadInput => "bad input",
        Exit::Refused => "refused",
        Exit::NotVerified => "copied, not verified",
        Exit::Different => "differences found",
        Exit::Halted => "halted",
        Exit::Interrupted => "interrupted",
    }
}

/// Which of two is to be told: an interruption, for what has not begun; then what needs the operator most.
fn worse(one: Exit, other: Exit) -> Exit {
    let rank = |exit: Exit| match exit {
        Exit::Verified => 0,
        Exit::Refused => 1,
        Exit::BadInput => 2,
        Exit::Halted => 3,
        Exit::NotVerified => 4,
        Exit::Failed => 5,
        Exit::Different => 6,
        Exit::Interrupted => 7,
    };
    if rank(other) > rank(one) { other } else { one }
}

fn text(table: &[Migrated]) -> String {
    let width = |cell: fn(&Migrated) -> usize| table.iter().map(cell).max().unwrap_or(0);
    let (names, rows) = (width(|one| one.name.chars().count()), width(|one| count(one.rows).len()));
    let lines = table.iter().map(|one| {
        let target = one.target.as_deref().map_or_else(String::new, |target| format!("  {target}"));
        format!("  {:<names$}  {:>rows$} rows  {}{target}", one.name, count(one.rows), one.outcome)
    });
    std::iter::once("palaces".to_owned()).chain(lines).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_all_is_told() {
        assert_eq!(worse(Exit::Verified, Exit::Refused), Exit::Refused);
        assert_eq!(worse(Exit::Different, Exit::Refused), Exit::Different);
        assert_eq!(worse(Exit::Different, Exit::Interrupted), Exit::Interrupted);
    }
}
