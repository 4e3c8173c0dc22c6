//! Beginning anew: what an interrupted run copied is removed, its plan and positions are forgotten, and so is what the
//! source keeps for the link.

use palanquin_actors::PalaceSource;
use palanquin_engine::contract::{Error, ErrorKind, OpenMode, Result, token};
use palanquin_engine::journal::Journal;
use palanquin_engine::link::LinkSpec;

/// Forgets the link. Its target is removed if it holds nothing but what the link's own plan made.
///
/// # Errors
/// `PalaceExists`, with nothing forgotten, if the copy was finished or the target holds anything else.
pub(super) async fn forget(
    journal: &dyn Journal,
    spec: &LinkSpec,
    source: &PalaceSource,
    target: &PalaceSource,
) -> Result<()> {
    let claim = journal.claim(spec).await?;
    if let Some(plan) = &claim.plan {
        let refused = |detail: &str| Err(Error::new(ErrorKind::PalaceExists, detail).in_palace(&target.address));
        match target.backend.open(&target.palace, OpenMode::Read.into()).await {
            Ok(palace) => {
                if claim.ending.is_some() {
                    return refused("it holds the finished copy of this very link, which is no interrupted run");
                }
                let made: Vec<_> = plan.collections.iter().map(|planned| Some(&planned.spec.incarnation)).collect();
                let there = palace.collections().await?;
                if !there.iter().all(|collection| made.contains(&collection.incarnation.as_ref())) {
                    return refused("it holds more than the interrupted run made");
                }
                drop(palace);
                let is_local = target.backend.descriptor().capabilities.has(token::LOCAL_MODE);
                let Some(path) = target.palace.local_path.as_ref().filter(|_| is_local) else {
                    let detail = "--restart removes a directory; drop the tables of the unfinished copy by hand";
                    return Err(Error::new(ErrorKind::UnsupportedCapability, detail).in_palace(&target.address));
                };
                let failed = |error| Error::io("the unfinished copy cannot be removed", error);
                let failed = |error| failed(error).in_palace(&target.address);
                for entry in std::fs::read_dir(path).map_err(failed)? {
                    let entry = entry.map_err(failed)?;
                    if !target.backend.owns(&entry.path()) {
                        return refused(&format!(
                            "it holds {:?} too, which the interrupted run did not make",
                            entry.file_name()
                        ));
                    }
                }
                std::fs::remove_dir_all(path).map_err(failed)?;
            }
            Err(error) if error.kind() == ErrorKind::PalaceNotFound => {}
            Err(error) => return Err(error),
        }
    }
    source.backend.release(&source.palace, &claim.link.0).await?;
    journal.forget(&claim.link, claim.epoch).await?;
    Ok(())
}
