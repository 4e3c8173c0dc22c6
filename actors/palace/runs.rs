use crate::board::{MaintenanceRun, RunState};
use palanquin_engine::contract::{MaintenanceResult, MaintenanceStatus, MaintenanceStep};
use std::collections::BTreeMap;

/// Runs shown once they have ended.
const KEPT: usize = 12;

const BY_OPERATOR: &str = "by the operator";

/// What a cancellation meets.
#[derive(Debug, PartialEq)]
pub(super) enum Cancels {
    /// Such a run is not under way.
    Nothing,
    /// A run of that kind that waited.
    Waiting(String),
    /// The run that is being done, and its newest step.
    Working(Option<MaintenanceStep>),
}

/// The maintenance runs of one palace: at most one is being done, others wait in the order they were asked for.
#[derive(Debug, Default)]
pub(super) struct Runs {
    runs: Vec<MaintenanceRun>,
    asked: u64,
}

impl Runs {
    /// Takes up a run. One of a kind that is queued or under way already is not asked for twice (§7.3).
    pub(super) fn ask(&mut self, kind: &str, now_ms: i64) {
        self.asked += 1;
        let same = self.runs.iter().any(|run| run.kind == kind && run.is_under_way());
        let state = if same {
            RunState::Ended { status: MaintenanceStatus::AlreadyRunning, stats: BTreeMap::new() }
        } else {
            RunState::Queued
        };
        self.runs.push(MaintenanceRun {
            number: self.asked,
            kind: kind.to_owned(),
            asked_at_ms: now_ms,
            began_at_ms: None,
            ended_at_ms: same.then_some(now_ms),
            state,
        });
        let under_way = self.runs.iter().filter(|run| run.is_under_way()).count();
        while self.runs.len() > KEPT.max(under_way)
            && let Some(oldest) = self.runs.iter().position(|run| !run.is_under_way())
        {
            self.runs.remove(oldest);
        }
    }

    /// Begins the next run, if one waits and none is being done: its number and kind.
    pub(super) fn begin(&mut self, now_ms: i64) -> Option<(u64, String)> {
        if self.working().is_some() {
            return None;
        }
        let next = self.runs.iter_mut().find(|run| run.state == RunState::Queued)?;
        next.state = RunState::Running { step: None };
        next.began_at_ms = Some(now_ms);
        Some((next.number, next.kind.clone()))
    }

    /// A step of the run; one that has ended meanwhile takes none.
    pub(super) fn step(&mut self, number: u64, step: MaintenanceStep) {
        if let Some(MaintenanceRun { state: RunState::Running { step: current }, .. }) = self.run(number) {
            *current = Some(step);
        }
    }

    /// The run that is being done, if one is.
    pub(super) fn working(&self) -> Option<u64> {
        let is_working = |run: &&MaintenanceRun| matches!(run.state, RunState::Running { .. } | RunState::Cancelling);
        self.runs.iter().find(is_working).map(|run| run.number)
    }

    /// The run ended by itself.
    pub(super) fn end(&mut self, number: u64, result: MaintenanceResult, now_ms: i64) {
        self.close(number, RunState::Ended { status: result.status, stats: result.stats }, now_ms);
    }

    /// The run failed.
    pub(super) fn fail(&mut self, number: u64, reason: String, advice: &str, now_ms: i64) {
        self.close(number, RunState::Failed { reason, advice: advice.to_owned() }, now_ms);
    }

    /// Has the run cancelled: one that waits is at once, one that is being done from now on. What it is doing is told
    /// later, by [`Self::cancelled`].
    pub(super) fn cancel(&mut self, number: u64, now_ms: i64) -> Cancels {
        match self.run(number) {
            Some(run) if run.state == RunState::Queued => {
                let kind = run.kind.clone();
                self.close(number, RunState::Cancelled { reason: format!("{BY_OPERATOR}, before it began") }, now_ms);
                Cancels::Waiting(kind)
            }
            Some(run) => match std::mem::replace(&mut run.state, RunState::Cancelling) {
                RunState::Running { step } => Cancels::Working(step),
                other => {
                    run.state = other;
                    Cancels::Nothing
                }
            },
            None => Cancels::Nothing,
        }
    }

    /// Nothing of a cancelled run runs any more.
    pub(super) fn cancelled(&mut self, number: u64, step: Option<&MaintenanceStep>, now_ms: i64) -> String {
        let reason = match step {
            Some(step) => format!("{BY_OPERATOR}, while {}", step.doing),
            None => format!("{BY_OPERATOR}, before its first step"),
        };
        self.close(number, RunState::Cancelled { reason: reason.clone() }, now_ms);
        reason
    }

