use super::*;
use async_trait::async_trait;
use palanquin_contract::interpose::{Between, interpose};
use palanquin_engine::contract::{Capabilities, Descriptor, EmbedderIdentity, ModelKnownBy, Severity, token};
use palanquin_engine::link::Overrides;
use std::collections::BTreeMap;

/// A backend that does not advertise a token.
struct Without(&'static str);

#[async_trait]
impl Between for Without {
    fn descriptor(&self, behind: &Descriptor) -> Descriptor {
        let kept = token::KNOWN.into_iter().filter(|token| behind.capabilities.has(token) && *token != self.0);
        Descriptor { capabilities: Capabilities::of(kept), ..behind.clone() }
    }
}

fn identity(model: &str) -> EmbedderIdentity {
    EmbedderIdentity { model_name: model.into(), dimension: 4 }
}

impl World {
    /// The source's vectors are of this model.
    fn of_model(model: &str) -> Self {
        let world = Self::new();
        world.runtime.block_on(async {
            let palace = world.source.open(&reference("source"), OpenMode::Write.into()).await.unwrap();
            palace.record_identity(COLLECTION, &identity(model)).await.unwrap();
        });
        world
    }

    fn without(&self, token: &'static str) -> Arc<dyn Backend> {
        interpose(Arc::clone(&self.target) as Arc<dyn Backend>, Arc::new(Without(token)))
    }

    /// The target's log, and the model it is recorded with; `None` if nothing was made.
    fn target(&self) -> Option<(Vec<LogEntry>, Option<EmbedderIdentity>)> {
        self.runtime.block_on(async {
            let palace = self.target.open(&reference("target"), OpenMode::Read.into()).await.ok()?;
            let model = palace.collections().await.unwrap().into_iter().find_map(|info| info.identity);
            Some((palace.migration_log().await.unwrap(), model))
        })
    }

    /// Runs a link to its end.
    fn run(&self, spec: LinkSpec, target: Arc<dyn Backend>, replaces: Option<Replaced>) -> LinkEnd {
        let mut running = self.engine_of(spec, target, replaces);
        let end = running.end();
        running.engine.shut_down();
        end
    }

    fn plain_target(&self) -> Arc<dyn Backend> {
        Arc::clone(&self.target) as Arc<dyn Backend>
    }
}

fn spec(change: impl FnOnce(&mut LinkSpec)) -> LinkSpec {
    let mut spec = World::spec(LinkKind::Migrate);
    change(&mut spec);
    spec
}

#[track_caller]
fn assert_refused(world: &World, end: &LinkEnd, kind: ErrorKind, says: &str) {
    let Outcome::Halted(failure) = &end.outcome else { panic!("{end:?}") };
    assert_eq!(failure.kind, kind, "{failure:?}");
    assert!(failure.reason.contains(says), "{}", failure.reason);
    assert!(world.target().is_none(), "something was made");
}

#[test]
fn a_target_that_embeds_anew_is_refused_and_accepted_by_name_and_the_record_says_so() {
    let world = World::of_model("minilm");
    let end = world.run(spec(|_| {}), world.without(token::EMBEDDINGS_PASSTHROUGH), None);
    assert_refused(&world, &end, ErrorKind::UnsupportedCapability, "--accept-re-embed");
    let accepted = |spec: &mut LinkSpec| spec.overrides.accept_re_embed = true;
    world.run(spec(accepted), world.without(token::EMBEDDINGS_PASSTHROUGH), None);
    let record = world.target().unwrap().0[0].as_migration().unwrap();
    assert_eq!((record.lossless, record.re_embedded), (false, true));
    assert_eq!(record.flags, ["--accept-re-embed"]);
}

#[test]
fn a_source_that_does_not_export_is_copied_and_not_called_lossless() {
    let world = World::of_model("minilm");
    // Both ends are of one kind here; what the source lacks is what counts.
    let source = interpose(Arc::clone(&world.source) as Arc<dyn Backend>, Arc::new(Without(token::MIGRATION_EXPORT)));
    let mut running = world.engine_between(spec(|_| {}), source, world.plain_target(), None);
    assert_eq!(running.end().outcome, Outcome::Verified);
    running.engine.shut_down();
    let record = world.target().unwrap().0[0].as_migration().unwrap();
    assert_eq!((record.lossless, record.verified), (false, true));
}

#[test]
fn another_model_is_refused_and_forced_by_name_logged_and_recorded_once() {
    for by_word in [true, false] {
        let world = World::of_model("minilm");
        let wanted = |spec: &mut LinkSpec| {
            *(if by_word { &mut spec.model } else { &mut spec.embedder }) = Some("embeddinggemma".into());
        };
        let end = world.run(spec(wanted), world.plain_target(), None);
        assert_refused(&world, &end, ErrorKind::EmbedderIdentityMismatch, "--force-model-swap");
        let forced = |spec: &mut LinkSpec| {
            wanted(spec);
            spec.overrides = Overrides { force_model_swap: true, ..Overrides::default() };
        };
        // Interrupted once, so that what was settled is met again.
        world.target_faults.inject(Point::BeforeApply, 3, Fault::Fail(ErrorKind::Unavailable));
        assert_eq!(world.run(spec(forced), world.plain_target(), None).outcome, Outcome::Verified);
        let (log, model) = world.target().unwrap();
        assert_eq!(model, Some(identity("embeddinggemma")));
        let kinds: Vec<_> = log.iter().map(|entry| entry.kind.as_str()).collect();
        assert_eq!(kinds, ["model_swap", "migration"]);
        assert_eq!(log[0].details["from"]["model_name"], "minilm");
        let record = log[1].as_migration().unwrap();
        assert_eq!((record.lossless, record.flags), (true, vec!["--force-model-swap".to_owned()]));
        assert_eq!(record.collections[0].target_model, Some(identity("embeddinggemma")));
    }
}

#[test]
fn an_unknown_model_is_warned_of_once_and_recorded_as_unknown_or_by_the_operators_word() {
    let world = World::new();
    world.target_faults.inject(Point::BeforeApply, 3, Fault::Fail(ErrorKind::Unavailable));
    let end = world.run(spec(|_| {}), world.plain_target(), None);
    assert_eq!(end.outcome, Outcome::Verified);
    let [warning] = end.findings.as_slice() else { panic!("{:?}", end.findings) };
    assert_eq!((warning.name.as_str(), warning.severity), ("model-unknown", Severity::Warning));
    let (log, model) = world.target().unwrap();
    assert_eq!(model, None);
    assert_eq!(log[0].as_migration().unwrap().collections[0].model_known_by, Some(ModelKnownBy::Unknown));

    let world = World::new();
    let end = world.run(spec(|spec| spec.model = Some("minilm".into())), world.plain_target(), None);
    assert!(end.findings.is_empty(), "{:?}", end.findings);
    let (log, model) = world.target().unwrap();
    assert_eq!(model, Some(identity("minilm")));
    let collections = log[0].as_migration().unwrap().collections;
    assert_eq!(collections[0].model_known_by, Some(ModelKnownBy::Operator));
    assert_eq!(collections[0].target_model, Some(identity("minilm")));
}

#[test]
fn what_a_copy_replaces_is_asked_for_its_model_and_its_log_goes_on() {
    let world = World::of_model("minilm");
    let before = LogEntry::embedder_set(COLLECTION, None, &identity("embeddinggemma"));
    let replaced = || Replaced {
        models: BTreeMap::from([(COLLECTION.to_owned(), identity("embeddinggemma"))]),
        log: vec![before.clone()],
    };
    let end = world.run(spec(|_| {}), world.plain_target(), Some(replaced()));
    assert_refused(&world, &end, ErrorKind::EmbedderIdentityMismatch, "the target is of embeddinggemma");
    let forced = |spec: &mut LinkSpec| spec.overrides.force_model_swap = true;
    assert_eq!(world.run(spec(forced), world.plain_target(), Some(replaced())).outcome, Outcome::Verified);
    let (log, model) = world.target().unwrap();
    assert_eq!(model, Some(identity("minilm")));
    assert_eq!(log[0], before);
    let kinds: Vec<_> = log.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, ["embedder_set", "model_swap", "migration"]);
}

#[test]
fn a_part_of_a_palace_is_never_recorded_as_lossless() {
    let world = World::of_model("minilm");
    let part = |spec: &mut LinkSpec| spec.collections = vec![COLLECTION.into()];
    assert_eq!(world.run(spec(part), world.plain_target(), None).outcome, Outcome::Verified);
    let record = world.target().unwrap().0[0].as_migration().unwrap();
    assert_eq!((record.lossless, record.verified), (false, true));
}
