use palanquin_engine::contract::{Capabilities, token};
use serde::Serialize;

/// Something the source's backend can and the target's cannot.
#[derive(Debug, Serialize)]
pub(super) struct Gap {
    /// The token.
    pub(super) token: String,
    /// What its users will miss.
    pub(super) means: &'static str,
}

/// What the target lacks of the source, as far as somebody who uses the palace would notice. How a store is run (on a
/// server, in a directory) is no gap.
pub(super) fn between(source: &Capabilities, target: &Capabilities) -> Vec<Gap> {
    let missing = source.iter().filter(|token| !target.has(token));
    missing.filter_map(|token| Some(Gap { means: meaning(token)?, token: token.to_owned() })).collect()
}

fn meaning(token: &str) -> Option<&'static str> {
    Some(match token {
        token::EMBEDDINGS_PASSTHROUGH => "vectors are not kept as they are given",
        token::EMBEDDINGS_OUT => "vectors cannot be read back",
        token::ESTIMATED_COUNT => "counting reads every row",
        token::UPDATE => "an update is read, merged and written, and not atomic",
        token::METADATA_FILTERS => "searches cannot be narrowed by metadata",
        token::RANGE_FILTERS => "$gt, $gte, $lt and $lte are refused",
        token::CONTAINS_FAST => "$contains reads every document",
        token::SERVER_SIDE_INDEXES => "indexes cannot be built on request",
        token::MIGRATION_EXPORT => "a copy of the copy cannot be called lossless",
        token::CHANGE_FEED => "its changes cannot be followed but by comparison",
        token::SYNC => "changes cannot be carried into it under conflict",
        token::NAMESPACE_ISOLATION => "namespaces are not kept apart",
        token::LOCAL_MODE
        | token::SERVER_MODE
        | token::REQUIRES_EXTERNAL_SERVICE
        | token::EMBEDDINGS_IN
        | token::SERVER_EMBEDDER => return None,
        _ => "what it stands for is the source's own",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_target_lacks_is_named_and_how_it_is_run_is_not() {
        let source = Capabilities::of([token::CONTAINS_FAST, token::LOCAL_MODE, token::UPDATE, "their_own"]);
        let target = Capabilities::of([token::UPDATE, token::SERVER_MODE]);
        let gaps = between(&source, &target);
        let named: Vec<_> = gaps.iter().map(|gap| gap.token.as_str()).collect();
        assert_eq!(named, [token::CONTAINS_FAST, "their_own"]);
    }
}
