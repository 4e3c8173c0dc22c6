use crate::cli::verify::Verified;
use crate::exit_code::Exit;
use crate::output::{self, headline};
use clap::Args;
use jiff::Timestamp;
use palanquin_actors::{LinkEnd, PalaceSource};
use palanquin_engine::contract::{Error, ErrorKind, Result, SpecVersion};
use palanquin_engine::link::{Account, LinkSpec, Outcome};
use palanquin_engine::receipt::{Place, Receipt, SCHEMA, page, stamp};
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where a copy leaves its receipt.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct ReceiptPlace {
    /// Where the receipt is left, with a page beside it [default: receipts/ in the state directory]
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
}

/// A receipt that is about to be kept.
pub(in crate::cli) struct Kept(Receipt);

impl ReceiptPlace {
    /// Leaves the receipt of a copy that has ended: verified, different, or halted once rows were written; what it says is
    /// to be printed. One that was refused has none, and one that was interrupted goes on. A receipt that cannot be left
    /// is told, and changes nothing of how the copy ended.
    pub(in crate::cli) fn leave(
        &self,
        state: &Path,
        spec: &LinkSpec,
        ends: (&PalaceSource, &PalaceSource),
        (end, exit): (&LinkEnd, Exit),
    ) -> Option<String> {
        let has_written = end.rows > 0 || end.copied || end.report.is_some();
        if !has_written || end.outcome == Outcome::Interrupted {
            return None;
        }
        let made = Timestamp::now();
        let file = match &self.receipt {
            Some(file) => Ok(file.clone()),
            None => in_state(state, spec, made),
        };
        let kept = file.and_then(|file| Kept(of_link(spec, ends, end, exit, made)).keep(&file).map(|()| file));
        match kept {
            Ok(file) => Some(format!("receipt: {}", file.display())),
            Err(error) => {
                output::complain(&format!("no receipt was left: {error}"));
                None
            }
        }
    }
}

impl Kept {
    /// Of a comparison.
    pub(in crate::cli) fn of_verification(
        spec: &LinkSpec,
        ends: (&PalaceSource, &PalaceSource),
        verified: &Verified,
        flags: Vec<String>,
        exit: Exit,
    ) -> Self {
        let reasons = verified.report.inconclusive();
        Self(Receipt {
            link: None,
            outcome: verified.report.conclusion().to_owned(),
            reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
            not_checked: Receipt::left_unchecked(Some(&verified.report)),
            parity: Some(verified.report.clone()),
            repaired: verified.repaired,
            ..bare("verify", spec, ends, flags, exit, Timestamp::now())
        })
    }

    /// Writes the document, and the page beside it under the same name with `.md`.
    ///
    /// # Errors
    /// If a file is there, or cannot be made.
    pub(in crate::cli) fn keep(&self, file: &Path) -> Result<()> {
        let failed = |error: palanquin_engine::receipt::StampError| Error::new(ErrorKind::Internal, error.to_string());
        let (document, stamp) = stamp(&self.0).map_err(failed)?;
        private_file(file, &document)?;
        private_file(&file.with_extension("md"), &page(&self.0, &stamp))
    }
}

fn of_link(
    spec: &LinkSpec,
    ends: (&PalaceSource, &PalaceSource),
    end: &LinkEnd,
    exit: Exit,
    made: Timestamp,
) -> Receipt {
    let report = end.report.as_deref();
    Receipt {
        link: Some(end.link.to_string()),
        outcome: headline(end, exit).to_owned(),
        reason: match &end.outcome {
            Outcome::Halted(failure) => Some(format!("{} ({})", failure.reason, failure.kind.name())),
            Outcome::Verified | Outcome::Different | Outcome::Interrupted => None,
        },
        rows: end.rows,
        bytes: end.carried.iter().map(|carried| carried.bytes).sum(),
        carried: end.carried.clone(),
        account: end.account.clone(),
        not_checked: Receipt::left_unchecked(report),
        parity: report.cloned(),
        findings: end.findings.clone(),
        ..bare(&spec.kind.to_string(), spec, ends, spec.overrides.flags(), exit, made)
    }
}

/// What is the same of every receipt.
fn bare(
    command: &str,
    spec: &LinkSpec,
    (source, target): (&PalaceSource, &PalaceSource),
    flags: Vec<String>,
    exit: Exit,
    made: Timestamp,
) -> Receipt {
    let place = |palace: &PalaceSource| Place {
        address: palace.address.clone(),
        backend: palace.backend.descriptor().name.to_owned(),
    };
    Receipt {
        schema: SCHEMA,
        palanquin: env!("CARGO_PKG_VERSION").to_owned(),
        contract: SpecVersion::CURRENT.to_string(),
        made_at: made.to_string(),
        command: command.to_owned(),
        link: None,
        outcome: String::new(),
        exit_code: exit as u8,
        reason: None,
        source: place(source),
        target: place(target),
        collections: spec.collections.clone(),
        filter: spec.filter.clone(),
        flags,
        rows: 0,
        bytes: 0,
        carried: Vec::new(),
        account: Account::default(),
        parity: None,
        repaired: None,
        not_checked: Vec::new(),
        findings: Vec::new(),
    }
}

/// `receipts/LINK-TIME.json` in the state directory.
fn in_state(state: &Path, spec: &LinkSpec, made: Timestamp) -> Result<PathBuf> {
    let folder = state.join("receipts");
    let made_folder = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made_folder.map_err(|error| Error::io("there is no folder for receipts", error).in_palace(folder.display()))?;
    Ok(folder.join(format!("{}-{}.json", spec.id(), made.strftime("%Y%m%dT%H%M%S%.3fZ"))))
}

/// A new file that only its owner can read. One that is there is evidence of something else.
fn private_file(file: &Path, content: &str) -> Result<()> {
    let failed = |error| Error::io("the receipt cannot be written", error).in_palace(file.display());
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut open = options.open(file).map_err(failed)?;
    open.write_all(content.as_bytes()).and_then(|()| open.sync_all()).map_err(failed)
}
