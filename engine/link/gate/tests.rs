use super::*;
use crate::link::{LinkKind, LinkSpec, Overrides};
use serde_json::json;

const FULL: [&str; 2] = [token::MIGRATION_EXPORT, token::EMBEDDINGS_PASSTHROUGH];

/// What stands in a row of a table; the rest is as in a copy nothing is in the way of.
struct Case {
    source_tokens: Vec<&'static str>,
    target_tokens: Vec<&'static str>,
    overrides: Overrides,
    said: Option<&'static str>,
    embedder: Option<&'static str>,
    source: Option<&'static str>,
    target: Option<&'static str>,
    metric: Option<Metric>,
    in_the_way: Vec<String>,
    replaces: bool,
    whole: bool,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            source_tokens: FULL.to_vec(),
            target_tokens: FULL.to_vec(),
            overrides: Overrides::default(),
            said: None,
            embedder: None,
            source: Some("minilm"),
            target: None,
            metric: Some(Metric::Cosine),
            in_the_way: Vec::new(),
            replaces: false,
            whole: true,
        }
    }
}

fn identity(model: &str) -> EmbedderIdentity {
    EmbedderIdentity { model_name: model.into(), dimension: 384 }
}

fn forced() -> Overrides {
    Overrides { force_model_swap: true, ..Overrides::default() }
}

impl Case {
    fn judge(&self) -> Judgement {
        let spec = LinkSpec {
            overrides: self.overrides,
            model: self.said.map(str::to_owned),
            embedder: self.embedder.map(str::to_owned),
            filter: (!self.whole).then(|| json!({"wing": "a"})),
            ..LinkSpec::new(LinkKind::Migrate, "s", "t")
        };
        let source = Capabilities::of(self.source_tokens.iter().copied());
        let target = Capabilities::of(self.target_tokens.iter().copied());
        let ends = CollectionEnds {
            name: "drawers".into(),
            metric: self.metric,
            source: self.source.map(identity),
            target: self.target.map(identity),
        };
        judge(&Proposal {
            spec: &spec,
            source: Declared { backend: "from", capabilities: &source, metrics: &[Metric::Cosine] },
            target: Declared { backend: "to", capabilities: &target, metrics: &[Metric::Cosine, Metric::L2] },
            collections: &[ends],
            in_the_way: &self.in_the_way,
            replaces: self.replaces,
        })
    }

    /// Kinds of the refusals, whether it may be called lossless, and the model its target is recorded with.
    fn decided(&self) -> (Vec<ErrorKind>, bool, Option<String>) {
        let judgement = self.judge();
        let recorded = judgement.model("drawers").and_then(|model| model.recorded.clone());
        (
            judgement.refusals.iter().map(|refusal| refusal.kind).collect(),
            judgement.losses.is_empty(),
            recorded.map(|identity| identity.model_name),
        )
    }
}

#[track_caller]
fn assert_decides(case: Case, refusals: &[ErrorKind], lossless: bool, recorded: Option<&str>) {
    let (refused, is_lossless, model) = case.decided();
    assert_eq!((refused.as_slice(), is_lossless, model.as_deref()), (refusals, lossless, recorded));
}

#[test]
fn lossless_needs_export_and_passthrough_and_the_whole_palace() {
    let minilm = Some("minilm");
    assert_decides(Case::default(), &[], true, minilm);
    assert_decides(Case { source_tokens: vec![], ..Case::default() }, &[], false, minilm);
    assert_decides(Case { whole: false, ..Case::default() }, &[], false, minilm);
}

#[test]
fn a_target_that_embeds_anew_is_refused_unless_that_is_accepted() {
    let anew = || Case { target_tokens: vec![], ..Case::default() };
    assert_decides(anew(), &[ErrorKind::UnsupportedCapability], false, None);
    let accepted = Overrides { accept_re_embed: true, ..Overrides::default() };
    assert_decides(Case { overrides: accepted, ..anew() }, &[], false, None);
    assert!(Case { overrides: accepted, ..anew() }.judge().re_embeds);
    // Another model at the target is then what was accepted.
    assert_decides(Case { overrides: accepted, target: Some("bert"), ..anew() }, &[], false, None);
    assert_decides(Case { overrides: forced(), ..anew() }, &[ErrorKind::UnsupportedCapability], false, None);
}

