use super::Standing;
use crate::contract::{
    Collection, CollectionInfo, EmbedderIdentity, Error, ErrorKind, IdentityState, LogEntry, Palace, Result, token,
};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Collections whose unknown identity has been warned of; once each is enough (§1.5).
#[derive(Clone, Default)]
pub(super) struct Warned(Arc<Mutex<HashSet<String>>>);

impl Warned {
    fn once(&self, of: String) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(of)
    }
}

/// Checks the models of a collection that is being opened (§1.5): width before name, every pair of stored, effective
/// and injected. Returns the identity to be recorded at the next write, if none is stored.
pub(super) async fn check(
    standing: &Standing,
    palace: &dyn Palace,
    collection: &dyn Collection,
) -> Result<Option<EmbedderIdentity>> {
    let injected = standing.options.embedder.clone();
    let effective = collection.effective_embedder_identity().await?;
    if standing.advertises(token::SERVER_EMBEDDER) && effective.is_none() {
        let detail = "it advertises server_embedder and does not say which model it embeds with";
        return Err(standing.error(ErrorKind::UnsupportedCapability, detail));
    }
    if injected.is_none() && effective.is_none() {
        return Ok(None);
    }
    let info = collection.info().await?;
    let fail = |kind, detail: String| Err(standing.error(kind, detail).in_collection(&info.name));
    for (whose, identity) in [("the embedder", &injected), ("the store's own embedder", &effective)] {
        if let Some(identity) = identity
            && let Some(width) = width_of(&info).filter(|width| identity.dimension != 0 && identity.dimension != *width)
        {
            return fail(
                ErrorKind::DimensionMismatch,
                format!("its vectors have {width} components; {whose} is {identity}"),
            );
        }
    }
    if let (Some(effective), Some(injected)) = (&effective, &injected)
        && EmbedderIdentity::compare(Some(effective), Some(injected)) == IdentityState::KnownMismatch
    {
        let detail = format!("the store itself embeds with {effective}, and {injected} is asked for");
        return fail(ErrorKind::EmbedderIdentityMismatch, detail);
    }
    let Some(current) = effective.or(injected) else { return Ok(None) };
    let stored = info.identity.as_ref();
    // Widths have been compared already, by what the collection really holds.
    let by_name = |identity: &EmbedderIdentity| EmbedderIdentity { dimension: 0, ..identity.clone() };
    match EmbedderIdentity::compare(stored.map(by_name).as_ref(), Some(&by_name(&current))) {
        IdentityState::KnownMatch => Ok(None),
        IdentityState::KnownMismatch if standing.options.force_model_swap => {
            let current = with_width(&current, &info);
            if let Some(stored) = stored {
                // Logged first: a swap that is logged and not made is refused again, one made and not logged is hidden.
                palace.append_to_migration_log(&LogEntry::model_swap(&info.name, stored, &current)).await?;
            }
            palace.record_identity(&info.name, &current).await?;
            Ok(None)
        }
        IdentityState::KnownMismatch => {
            let stored = stored.map(ToString::to_string).unwrap_or_default();
            fail(ErrorKind::EmbedderIdentityMismatch, format!("its vectors are of {stored}, the embedder is {current}"))
        }
        IdentityState::Unknown => {
            if standing.warned.once(format!("{}\0{}", standing.palace, info.name)) {
                tracing::warn!(
                    palace = %standing.palace,
                    collection = info.name,
                    embedder = %current,
                    "EmbedderIdentityUnknown: no model is recorded for the collection, or the embedder has no name"
                );
            }
            Ok((!current.model_name.is_empty()).then(|| with_width(&current, &info)))
        }
    }
}

/// Says by hand which model a collection was made with (§1.5), and logs it. Returns what was recorded before.
///
/// # Errors
/// `DimensionMismatch` for a model of another width than the collection's vectors; `EmbedderIdentityMismatch` if another
/// model is recorded, unless `force`.
pub async fn set_embedder(
    palace: &dyn Palace,
    info: &CollectionInfo,
    identity: &EmbedderIdentity,
    force: bool,
) -> Result<Option<EmbedderIdentity>> {
    let fail = |kind, detail: String| Err(Error::new(kind, detail).in_collection(&info.name));
    if identity.model_name.is_empty() {
        return fail(ErrorKind::InvalidRequest, "a model needs a name".to_owned());
    }
    if let Some(width) = width_of(info).filter(|width| identity.dimension != 0 && identity.dimension != *width) {
        let detail = format!("its vectors have {width} components, not {}", identity.dimension);
        return fail(ErrorKind::DimensionMismatch, detail);
    }
    let identity = with_width(identity, info);
    let stored = info.identity.clone();
    if stored.as_ref() == Some(&identity) {
        return Ok(stored);
    }
    let entry = match &stored {
        Some(known) if EmbedderIdentity::compare(Some(known), Some(&identity)) == IdentityState::KnownMismatch => {
            if !force {
                let detail =
                    format!("{known} is recorded as the model of its vectors, not {identity}; --force replaces it");
                return fail(ErrorKind::EmbedderIdentityMismatch, detail);
            }
            LogEntry::model_swap(&info.name, known, &identity)
        }
        known => LogEntry::embedder_set(&info.name, known.as_ref(), &identity),
    };
    palace.append_to_migration_log(&entry).await?;
    palace.record_identity(&info.name, &identity).await?;
    Ok(stored)
}

/// How wide the collection's vectors are: as stored, else as recorded.
fn width_of(info: &CollectionInfo) -> Option<u32> {
    let recorded = info.identity.as_ref().map(|identity| identity.dimension);
    info.dimension.or(recorded).filter(|width| *width != 0)
}

fn with_width(identity: &EmbedderIdentity, info: &CollectionInfo) -> EmbedderIdentity {
    let dimension = if identity.dimension == 0 { width_of(info).unwrap_or(0) } else { identity.dimension };
    EmbedderIdentity { dimension, ..identity.clone() }
}
