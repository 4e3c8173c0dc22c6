//! The dashboard for real, through a pseudo-terminal.

use palanquin_tests::{Program, Scratch};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Longest wait for anything to show.
const PATIENCE: Duration = Duration::from_secs(90);

struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    bytes: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    pty: Box<dyn MasterPty + Send>,
}

impl Terminal {
    fn run(arguments: &[&str], scratch: &Scratch, (columns, rows): (u16, u16)) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(Program::path());
        command.args(arguments);
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        command.env("TMPDIR", scratch.path("."));
        let child = pair.slave.spawn_command(command).unwrap();
        let (chunk, bytes) = channel();
        let mut reader = pair.master.try_clone_reader().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                if chunk.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Self {
            child,
            keys,
            bytes,
            screen: vt100::Parser::new(rows.try_into().unwrap(), columns.try_into().unwrap(), 1000),
            pty: pair.master,
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    #[track_caller]
    fn wait_for(&mut self, wanted: impl Fn(&str) -> bool, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(&self.screen.screen().contents()) {
            match self.bytes.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(chunk) => self.screen.process(&chunk),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{what} never showed:\n{}", self.screen.screen().contents())
                }
            }
        }
    }

    fn end(mut self) -> (u32, String, bool) {
        while let Ok(chunk) = self.bytes.recv_timeout(PATIENCE) {
            self.screen.process(&chunk);
        }
        let screen = self.screen.screen();
        let code = self.child.wait().unwrap().exit_code();
        drop(self.pty);
        (code, screen.contents(), screen.alternate_screen())
    }
}

#[test]
fn the_demonstration_shows_a_live_mirror_that_pauses_resumes_and_quits() {
    let scratch = Scratch::new();
    let mut terminal = Terminal::run(&["demo"], &scratch, (100, 30));
    terminal.wait_for(|screen| screen.contains("live"), "a live mirror");
    assert!(terminal.screen.screen().alternate_screen());
    // The mirror is the last of the links.
    terminal.press("G");
    terminal.press("p");
    terminal.wait_for(|screen| screen.contains("paused"), "the pause");
    terminal.press("p");
    terminal.wait_for(|screen| screen.contains("paused → checking"), "the resumption");
    terminal.press("?");
    terminal.wait_for(|screen| screen.contains("never quits"), "the help");
    terminal.press("\u{1b}");
    // ESC and a key that follows at once would be read as one.
    terminal.wait_for(|screen| !screen.contains("never quits"), "the end of the help");
    terminal.press("q");
    terminal.wait_for(|screen| screen.contains("Quit"), "the question");
    terminal.press("y");
    let (code, screen, alternate) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert!(!alternate, "the terminal is given back");
    assert!(screen.contains("copied and verified") && screen.contains("mirror:"), "{screen}");
}

#[test]
fn a_migration_on_a_terminal_ends_with_its_summary_on_the_normal_screen() {
    let scratch = Scratch::new();
    let (source, target, state) = (scratch.palace(), scratch.path("target"), scratch.path("state"));
    let target = format!("lance:{}", target.display());
    let arguments = ["migrate", source.to_str().unwrap(), &target, "--state", state.to_str().unwrap()];
    let mut terminal = Terminal::run(&arguments, &scratch, (80, 24));
    terminal.wait_for(|screen| screen.contains("Links"), "the dashboard");
    let (code, screen, alternate) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert!(!alternate && screen.contains("copied and verified"), "{screen}");
}

#[test]
fn a_refused_migration_on_a_terminal_ends_by_itself_and_says_why() {
    let scratch = Scratch::new();
    let (nowhere, target, state) = (scratch.path("nowhere"), scratch.path("target"), scratch.path("state"));
    let target = format!("lance:{}", target.display());
    let arguments = ["migrate", nowhere.to_str().unwrap(), &target, "--state", state.to_str().unwrap()];
    let (code, screen, alternate) = Terminal::run(&arguments, &scratch, (100, 30)).end();
    assert_eq!(code, 2, "{screen}");
    assert!(!alternate && screen.contains("PalaceNotFound"), "{screen}");
}
