//! Every input a user can get wrong: a clear sentence, its exit code, and nothing written.

use palanquin_engine::journal::LinkLock;
use palanquin_engine::link::{LinkKind, LinkSpec};
use palanquin_tests::{Finished, Program, Scratch};
use std::fs::{File, OpenOptions, create_dir_all, read_dir, write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const BAD_INPUT: i32 = 2;
const REFUSED: i32 = 3;

/// Runs the copy of `source`; it must end so, say so, and leave no target.
#[track_caller]
fn assert_refused(scratch: &Scratch, source: &Path, code: i32, says: &[&str]) -> Finished {
    let target = scratch.path("target");
    let run = Program::migrate(source, &target, &scratch.path("state")).run();
    assert_says(&run, code, says);
    assert!(!target.exists(), "something was written");
    run
}

#[track_caller]
fn assert_says(run: &Finished, code: i32, says: &[&str]) {
    let said = format!("{}{}", run.stdout, run.stderr);
    assert_eq!(run.code, Some(code), "{said}");
    for part in says {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
}

fn largest_index(palace: &Path) -> PathBuf {
    let mut folders = read_dir(palace).unwrap().map(|entry| entry.unwrap().path());
    folders.find(|path| path.join("index_metadata.pickle").exists()).expect("a flushed index")
}

#[test]
fn a_source_that_does_not_exist() {
    let scratch = Scratch::new();
    assert_refused(&scratch, &scratch.path("nowhere"), BAD_INPUT, &["nowhere", "Check the path"]);
}

#[test]
fn a_source_that_is_a_file() {
    let scratch = Scratch::new();
    let file = scratch.path("file");
    write(&file, "not a palace").unwrap();
    assert_refused(&scratch, &file, BAD_INPUT, &["file"]);
}

#[test]
fn a_source_that_is_an_empty_directory() {
    let scratch = Scratch::new();
    let folder = scratch.path("empty");
    create_dir_all(&folder).unwrap();
    assert_refused(&scratch, &folder, BAD_INPUT, &["chroma.sqlite3"]);
}

#[test]
fn a_database_of_no_bytes_or_cut_short_or_of_something_else() {
    for (name, content) in [("0", &b""[..]), ("text", b"this is no database at all, but long enough to be one......")] {
        let scratch = Scratch::new();
        let folder = scratch.path(name);
        create_dir_all(&folder).unwrap();
        write(folder.join("chroma.sqlite3"), content).unwrap();
        assert_refused(&scratch, &folder, BAD_INPUT, &["chroma.sqlite3"]);
    }
    let scratch = Scratch::new();
    let palace = scratch.palace();
    let database = OpenOptions::new().write(true).open(palace.join("chroma.sqlite3")).unwrap();
    database.set_len(20_000).unwrap();
    assert_refused(&scratch, &palace, BAD_INPUT, &["Corrupt"]);
}

#[test]
fn a_sqlite_database_that_is_no_chroma() {
    let scratch = Scratch::new();
    let folder = scratch.path("other");
    create_dir_all(&folder).unwrap();
    let database = rusqlite::Connection::open(folder.join("chroma.sqlite3")).unwrap();
    database.execute_batch("CREATE TABLE something (x)").unwrap();
    assert_refused(&scratch, &folder, BAD_INPUT, &["NotAPalace"]);
}

#[test]
fn a_chroma_of_an_unknown_schema() {
    let scratch = Scratch::new();
    let palace = scratch.palace();
    let database = rusqlite::Connection::open(palace.join("chroma.sqlite3")).unwrap();
    database.execute("UPDATE migrations SET version = 999 WHERE dir = 'sysdb' AND version = (SELECT max(version) FROM migrations WHERE dir = 'sysdb')", []).unwrap();
    drop(database);
    assert_refused(&scratch, &palace, BAD_INPUT, &["999", "UnsupportedFormat"]);
}

#[test]
fn a_collection_that_does_not_exist() {
    let scratch = Scratch::new();
    let target = scratch.path("target");
    let run =
        Program::migrate(&scratch.palace(), &target, &scratch.path("state")).arg("--collection").arg("nope").run();
    assert_says(&run, BAD_INPUT, &["nope", "mempalace_drawers", "mempalace_closets"]);
    assert!(!target.exists());
}

#[test]
fn vectors_cut_short() {
    let scratch = Scratch::new();
    let palace = scratch.palace();
    let file = largest_index(&palace).join("data_level0.bin");
    OpenOptions::new().write(true).open(&file).unwrap().set_len(5_000).unwrap();
    assert_refused(&scratch, &palace, BAD_INPUT, &["data_level0.bin", "Corrupt"]);
}

#[test]
fn a_header_that_lies() {
    let scratch = Scratch::new();
    let palace = scratch.palace();
    let file = largest_index(&palace).join("header.bin");
    let header = OpenOptions::new().write(true).open(&file).unwrap();
    header.write_all_at(&u64::MAX.to_le_bytes(), 20).unwrap();
    drop(header);
    assert_refused(&scratch, &palace, BAD_INPUT, &["header.bin", "Corrupt"]);
}

#[test]
fn a_pickle_that_is_garbage_or_hostile() {
    let hostile = b"\x80\x04cposix\nsystem\n(S'touch /tmp/palanquin-was-here'\ntR.".to_vec();
    let claims_much = b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec();
    for content in [vec![0x5a; 4_000], hostile, claims_much] {
        let scratch = Scratch::new();
        let palace = scratch.palace();
        write(largest_index(&palace).join("index_metadata.pickle"), content).unwrap();
        assert_refused(&scratch, &palace, BAD_INPUT, &["index_metadata.pickle", "Corrupt"]);
    }
    assert!(!Path::new("/tmp/palanquin-was-here").exists());
}

#[test]
fn a_target_that_exists() {
    let scratch = Scratch::new();
    let target = scratch.path("target");
    create_dir_all(&target).unwrap();
    write(target.join("somebody's"), "work").unwrap();
    let run = Program::migrate(&scratch.palace(), &target, &scratch.path("state")).run();
    let said = format!("{}{}", run.stdout, run.stderr);
    assert_eq!(run.code, Some(REFUSED), "{said}");
    assert!(said.contains("--overwrite"), "{said}");
    let run = Program::migrate(&scratch.palace(), &target, &scratch.path("state")).arg("--overwrite").run();
    assert_says(&run, BAD_INPUT, &["not a Lance palace"]);
    assert_eq!(read_dir(&target).unwrap().count(), 1, "nothing was written");
}

#[test]
fn a_target_that_is_the_source_or_lies_in_it() {
    let scratch = Scratch::new();
    let palace = scratch.palace();
    for target in [palace.clone(), palace.join("inside")] {
        let run = Program::migrate(&palace, &target, &scratch.path("state")).run();
        assert_says(&run, BAD_INPUT, &["the target is the source"]);
    }
    assert!(!palace.join("inside").exists());
}

#[test]
fn a_target_whose_backend_is_not_named() {
    let scratch = Scratch::new();
    let target = scratch.path("target");
    let run = Program::with(["migrate"]).arg(scratch.palace().to_str().unwrap()).arg(target.to_str().unwrap()).run();
    assert_says(&run, BAD_INPUT, &["lance:"]);
    assert!(!target.exists());
}

#[test]
fn a_target_directory_that_cannot_be_written() {
    let scratch = Scratch::new();
    // A folder below a file can be made by nobody, root included.
    write(scratch.path("file"), "").unwrap();
    let target = scratch.path("file").join("target");
    let run = Program::migrate(&scratch.palace(), &target, &scratch.path("state")).run();
    assert_says(&run, BAD_INPUT, &["file/target", "Not a directory"]);

    let folder = scratch.path("read-only");
    create_dir_all(&folder).unwrap();
    let mut permissions = std::fs::metadata(&folder).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&folder, permissions).unwrap();
    let root_may_write = File::create(folder.join("probe")).is_ok();
    if !root_may_write {
        let run = Program::migrate(&scratch.palace(), &folder.join("target"), &scratch.path("state-2")).run();
        assert_says(&run, 6, &["PermissionDenied", "Grant the access"]);
    }
}

#[test]
fn a_second_process_on_the_same_link_learns_the_first_ones_pid() {
    let scratch = Scratch::new();
    let (source, target, state) = (scratch.palace(), scratch.path("target"), scratch.path("state"));
    let spec = LinkSpec::new(
        LinkKind::Migrate,
        format!("chroma:{}", source.canonicalize().unwrap().display()),
        format!("lance:{}", target.parent().unwrap().canonicalize().unwrap().join("target").display()),
    );
    let held = LinkLock::acquire(&state, &spec, &[]).unwrap();
    let run = Program::migrate(&source, &target, &state).run();
    assert_says(&run, REFUSED, &["in use by process", &std::process::id().to_string()]);
    assert!(!target.exists());
    drop(held);
    assert_eq!(Program::migrate(&source, &target, &state).run().code, Some(0));
}

#[test]
fn arguments_that_make_no_sense() {
    for arguments in [&["migrate"][..], &["migrate", "a"], &["fly"], &["migrate", "a", "lance:b", "--credit", "much"]] {
        let mut program = Program::with([]);
        for argument in arguments {
            program = program.arg(argument);
        }
        assert_says(&program.run(), BAD_INPUT, &["--help"]);
    }
    let run = Program::with(["migrate", "chroma+ftp://h:8000", "lance:/tmp/x"]).run();
    assert_says(&run, BAD_INPUT, &["chroma+ftp addresses are not supported"]);
}
