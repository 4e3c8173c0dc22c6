//! The gate of §8.2: whether a copy may be made, what it may be called, and which model its target is recorded with.
//! Decided from what both ends say of themselves, before anything is written.

use super::{LinkKind, LinkSpec};
use crate::contract::{Capabilities, EmbedderIdentity, Error, ErrorKind, IdentityState, Metric, ModelKnownBy, token};
use std::collections::BTreeSet;

/// What one end's backend says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Declared<'a> {
    /// Its name.
    pub backend: &'a str,
    /// Its tokens.
    pub capabilities: &'a Capabilities,
    /// Metrics its collections can be made with.
    pub metrics: &'a [Metric],
}

/// What is known of one collection on both ends.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CollectionEnds {
    /// Its name in the source.
    pub name: String,
    /// The source's metric, where it declares one.
    pub metric: Option<Metric>,
    /// Model recorded in the source.
    pub source: Option<EmbedderIdentity>,
    /// Model of the target: recorded there, or in the palace that is replaced.
    pub target: Option<EmbedderIdentity>,
}

/// What the gate is asked.
#[derive(Clone, Copy, Debug)]
pub struct Proposal<'a> {
    /// What was asked for, with what the operator has allowed and said.
    pub spec: &'a LinkSpec,
    /// The source's backend.
    pub source: Declared<'a>,
    /// The target's backend.
    pub target: Declared<'a>,
    /// The collections that would be copied.
    pub collections: &'a [CollectionEnds],
    /// Collections the target holds that are not of this copy.
    pub in_the_way: &'a [String],
    /// Whether what is in the way is replaced. A copy beside it, which takes its place later, is never made over
    /// something else.
    pub replaces: bool,
}

/// Why a copy is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Kind of the failure.
    pub kind: ErrorKind,
    /// The collection, where it is about one.
    pub collection: Option<String>,
    /// What was found, without a full stop.
    pub found: String,
    /// What would let it pass.
    pub fix: String,
}

/// A model recorded in place of another one, by the operator's force (§1.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swap {
    /// The collection, by its name in the source.
    pub collection: String,
    /// What was recorded.
    pub from: EmbedderIdentity,
    /// What is recorded from now on.
    pub to: EmbedderIdentity,
}

/// What the gate has decided about one collection's model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The collection, by its name in the source.
    pub collection: String,
    /// What its target is recorded with; `None` stays unknown, or is the target's own affair where it embeds by itself.
    pub recorded: Option<EmbedderIdentity>,
    /// How that is known.
    pub known_by: ModelKnownBy,
    /// How source and target compare.
    pub state: IdentityState,
}

/// What the gate has decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Why it may not be made; empty if it may.
    pub refusals: Vec<Refusal>,
    /// Why it cannot be called a lossless migration of the palace; empty if it can, once it is verified.
    pub losses: Vec<String>,
    /// Whether the target embeds the documents anew.
    pub re_embeds: bool,
    /// One entry per collection.
    pub models: Vec<Model>,
    /// Models that are recorded in place of others.
    pub swaps: Vec<Swap>,
}

impl Judgement {
    /// That it may be made.
    ///
    /// # Errors
    /// The first refusal.
    pub fn check(&self) -> Result<(), Error> {
        let Some(refusal) = self.refusals.first() else { return Ok(()) };
        // What the kind itself advises of a target that exists is the same.
        let detail = match refusal.kind {
            ErrorKind::PalaceExists => refusal.found.clone(),
            _ => format!("{}; {}", refusal.found, refusal.fix),
        };
        let error = Error::new(refusal.kind, detail);
        Err(match &refusal.collection {
            Some(collection) => error.in_collection(collection),
            None => error,
        })
    }

    /// What was decided about a collection's model, by its name in the source.
    pub fn model(&self, collection: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.collection == collection)
    }

    /// Collections whose model nobody knows.
    pub fn unknown(&self) -> Vec<&str> {
        let unknown = self.models.iter().filter(|model| model.known_by == ModelKnownBy::Unknown);
        unknown.map(|model| model.collection.as_str()).collect()
    }
}

/// Decides. No I/O: the same proposal gives the same judgement.
pub fn judge(proposal: &Proposal<'_>) -> Judgement {
    let mut judgement = Judgement::default();
    in_the_way(proposal, &mut judgement);
    passthrough(proposal, &mut judgement);
    metrics(proposal, &mut judgement);
    for ends in proposal.collections {
        model(proposal, ends, &mut judgement);
    }
    losses(proposal, &mut judgement);
    judgement
}

fn in_the_way(proposal: &Proposal<'_>, judgement: &mut Judgement) {
    if !proposal.in_the_way.is_empty() && !proposal.replaces {
        judgement.refusals.push(Refusal {
            kind: ErrorKind::PalaceExists,
            collection: None,
            found: format!("the target exists and holds {}", proposal.in_the_way.join(", ")),
            fix: "choose another target, or replace it with --overwrite".to_owned(),
        });
    }
}

/// A target that throws given vectors away makes others of the documents: that must be wanted.
fn passthrough(proposal: &Proposal<'_>, judgement: &mut Judgement) {
    judgement.re_embeds = !proposal.target.capabilities.has(token::EMBEDDINGS_PASSTHROUGH);
    if judgement.re_embeds && !proposal.spec.overrides.accept_re_embed {
        judgement.refusals.push(Refusal {
            kind: ErrorKind::UnsupportedCapability,
            collection: None,
            found: format!(
                "backend {} does not advertise {}: it would embed every document anew",
                proposal.target.backend,
                token::EMBEDDINGS_PASSTHROUGH
            ),
            fix: "choose another target, or accept that with --accept-re-embed".to_owned(),
        });
    }
}

