use super::{LinkKind, LinkState, Phase};
use crate::contract::advice::{RetryClass, operator_sentence, retry_class};
use crate::contract::{Error, ErrorKind};

/// Failures in a row, without a row of progress between them, after which a link asks for the operator.
const MAX_ATTEMPTS: u32 = 8;

/// Work an actor is told to begin.
pub type Work = Phase;

/// Why work stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Kind of the failure, for exit codes and metrics.
    pub kind: ErrorKind,
    /// What happened, in one line.
    pub reason: String,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self { kind: error.kind(), reason: error.what() }
    }
}

/// What happened to a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// It is to run.
    Start,
    /// Preflight passed and the plan is stored; `copied` if every partition was done already.
    Checked {
        /// Whether the copy had ended in an earlier run.
        copied: bool,
    },
    /// Every partition is durable.
    Copied,
    /// Both ends were compared.
    Verified {
        /// Whether they hold the same rows.
        equal: bool,
    },
    /// The target's maintenance has ended, whatever came of it.
    Maintained,
    /// The feed's end was reached for the first time since the work began.
    CaughtUp,
    /// Rows became durable.
    Progress,
    /// The work in hand ended with a failure.
    Failed(Failure),
    /// The work in hand ended because it was told to stop.
    Stopped,
    /// The time of the next try has come.
    RetryDue,
    /// The operator wants it to stop until resumed.
    Pause,
    /// The operator wants it to go on, or to try again now.
    Resume,
    /// The program ends.
    Drain,
}

/// What the actor must do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Begin this work; none is in hand.
    Begin(Work),
    /// Tell the work in hand to stop; [`Input::Stopped`] or another ending will follow.
    Stop,
    /// Arrange for [`Input::RetryDue`] after the backoff of this attempt, and call [`Machine::waiting_until`].
    Retry {
        /// Failures in a row, from 1.
        attempt: u32,
    },
    /// Forget an arranged retry.
    CancelRetry,
    /// It will do nothing more by itself.
    End(Outcome),
}

/// How a link ended, or why it does nothing more by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Copied, and both ends hold the same rows.
    Verified,
    /// Copied, and the ends differ.
    Different,
    /// Stopped as asked; the same command continues it.
    Interrupted,
    /// Needs the operator.
    Halted(Failure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Pause,
    Drain,
}

/// Decides what a link does next. No I/O, no clock: the same inputs give the same effects.
#[derive(Clone, Debug)]
pub struct Machine {
    kind: LinkKind,
    maintains: bool,
    state: LinkState,
    in_hand: bool,
    wanted: Option<Wanted>,
    attempt: u32,
}

impl Machine {
    /// A link that has not begun.
    pub fn new(kind: LinkKind) -> Self {
        Self { kind, maintains: false, state: LinkState::Planned, in_hand: false, wanted: None, attempt: 0 }
    }

    /// Whether a verified copy is followed by maintenance of its target.
    #[must_use]
    pub fn with_maintenance(self, wanted: bool) -> Self {
        Self { maintains: wanted, ..self }
    }

    /// Whether this comparison would be followed by maintenance. Indexes over rows that differ would be built in vain.
    pub fn maintains_after(&self, equal: bool) -> bool {
        self.maintains && equal
    }

    /// Where it is.
    pub fn state(&self) -> &LinkState {
        &self.state
    }

    /// Failures in a row.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Whether work has been begun and has not ended.
    pub fn has_work_in_hand(&self) -> bool {
        self.in_hand
    }

    /// Whether the operator has asked for a pause that is not yet in force.
    pub fn is_pausing(&self) -> bool {
        self.wanted == Some(Wanted::Pause)
    }

    /// Says when the retry asked for by [`Effect::Retry`] will be.
    pub fn waiting_until(&mut self, at_ms: i64) {
        if let LinkState::Waiting { next_try_at_ms, .. } = &mut self.state {
            *next_try_at_ms = at_ms;
        }
    }

