use super::{
    Capabilities, CaptureLevel, Check, CollectionSpec, Conversion, EmbedderIdentity, Error, ErrorKind, Fidelity,
    MaintenanceKind, Metric, Palace, PalaceRef, Purpose, Result, Slot, SpecVersion,
};
use crate::rows::Row;
use async_trait::async_trait;
use std::path::Path;
use std::sync::Arc;

/// What a backend says of itself (§2). It belongs to the backend, never to one palace.
#[derive(Clone, Debug)]
pub struct Descriptor {
    /// Name in addresses and configuration.
    pub name: &'static str,
    /// Contract version it was written against.
    pub spec_version: SpecVersion,
    /// Advertised tokens.
    pub capabilities: Capabilities,
    /// Advertised maintenance kinds (§7.3), in the order they are worth running in.
    pub maintenance_kinds: &'static [MaintenanceKind],
    /// Metrics its collections can be made with; the first is what it takes unless told otherwise.
    pub metrics: &'static [Metric],
    /// How its palaces can be followed; `None` if only by comparison.
    pub capture: Option<CaptureLevel>,
    /// How faithfully vectors come back.
    pub fidelity: Fidelity,
    /// What it forces on rows it could not hold otherwise; core makes these before it writes.
    pub conversions: &'static [Conversion],
    /// Whether a collection is made with the settings of the one it is a copy of.
    pub keeps_settings: bool,
    /// How one of its palaces takes another's place.
    pub replaces: Replaces,
    /// Scans of one collection that run faster at the same time than one after the other.
    pub readers: usize,
    /// Batches that one collection takes faster at the same time than one after the other; 1 where writers of one
    /// collection wait for each other.
    pub writers: usize,
}

/// How a palace takes the place of another of the same store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaces {
    /// Its directory takes the other's; what is in no directory cannot be replaced.
    Directory,
    /// By [`Backend::replace`], in one step.
    AtOnce,
    /// By [`Backend::replace`], in several: for moments, whoever looks may see a part of the one and a part of the other.
    InSteps,
}

impl Descriptor {
    /// The advertised maintenance kind of that name.
    ///
    /// # Errors
    /// `UnsupportedMaintenanceKind`, which names those that are advertised (§7.3).
    pub fn maintenance_kind(&self, name: &str) -> Result<&'static MaintenanceKind> {
        self.maintenance_kinds.iter().find(|kind| kind.name == name).ok_or_else(|| {
            let known: Vec<_> = self.maintenance_kinds.iter().map(|kind| kind.name).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let detail = format!("backend {} has no maintenance kind {name:?}; it has: {known}", self.name);
            Error::new(ErrorKind::UnsupportedMaintenanceKind, detail)
        })
    }

    /// That the backend was written for this major version of the contract (§9).
    ///
    /// # Errors
    /// `BackendVersionMismatch`.
    pub fn check_spec_version(&self) -> Result<()> {
        if self.spec_version.is_supported() {
            return Ok(());
        }
        let detail = format!(
            "backend {} speaks version {} of the storage contract, this program {}",
            self.name,
            self.spec_version,
            SpecVersion::CURRENT
        );
        Err(Error::new(ErrorKind::BackendVersionMismatch, detail))
    }
}

