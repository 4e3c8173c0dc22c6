//! `verify`: whether two palaces hold the same rows, and on demand whether they find the same, and making it so.
//! [`ends`] opens both and pairs their collections, [`work`] compares and repairs, [`heard`] tells how far it is, [`text`]
//! writes it for people.

mod ends;
mod heard;
mod text;
mod work;

use super::receipt::Kept;
use super::share::Share;
use super::workshop::StateDirectory;
use super::{given, once};
use crate::exit_code::Exit;
use crate::output::{self, json};
use crate::registry::Registry;
use clap::Args;
use ends::{Ends, Opened};
use palanquin_config::Given;
use palanquin_engine::contract::{Error, ErrorKind, LogEntry, Result};
use palanquin_engine::journal::LinkLock;
use palanquin_engine::link::{LinkKind, LinkSpec};
use palanquin_engine::parity::{Repaired, SampleTaken, Searches, Verdict};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use tokio::sync::OnceCell;
use work::Asked;
pub(super) use work::Verified;

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The palace to verify: a name of the configuration, a directory, chroma:PATH, chroma+http://HOST:PORT, lance:PATH or
    /// postgres://HOST/DB?palace=ID
    #[arg(value_parser = given, required_unless_present = "palace", conflicts_with = "palace")]
    target: Option<Given>,
    /// The palace to verify
    #[arg(long, value_parser = given, value_name = "TARGET")]
    palace: Option<Given>,
    /// The palace it is to be equal to
    #[arg(long, value_parser = given, value_name = "SOURCE")]
    against: Given,
    /// Backend of the palace to verify, whatever lies there
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// Backend of the palace it is to be equal to, whatever lies there
    #[arg(long, value_name = "NAME")]
    source_backend: Option<String>,
    #[command(flatten)]
    share: Share,
    /// Compare every row; this is what it does unless told otherwise
    #[arg(long, conflicts_with = "sample")]
    full: bool,
    /// Compare only so many rows of each collection; vectors are then the same from a cosine of 0.999 on
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    sample: Option<u64>,
    /// Chooses the rows of a sample and the searches [default: a new one, which is printed]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Leave the vectors out, as for a target that has embedded the documents anew
    #[arg(long)]
    documents_only: bool,
    /// Compare with the source as it is: a row the target could only hold converted differs
    #[arg(long, conflicts_with = "repair")]
    strict: bool,
    /// Compare searches too: this many hits for each of the probes
    #[arg(long, value_name = "HITS", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    search: Option<u64>,
    /// Searches to compare, each by the vector of a row of the source
    #[arg(long, value_name = "NUMBER", default_value_t = 20, requires = "search",
        value_parser = clap::value_parser!(u64).range(1..=100_000))]
    probes: u64,
    /// Copy rows that are missing or different from the source again, then compare them once more
    #[arg(long, conflicts_with_all = ["sample", "documents_only"])]
    repair: bool,
    /// Remove rows that only the target has
    #[arg(long, requires = "repair", conflicts_with = "filter")]
    delete_extra: bool,
    /// Leave a receipt: this file, and a page beside it
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    #[command(flatten)]
    state: StateDirectory,
    /// JSON lines on standard output: how far it is, then the result
    #[arg(long)]
    pub(super) json: bool,
}

impl Verify {
    pub(super) fn run(self) -> Result<Exit> {
        if let Some(file) = self.receipt.as_ref().filter(|file| file.exists()) {
            let detail = "the receipt's file is there already, and evidence is not written over";
            return Err(Error::new(ErrorKind::InvalidRequest, detail).in_palace(file.display()));
        }
        let registry = Registry::new();
        let Some(target) = self.target.as_ref().or(self.palace.as_ref()) else {
            return Err(Error::new(ErrorKind::InvalidRequest, "say which palace to verify"));
        };
        let (source, _) = registry.found(&registry.locate(&self.against)?, self.source_backend.as_deref())?;
        let (target, _) = registry.found(&registry.locate(target)?, self.backend.as_deref())?;
        // Short enough to be typed again.
        let seed = self.seed.unwrap_or_else(|| rand::random::<u32>().into());
        let spec = LinkSpec::new(LinkKind::Migrate, source.address.as_str(), target.address.as_str());
        let spec = self.share.apply(spec)?;
        // A repair writes: no link may work on the target meanwhile.
        let _lock = if self.repair { Some(LinkLock::acquire(&self.state.path()?, &spec, &[])?) } else { None };
        let asked = Asked {
            sample: self.sample.map(|rows| SampleTaken { rows, seed }),
            documents_only: self.documents_only,
            searches: self.search.map(|hits| Searches { probes: self.probes, hits: hits as usize, seed }),
            repair: self.repair,
            delete_extra: self.delete_extra,
        };
        let heard = heard::Hearing::new(self.json);
        let (opened, repaired) = (OnceCell::new(), Mutex::new(Repaired::default()));
        let wrote = |more| repaired.lock().unwrap_or_else(PoisonError::into_inner).add(more);
        let record = async |finished| {
            let done = *repaired.lock().unwrap_or_else(PoisonError::into_inner);
            match opened.get() {
                Some(Ends { target, .. }) if done.written() > 0 => {
                    let entry = LogEntry::repair(&source.address, done.copied, done.removed, finished);
                    target.palace.append_to_migration_log(&entry).await
                }
                _ => Ok(()),
            }
        };
        let work = async {
            let ends = Ends::open(&spec, &source, &target, self.manner()).await?;
            let ends = opened.get_or_init(async || ends).await;
            let verified = work::run(&spec, ends, asked, (&heard, &wrote)).await;
            let recorded = record(verified.is_ok()).await;
            let verified = verified?;
            recorded.map(|()| verified)
        };
        let Some(verified) = once::run_or(work, record(false))? else {
            let done = *repaired.lock().unwrap_or_else(PoisonError::into_inner);
            let repaired =
                if done.written() > 0 { format!("; {} until then", text::repair(&done)) } else { String::new() };
            output::complain(&format!("interrupted: nothing was concluded{repaired}"));
            return Ok(Exit::Interrupted);
        };
        let exit = match verified.report.verdict() {
            Verdict::Equal => Exit::Verified,
            Verdict::Different => Exit::Different,
            Verdict::Inconclusive => Exit::NotVerified,
        };
        if let Some(file) = &self.receipt {
            Kept::of_verification(&spec, (&source, &target), &verified, self.flags(), exit).keep(file)?;
        }
        output::print(&match self.json {
            true => json::verification(&verified.report, verified.repaired.as_ref(), exit),
            false => text::of(&verified),
        });
        Ok(exit)
    }

    fn manner(&self) -> Opened {
        Opened { repaired: self.repair, strict: self.strict }
    }

    /// What was asked for beyond the usual.
    fn flags(&self) -> Vec<String> {
        let flags = [
            (self.sample.is_some(), "--sample"),
            (self.documents_only, "--documents-only"),
            (self.strict, "--strict"),
            (self.search.is_some(), "--search"),
            (self.repair, "--repair"),
            (self.delete_extra, "--delete-extra"),
        ];
        flags.into_iter().filter(|(given, _)| *given).map(|(_, flag)| flag.to_owned()).collect()
    }
}