    /// Takes what happened, says what to do.
    pub fn handle(&mut self, input: Input) -> Vec<Effect> {
        match input {
            Input::Start if self.state == LinkState::Planned => self.begin(Phase::Checking),
            Input::Checked { copied } if self.is_doing(Phase::Checking) => {
                self.in_hand = false;
                self.go_on(if copied { self.after_copy() } else { Phase::Copying })
            }
            Input::Copied if self.is_doing(Phase::Copying) => {
                self.in_hand = false;
                self.attempt = 0;
                self.go_on(self.after_copy())
            }
            Input::Verified { equal } if self.is_doing(Phase::Verifying) => {
                self.in_hand = false;
                self.attempt = 0;
                if self.maintains_after(equal) { self.go_on(Phase::Maintaining) } else { self.done(equal) }
            }
            Input::Maintained if self.is_doing(Phase::Maintaining) => {
                self.in_hand = false;
                self.done(true)
            }
            Input::CaughtUp if self.is_doing(Phase::CatchingUp) => {
                if let LinkState::Working { phase } = &mut self.state {
                    *phase = Phase::Live;
                }
                Vec::new()
            }
            Input::Progress => {
                self.attempt = 0;
                Vec::new()
            }
            Input::Failed(failure) if self.in_hand => self.failed(failure),
            Input::Stopped if self.in_hand => {
                self.in_hand = false;
                let phase = self.phase();
                self.settle(phase)
            }
            Input::RetryDue => match self.state {
                LinkState::Waiting { .. } => self.begin(RESTART),
                _ => Vec::new(),
            },
            Input::Pause => self.pause(),
            Input::Resume => self.resume(),
            Input::Drain => self.drain(),
            _ => Vec::new(),
        }
    }

    fn begin(&mut self, phase: Phase) -> Vec<Effect> {
        self.state = LinkState::Working { phase };
        self.in_hand = true;
        vec![Effect::Begin(phase)]
    }

    fn done(&mut self, equal: bool) -> Vec<Effect> {
        self.wanted = None;
        self.state = LinkState::Done { verified: equal };
        vec![Effect::End(if equal { Outcome::Verified } else { Outcome::Different })]
    }

    /// The next phase, unless the operator wants something else.
    fn go_on(&mut self, phase: Phase) -> Vec<Effect> {
        if self.wanted.is_some() { self.settle(phase) } else { self.begin(phase) }
    }

    /// What was wanted comes into force; `phase` is what it would have done next.
    fn settle(&mut self, phase: Phase) -> Vec<Effect> {
        match self.wanted.take() {
            Some(Wanted::Drain) => {
                self.state = LinkState::Interrupted { phase };
                vec![Effect::End(Outcome::Interrupted)]
            }
            Some(Wanted::Pause) => {
                self.state = LinkState::Paused { phase };
                Vec::new()
            }
            // A stop nobody asked for: the actor was restarted around the work.
            None => self.begin(RESTART),
        }
    }

    fn failed(&mut self, failure: Failure) -> Vec<Effect> {
        self.in_hand = false;
        let phase = self.phase();
        if self.wanted == Some(Wanted::Drain) {
            return self.settle(phase);
        }
        self.attempt += 1;
        let give_up = retry_class(failure.kind) != RetryClass::Transient || self.attempt > MAX_ATTEMPTS;
        if give_up {
            self.wanted = None;
            let advice = operator_sentence(failure.kind).to_owned();
            self.state = LinkState::Halted { phase, reason: failure.reason.clone(), advice };
            return vec![Effect::End(Outcome::Halted(failure))];
        }
        if self.wanted.is_some() {
            return self.settle(phase);
        }
        self.state = LinkState::Waiting { phase, reason: failure.reason, next_try_at_ms: 0 };
        vec![Effect::Retry { attempt: self.attempt }]
    }

    fn pause(&mut self) -> Vec<Effect> {
        match &self.state {
            LinkState::Working { .. } if self.in_hand && self.wanted.is_none() => {
                self.wanted = Some(Wanted::Pause);
                vec![Effect::Stop]
            }
            LinkState::Waiting { phase, .. } => {
                self.state = LinkState::Paused { phase: *phase };
                vec![Effect::CancelRetry]
            }
            _ => Vec::new(),
        }
    }

    fn resume(&mut self) -> Vec<Effect> {
        match &self.state {
            LinkState::Paused { .. } | LinkState::Halted { .. } => {
                self.attempt = 0;
                self.begin(RESTART)
            }
            LinkState::Waiting { .. } => {
                let mut effects = vec![Effect::CancelRetry];
                effects.extend(self.begin(RESTART));
                effects
            }
            _ => Vec::new(),
        }
    }

