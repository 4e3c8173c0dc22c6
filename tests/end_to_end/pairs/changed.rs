use super::{Store, migrate, migration};
use futures::TryStreamExt;
use palanquin_chroma::{ChromaBackend, ChromaServerBackend, ServerOptions};
use palanquin_engine::contract::{Backend, KeyRange, OpenMode, PalaceRef, RowUpdates, ScanOrder, ScanRequest, enforce};
use palanquin_engine::rows::RowBatch;
use palanquin_lance::LanceBackend;
use palanquin_postgres::{Dsn, PostgresBackend, PostgresOptions};
use palanquin_tests::{Program, Scratch};
use serde_json::json;
use std::sync::Arc;
use tokio::runtime::Runtime;

const DIFFERENT: i32 = 5;

impl Store {
    /// Its backend, and what it calls the palace of that name.
    fn opened_by(self, scratch: &Scratch, name: &str) -> (Arc<dyn Backend>, PalaceRef) {
        let from_run = |variable: &str| std::env::var(variable).unwrap();
        let own = PalaceRef { id: format!("{name}-{}", std::process::id()), local_path: None, namespace: None };
        let (backend, palace): (Arc<dyn Backend>, _) = match self {
            Self::ChromaDirectory => (Arc::new(ChromaBackend::new()), PalaceRef::local(scratch.path(name))),
            Self::ChromaServer => {
                (Arc::new(ChromaServerBackend::new(ServerOptions::of(from_run("PALANQUIN_TEST_CHROMA")))), own)
            }
            Self::Lance => (Arc::new(LanceBackend::new()), PalaceRef::local(scratch.path(name))),
            Self::Postgres => {
                let dsn = Dsn::parse(&from_run("PALANQUIN_TEST_POSTGRES")).unwrap();
                (Arc::new(PostgresBackend::new(PostgresOptions::of(dsn))), own)
            }
        };
        (enforce(backend), palace)
    }
}

#[test]
fn a_source_that_changes_during_the_copy_is_told_and_the_copy_is_not_called_lossless() {
    let (scratch, runtime) = (Scratch::new(), Runtime::new().unwrap());
    let (first, state) = (format!("chroma:{}", scratch.palace().display()), scratch.path("state"));
    for from in Store::ALL {
        let name = format!("changed-{}", from.name());
        let source = from.address(&scratch, &name);
        migrate(&first, &source, &state);
        let (backend, reference) = from.opened_by(&scratch, &name);
        let (palace, drawers, ids) = runtime.block_on(async {
            let palace = backend.open(&reference, OpenMode::Write.into()).await.unwrap();
            let drawers = palace.collection("mempalace_drawers").await.unwrap();
            let request = ScanRequest { range: KeyRange::ALL, order: ScanOrder::Any, batch_rows: 1_000 };
            let batches: Vec<RowBatch> = drawers.scan(request).try_collect().await.unwrap();
            let ids: Vec<String> = batches.iter().flat_map(RowBatch::rows).map(|row| row.id.to_owned()).collect();
            (palace, drawers, ids)
        });
        assert_eq!(ids.len(), 2_412);
        let target = Store::Lance.address(&scratch, &format!("target-of-{name}"));
        let copy = migration(&source, &target, &state).arg("--credit").arg("512KiB");
        let (mut child, lines) = copy.arg("--max-rows-per-second").arg("800").start();
        let mut said: Vec<String> = lines.iter().take_while(|line| !line.contains("-> copying")).collect();
        runtime.block_on(async {
            let metadatas = ids.iter().map(|_| json!({"changed": true}).as_object().unwrap().clone()).collect();
            drawers.update(RowUpdates::try_new(ids, None, Some(metadatas), None).unwrap()).await.unwrap();
        });
        said.extend(lines.iter());
        let code = child.wait().unwrap().code();
        let said = said.join("\n");
        assert_eq!(code, Some(DIFFERENT), "{}: {said}", from.name());
        assert!(said.contains("different") && !said.contains("lossless: yes"), "{}: {said}", from.name());
        runtime.block_on(async { drop((drawers, palace, backend)) });
        let repaired = Program::with(["verify"]).arg(&target).arg("--against").arg(&source);
        let repaired = repaired.arg("--full").arg("--repair").run();
        assert_eq!(repaired.code, Some(0), "{}: {}{}", from.name(), repaired.stdout, repaired.stderr);
        let history = Program::with(["history"]).arg(&target).run();
        let told = history.stdout.split("  repair").next().unwrap_or_default();
        assert!(told.contains("lossless        no") && !told.contains("lossless        yes"), "{}", history.stdout);
    }
}
