//! A Chroma palace that is frozen for a cut-over: the real MemPalace refuses to write to it and reads on.

use palanquin_chroma::freeze;
use palanquin_engine::contract::ErrorKind;
use palanquin_tests::{Scratch, python};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The palace that the helper below freezes.
const FROZEN: &str = "PALANQUIN_TEST_FROZEN";

/// Writes a row through MemPalace, reads through it, or holds its lock; says what came of it.
const MEMPALACE: &str = r#"
import sys
from mempalace import palace as mempalace
path, what = sys.argv[1], sys.argv[2]
if what == "hold":
    with mempalace.mine_palace_lock(path):
        print("held", flush=True)
        sys.stdin.read()
    sys.exit()
collection = mempalace.get_collection(path, collection_name="mempalace_drawers", create=what == "make", backend="chroma")
if what == "read":
    print(collection.count())
else:
    try:
        collection.upsert(ids=[what], documents=[what], metadatas=[{"wing": "w"}], embeddings=[[1.0] + [0.0] * 383])
        print("written")
    except mempalace.MineAlreadyRunning as error:
        print(f"refused: {error}")
"#;

struct Palace {
    _scratch: Scratch,
    path: PathBuf,
    home: PathBuf,
}

impl Palace {
    fn new() -> Self {
        let scratch = Scratch::new();
        let (path, home) = (scratch.path("palace"), scratch.path("home"));
        std::fs::create_dir(&home).unwrap();
        let palace = Self { _scratch: scratch, path, home };
        assert_eq!(palace.mempalace("make"), "written");
        palace
    }

    fn command(&self, what: &str) -> Command {
        let mut command = Command::new(python().get_program());
        command.args(["-c", MEMPALACE]).arg(&self.path).arg(what);
        command.env("HOME", &self.home).env("MEMPALACE_CONFIG_DIR", &self.home).env("ANONYMIZED_TELEMETRY", "False");
        command
    }

    fn mempalace(&self, what: &str) -> String {
        let output = self.command(what).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Freezes it in a process of its own, whose home is the palace's; returns once that has said what came of it.
    fn freeze(&self) -> (Child, String) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "chroma_freeze::holds_a_palace_for_another_test"])
            .env(FROZEN, &self.path)
            .env("HOME", &self.home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Nobody listens to what else the test harness says.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let said = said.into_iter().find_map(|line| line.split_once("FREEZE ").map(|(_, said)| said.to_owned()));
        (child, said.expect("the helper says something"))
    }
}

#[test]
#[ignore = "a helper of the tests below"]
fn holds_a_palace_for_another_test() {
    let Some(palace) = std::env::var_os(FROZEN) else { return };
    match freeze(Path::new(&palace)) {
        Ok(_frozen) => {
            println!("FREEZE frozen");
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
        }
        Err(error) => println!("FREEZE {}: {error}", error.kind().name()),
    }
}

#[test]
fn mempalace_refuses_to_write_to_a_frozen_palace_names_who_froze_it_and_reads_on() {
    let palace = Palace::new();
    let (mut holder, said) = palace.freeze();
    assert_eq!(said, "frozen");
    let refused = palace.mempalace("second");
    let named = format!("is held by PID {} ({}", holder.id(), std::env::current_exe().unwrap().display());
    assert!(refused.starts_with("refused: ") && refused.contains(&named), "{refused} does not say {named}");
    assert_eq!(palace.mempalace("read"), "1");
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert_eq!(palace.mempalace("second"), "written");
}

#[test]
fn a_freeze_ends_with_its_process_however_that_ends() {
    let palace = Palace::new();
    let (mut holder, said) = palace.freeze();
    assert_eq!(said, "frozen");
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(palace.mempalace("second"), "written");
}

#[test]
fn a_palace_that_mempalace_writes_to_is_not_frozen_and_its_writer_is_named() {
    let palace = Palace::new();
    let mut writer = palace.command("hold").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(writer.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "held");
    let (mut helper, said) = palace.freeze();
    helper.wait().unwrap();
    assert!(said.starts_with(ErrorKind::InUse.name()), "{said}");
    assert!(said.contains(&format!("held by process {} (-c ", writer.id())), "{said}");
    drop(writer.stdin.take());
    assert!(writer.wait().unwrap().success());
}