    fn drain(&mut self) -> Vec<Effect> {
        match &self.state {
            LinkState::Working { phase } if self.in_hand => {
                let already_stopping = self.wanted.replace(Wanted::Drain).is_some();
                self.state = LinkState::Draining { phase: *phase };
                if already_stopping { Vec::new() } else { vec![Effect::Stop] }
            }
            LinkState::Paused { phase } | LinkState::Waiting { phase, .. } | LinkState::Working { phase } => {
                let phase = *phase;
                self.state = LinkState::Interrupted { phase };
                vec![Effect::CancelRetry, Effect::End(Outcome::Interrupted)]
            }
            LinkState::Planned => {
                self.state = LinkState::Interrupted { phase: Phase::Checking };
                vec![Effect::End(Outcome::Interrupted)]
            }
            _ => Vec::new(),
        }
    }

    fn after_copy(&self) -> Phase {
        match self.kind {
            LinkKind::Migrate => Phase::Verifying,
            LinkKind::Mirror => Phase::CatchingUp,
        }
    }

    fn phase(&self) -> Phase {
        self.state.phase().unwrap_or(Phase::Checking)
    }

    fn is_doing(&self, wanted: Phase) -> bool {
        let doing = match self.state {
            LinkState::Working { phase } | LinkState::Draining { phase } => phase == wanted,
            _ => false,
        };
        doing && self.in_hand
    }
}

