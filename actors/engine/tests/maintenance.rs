use super::*;
use async_trait::async_trait;
use palanquin_contract::interpose::{Between, interpose};
use palanquin_engine::contract::{
    Descriptor, Error, MaintenanceKind, MaintenanceResult, MaintenanceState, Palace, Progress, Result,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Mutex;

const KINDS: [MaintenanceKind; 3] = [
    MaintenanceKind { name: "analyze", effect: "" },
    MaintenanceKind { name: "compact", effect: "" },
    MaintenanceKind { name: "reindex", effect: "" },
];

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    Well,
    Failing,
    Panicking,
    Never,
}

/// A target that advertises kinds, and remembers which it was asked to run.
struct Maintained {
    reindex: Ends,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Between for Maintained {
    fn descriptor(&self, behind: &Descriptor) -> Descriptor {
        Descriptor { maintenance_kinds: &KINDS, ..behind.clone() }
    }

    async fn maintenance_state(&self, _: &dyn Palace) -> Result<MaintenanceState> {
        Ok(BTreeMap::from([("runs".to_owned(), json!(self.asked.lock().unwrap().len()))]))
    }

    async fn run_maintenance(&self, _: &dyn Palace, kind: &str, progress: &Progress) -> Result<MaintenanceResult> {
        self.asked.lock().unwrap().push(kind.to_owned());
        progress.tell("building", 0, Some(2));
        match (kind, self.reindex) {
            ("reindex", Ends::Failing) => Err(Error::new(ErrorKind::StorageFull, "no room for an index")),
            ("reindex", Ends::Panicking) => panic!("an injected panic in maintenance"),
            ("reindex", Ends::Never) => std::future::pending().await,
            _ => Ok(MaintenanceResult::ran(kind, BTreeMap::new())),
        }
    }
}

fn maintained(world: &World, reindex: Ends) -> (Arc<Maintained>, Running) {
    let between = Arc::new(Maintained { reindex, asked: Mutex::default() });
    let target = interpose(Arc::clone(&world.target) as Arc<dyn Backend>, Arc::clone(&between) as Arc<dyn Between>);
    let running = world.engine_of(World::spec(LinkKind::Migrate), target, None);
    (between, running)
}

#[test]
fn a_verified_target_gets_its_indexes_and_then_its_statistics_and_no_other_kind() {
    let world = World::new();
    let (between, mut running) = maintained(&world, Ends::Well);
    let end = running.end();
    assert_eq!(end.outcome, Outcome::Verified);
    assert_eq!(*between.asked.lock().unwrap(), ["reindex", "analyze"]);
    let kinds: Vec<_> = end.account.maintenance.iter().map(|result| result.kind.as_str()).collect();
    assert_eq!(kinds, ["reindex", "analyze"]);
    assert_eq!(
        (&end.account.maintenance_before["runs"], &end.account.maintenance_after["runs"]),
        (&json!(0), &json!(2))
    );
    let events = running.wait_until(|_| true).events.clone();
    let states: Vec<_> =
        events.iter().filter(|entry| entry.event.who.starts_with("link")).map(|entry| entry.event.to.clone()).collect();
    assert_eq!(states, ["checking", "copying", "verifying", "maintaining", "done"]);
    running.engine.shut_down();
}

#[test]
fn maintenance_that_fails_or_panics_leaves_the_copy_verified_and_is_told() {
    for (ends, says) in [(Ends::Failing, "no room for an index"), (Ends::Panicking, "an injected panic in maintenance")]
    {
        let world = World::new();
        let (between, mut running) = maintained(&world, ends);
        let end = running.end();
        assert_eq!(end.outcome, Outcome::Verified, "{ends:?}: {}", running.reasons());
        let told = end.findings.iter().find(|finding| finding.name == "maintenance-failed").expect("it is told");
        assert!(told.summary.contains(says), "{}", told.summary);
        // A failure keeps the next kind from nothing; a panic ends the work.
        let asked = between.asked.lock().unwrap().clone();
        assert_eq!(asked.len(), if ends == Ends::Failing { 2 } else { 1 }, "{asked:?}");
        running.engine.shut_down();
        let claim = world.runtime.block_on(world.journal.claim(&World::spec(LinkKind::Migrate))).unwrap();
        assert!(claim.ending.unwrap().verified);
    }
}

#[test]
fn interrupted_maintenance_is_begun_again_by_the_next_engine_and_shows_how_far_it_is() {
    let world = World::new();
    let (_, mut running) = maintained(&world, Ends::Never);
    let maintaining = LinkState::Working { phase: Phase::Maintaining };
    let snapshot = running.wait_until(|snapshot| {
        let link = snapshot.links.first();
        link.is_some_and(|link| {
            link.state == maintaining && link.maintenance.as_ref().is_some_and(|view| view.step.is_some())
        })
    });
    assert_eq!(snapshot.links[0].maintenance.as_ref().unwrap().kind, "reindex");
    running.engine.drain();
    assert_eq!(running.end().outcome, Outcome::Interrupted);
    running.engine.shut_down();

    let (between, mut running) = maintained(&world, Ends::Well);
    assert_eq!(running.end().outcome, Outcome::Verified);
    assert_eq!(*between.asked.lock().unwrap(), ["reindex", "analyze"]);
    running.engine.shut_down();
    let log = world.runtime.block_on(async {
        let palace = world.target.open(&reference("target"), OpenMode::Read.into()).await.unwrap();
        palace.migration_log().await.unwrap()
    });
    assert_eq!(log.len(), 1, "{log:?}");
}
