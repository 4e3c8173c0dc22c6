use super::once::{self, There};
use crate::exit_code::Exit;
use crate::output::{self, json, tree};
use clap::Args;
use palanquin_actors::PalaceSource;
use palanquin_engine::contract::{MaintenanceResult, MaintenanceStatus, OpenMode, Palace, Progress, Result, Severity};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Arguments of `maintain`.
#[derive(Debug, Args)]
pub(super) struct Maintain {
    #[command(flatten)]
    there: There,
    /// A kind the backend advertises; `palanquin backends` lists them with what they do
    kind: String,
    /// JSON lines on standard output: the steps, then the result
    #[arg(long)]
    pub(super) json: bool,
}

impl Maintain {
    pub(super) fn run(self) -> Result<Exit> {
        let (palace, _) = self.there.find()?;
        let kind = palace.backend.descriptor().maintenance_kind(&self.kind);
        let kind = kind.map_err(|error| error.in_palace(&palace.address))?;
        let as_json = self.json;
        if !as_json {
            output::print(&format!("{} on {}: {}", kind.name, palace.address, kind.effect));
        }
        let progress = Progress::to(move |step| {
            output::print(&match (as_json, step.total) {
                (true, _) => json::maintenance_step(&step),
                (false, Some(total)) => format!("{}/{total} {}", step.done, step.doing),
                (false, None) => step.doing,
            });
        });
        let began = Instant::now();
        let opened: OnceLock<Arc<dyn Palace>> = OnceLock::new();
        let work = async {
            let open = palace.backend.open(&palace.palace, OpenMode::Write.into()).await?;
            opened.get_or_init(|| open).run_maintenance(kind.name, &progress).await
        };
        let clear_up = async {
            output::complain("cancelling; once more not to wait for it");
            if let Some(open) = opened.get() {
                open.close().await?;
            }
            let seconds = began.elapsed().as_secs();
            output::complain(&format!(
                "cancelled after {}: nothing of it runs any more; the palace is whole, and the same command does the rest",
                crate::format::duration(seconds)
            ));
            left(&palace).await.iter().for_each(|finding| output::complain(&format!("left as it is: {finding}")));
            Ok(())
        };
        let Some(result) = once::run_or(work, clear_up)? else { return Ok(Exit::Interrupted) };
        let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        output::print(&if as_json { json::maintenance(&result, millis) } else { told(&result, millis) });
        Ok(match result.status {
            MaintenanceStatus::Ran | MaintenanceStatus::Noop => Exit::Verified,
            MaintenanceStatus::AlreadyRunning => Exit::Refused,
        })
    }
}

/// What a palace that was maintained half needs its operator to look at.
async fn left(palace: &PalaceSource) -> Vec<String> {
    let Ok(open) = palace.backend.open(&palace.palace, OpenMode::Read.into()).await else { return Vec::new() };
    let findings = open.health().await.findings.into_iter();
    findings.filter(|finding| finding.severity >= Severity::Warning).map(|finding| finding.summary).collect()
}

fn told(result: &MaintenanceResult, millis: u64) -> String {
    let what = match result.status {
        MaintenanceStatus::Ran => "ran: it is done and durable",
        MaintenanceStatus::Noop => "noop: there was nothing to do",
        MaintenanceStatus::AlreadyRunning => "already_running: another run holds the work; this one did nothing",
    };
    let time = format!("{} in {}", what, crate::format::millis(millis));
    let stats = tree::of(&result.stats, 1);
    if stats.is_empty() { time } else { format!("{time}\n{}", stats.trim_end()) }
}
