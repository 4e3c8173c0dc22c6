//! Settings of Chroma's collections: with the copy where they can be, named where they cannot.

use palanquin_tests::{Program, Scratch, python};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Makes a palace of two collections: one as older clients ask for settings, one as newer ones do.
const MAKE: &str = r#"
import chromadb, sys
client = chromadb.PersistentClient(sys.argv[1])
asked = {"hnsw:space": "cosine", "hnsw:M": 24, "hnsw:construction_ef": 150, "hnsw:search_ef": 40, "hnsw:num_threads": 1,
         "hnsw:batch_size": 150, "hnsw:sync_threshold": 2000, "hnsw:resize_factor": 1.5, "owner": "Ada", "edition": 3}
older = client.create_collection("older", metadata=asked, embedding_function=None)
newer = client.create_collection("newer", embedding_function=None, configuration={"hnsw": {
    "space": "l2", "max_neighbors": 8, "ef_construction": 80, "sync_threshold": 3000}})
for collection in (older, newer):
    collection.add(ids=["a", "b"], documents=["one", "two"], embeddings=[[1.0, 0.0], [0.0, 1.0]])
"#;

/// Tells, of each collection, its own metadata but ours, and what its index is made by.
const TELL: &str = r##"
import chromadb, json, sqlite3, sys
palace = sys.argv[1]
client = chromadb.PersistentClient(palace)
told = {}
for collection in client.list_collections():
    metadata = {key: value for key, value in (collection.metadata or {}).items() if not key.startswith("palanquin:")}
    told[collection.name] = {"metadata": metadata}
for name, schema in sqlite3.connect(f"{palace}/chroma.sqlite3").execute("SELECT name, schema_str FROM collections"):
    if name in told:
        told[name]["index"] = json.loads(schema)["keys"]["#embedding"]["float_list"]["vector_index"]["config"]
print(json.dumps(told))
"##;

fn run(script: &str, palace: &Path) -> String {
    let mut command = Command::new(python().get_program());
    let output = command.args(["-c", script]).arg(palace).env("ANONYMIZED_TELEMETRY", "False").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn settings_of_a_collection_go_with_it_to_another_chroma_and_are_named_where_there_is_no_place_for_them() {
    let scratch = Scratch::new();
    let (source, target, state) = (scratch.path("source"), scratch.path("target"), scratch.path("state"));
    run(MAKE, &source);
    let server = std::env::var("PALANQUIN_TEST_CHROMA").expect("run the tests with tests/run");
    let server = format!("chroma+{server}?database=settings-{}", std::process::id());
    let directory = format!("chroma:{}", target.display());
    for (from, to) in [(source.to_str().unwrap(), server.as_str()), (&server, &directory)] {
        let plan = Program::with(["plan"]).arg(from).arg(to).arg("--state").arg(state.to_str().unwrap()).run();
        assert!(plan.stdout.contains("made with those of the source: hnsw:construction_ef"), "{}", plan.stdout);
        let copy = Program::with(["migrate"]).arg(from).arg(to).arg("--state").arg(state.to_str().unwrap()).run();
        assert_eq!(copy.code, Some(0), "{}{}", copy.stdout, copy.stderr);
        assert!(!copy.stdout.contains("settings of collection"), "{}", copy.stdout);
    }

    let told: Value = serde_json::from_str(&run(TELL, &target)).unwrap();
    let older = &told["older"];
    for (key, value) in [("hnsw:space", json!("cosine")), ("owner", json!("Ada")), ("edition", json!(3))] {
        assert_eq!(older["metadata"][key], value, "{older}");
    }
    let expected = json!({"ef_construction": 150, "max_neighbors": 24, "ef_search": 40, "num_threads": 1,
        "batch_size": 150, "sync_threshold": 2000, "resize_factor": 1.5});
    assert_eq!((&older["index"]["space"], &older["index"]["hnsw"]), (&json!("cosine"), &expected), "{older}");
    let newer = &told["newer"]["index"];
    assert_eq!((&newer["space"], &newer["hnsw"]["max_neighbors"]), (&json!("l2"), &json!(8)), "{newer}");
    assert_eq!(
        (&newer["hnsw"]["ef_construction"], &newer["hnsw"]["sync_threshold"]),
        (&json!(80), &json!(3000)),
        "{newer}"
    );

    let lance = format!("lance:{}", scratch.path("lance").display());
    let plan = Program::with(["plan"]).arg(source.to_str().unwrap()).arg(&lance).run();
    assert!(
        plan.stdout.contains("lance has no place for hnsw:construction_ef, hnsw:M, hnsw:sync_threshold of newer"),
        "{}",
        plan.stdout
    );
    let copy = Program::with(["migrate"]).arg(source.to_str().unwrap()).arg(&lance);
    let copy = copy.arg("--state").arg(state.to_str().unwrap()).run();
    assert_eq!(copy.code, Some(0), "{}{}", copy.stdout, copy.stderr);
    let named = "settings of collection newer, for which lance has no place: hnsw:construction_ef, hnsw:M";
    assert!(copy.stdout.contains(named), "{}", copy.stdout);
}