    /// Whatever is under way will not be done any more.
    pub(super) fn give_up(&mut self, reason: &str, advice: &str, now_ms: i64) {
        for run in self.runs.iter_mut().filter(|run| run.is_under_way()) {
            run.state = RunState::Failed { reason: reason.to_owned(), advice: advice.to_owned() };
            run.ended_at_ms = Some(now_ms);
        }
    }

    pub(super) fn as_slice(&self) -> &[MaintenanceRun] {
        &self.runs
    }

    fn run(&mut self, number: u64) -> Option<&mut MaintenanceRun> {
        self.runs.iter_mut().find(|run| run.number == number)
    }

    fn close(&mut self, number: u64, state: RunState, now_ms: i64) {
        if let Some(run) = self.run(number).filter(|run| run.is_under_way()) {
            run.state = state;
            run.ended_at_ms = Some(now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(runs: &Runs) -> Vec<&'static str> {
        let word = |run: &MaintenanceRun| match &run.state {
            RunState::Queued => "queued",
            RunState::Running { .. } => "running",
            RunState::Cancelling => "cancelling",
            RunState::Cancelled { .. } => "cancelled",
            RunState::Ended { status: MaintenanceStatus::AlreadyRunning, .. } => "already_running",
            RunState::Ended { .. } => "ended",
            RunState::Failed { .. } => "failed",
        };
        runs.as_slice().iter().map(word).collect()
    }

    #[test]
    fn one_run_is_done_at_a_time_and_others_wait_in_order() {
        let mut runs = Runs::default();
        runs.ask("compact", 1);
        runs.ask("reindex", 2);
        assert_eq!(runs.begin(3), Some((1, "compact".to_owned())));
        assert_eq!(runs.begin(3), None);
        runs.end(1, MaintenanceResult::ran("compact", BTreeMap::new()), 4);
        assert_eq!(runs.begin(5), Some((2, "reindex".to_owned())));
        assert_eq!(words(&runs), ["ended", "running"]);
    }

    #[test]
    fn a_kind_that_is_under_way_answers_already_running() {
        let mut runs = Runs::default();
        for _ in 0..2 {
            runs.ask("compact", 1);
        }
        assert_eq!(words(&runs), ["queued", "already_running"]);
        runs.begin(2);
        runs.ask("compact", 3);
        assert_eq!(words(&runs), ["running", "already_running", "already_running"]);
        runs.fail(1, "no space".into(), "make space", 4);
        runs.ask("compact", 5);
        assert_eq!(runs.begin(6), Some((4, "compact".to_owned())));
    }

    #[test]
    fn old_runs_fall_off_and_those_under_way_never_do() {
        let mut runs = Runs::default();
        runs.ask("compact", 0);
        runs.begin(0);
        for now in 0..50 {
            runs.ask("compact", now);
        }
        assert_eq!(runs.as_slice().len(), KEPT);
        assert_eq!(runs.as_slice()[0].number, 1);
        runs.give_up("closed", "open it again", 60);
        runs.step(1, MaintenanceStep { doing: "late".into(), done: 1, total: None });
        assert_eq!(words(&runs)[0], "failed");
    }

    #[test]
    fn a_run_that_waits_is_cancelled_at_once_and_one_under_way_keeps_the_next_back_until_it_has_ended() {
        let mut runs = Runs::default();
        for kind in ["compact", "reindex", "analyze"] {
            runs.ask(kind, 1);
        }
        runs.begin(2);
        let step = MaintenanceStep { doing: "merging".into(), done: 1, total: None };
        runs.step(1, step.clone());
        assert_eq!(runs.cancel(2, 3), Cancels::Waiting("reindex".into()));
        assert_eq!(runs.cancel(1, 4), Cancels::Working(Some(step.clone())));
        assert_eq!(words(&runs), ["cancelling", "cancelled", "queued"]);
        assert_eq!(runs.begin(5), None);
        for again in [1, 2, 9] {
            assert_eq!(runs.cancel(again, 6), Cancels::Nothing);
        }
        assert_eq!(runs.cancelled(1, Some(&step), 7), "by the operator, while merging");
        assert_eq!(runs.begin(8), Some((3, "analyze".to_owned())));
        assert_eq!(words(&runs), ["cancelled", "cancelled", "running"]);
        runs.end(1, MaintenanceResult::ran("compact", BTreeMap::new()), 9);
        assert_eq!(words(&runs)[0], "cancelled");
    }
}