/// A kind of store. Construction does no I/O (§2.6).
///
/// Core uses a backend only through [`enforce`](super::enforce()), which keeps the rules that are the same for every
/// store; what is asked of an adapter here is only what its store alone can do.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// What it says of itself.
    fn descriptor(&self) -> &Descriptor;

    /// Whether `path` holds this backend's artefacts (§3.3). Reads a few bytes at most; any failure is "no".
    fn detect(&self, path: &Path) -> bool;

    /// Whether an entry of a palace's directory is this store's: what goes when another palace takes the palace's place.
    /// Whatever is not (MemPalace keeps a knowledge graph there, its users what they like) stays. Asked of those alone whose
    /// palaces are directories; any failure is "no".
    fn owns(&self, entry: &Path) -> bool {
        let _ = entry;
        false
    }

    /// Opens a palace. Opening palaces concurrently is safe, different ones and the same (§2.5). With
    /// [`OpenMode::Read`] nothing on disk or on the server changes, locks and logs included.
    ///
    /// # Errors
    /// `PalaceNotFound` where nothing is, unless the mode creates; `NotAPalace` where something else is.
    async fn open(&self, palace: &PalaceRef, options: OpenOptions) -> Result<Arc<dyn Palace>>;

    /// What only this store can tell of whether a palace is fit for a purpose: versions, permissions, free disk, locks held
    /// and by whom. Writes nothing, anywhere. What core can tell by itself (models, metrics, widths) is not repeated here.
    async fn preflight(&self, palace: &PalaceRef, purpose: Purpose) -> Vec<Check> {
        let _ = (palace, purpose);
        Vec::new()
    }

    /// What only this store can tell of a collection that is to be made in it: that it is too wide for its index, say. No
    /// I/O. Of what it could not hold at all it says so here too.
    fn remarks(&self, spec: &CollectionSpec) -> Vec<Check> {
        let _ = spec;
        Vec::new()
    }

    /// Why a collection of that metric could not hold a row, as far as the row tells; core's conversions are made before.
    /// No I/O. What a plan looks at: [`apply`](super::Collection::apply) has the last word.
    fn refusal(&self, metric: Metric, row: Row<'_>) -> Option<String> {
        let _ = (metric, row);
        None
    }

    /// Puts one palace in another's place: what was in `target` is gone and `target` holds what `staging` held, which is
    /// no palace any more. Durable when it returns. Handles on either are to be closed before, and opened anew after. The
    /// rows are not looked at: that what is in `staging` is what should be there was verified before.
    ///
    /// With [`Replaces::AtOnce`] a crash leaves the one or the other. With [`Replaces::InSteps`] what was in `target` is
    /// kept aside until all of `staging` is in its place, and [`finish_replacing`](Self::finish_replacing) goes on after a
    /// crash in between.
    ///
    /// Asked again after its answer was lost, it finds no `staging`; whether it was done is told by `target`.
    ///
    /// # Errors
    /// `PalaceNotFound` where nothing is at `staging`; `InvalidRequest` for two palaces that cannot be exchanged;
    /// `Busy` while others hold either; `UnsupportedCapability` from a store whose palaces are directories, which are
    /// exchanged as such.
    async fn replace(&self, target: &PalaceRef, staging: &PalaceRef) -> Result<()> {
        let _ = staging;
        let detail = format!("backend {} does not put one palace in another's place", self.descriptor().name);
        Err(Error::new(ErrorKind::UnsupportedCapability, detail).in_palace(target))
    }

    /// Goes on with a [`replace`](Self::replace) that was cut off between two of its steps; whether there was one.
    async fn finish_replacing(&self, target: &PalaceRef, staging: &PalaceRef) -> Result<bool> {
        let _ = (target, staging);
        Ok(false)
    }

    /// What the palace's store keeps of its log for those who follow it, and what that costs; none from a store that
    /// keeps nothing for anybody.
    async fn slots(&self, palace: &PalaceRef) -> Result<Vec<Slot>> {
        let _ = palace;
        Ok(Vec::new())
    }

    /// Drops a slot by name. Whoever followed by it has to compare everything anew.
    ///
    /// # Errors
    /// `InUse` while somebody follows by it; `InvalidRequest` for one that is not there or not this program's.
    async fn drop_slot(&self, palace: &PalaceRef, name: &str) -> Result<()> {
        let _ = palace;
        let detail = format!("backend {} keeps no slots, hence none named {name:?}", self.descriptor().name);
        Err(Error::new(ErrorKind::InvalidRequest, detail))
    }

    /// Drops everything the store keeps for a consumer ([`OpenOptions::consumer`]) that will not come again, and tells
    /// what that was; nothing if nothing is kept.
    async fn release(&self, palace: &PalaceRef, consumer: &str) -> Result<Vec<String>> {
        let _ = (palace, consumer);
        Ok(Vec::new())
    }

    /// Lets go of whatever is kept open for a palace; safe for one that was never opened (§2.6). Handles on it answer
    /// `BackendClosed` from then on, which [`enforce`](super::enforce()) sees to: an adapter only frees resources here.
    async fn close_palace(&self, palace: &PalaceRef) -> Result<()> {
        let _ = palace;
        Ok(())
    }
}

/// What a palace is opened for (§2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// To be read; nothing in it is ever written.
    Read,
    /// To be read and written; it must be there.
    Write,
    /// To be read and written; made, with mode 0700, if it is not there.
    Create,
}

impl OpenMode {
    /// Whether anything may be written.
    pub fn is_writable(self) -> bool {
        self != Self::Read
    }
}

/// How a palace is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// For what.
    pub mode: OpenMode,
    /// The model whose vectors will be written and searched with, if one is in play. Each collection that is opened is
    /// then checked against it (§1.5). Without one, as in a copy between stores, nothing is embedded and nothing is
    /// compared.
    pub embedder: Option<EmbedderIdentity>,
    /// Opens collections of another model too, records the given one and writes that to the palace's migration log
    /// (§1.5). Needs a writable mode.
    pub force_model_swap: bool,
    /// Who follows the palace's feed, by a name of its own for as long as it does: its link. A store that keeps its log
    /// for those who follow keeps it under that name; others take no notice.
    pub consumer: Option<String>,
}

impl From<OpenMode> for OpenOptions {
    fn from(mode: OpenMode) -> Self {
        Self { mode, embedder: None, force_model_swap: false, consumer: None }
    }
}
