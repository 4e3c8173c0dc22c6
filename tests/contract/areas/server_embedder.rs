//! A store that embeds by itself is checked too: stored, effective and injected identities, every pair (§1.5).
//!
//! The adapter under test is given a server's embedder by something in front of it, so that the rule is kept whatever
//! the store.

use crate::interpose::{Between, interpose};
use crate::rows::{batch, numbered};
use crate::world::{DRAWERS, WIDTH, World, assert_refused, model};
use async_trait::async_trait;
use palanquin_engine::contract::{
    Backend, Capabilities, Collection, CollectionSpec, Descriptor, EmbedderIdentity, ErrorKind, OpenMode, OpenOptions,
    Result, enforce, token,
};
use std::sync::Arc;

/// Embeds with this model, or does not say with which.
struct Embedding(Option<EmbedderIdentity>);

#[async_trait]
impl Between for Embedding {
    fn descriptor(&self, behind: &Descriptor) -> Descriptor {
        let known = token::KNOWN.into_iter().filter(|token| behind.capabilities.has(token));
        let capabilities = Capabilities::of(known.chain([token::SERVER_EMBEDDER]));
        Descriptor { capabilities, ..behind.clone() }
    }

    async fn effective_embedder_identity(&self, _behind: &dyn Collection) -> Result<Option<EmbedderIdentity>> {
        Ok(self.0.clone())
    }
}

fn embedding_with(world: &World, effective: Option<EmbedderIdentity>) -> Arc<dyn Backend> {
    enforce(interpose(world.store().backend(), Arc::new(Embedding(effective))))
}

/// Opens the drawers of a palace that has `stored` recorded, on a server that embeds with `effective`, for a caller who
/// would embed with `injected`; both ways there are.
async fn open(
    world: &World,
    stored: Option<EmbedderIdentity>,
    effective: Option<EmbedderIdentity>,
    injected: Option<EmbedderIdentity>,
) -> [Result<Arc<dyn Collection>>; 2] {
    let name = format!("{stored:?}");
    let spec = CollectionSpec { identity: stored, ..world.spec(DRAWERS, WIDTH) };
    let made = world.palace(&name).await.create_collection(&spec).await.expect("a collection");
    if made.count().await.unwrap() == 0 {
        made.upsert(batch(&numbered(0..3, WIDTH), WIDTH)).await.unwrap();
    }
    let options = OpenOptions { mode: OpenMode::Write, embedder: injected, force_model_swap: false, consumer: None };
    let backend = embedding_with(world, effective);
    let palace = backend.open(&world.reference(&name), options).await.expect("the palace itself opens");
    [palace.collection(DRAWERS).await, palace.create_collection(&world.spec(DRAWERS, WIDTH)).await]
}

pub(crate) async fn every_pair_of_models_that_disagrees_is_refused(world: &World) {
    let (one, other) = (Some(model("minilm", WIDTH)), Some(model("embeddinggemma", WIDTH)));
    let cases = [
        (one.clone(), one.clone(), None, true),
        (one.clone(), one.clone(), one.clone(), true),
        (one.clone(), Some(model("none", 0)), Some(model("all-minilm-l6-v2", 0)), true),
        (None, one.clone(), None, true),
        (None, one.clone(), one.clone(), true),
        (one.clone(), other.clone(), None, false),
        (one.clone(), other.clone(), other.clone(), false),
        (one.clone(), other.clone(), one.clone(), false),
        (one.clone(), one.clone(), other.clone(), false),
        (None, one.clone(), other, false),
    ];
    for (stored, effective, injected, agree) in cases {
        let shown = format!("stored {stored:?}, effective {effective:?}, injected {injected:?}");
        for way in open(world, stored.clone(), effective.clone(), injected.clone()).await {
            match agree {
                true => drop(way.unwrap_or_else(|error| panic!("{shown}: {error}"))),
                false => assert_refused(way.map(drop), ErrorKind::EmbedderIdentityMismatch, &shown),
            }
        }
    }
}

pub(crate) async fn every_pair_of_widths_that_disagrees_is_refused_before_the_names(world: &World) {
    let (right, wide) = (Some(model("minilm", WIDTH)), Some(model("embeddinggemma", WIDTH + 1)));
    let cases = [
        (right.clone(), wide.clone(), None),
        (None, wide.clone(), None),
        (None, wide.clone(), wide.clone()),
        (right.clone(), right.clone(), wide.clone()),
        (None, right, wide),
    ];
    for (stored, effective, injected) in cases {
        let shown = format!("stored {stored:?}, effective {effective:?}, injected {injected:?}");
        for way in open(world, stored.clone(), effective.clone(), injected.clone()).await {
            assert_refused(way.map(drop), ErrorKind::DimensionMismatch, &shown);
        }
    }
}

pub(crate) async fn its_own_model_is_recorded_on_the_first_write(world: &World) {
    let effective = Some(model("embeddinggemma", 0));
    let [by_name, made] = open(world, None, effective, None).await;
    let drawers = by_name.expect("unknown never fails");
    made.expect("unknown never fails");
    assert_eq!(drawers.info().await.unwrap().identity, None, "not before");
    drawers.upsert(batch(&numbered(3..4, WIDTH), WIDTH)).await.unwrap();
    assert_eq!(drawers.info().await.unwrap().identity, Some(model("embeddinggemma", WIDTH)));
    for way in open(world, None, Some(model("minilm", 0)), None).await {
        assert_refused(way.map(drop), ErrorKind::EmbedderIdentityMismatch, "the server embeds with another now");
    }
}

pub(crate) async fn a_server_that_does_not_say_its_model_is_refused(world: &World) {
    for injected in [None, Some(model("minilm", WIDTH))] {
        for way in open(world, None, None, injected).await {
            assert_refused(way.map(drop), ErrorKind::UnsupportedCapability, "server_embedder without an identity");
        }
    }
}

pub(crate) async fn the_token_and_the_identity_go_together(world: &World) {
    let effective = world.drawers().await.effective_embedder_identity().await.unwrap();
    match world.has(token::SERVER_EMBEDDER) {
        true => assert!(effective.is_some_and(|identity| !identity.model_name.is_empty()), "it says its model"),
        false => assert_eq!(effective, None, "a store that embeds by itself advertises server_embedder"),
    }
}
