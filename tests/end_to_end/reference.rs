//! `adapters/README.md` says of each backend what the backend says of itself. With `PALANQUIN_WRITE_REFERENCE=1` the
//! test writes the file instead of checking it.

use palanquin_chroma::{ChromaBackend, ChromaServerBackend, ServerOptions};
use palanquin_engine::contract::{Backend, CaptureLevel, Fidelity, token};
use palanquin_lance::LanceBackend;
use palanquin_memory::{Faults, MemoryBackend};
use palanquin_postgres::{Dsn, PostgresBackend, PostgresOptions};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

const HEAD: &str = "\
# Backends

One crate per backend. Each implements the storage contract (`engine/contract`) and says of itself what stands below; the
contract suite (`tests/contract`) holds it to every word. This page is written by the test `reference` from the live
backends: change the backend, then run `PALANQUIN_WRITE_REFERENCE=1 tests/run reference`.
";

fn page(backends: &[Box<dyn Backend>]) -> String {
    let mut page = format!("{HEAD}\n");
    let mut row = |cells: &[String]| {
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    };
    let of_each = |what: &str, cell: &dyn Fn(&dyn Backend) -> String| {
        let mut cells = vec![what.to_owned()];
        cells.extend(backends.iter().map(|backend| cell(backend.as_ref())));
        cells
    };
    row(&of_each("", &|backend| format!("`{}`", backend.descriptor().name)));
    row(&of_each("---", &|_| "---".to_owned()));
    row(&of_each("contract", &|backend| backend.descriptor().spec_version.to_string()));
    row(&of_each("capture level", &|backend| match backend.descriptor().capture {
        Some(CaptureLevel::Log) => "log".to_owned(),
        Some(CaptureLevel::Version) => "version".to_owned(),
        Some(CaptureLevel::Scan) => "scan".to_owned(),
        None => "none".to_owned(),
    }));
    row(&of_each("vectors come back", &|backend| match backend.descriptor().fidelity {
        Fidelity::Exact => "bit for bit".to_owned(),
        Fidelity::Ulp => "within one unit in the last place".to_owned(),
    }));
    row(&of_each("metrics", &|backend| {
        backend.descriptor().metrics.iter().map(|metric| metric.name()).collect::<Vec<_>>().join(", ")
    }));
    row(&of_each("converts", &|backend| {
        let conversions = backend.descriptor().conversions.iter().map(|conversion| conversion.name());
        let conversions = conversions.collect::<Vec<_>>().join(", ");
        if conversions.is_empty() { "nothing".to_owned() } else { conversions }
    }));
    row(&of_each("scans of a collection at once", &|backend| backend.descriptor().readers.to_string()));
    row(&of_each("writers of a collection at once", &|backend| backend.descriptor().writers.to_string()));
    let own = backends.iter().flat_map(|backend| backend.descriptor().capabilities.iter());
    let own: BTreeSet<&str> = own.filter(|token| !token::KNOWN.contains(token)).collect();
    for token in token::KNOWN.into_iter().chain(own) {
        row(&of_each(&format!("`{token}`"), &|backend| {
            if backend.descriptor().capabilities.has(token) { "yes".to_owned() } else { "–".to_owned() }
        }));
    }
    page.push_str("\n## Maintenance kinds\n\n| backend | kind | what it does |\n| --- | --- | --- |\n");
    for backend in backends {
        let descriptor = backend.descriptor();
        for kind in descriptor.maintenance_kinds {
            let _ = writeln!(page, "| `{}` | `{}` | {} |", descriptor.name, kind.name, kind.effect);
        }
        if descriptor.maintenance_kinds.is_empty() {
            let _ = writeln!(page, "| `{}` | none | |", descriptor.name);
        }
    }
    page
}

#[test]
fn the_reference_is_what_the_backends_say_of_themselves() {
    let nowhere = PostgresOptions::of(Dsn::parse("postgresql://localhost/").unwrap());
    let backends: [Box<dyn Backend>; 5] = [
        Box::new(ChromaBackend::new()),
        Box::new(ChromaServerBackend::new(ServerOptions::of("http://localhost:8000"))),
        Box::new(LanceBackend::new()),
        Box::new(PostgresBackend::new(nowhere)),
        Box::new(MemoryBackend::new(Faults::default())),
    ];
    let said = page(&backends);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../adapters/README.md");
    if std::env::var_os("PALANQUIN_WRITE_REFERENCE").is_some() {
        std::fs::write(&file, &said).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == said, "adapters/README.md is not what the backends say; this is:\n{said}");
}
