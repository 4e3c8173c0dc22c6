use super::{EventEntry, LinkView, PalaceView, Snapshot};
use palanquin_engine::link::{Event, LinkId};
use std::sync::Arc;
use tokio::sync::watch;

/// Events kept in a snapshot.
const EVENTS_KEPT: usize = 500;

/// Publishes the [`Snapshot`]. Clones publish to the same watchers.
#[derive(Clone, Debug)]
pub struct Board {
    sender: Arc<watch::Sender<Arc<Snapshot>>>,
}

impl Board {
    /// An empty board and its first watcher.
    pub fn new() -> (Self, watch::Receiver<Arc<Snapshot>>) {
        let (sender, receiver) = watch::channel(Arc::new(Snapshot::default()));
        (Self { sender: Arc::new(sender) }, receiver)
    }

    /// Another watcher.
    pub fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.sender.subscribe()
    }

    /// Replaces the view of a palace, or adds it.
    pub fn show_palace(&self, view: PalaceView) {
        self.update(|snapshot| {
            let view = Arc::new(view);
            match snapshot.palaces.iter_mut().find(|palace| palace.address == view.address) {
                Some(palace) => *palace = view,
                None => snapshot.palaces.push(view),
            }
        });
    }

    /// Changes the view of a palace, if it is there.
    pub fn change_palace(&self, address: &str, change: impl FnOnce(&mut PalaceView)) {
        self.update(|snapshot| {
            if let Some(palace) = snapshot.palaces.iter_mut().find(|palace| palace.address == address) {
                change(Arc::make_mut(palace));
            }
        });
    }

    /// Replaces the view of a link, or adds it.
    pub fn show_link(&self, view: LinkView) {
        self.update(|snapshot| {
            let view = Arc::new(view);
            match snapshot.links.iter_mut().find(|link| link.id == view.id) {
                Some(link) => *link = view,
                None => snapshot.links.push(view),
            }
        });
    }

    /// Changes the view of a link, if it is there.
    pub fn change_link(&self, id: &LinkId, change: impl FnOnce(&mut LinkView)) {
        self.update(|snapshot| {
            if let Some(link) = snapshot.links.iter_mut().find(|link| &link.id == id) {
                change(Arc::make_mut(link));
            }
        });
    }

    /// Adds an event, to the snapshot and to the log.
    pub fn record(&self, event: Event) {
        let Event { who, from, to, reason, attempt, .. } = &event;
        if *attempt > 0 {
            tracing::warn!(who, from, to, reason, attempt, "transition");
        } else {
            tracing::info!(who, from, to, reason, "transition");
        }
        self.update(|snapshot| {
            let number = snapshot.events.back().map_or(1, |entry| entry.number + 1);
            snapshot.events.push_back(Arc::new(EventEntry { number, event }));
            if snapshot.events.len() > EVENTS_KEPT {
                snapshot.events.pop_front();
            }
        });
    }

    fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        self.sender.send_modify(|snapshot| {
            let snapshot = Arc::make_mut(snapshot);
            change(snapshot);
            snapshot.at_ms = jiff::Timestamp::now().as_millisecond();
        });
    }
}