/// Where interrupted work begins again, whatever its phase: preflight is repeated, so that a store that was exchanged
/// meanwhile is noticed before anything is written to it.
const RESTART: Phase = Phase::Checking;

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    fn failure(kind: ErrorKind) -> Input {
        Input::Failed(Failure { kind, reason: "it broke".into() })
    }

    fn copying(kind: LinkKind) -> Machine {
        let mut machine = Machine::new(kind);
        machine.handle(Input::Start);
        assert_eq!(machine.handle(Input::Checked { copied: false }), [Effect::Begin(Phase::Copying)]);
        machine
    }

    #[test]
    fn a_migration_checks_copies_verifies_and_ends() {
        let mut machine = copying(LinkKind::Migrate);
        assert_eq!(machine.handle(Input::Copied), [Effect::Begin(Phase::Verifying)]);
        assert_eq!(machine.handle(Input::Verified { equal: true }), [Effect::End(Outcome::Verified)]);
        assert_eq!(machine.state(), &LinkState::Done { verified: true });
    }

    #[test]
    fn maintenance_follows_an_equal_comparison_and_no_other() {
        let verifying = || {
            let mut machine = copying(LinkKind::Migrate).with_maintenance(true);
            machine.handle(Input::Copied);
            machine
        };
        let mut equal = verifying();
        assert_eq!(equal.handle(Input::Verified { equal: true }), [Effect::Begin(Phase::Maintaining)]);
        assert_eq!(equal.handle(Input::Maintained), [Effect::End(Outcome::Verified)]);
        assert_eq!(verifying().handle(Input::Verified { equal: false }), [Effect::End(Outcome::Different)]);
    }

    #[test]
    fn interrupted_maintenance_begins_again_with_a_check() {
        let mut machine = copying(LinkKind::Migrate).with_maintenance(true);
        machine.handle(Input::Copied);
        machine.handle(Input::Verified { equal: true });
        assert_eq!(machine.handle(Input::Pause), [Effect::Stop]);
        machine.handle(Input::Stopped);
        assert_eq!(machine.state(), &LinkState::Paused { phase: Phase::Maintaining });
        assert_eq!(machine.handle(Input::Resume), [Effect::Begin(Phase::Checking)]);
        assert_eq!(machine.handle(Input::Checked { copied: true }), [Effect::Begin(Phase::Verifying)]);
    }

    #[test]
    fn a_mirror_goes_live_and_stays() {
        let mut machine = copying(LinkKind::Mirror);
        assert_eq!(machine.handle(Input::Copied), [Effect::Begin(Phase::CatchingUp)]);
        assert_eq!(machine.handle(Input::CaughtUp), []);
        assert_eq!(machine.state(), &LinkState::Working { phase: Phase::Live });
    }

    #[test]
    fn a_pause_is_in_force_only_when_the_work_has_stopped() {
        let mut machine = copying(LinkKind::Migrate);
        assert_eq!(machine.handle(Input::Pause), [Effect::Stop]);
        assert_eq!(machine.state(), &LinkState::Working { phase: Phase::Copying });
        assert_eq!(machine.handle(Input::Stopped), []);
        assert_eq!(machine.state(), &LinkState::Paused { phase: Phase::Copying });
        assert_eq!(machine.handle(Input::Resume), [Effect::Begin(Phase::Checking)]);
    }

    #[test]
    fn a_passing_failure_is_retried_until_there_were_too_many_without_progress() {
        let mut machine = copying(LinkKind::Migrate);
        for attempt in 1..=MAX_ATTEMPTS {
            assert_eq!(machine.handle(failure(ErrorKind::Busy)), [Effect::Retry { attempt }]);
            assert_eq!(machine.handle(Input::RetryDue), [Effect::Begin(Phase::Checking)]);
        }
        machine.handle(Input::Progress);
        assert_eq!(machine.handle(failure(ErrorKind::Busy)), [Effect::Retry { attempt: 1 }]);
    }

    #[test]
    fn a_full_disk_halts_and_resumes_when_the_operator_says_so() {
        let mut machine = copying(LinkKind::Migrate);
        let effects = machine.handle(failure(ErrorKind::StorageFull));
        assert!(matches!(effects[..], [Effect::End(Outcome::Halted(_))]));
        assert!(matches!(machine.state(), LinkState::Halted { .. }));
        assert_eq!(machine.handle(Input::Resume), [Effect::Begin(Phase::Checking)]);
    }

    #[test]
    fn draining_ends_interrupted_after_the_work_has_stopped() {
        let mut machine = copying(LinkKind::Migrate);
        assert_eq!(machine.handle(Input::Drain), [Effect::Stop]);
        assert_eq!(machine.state(), &LinkState::Draining { phase: Phase::Copying });
        assert_eq!(machine.handle(Input::Stopped), [Effect::End(Outcome::Interrupted)]);
    }

    #[test]
    fn work_that_ends_while_draining_still_counts() {
        let mut machine = copying(LinkKind::Migrate);
        machine.handle(Input::Copied);
        machine.handle(Input::Drain);
        assert_eq!(machine.handle(Input::Verified { equal: true }), [Effect::End(Outcome::Verified)]);
    }

    #[test]
    fn under_any_inputs_there_is_one_work_in_hand_at_most_and_no_unearned_end() {
        for seed in 0..2_000u64 {
            let mut rng = StdRng::seed_from_u64(seed);
            let kind = if rng.random() { LinkKind::Migrate } else { LinkKind::Mirror };
            let mut machine = Machine::new(kind).with_maintenance(rng.random());
            let (mut in_hand, mut drained, mut verified) = (false, false, false);
            for step in 0..60 {
                let input = match rng.random_range(0..13) {
                    0 => Input::Start,
                    1 => Input::Checked { copied: rng.random() },
                    2 => Input::Copied,
                    3 => Input::Verified { equal: true },
                    4 => Input::CaughtUp,
                    5 => Input::Progress,
                    6 => failure(if rng.random() { ErrorKind::Busy } else { ErrorKind::StorageFull }),
                    7 => Input::Stopped,
                    8 => Input::RetryDue,
                    9 => Input::Pause,
                    10 => Input::Resume,
                    11 => Input::Maintained,
                    _ => Input::Drain,
                };
                verified |= matches!(input, Input::Verified { .. }) && machine.is_doing(Phase::Verifying);
                drained |= input == Input::Drain && machine.state() != &LinkState::Planned;
                let ends_work = machine.has_work_in_hand()
                    && matches!(
                        input,
                        Input::Checked { .. }
                            | Input::Copied
                            | Input::Verified { .. }
                            | Input::Maintained
                            | Input::Failed(_)
                            | Input::Stopped
                    );
                let effects = machine.handle(input.clone());
                if ends_work && !machine.has_work_in_hand() {
                    in_hand = false;
                }
                for effect in &effects {
                    if matches!(effect, Effect::Begin(_)) {
                        assert!(!in_hand || ends_work, "seed {seed} step {step}: two works after {input:?}");
                        assert!(
                            !drained || input == Input::Resume || input == Input::Start || !machine.state().is_final(),
                            "seed {seed} step {step}: work began in a final state"
                        );
                        in_hand = true;
                    }
                }
                assert_eq!(in_hand, machine.has_work_in_hand(), "seed {seed} step {step} after {input:?}");
                if matches!(machine.state(), LinkState::Done { .. }) {
                    assert!(verified, "seed {seed} step {step}: done without a comparison");
                }
            }
        }
    }
}