#[test]
fn another_model_is_refused_unless_it_is_forced_and_then_it_is_what_is_recorded() {
    let mismatch = [ErrorKind::EmbedderIdentityMismatch];
    let (minilm, gemma) = (Some("minilm"), Some("embeddinggemma"));
    for case in [
        || Case { said: Some("embeddinggemma"), ..Case::default() },
        || Case { embedder: Some("embeddinggemma"), ..Case::default() },
    ] {
        assert_decides(case(), &mismatch, false, gemma);
        assert_decides(Case { overrides: forced(), ..case() }, &[], true, gemma);
        let swaps = Case { overrides: forced(), ..case() }.judge().swaps;
        assert_eq!((swaps[0].from.model_name.as_str(), swaps[0].to.model_name.as_str()), ("minilm", "embeddinggemma"));
    }
    // The palace that is replaced, or a target somebody has settled otherwise meanwhile.
    let replaced = || Case { target: gemma, ..Case::default() };
    assert_decides(replaced(), &mismatch, false, minilm);
    assert_decides(Case { overrides: forced(), ..replaced() }, &[], true, minilm);
    assert_eq!(Case { overrides: forced(), ..replaced() }.judge().swaps[0].from.model_name, "embeddinggemma");
}

#[test]
fn the_operators_word_comes_before_the_configurations_embedder() {
    let case = Case { said: Some("minilm"), embedder: Some("embeddinggemma"), ..Case::default() };
    assert_decides(case, &[], true, Some("minilm"));
    // MemPalace's alias is the same model.
    assert_decides(Case { said: Some("all-minilm-l6-v2"), ..Case::default() }, &[], true, Some("minilm"));
}

#[test]
fn an_unknown_model_proceeds_and_is_recorded_as_the_operators_word_or_not_at_all() {
    let unknown = || Case { source: None, ..Case::default() };
    assert_decides(unknown(), &[], true, None);
    assert_eq!(unknown().judge().unknown(), ["drawers"]);
    assert_decides(Case { embedder: Some("minilm"), ..unknown() }, &[], true, None);
    let said = Case { said: Some("minilm"), ..unknown() };
    assert_decides(Case { said: Some("minilm"), ..unknown() }, &[], true, Some("minilm"));
    assert_eq!(said.judge().models[0].known_by, ModelKnownBy::Operator);
    assert!(said.judge().unknown().is_empty());
    let nameless = Case { source: Some(""), ..Case::default() };
    assert_eq!(nameless.judge().unknown(), ["drawers"]);
    let against_the_target = Case { said: Some("minilm"), target: Some("embeddinggemma"), ..unknown() };
    assert_decides(against_the_target, &[ErrorKind::EmbedderIdentityMismatch], false, Some("minilm"));
}

#[test]
fn what_is_in_the_way_is_refused_unless_it_is_replaced() {
    let there = || Case { in_the_way: vec!["drawers".into()], ..Case::default() };
    assert_decides(there(), &[ErrorKind::PalaceExists], true, Some("minilm"));
    assert_decides(Case { replaces: true, ..there() }, &[], true, Some("minilm"));
}

#[test]
fn a_metric_the_target_has_not_is_refused_by_the_collections_name() {
    let ip = Case { metric: Some(Metric::Ip), ..Case::default() };
    assert_decides(
        Case { metric: Some(Metric::Ip), ..Case::default() },
        &[ErrorKind::UnsupportedCapability],
        true,
        Some("minilm"),
    );
    let error = ip.judge().check().unwrap_err();
    assert!(error.what().contains("searched by ip"), "{}", error.what());
    assert_decides(Case { metric: Some(Metric::L2), ..Case::default() }, &[], true, Some("minilm"));
}
