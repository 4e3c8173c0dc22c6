use crate::exit_code::Exit;
use crate::output::{self, json, words};
use crate::registry::Registry;
use clap::Args;
use palanquin_engine::contract::{Descriptor, Result};
use std::fmt::Write;

/// Arguments of `backends`.
#[derive(Debug, Args)]
pub(super) struct Backends {
    /// One JSON object per backend on standard output
    #[arg(long)]
    pub(super) json: bool,
}

impl Backends {
    pub(super) fn run(self) -> Result<Exit> {
        for backend in Registry::new().backends() {
            let descriptor = backend.descriptor();
            output::print(&if self.json { json::backend(descriptor) } else { text(descriptor) });
        }
        Ok(Exit::Verified)
    }
}

fn text(descriptor: &Descriptor) -> String {
    let mut page = format!("{} (contract {})\n", descriptor.name, descriptor.spec_version);
    let metrics: Vec<_> = descriptor.metrics.iter().map(|metric| metric.name()).collect();
    let _ = writeln!(page, "  capture       {}", words::capture(descriptor.capture));
    let _ = writeln!(page, "  vectors       {}", words::fidelity(descriptor.fidelity));
    let _ = writeln!(page, "  metrics       {}", metrics.join(", "));
    for conversion in descriptor.conversions {
        let _ = writeln!(page, "  converts      {}", conversion.sentence());
    }
    let _ = writeln!(page, "  capabilities");
    for token in descriptor.capabilities.iter() {
        let _ = writeln!(page, "    {token}");
    }
    let _ = writeln!(page, "  maintenance");
    for kind in descriptor.maintenance_kinds {
        let _ = writeln!(page, "    {:<10}  {}", kind.name, kind.effect);
    }
    if descriptor.maintenance_kinds.is_empty() {
        let _ = writeln!(page, "    none");
    }
    page
}
