//! Palaces that nothing else opens, and palaces of older versions.

use crate::chroma_feed::{Rows, assert_equal, everything};
use crate::real_palace::assert_equal_to_dump;
use futures::TryStreamExt;
use palanquin_chroma::ChromaBackend;
use palanquin_engine::contract::{Backend, Cursor, OpenMode, PalaceRef};
use palanquin_tests::{Finished, Program, Scratch, copy_folder, dump_of, files_below, old_palaces, read_lance};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the drawers' index.
fn index_of_drawers(palace: &Path) -> PathBuf {
    let database = rusqlite::Connection::open(palace.join("chroma.sqlite3")).unwrap();
    let sql = "SELECT s.id FROM segments s JOIN collections c ON s.collection = c.id
               WHERE s.scope = 'VECTOR' AND c.name = 'mempalace_drawers'";
    palace.join(database.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap())
}

fn migrate(source: &Path, target: &Path, scratch: &Scratch, salvage: bool) -> (Finished, Value) {
    let mut program = Program::migrate(source, target, &scratch.path("state")).arg("--json");
    if salvage {
        program = program.arg("--salvage");
    }
    let run = program.run();
    let last = run.stdout.lines().rev().find(|line| line.contains(r#""kind":"result""#)).unwrap_or("null");
    let result = serde_json::from_str(last).unwrap();
    (run, result)
}

/// MemPalace sets an index aside, and with it the vectors of most rows.
#[test]
fn vectors_of_an_index_that_was_set_aside_are_carried_when_asked_for_and_labelled() {
    let scratch = Scratch::new();
    let source = scratch.palace();
    let index = index_of_drawers(&source);
    let aside = index.with_extension("drift-20260301-120000");
    std::fs::rename(&index, &aside).unwrap();
    let before = files_below(&source);

    let without = scratch.path("without");
    let (run, result) = migrate(&source, &without, &scratch, false);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let lacking = read_lance(&without).iter().filter(|row| row.embedding.is_none()).count() as u64;
    assert!(lacking > 1_000, "{lacking} rows lack a vector");
    let summary = |result: &Value, name: &str| {
        let findings = result["findings"].as_array().unwrap().clone();
        let found = findings.into_iter().find(|finding| finding["name"] == name);
        found.map(|finding| finding["summary"].as_str().unwrap().to_owned()).unwrap_or_default()
    };
    assert!(summary(&result, "rows-without-vector").starts_with(&format!("{lacking} rows")), "{result}");
    assert_eq!(summary(&result, "rows-salvaged-perhaps-stale"), "", "{result}");

    let with = scratch.path("with");
    let (run, result) = migrate(&source, &with, &scratch, true);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert_equal_to_dump(&with);
    let told = summary(&result, "rows-salvaged-perhaps-stale");
    let origin = aside.file_name().unwrap().to_str().unwrap();
    assert!(told.starts_with(&format!("{lacking} rows of mempalace_drawers")) && told.contains(origin), "{result}");
    assert!(files_below(&source) == before, "the source was changed");

    // The same target again, not salvaged: that is another link, and refused.
    let (run, _) = migrate(&source, &with, &scratch, false);
    assert_eq!(run.code, Some(3), "{}", run.stdout);
}

#[test]
fn only_a_chroma_directory_has_anything_to_salvage() {
    let scratch = Scratch::new();
    let (copied, target) = (scratch.path("copied"), scratch.path("target"));
    let run = Program::migrate(&scratch.palace(), &copied, &scratch.path("state")).run();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let source = format!("lance:{}", copied.display());
    let run = Program::migrate(Path::new(&source), &target, &scratch.path("state")).arg("--salvage").run();
    assert_eq!(run.code, Some(2), "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("only a Chroma directory"), "{}", run.stderr);
}

/// Runs a command in which a folder is mounted read-only; `None` where this user may not mount.
fn with_read_only(folder: &Path, program: &Path, arguments: &[&str]) -> Option<std::process::Output> {
    let script = r#"mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 77; shift; exec "$@""#;
    for namespace in [&["--mount"][..], &["--user", "--map-root-user", "--mount"]] {
        let mut command = Command::new("unshare");
        command.args(namespace).args(["sh", "-c", script, "sh"]).arg(folder).arg(program).args(arguments);
        match command.output() {
            Ok(output) if !matches!(output.status.code(), Some(1 | 77)) || !output.stdout.is_empty() => {
                return Some(output);
            }
            _ => {}
        }
    }
    None
}

#[test]
fn a_palace_on_a_read_only_mount_is_copied_whole() {
    let scratch = Scratch::new();
    let (source, target, state) = (scratch.palace(), scratch.path("target"), scratch.path("state"));
    let to = format!("lance:{}", target.display());
    let arguments = ["migrate", source.to_str().unwrap(), &to, "--state", state.to_str().unwrap()];
    let Some(run) = with_read_only(&source, &Program::path(), &arguments) else {
        println!("not checked: this user may not mount");
        return;
    };
    assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
    assert_equal_to_dump(&target);
}

/// Palaces of chromadb 0.5, 0.6 and 1.0, made by those versions: sequence numbers of eight bytes, pickled objects,
/// columns that came later.
#[tokio::test]
async fn palaces_of_older_versions_are_read_row_for_row() {
    for (version, palace, dump) in old_palaces() {
        let expected = dump_of(&dump);
        assert!(expected.len() > 1_900, "{version}: {}", expected.len());
        let before = files_below(&palace);
        let rows: Rows = everything(&palace).await;
        assert_equal(&rows, &expected, &version);
        assert!(files_below(&palace) == before, "{version}: the palace was changed");
    }
}

/// What an older version's feed tells: nothing when nothing changed, and from a place before the last operations exactly
/// those or that it cannot tell.
#[tokio::test]
async fn palaces_of_older_versions_are_followed() {
    for (version, palace, _) in old_palaces() {
        let scratch = Scratch::new();
        let copy = scratch.path("palace");
        copy_folder(&palace, &copy);
        let palace = ChromaBackend::new().open(&PalaceRef::local(&copy), OpenMode::Read.into()).await.unwrap();
        let drawers = palace.collection("mempalace_drawers").await.unwrap();
        let head: Cursor = drawers.feed_head().await.unwrap().unwrap().cursor;
        let nothing: Vec<_> = drawers.changes_since(&head, 100).try_collect().await.unwrap();
        assert!(nothing.is_empty(), "{version}: {nothing:?}");
        let database = rusqlite::Connection::open(copy.join("chroma.sqlite3")).unwrap();
        // One more operation, as a writer would log it.
        let add = "INSERT INTO embeddings_queue (seq_id, operation, topic, id, vector, encoding, metadata)
                   SELECT (SELECT max(seq_id) + 1 FROM embeddings_queue), 2, topic, 'late', zeroblob(4 * 24), 'FLOAT32',
                       '{\"wing\":\"late\"}' FROM embeddings_queue
                   WHERE topic LIKE '%' || (SELECT id FROM collections WHERE name = 'mempalace_drawers') LIMIT 1";
        assert_eq!(database.execute(add, []).unwrap(), 1, "{version}");
        let batches: Vec<_> = drawers.changes_since(&head, 100).try_collect().await.unwrap();
        let ids: Vec<String> = batches
            .iter()
            .filter_map(|batch| batch.upserts.as_ref())
            .flat_map(|rows| rows.ids().iter().flatten().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        assert_eq!(ids, ["late"], "{version}");
    }
}
