use crate::configuration;
use clap::Args;
use palanquin_engine::link::{LinkSpec, Overrides};

/// What the operator allows a copy by name, and says of its model (§8.2).
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Allowances {
    /// Replace the target, once the new copy is verified; until then it stays as it is
    #[arg(long)]
    pub(super) overwrite: bool,
    /// Copy into a backend that embeds every document anew
    #[arg(long)]
    accept_re_embed: bool,
    /// Record another model than the vectors are known to be of; it is written into the target's migration log
    #[arg(long)]
    force_model_swap: bool,
    /// Which model the source's vectors are of, where none is recorded
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
}

impl Allowances {
    /// The request, with what is allowed and said.
    pub(super) fn in_spec(&self, spec: LinkSpec) -> LinkSpec {
        let Self { overwrite, accept_re_embed, force_model_swap, ref model } = *self;
        let embedder = configuration::current().embedder().map(|embedder| embedder.model.clone());
        let overrides = Overrides { overwrite, accept_re_embed, force_model_swap };
        LinkSpec { overrides, model: model.clone(), embedder, ..spec }
    }
}