fn metrics(proposal: &Proposal<'_>, judgement: &mut Judgement) {
    for ends in proposal.collections {
        let Some(metric) = ends.metric.filter(|metric| !proposal.target.metrics.contains(metric)) else { continue };
        judgement.refusals.push(Refusal {
            kind: ErrorKind::UnsupportedCapability,
            collection: Some(ends.name.clone()),
            found: format!("it is searched by {metric}, which backend {} cannot", proposal.target.backend),
            fix: "choose a target whose backend has that metric".to_owned(),
        });
    }
}

/// The source's model is what the target is recorded with, unless the operator says otherwise, who needs force where
/// something else is known.
fn model(proposal: &Proposal<'_>, ends: &CollectionEnds, judgement: &mut Judgement) {
    let spec = proposal.spec;
    let (source, target) = (named(ends.source.as_ref()), named(ends.target.as_ref()));
    let decided = |recorded, known_by, state| Model { collection: ends.name.clone(), recorded, known_by, state };
    let known_by = if source.is_some() { ModelKnownBy::Recorded } else { ModelKnownBy::Unknown };
    if judgement.re_embeds {
        // The target's own model makes the vectors, and its backend records it.
        judgement.models.push(decided(None, known_by, IdentityState::Unknown));
        return;
    }
    let said = spec.model.as_ref().map(|name| EmbedderIdentity { model_name: name.clone(), dimension: 0 });
    let embedder = spec.embedder.as_ref().map(|name| EmbedderIdentity { model_name: name.clone(), dimension: 0 });
    // Without the operator's word, whoever opens the target does so with the configuration's embedder.
    let wanted = match (&said, &source, embedder) {
        (Some(said), ..) => Some((said.clone(), Speaker::Operator)),
        (None, Some(_), Some(embedder)) => Some((embedder, Speaker::Configuration)),
        _ => None,
    };
    let recorded = match (&source, &wanted) {
        (Some(source), Some((wanted, _))) if differs(source, wanted) => Some(wanted.clone()),
        (Some(source), _) => Some(source.clone()),
        (None, _) => said.clone(),
    };
    let mut state = EmbedderIdentity::compare(source.as_ref(), recorded.as_ref());
    let mut disagree = |from: &EmbedderIdentity, to: &EmbedderIdentity, found: String, otherwise: String| {
        state = IdentityState::KnownMismatch;
        if spec.overrides.force_model_swap {
            judgement.swaps.push(Swap { collection: ends.name.clone(), from: from.clone(), to: to.clone() });
        } else {
            let fix = match spec.kind {
                LinkKind::Migrate => {
                    format!("{otherwise}, or record {} all the same with --force-model-swap", to.model_name)
                }
                // What is mirrored is never recorded as something else.
                LinkKind::Mirror => otherwise,
            };
            judgement.refusals.push(Refusal {
                kind: ErrorKind::EmbedderIdentityMismatch,
                collection: Some(ends.name.clone()),
                found,
                fix,
            });
        }
    };
    if let (Some(source), Some((wanted, by))) = (&source, &wanted)
        && differs(source, wanted)
    {
        let (by, otherwise) = match by {
            Speaker::Operator => ("--model", "leave --model out".to_owned()),
            Speaker::Configuration => {
                let keep = format!("keep what is recorded with --model {}", source.model_name);
                ("the configuration's embedder", keep)
            }
        };
        disagree(source, wanted, format!("its vectors are of {source}, {by} says {wanted}"), otherwise);
    } else if let (Some(target), Some(recorded)) = (&target, &recorded)
        && differs(target, recorded)
    {
        let found = format!("the target is of {target}, the vectors that are copied are of {recorded}");
        disagree(target, recorded, found, "choose another target".to_owned());
    }
    let known_by = if source.is_none() && said.is_some() { ModelKnownBy::Operator } else { known_by };
    judgement.models.push(decided(recorded, known_by, state));
}

/// Who says which model it is to be.
enum Speaker {
    Operator,
    Configuration,
}

/// A nameless identity says nothing (§1.5).
fn named(identity: Option<&EmbedderIdentity>) -> Option<EmbedderIdentity> {
    identity.filter(|identity| !identity.model_name.is_empty()).cloned()
}

fn differs(one: &EmbedderIdentity, other: &EmbedderIdentity) -> bool {
    EmbedderIdentity::compare(Some(one), Some(other)) == IdentityState::KnownMismatch
}

/// The three conditions of §8.2; a part of a palace is no migration of it.
fn losses(proposal: &Proposal<'_>, judgement: &mut Judgement) {
    let mut losses = Vec::new();
    if !proposal.source.capabilities.has(token::MIGRATION_EXPORT) {
        losses.push(format!("backend {} does not advertise {}", proposal.source.backend, token::MIGRATION_EXPORT));
    }
    if judgement.re_embeds {
        losses.push(format!("backend {} embeds the documents anew", proposal.target.backend));
    }
    let refused = judgement.refusals.iter().filter(|refusal| refusal.kind == ErrorKind::EmbedderIdentityMismatch);
    let disagreeing: BTreeSet<_> = refused.filter_map(|refusal| refusal.collection.as_deref()).collect();
    if !disagreeing.is_empty() {
        let names: Vec<_> = disagreeing.into_iter().collect();
        losses.push(format!("source and target disagree on the model of {}", names.join(", ")));
    }
    if !proposal.spec.is_of_the_whole_palace() {
        losses.push("only a part of the palace was asked for".to_owned());
    }
    judgement.losses = losses;
}

#[cfg(test)]
mod tests;
