//! `receipt`: what a migration or a comparison left as evidence, shown and checked. [`keep`] is how one is left.

mod keep;

pub(super) use keep::{Kept, ReceiptPlace};

use crate::exit_code::Exit;
use crate::output::{self, json};
use clap::{Args, Subcommand};
use palanquin_engine::contract::{Error, ErrorKind, Result};
use palanquin_engine::receipt::{Checked, check, page};
use std::path::{Path, PathBuf};

/// Arguments of `receipt`.
#[derive(Debug, Args)]
pub(super) struct Receipt {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// The receipt as a page
    Show {
        /// The receipt's JSON file
        file: PathBuf,
    },
    /// Whether anything in it was changed since it was made
    Check {
        /// The receipt's JSON file
        file: PathBuf,
        /// One JSON object on standard output
        #[arg(long)]
        json: bool,
    },
}

impl Receipt {
    pub(super) fn is_json(&self) -> bool {
        matches!(self.act, Act::Check { json: true, .. })
    }

    pub(super) fn run(self) -> Result<Exit> {
        match self.act {
            Act::Show { file } => {
                let Checked { stamp, is_intact, receipt } = read(&file)?;
                let Some(receipt) = receipt else {
                    let detail = "it was changed, or a newer version made it: what it says cannot be shown";
                    return Err(Error::new(ErrorKind::UnsupportedFormat, detail).in_palace(file.display()));
                };
                output::print(page(&receipt, &stamp).trim_end());
                if !is_intact {
                    output::complain("the receipt was changed since it was made: it does not fit its stamp");
                    return Ok(Exit::Different);
                }
                Ok(Exit::Verified)
            }
            Act::Check { file, json } => {
                let checked = read(&file)?;
                let exit = if checked.is_intact { Exit::Verified } else { Exit::Different };
                output::print(&match (json, checked.is_intact) {
                    (true, is_intact) => json::receipt_checked(&checked.stamp, is_intact, exit),
                    (false, true) => format!("intact: {}", checked.stamp),
                    (false, false) => {
                        format!("changed: what it says is not what was stamped {}", checked.stamp)
                    }
                });
                Ok(exit)
            }
        }
    }
}

fn read(file: &Path) -> Result<Checked> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Error::io("the receipt cannot be read", error).in_palace(file.display()))?;
    check(&text).map_err(|error| Error::new(ErrorKind::InvalidRequest, error.to_string()).in_palace(file.display()))
}
