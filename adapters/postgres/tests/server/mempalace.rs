//! MemPalace itself opens what we write, and we what it writes: in each combination of namespace and shared namespace.

use crate::database::Database;
use crate::palace::{backend, batch, rows_of, spec};
use palanquin_engine::contract::{EmbedderIdentity, Health, Metric, OpenMode, PalaceRef, Progress, WriteMode, kind};
use palanquin_postgres::PostgresOptions;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const DRAWERS: &str = "mempalace_drawers";

fn combinations() -> [(Option<&'static str>, Option<&'static str>); 4] {
    [(None, None), (Some("Team A.1"), None), (None, Some("ATK-Fleet")), (Some("team-b"), Some("north / fleet"))]
}

/// Rows of the kinds MemPalace has, as the script takes them: vectors by their bits.
fn manifest() -> Vec<Value> {
    let vector = |n: u32| [1.0 + n as f32, 0.1 * n as f32, -1.0 / (n + 1) as f32, f32::MIN_POSITIVE / 2.0];
    let row = |n: u32, document: &str, metadata: Value| {
        let bits = vector(n).map(f32::to_bits);
        json!({"id": format!("drawer_{n}_é'🙂"), "document": document, "metadata": metadata, "embedding": bits})
    };
    vec![
        row(0, "plain", json!({"wing": "north", "room": "r", "chunk_index": 0, "source_mtime": 1_700_000_000.0})),
        row(1, "", json!({})),
        row(2, "line\nline \\ \"quoted\" 日本語", json!({"wing": "south", "float": 2.0, "flag": true})),
        row(3, "large and small", json!({"large": 1e15, "tiny": 1.5e-7, "whole": i64::MAX, "nothing": null})),
        row(4, "nested", json!({"wing": "north", "list": ["a", 1, 1.0], "map": {"b": {"c": [null]}}})),
    ]
}

fn mempalace(
    action: &str,
    directory: &Path,
    dsn: &str,
    (namespace, shared): (Option<&str>, Option<&str>),
    rows: &[Value],
) -> Vec<Value> {
    let python = std::env::var("PALANQUIN_TEST_MEMPALACE").expect("run `tests/postgres.sh with cargo test …`");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/with_mempalace.py");
    let mut command = Command::new(python);
    command.arg(script).arg(action).arg(directory).arg(DRAWERS);
    command.env("MEMPALACE_PGVECTOR_DSN", dsn).stdin(Stdio::piped()).stdout(Stdio::piped());
    for (variable, value) in
        [("MEMPALACE_PGVECTOR_NAMESPACE", namespace), ("MEMPALACE_PGVECTOR_SHARED_NAMESPACE", shared)]
    {
        match value {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
    }
    let mut child = command.spawn().expect("Python starts");
    let mut input = child.stdin.take().unwrap();
    for row in rows {
        writeln!(input, "{row}").unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "MemPalace does not {action} it");
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn check_both_ways(variable: &str) {
    for combination in combinations() {
        let (namespace, shared) = combination;
        let database = Database::on(variable).await;
        let directory = tempfile::tempdir().unwrap();
        let options = PostgresOptions { shared_namespace: shared.map(str::to_owned), ..database.options() };
        let reference = |path: &Path| PalaceRef { namespace: namespace.map(str::to_owned), ..PalaceRef::local(path) };

        // Ours, opened and used by MemPalace, and read again.
        let ours = directory.path().join("ours");
        let palace = backend(options.clone()).open(&reference(&ours), OpenMode::Create.into()).await.unwrap();
        let identity = EmbedderIdentity { model_name: "minilm".into(), dimension: 4 };
        let spec = palanquin_engine::contract::CollectionSpec { identity: Some(identity), ..spec(DRAWERS, 4) };
        let drawers = palace.create_collection(&spec).await.unwrap();
        drawers.apply(batch(&manifest()), WriteMode::Append).await.unwrap();
        let dumped = mempalace("dump", &ours, &database.dsn(), combination, &[]);
        assert_eq!(dumped, manifest(), "{combination:?}: what MemPalace reads");
        mempalace("use", &ours, &database.dsn(), combination, &manifest());
        let mut expected = manifest();
        expected.remove(1);
        expected.push(expected[0].clone());
        expected[0]["document"] = json!("replaced");
        expected[4]["id"] = json!("added");
        expected.sort_by_key(|row| row["id"].to_string());
        assert_eq!(rows_of(drawers.as_ref()).await, expected, "{combination:?}: after MemPalace wrote");
        assert_eq!(drawers.info().await.unwrap().rows, 5);
        let Health { findings, .. } = palace.health().await;
        assert!(findings.is_empty(), "{findings:?}");

        // MemPalace's, read and written by us, and read again by MemPalace.
        let theirs = directory.path().join("theirs");
        let options = PostgresOptions { shared_namespace: shared.map(|shared| format!("{shared} 2")), ..options };
        let shared = options.shared_namespace.clone();
        let combination = (namespace, shared.as_deref());
        mempalace("write", &theirs, &database.dsn(), combination, &manifest());
        let palace = backend(options.clone()).open(&reference(&theirs), OpenMode::Read.into()).await.unwrap();
        let infos = palace.collections().await.unwrap();
        assert_eq!(infos.iter().map(|info| info.name.as_str()).collect::<Vec<_>>(), [DRAWERS]);
        assert_eq!((infos[0].rows, infos[0].dimension, infos[0].metric), (5, Some(4), Some(Metric::Cosine)));
        assert_eq!(infos[0].identity.as_ref().unwrap().model_name, "minilm");
        let drawers = palace.collection(DRAWERS).await.unwrap();
        assert_eq!(rows_of(drawers.as_ref()).await, as_mempalace_writes(manifest()), "{combination:?}: what we read");

        let palace = backend(options).open(&reference(&theirs), OpenMode::Write.into()).await.unwrap();
        let drawers = palace.collection(DRAWERS).await.unwrap();
        drawers.apply(batch(&manifest()), WriteMode::Upsert).await.unwrap();
        let built = palace.run_maintenance(kind::REINDEX, &Progress::unheard()).await.unwrap();
        assert_eq!(built.status, palanquin_engine::contract::MaintenanceStatus::Ran);
        let dumped = mempalace("dump", &theirs, &database.dsn(), combination, &[]);
        assert_eq!(dumped, manifest(), "{combination:?}: what MemPalace reads after we wrote");
    }
}

/// MemPalace writes floats with an exponent where Python does, and `jsonb` makes integers of them.
fn as_mempalace_writes(mut rows: Vec<Value>) -> Vec<Value> {
    rows[3]["metadata"]["tiny"] = json!(1.5e-7);
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn mempalace_and_we_open_each_others_palaces_on_version_18() {
    check_both_ways("PALANQUIN_TEST_POSTGRES").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mempalace_and_we_open_each_others_palaces_on_version_16() {
    check_both_ways("PALANQUIN_TEST_POSTGRES_16").await;
}
