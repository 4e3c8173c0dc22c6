use super::Known;
use crate::cli::once;
use crate::exit_code::Exit;
use crate::format;
use crate::output::{self, json, table};
use clap::Args;
use jiff::Timestamp;
use palanquin_engine::contract::Result;
use palanquin_engine::journal::{KnownLink, LastRun};
use palanquin_engine::link::{LinkId, LinkKind, LinkSpec, Plan};
use serde::Serialize;
use std::time::UNIX_EPOCH;

/// Arguments of `links list`.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    known: Known,
    /// One JSON object per link on standard output
    #[arg(long)]
    pub(super) json: bool,
}

/// A link as it is listed.
#[derive(Debug, Serialize)]
pub(crate) struct Listed<'a> {
    id: &'a LinkId,
    spec: &'a LinkSpec,
    state: &'static str,
    /// Rows its copy has made durable, and how many there were when it was planned.
    rows_done: u64,
    rows_planned: Option<u64>,
    last_run_at_ms: Option<i64>,
    /// The process that works on it now.
    process: Option<String>,
    ended_at_ms: Option<i64>,
}

impl<'a> Listed<'a> {
    fn of(known: &'a KnownLink, last_run: Option<LastRun>) -> Self {
        let planned = known.plan.as_ref();
        let copied = planned.is_some_and(|plan| known.positions.partitions_done() == plan.partitions());
        let process = last_run.as_ref().and_then(|run| run.pid.clone());
        let state = match (&known.ending, known.spec.kind) {
            (Some(ending), _) if ending.verified => "verified",
            (Some(_), _) => "ended, not verified",
            (None, _) if planned.is_none() => "not planned",
            (None, LinkKind::Mirror) if copied => "following",
            (None, _) if copied => "copied",
            (None, _) => "copying",
        };
        let since_epoch = |run: LastRun| run.began.duration_since(UNIX_EPOCH).ok();
        Self {
            id: &known.link,
            spec: &known.spec,
            state,
            rows_done: known.positions.rows(),
            rows_planned: planned.map(Plan::rows),
            last_run_at_ms: last_run.and_then(since_epoch).and_then(|since| i64::try_from(since.as_millis()).ok()),
            process,
            ended_at_ms: known.ending.as_ref().map(|ending| ending.at_ms),
        }
    }
}

impl List {
    pub(super) fn run(self) -> Result<Exit> {
        let Some(links) = once::run(self.known.links())? else { return Ok(Exit::Interrupted) };
        let state = self.known.state()?;
        let mut listed = Vec::new();
        for known in &links {
            listed.push(Listed::of(known, LastRun::of(&state, &known.link)?));
        }
        if self.json {
            listed.iter().for_each(|link| output::print(&json::link(link)));
            return Ok(Exit::Verified);
        }
        if listed.is_empty() {
            output::print("the journal knows no links");
            return Ok(Exit::Verified);
        }
        let now = Timestamp::now().as_millisecond();
        let rows = listed.iter().map(|link| {
            let run = match (&link.process, link.last_run_at_ms) {
                (Some(pid), Some(at)) => {
                    format!("for {} in process {pid}", format::duration(format::seconds_between(at, now)))
                }
                (None, Some(at)) => format!("{} ago", format::duration(format::seconds_between(at, now))),
                (_, None) => "-".to_owned(),
            };
            let ends = format!("{} -> {}", link.spec.source, link.spec.target);
            let rows = format::count(link.rows_done);
            vec![link.id.to_string(), link.spec.kind.to_string(), link.state.to_owned(), run, rows, ends]
        });
        output::print(&table::of(&["LINK", "KIND", "STATE", "LAST RUN", "ROWS COPIED", "FROM AND TO"], rows));
        Ok(Exit::Verified)
    }
}
