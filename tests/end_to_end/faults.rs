use crate::real_palace::assert_equal_to_dump;
use palanquin_tests::{Program, Scratch, read_lance};
use rustix::process::{Pid, Signal, kill_process};
use std::process::{Command, Stdio};

const HALTED: i32 = 6;
const INTERRUPTED: i32 = 130;

/// Copies into a small file system of its own; makes it larger and copies again when that halts.
const ON_A_SMALL_DISK: &str = r#"
mount -t tmpfs -o size="$4" palanquin-test "$3" || exit 99
"$1" migrate "$2" "$7:$3/target" --state "$5" --credit 1MiB; echo "first $?"
mount -o remount,size=200m "$3" || exit 99
"$1" migrate "$2" "$7:$3/target" --state "$5" --credit 1MiB; echo "second $?"
cp -a "$3/target" "$6"
"#;

/// Copies under a limit on the size of a file, which every machine can set; then without it.
const UNDER_A_FILE_LIMIT: &str = r#"
trap '' XFSZ
(ulimit -f "$3"; "$1" migrate "$2" "lance:$6" --state "$5" --credit 2MiB); echo "first $?"
"$1" migrate "$2" "lance:$6" --state "$5"; echo "second $?"
"#;

#[test]
fn a_full_disk_halts_the_copy_and_the_same_command_finishes_it_once_there_is_space() {
    let scratch = Scratch::new();
    let (source, target, mount) = (scratch.palace(), scratch.path("target"), scratch.path("mount"));
    std::fs::create_dir(&mount).unwrap();
    let program = Program::path();
    let mut small_disk = Command::new("unshare");
    small_disk.args(["--mount", "--map-root-user", "sh", "-c", ON_A_SMALL_DISK, "sh"]);
    small_disk.arg(&program).arg(&source).arg(&mount).arg("3m").arg(scratch.path("state")).arg(&target).arg("lance");
    let (code, said) = run(&mut small_disk);
    let said = if code == Some(0) {
        said
    } else {
        println!("no mount namespace here ({code:?}): a limit on the size of files stands in for the full disk");
        let mut limited = Command::new("bash");
        limited.args(["-c", UNDER_A_FILE_LIMIT, "bash"]).arg(&program).arg(&source).arg("256").arg("");
        limited.arg(scratch.path("state-2")).arg(&target);
        run(&mut limited).1
    };
    assert!(said.contains(&format!("first {HALTED}")), "{said}");
    assert!(said.contains("StorageFull") && said.contains("Make space"), "{said}");
    assert!(said.contains("second 0"), "{said}");
    assert_equal_to_dump(&target);
}

fn run(command: &mut Command) -> (Option<i32>, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_full_disk_halts_a_copy_into_a_chroma_directory_and_the_same_command_finishes_it_once_there_is_space() {
    let scratch = Scratch::new();
    let (source, target, mount) = (scratch.palace(), scratch.path("target"), scratch.path("mount"));
    std::fs::create_dir(&mount).unwrap();
    let mut small_disk = Command::new("unshare");
    small_disk.args(["--mount", "--map-root-user", "sh", "-c", ON_A_SMALL_DISK, "sh"]);
    small_disk.arg(Program::path()).arg(&source).arg(&mount).arg("6m").arg(scratch.path("state"));
    let (code, said) = run(small_disk.arg(&target).arg("chroma"));
    if code == Some(99) || code == Some(1) && !said.contains("first") {
        return println!("no mount namespace here ({code:?}): the full disk is not tried");
    }
    assert!(said.contains(&format!("first {HALTED}")), "{said}");
    assert!(said.contains("StorageFull") && said.contains("Make space"), "{said}");
    assert!(said.contains("second 0"), "{said}");
    let read = scratch.path("read");
    let copied = Program::migrate(&target, &read, &scratch.path("state")).run();
    assert_eq!(copied.code, Some(0), "{}{}", copied.stdout, copied.stderr);
    assert_eq!(read_lance(&read).len(), 2_452);
}

#[test]
fn an_interrupt_drains_and_the_same_command_continues() {
    let scratch = Scratch::new();
    let (source, target, state) = (scratch.palace(), scratch.path("target"), scratch.path("state"));
    let (mut child, lines) = Program::migrate(&source, &target, &state).arg("--credit").arg("256KiB").start();
    // The first sign of the copy being under way.
    let told: Vec<String> = lines.iter().take_while(|line| !line.contains("copying")).collect();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let told: Vec<String> = told.into_iter().chain(lines.iter()).collect();
    let code = child.wait().unwrap().code();
    assert_eq!(code, Some(INTERRUPTED), "{told:?}");
    assert!(told.iter().any(|line| line.contains("the same command continues")), "{told:?}");
    let run = Program::migrate(&source, &target, &state).run();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert_equal_to_dump(&target);
}
