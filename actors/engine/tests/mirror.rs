use super::*;
use palanquin_engine::contract::Cursor;

#[test]
fn a_mirror_follows_updates_inserts_and_deletes_and_pauses_on_demand() {
    let world = World::new();
    let mut running = world.engine(LinkKind::Mirror);
    let live = LinkState::Working { phase: Phase::Live };
    running.wait_until(|snapshot| snapshot.links.first().is_some_and(|link| link.state == live));
    running.act(ActKind::Pause);
    running.wait_until(|snapshot| snapshot.links[0].state == LinkState::Paused { phase: Phase::Live });
    world.change(|collection| async move {
        let deletes = (0..50).map(|i| format!("row-{i:05}")).collect();
        let batch = ChangeBatch { upserts: Some(rows(450..550, "second")), deletes, ..ChangeBatch::default() };
        collection.apply(batch, WriteMode::Upsert).await.unwrap();
    });
    running.act(ActKind::Resume);
    running.wait_until(|snapshot| snapshot.links[0].changes_applied == 150 && snapshot.links[0].state == live);
    running.engine.drain();
    assert_eq!(running.end().outcome, Outcome::Interrupted);
    running.engine.shut_down();
    let copied = world.copied();
    assert_eq!(copied.len(), 500);
    assert_eq!(copied.iter().filter(|(_, document)| document == "second").count(), 100);
    assert_eq!(copied[0].0, "row-00050");
}

#[test]
fn a_mirror_whose_place_in_the_feed_is_lost_compares_everything_and_goes_on() {
    let world = World::new();
    let mut running = world.engine(LinkKind::Mirror);
    let live = LinkState::Working { phase: Phase::Live };
    running.wait_until(|snapshot| snapshot.links.first().is_some_and(|link| link.state == live));
    running.engine.drain();
    assert_eq!(running.end().outcome, Outcome::Interrupted);
    running.engine.shut_down();
    let claim = world.runtime.block_on(world.journal.claim(&World::spec(LinkKind::Mirror))).unwrap();
    let lost = [(0, Cursor("nowhere".into()))];
    world.runtime.block_on(world.journal.advance(&claim.link, claim.epoch, &[], &lost)).unwrap();
    world.change(|collection| async move {
        let deletes = (0..50).chain(490..500).map(|i| format!("row-{i:05}")).collect();
        let batch = ChangeBatch { upserts: Some(rows(450..480, "second")), deletes, ..ChangeBatch::default() };
        collection.apply(batch, WriteMode::Upsert).await.unwrap();
    });
    let mut running = world.engine(LinkKind::Mirror);
    running.wait_until(|snapshot| {
        snapshot.links.first().is_some_and(|link| link.state == live && link.changes_applied > 0)
    });
    running.engine.drain();
    assert_eq!(running.end().outcome, Outcome::Interrupted);
    let told = running.wait_until(|_| true);
    assert!(
        told.events.iter().any(|entry| entry.event.to == "comparing all of mempalace_drawers"),
        "{:?}",
        told.events
    );
    running.engine.shut_down();
    let copied = world.copied();
    assert_eq!(copied.len(), 440);
    assert_eq!(copied.iter().filter(|(_, document)| document == "second").count(), 30);
}
