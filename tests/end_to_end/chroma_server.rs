//! Palaces on a Chroma server, and directories that a server of ours writes, from the command line.

use palanquin_tests::{Finished, Program, ReadRow, Scratch, dump_of, files_below, fixture, python, read_lance};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A database of its own on the test server.
fn database(name: &str) -> String {
    let server = std::env::var("PALANQUIN_TEST_CHROMA").expect("run the tests with tests/run");
    format!("chroma+{server}?database={name}-{}", std::process::id())
}

fn migrate(source: &str, target: &str, state: &Path) -> Finished {
    Program::with(["migrate"]).arg(source).arg(target).arg("--state").arg(state.to_str().unwrap()).run()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Every row is there as chromadb's client gives it from the source, vectors but for the last bits: each Chroma on the
/// way rounds them once.
fn assert_near_to_dump(rows: &[ReadRow]) {
    let dump = dump_of(&fixture().join("dump.jsonl"));
    assert_eq!(rows.len(), dump.len(), "rows");
    for row in rows {
        let expected = dump.get(&(row.collection.clone(), row.id.clone()));
        let expected = expected.unwrap_or_else(|| panic!("{} is not in the source", row.id));
        assert_eq!(row.document, expected.document, "{}", row.id);
        assert_eq!(row.metadata, expected.metadata, "{}", row.id);
        let vector = row.embedding.as_ref().unwrap_or_else(|| panic!("{} has no vector", row.id));
        let furthest = vector.iter().zip(&expected.embedding).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(vector.len() == expected.embedding.len() && furthest <= 1e-7, "{}: {furthest}", row.id);
    }
}

#[test]
fn a_real_palace_goes_to_a_server_and_comes_back_row_for_row() {
    let scratch = Scratch::new();
    let (there, state) = (database("there-and-back"), scratch.path("state"));
    let gone = migrate(text(&scratch.palace()), &there, &state);
    assert_eq!(gone.code, Some(0), "{}{}", gone.stdout, gone.stderr);
    let again = migrate(text(&scratch.path("palace")), &there, &state);
    assert_eq!(again.code, Some(3), "{}{}", again.stdout, again.stderr);
    let back = scratch.path("back");
    let returned = migrate(&there, &format!("lance:{}", back.display()), &state);
    assert_eq!(returned.code, Some(0), "{}{}", returned.stdout, returned.stderr);
    assert_near_to_dump(&read_lance(&back));

    let found = Program::with(["inspect"]).arg(&there).arg("--model").arg("minilm").run();
    assert_eq!(found.code, Some(0), "{}{}", found.stdout, found.stderr);
    assert!(
        found.stdout.contains("2,412 rows") && found.stdout.contains("minilm (384) (known_match)"),
        "{}",
        found.stdout
    );
    assert!(!found.stdout.contains("palanquin_migration_log"), "{}", found.stdout);
    let history = Program::with(["history"]).arg(&there).run();
    assert!(history.stdout.contains("migration") && history.stdout.contains("lossless"), "{}", history.stdout);
    // A server has no feed.
    let mirrored = Program::with(["mirror"]).arg(&there).arg(&format!("lance:{}", scratch.path("mirror").display()));
    let mirrored = mirrored.arg("--state").arg(text(&state)).run();
    assert_eq!(mirrored.code, Some(3), "{}{}", mirrored.stdout, mirrored.stderr);
}

/// Opens a palace as MemPalace does: counts, reads, searches, writes.
const MEMPALACE: &str = r#"
import sys
from mempalace import palace as mempalace
path = sys.argv[1]
drawers = mempalace.get_collection(path, collection_name="mempalace_drawers", create=False, backend="chroma")
closets = mempalace.get_collection(path, collection_name="mempalace_closets", create=False, backend="chroma")
got = drawers.get(limit=1, include=["documents", "metadatas", "embeddings"])
vector = [float(x) for x in got.embeddings[0]]
hit = drawers.query(query_embeddings=[vector], n_results=1, include=["distances"])
print(drawers.count(), closets.count(), drawers.distance_metric, hit.ids[0][0] == got.ids[0], abs(hit.distances[0][0]) < 1e-5)
drawers.upsert(ids=["added"], documents=["by MemPalace"], metadatas=[{"wing": "w"}], embeddings=[vector])
drawers.delete(ids=[got.ids[0]])
print(drawers.count(), drawers.get(ids=["added"]).documents[0])
"#;

fn mempalace(palace: &Path, home: &Path) -> String {
    let mut command = Command::new(python().get_program());
    command.args(["-c", MEMPALACE]).arg(palace).env("HOME", home).env("MEMPALACE_CONFIG_DIR", home);
    let output = command.env("ANONYMIZED_TELEMETRY", "False").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_directory_that_was_migrated_to_is_a_palace_mempalace_uses() {
    let scratch = Scratch::new();
    let (state, target, home) = (scratch.path("state"), scratch.path("target"), scratch.path("home"));
    std::fs::create_dir(&home).unwrap();
    let lance = format!("lance:{}", scratch.path("lance").display());
    assert_eq!(migrate(text(&scratch.palace()), &lance, &state).code, Some(0));
    let made = migrate(&lance, &format!("chroma:{}", target.display()), &state);
    assert_eq!(made.code, Some(0), "{}{}", made.stdout, made.stderr);
    let files = files_below(&target);
    let names: Vec<String> =
        files.keys().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert!(names.iter().any(|name| name == "mempalace_embedder.json"), "{names:?}");
    let history = Program::with(["history"]).arg(text(&target)).run();
    assert!(history.stdout.contains("migration") && history.stdout.contains("lossless"), "{}", history.stdout);

    let back = scratch.path("back");
    let returned = migrate(&format!("chroma:{}", target.display()), &format!("lance:{}", back.display()), &state);
    assert_eq!(returned.code, Some(0), "{}{}", returned.stdout, returned.stderr);
    assert_near_to_dump(&read_lance(&back));
    assert!(files_below(&target) == files, "reading it changed it");

    assert_eq!(mempalace(&target, &home), "2412 40 cosine True True\n2412 by MemPalace\n");
    let found = Program::with(["inspect"]).arg(text(&target)).arg("--model").arg("minilm").run();
    assert!(
        found.stdout.contains("2,412 rows") && found.stdout.contains("minilm (384) (known_match)"),
        "{}",
        found.stdout
    );
}

#[test]
fn a_directory_whose_migration_was_killed_is_completed_by_the_same_command_and_no_server_is_left() {
    let scratch = Scratch::new();
    let (source, target, state) = (scratch.palace(), scratch.path("target"), scratch.path("state"));
    let address = format!("chroma:{}", target.display());
    let command = || {
        let program = Program::with(["migrate", "--json"]).arg(text(&source)).arg(&address);
        program.arg("--credit").arg("1MiB").arg("--state").arg(text(&state))
    };
    let (mut child, lines) = command().start();
    // A server is there once the palace is.
    while !target.join("chroma.sqlite3").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        let _ = lines.recv_timeout(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // Its server ends what is under way, and is waited for.
    let completed = command().run();
    assert_eq!(completed.code, Some(0), "{}{}", completed.stdout, completed.stderr);
    assert_eq!(servers_over(&target), 0, "a server is left");
}

/// Processes that have the directory among their arguments.
fn servers_over(palace: &Path) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let commands = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    let wanted = palace.as_os_str().as_encoded_bytes();
    commands.filter(|command| command.split(|byte| *byte == 0).any(|argument| argument == wanted)).count()
}

#[test]
fn without_the_chroma_command_both_ways_out_are_told_and_nothing_is_made() {
    let scratch = Scratch::new();
    let (source, target) = (scratch.palace(), scratch.path("target"));
    let run = Program::with(["migrate"]).arg(text(&source)).arg(&format!("chroma:{}", target.display()));
    let run = run.arg("--state").arg(text(&scratch.path("state"))).env("PALANQUIN_CHROMA", Path::new("/nonexistent"));
    let run = run.run();
    assert_eq!(run.code, Some(3), "{}{}", run.stdout, run.stderr);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(said.contains("pip install chromadb") && said.contains("chroma+http://"), "{said}");
}

#[test]
fn a_token_is_neither_shown_nor_kept() {
    let scratch = Scratch::new();
    let (source, state) = (scratch.palace(), scratch.path("state"));
    let run = Program::with(["migrate"]).arg(text(&source)).arg(&database("secret")).arg("--state").arg(text(&state));
    let run = run.env("CHROMA_API_TOKEN", Path::new("s3cr3t")).run();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(!format!("{}{}", run.stdout, run.stderr).contains("s3cr3t"));
    for (file, content) in files_below(&state) {
        assert!(!content.windows(6).any(|part| part == b"s3cr3t"), "{} holds the token", file.display());
    }
    let shown = Program::with(["inspect", "chroma+http://ada:s3cr3t@127.0.0.1:1"]).run();
    assert_eq!(shown.code, Some(2), "{}{}", shown.stdout, shown.stderr);
}

#[test]
fn a_palace_in_postgres_goes_to_a_chroma_directory() {
    let scratch = Scratch::new();
    let (state, target) = (scratch.path("state"), scratch.path("target"));
    let server = std::env::var("PALANQUIN_TEST_POSTGRES").expect("run the tests with tests/run");
    let postgres = format!("{server}?palace=to-chroma-{}", std::process::id());
    assert_eq!(migrate(text(&scratch.palace()), &postgres, &state).code, Some(0));
    let made = migrate(&postgres, &format!("chroma:{}", target.display()), &state);
    assert_eq!(made.code, Some(0), "{}{}", made.stdout, made.stderr);
}

#[test]
fn a_palace_that_a_server_of_its_own_was_written_through_is_read_from_its_directory_without_the_log() {
    let scratch = Scratch::new();
    let script = |arguments: &[&str]| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("chroma.sh");
        let output = Command::new(script).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let (source, state, directory) = (scratch.palace(), scratch.path("state"), text(&scratch.path("own")).to_owned());
    std::fs::create_dir(&directory).unwrap();
    let url = script(&["start", &directory]);
    let made = migrate(text(&source), &format!("chroma+{url}?database=default_database"), &state);
    script(&["stop", &directory]);
    assert_eq!(made.code, Some(0), "{}{}", made.stdout, made.stderr);
    let palace = format!("{directory}/palace");
    let history = Program::with(["history"]).arg(&palace).run();
    assert_eq!(history.stdout.matches("  migration\n").count(), 1, "{}{}", history.stdout, history.stderr);
    let back = scratch.path("back");
    let returned = migrate(&palace, &format!("lance:{}", back.display()), &state);
    assert_eq!(returned.code, Some(0), "{}{}", returned.stdout, returned.stderr);
    assert_near_to_dump(&read_lance(&back));
}
