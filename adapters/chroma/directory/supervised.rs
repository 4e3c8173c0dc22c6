use super::command::{self, Chroma};
use crate::writer_lock::{Freeze, Holder, last_holder, lock_in};
use palanquin_engine::contract::{Error, ErrorKind, Result};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Starts the server, ends it when it is told to, and when its standard input closes: then Palanquin is gone, and what is
/// under way is given time to be written. Its standard output is MemPalace's lock on the palace, which it and the server
/// hold open as long as they live: nobody else writes the directory before the server is gone.
const SCRIPT: &str = r#"
exec 3<&0 </dev/null
log=$1; grace=$2; shift 2
"$@" 3<&- 4>&1 >"$log" 2>&1 &
server=$!
{
    read -r word || sleep "$grace"
    kill -TERM "$server" 2>/dev/null
    waited=0
    while kill -0 "$server" 2>/dev/null && [ "$waited" -lt 200 ]; do sleep 0.05; waited=$((waited + 1)); done
    kill -KILL "$server" 2>/dev/null
} <&3 3<&- >/dev/null &
watch=$!
exec 3<&-
wait "$server"
kill "$watch" 2>/dev/null
rm -f "$log"
"#;
/// Seconds the server goes on after Palanquin has gone without a word.
const GRACE: &str = "5";
/// What a server may take until it answers.
const START: Duration = Duration::from_secs(60);
/// Between two looks at a server that is starting or ending.
const LOOK: Duration = Duration::from_millis(20);
/// What is waited for a server to end, at most.
const END: Duration = Duration::from_secs(15);
/// What is waited for a server that a killed Palanquin has left to end: [`GRACE`], the ten seconds it then has to end in order, and
/// what a busy machine adds.
const LEFT: Duration = Duration::from_secs(60);
/// What is waited for somebody who lives: a process that was just killed takes a moment to be gone.
const DYING: Duration = Duration::from_secs(2);
/// Another process may take a port between its choice and the start.
const PORTS: usize = 5;
/// Of the server's own words, shown where it does not start.
const SHOWN_BYTES: u64 = 600;

/// A Chroma server over one directory, of ours alone. Ends when it is dropped.
pub(super) struct Supervised {
    child: Child,
    told: Option<ChildStdin>,
    /// MemPalace's lock, held as long as anybody writes; handed back by one that did not start.
    lock: Option<Freeze>,
    url: String,
}

impl Supervised {
    /// Takes MemPalace's lock on the directory and starts a server over it. Returns once it answers.
    ///
    /// # Errors
    /// `InUse` if somebody else writes the directory; `UnsupportedCapability` without a `chroma` command;
    /// `Unavailable` if the server does not start, with its own words.
    pub(super) fn start(folder: &Path) -> Result<Self> {
        let chroma = command::find()?;
        let home = std::env::home_dir().ok_or_else(|| {
            Error::new(ErrorKind::PermissionDenied, "this user has no home directory, where MemPalace's locks are")
        })?;
        let mut lock = Some(take_lock(&home, folder, || sleep(LOOK))?);
        let mut failed = Error::new(ErrorKind::Internal, "no server was started");
        for _ in 0..PORTS {
            let Some(held) = lock.take() else { break };
            match begin(&chroma, folder, held) {
                Ok(started) => return Ok(started),
                Err((error, given_back)) => (failed, lock) = (error, given_back),
            }
        }
        Err(failed)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Whether the server still runs.
    pub(super) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends the server, and lets others write the directory.
    pub(super) fn let_go(&mut self) {
        self.end();
        self.lock = None;
    }

    /// Tells the server to end and waits until it is gone.
    fn end(&mut self) {
        if let Some(mut told) = self.told.take() {
            let _ = told.write_all(b"end\n");
        }
        let began = Instant::now();
        while self.lives() && began.elapsed() < END {
            sleep(LOOK);
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.end();
    }
}

/// Takes MemPalace's lock. A Palanquin that was killed has left a server, which holds the lock while it writes what is under
/// way and then ends: it is waited for.
fn take_lock(home: &Path, folder: &Path, mut wait: impl FnMut()) -> Result<Freeze> {
    let began = Instant::now();
    loop {
        match lock_in(home, folder) {
            Err(error) if error.kind() == ErrorKind::InUse && began.elapsed() < patience(last_holder(home, folder)) => {
                wait();
            }
            taken => return taken,
        }
    }
}

/// How long whoever took the lock last is waited for.
fn patience(holder: Option<Holder>) -> Duration {
    if holder.is_some_and(|holder| holder.is_gone()) { LEFT } else { DYING }
}

fn begin(chroma: &Chroma, folder: &Path, lock: Freeze) -> Result<Supervised, (Error, Option<Freeze>)> {
    let log = std::env::temp_dir().join(format!("palanquin-chroma-{}.log", uuid::Uuid::new_v4()));
    let spawned = free_port().and_then(|port| Ok((port, spawn(chroma, folder, port, &log, lock.shared()?)?)));
    let (port, mut child) = match spawned {
        Ok(spawned) => spawned,
        Err(error) => return Err((Error::io("the chroma command cannot be started", error), Some(lock))),
    };
    let told = child.stdin.take();
    let mut started = Supervised { child, told, lock: Some(lock), url: format!("http://127.0.0.1:{port}") };
    let began = Instant::now();
    let mut said = String::new();
    while started.lives() && began.elapsed() < START {
        said = read_end(&log).unwrap_or(said);
        if answers(port) {
            tracing::info!(version = chroma.version, folder = %folder.display(), "a Chroma server was started");
            return Ok(started);
        }
        sleep(LOOK);
    }
    started.end();
    let detail = format!("a Chroma server over the directory does not start; it says: {}", printable(&said));
    let error = Error::new(ErrorKind::Unavailable, detail);
    Err((error, started.lock.take()))
}

fn spawn(chroma: &Chroma, folder: &Path, port: u16, log: &Path, lock: File) -> std::io::Result<Child> {
    // Its own words may name what is in the palace.
    File::options().write(true).create_new(true).mode(0o600).open(log)?;
    Command::new("/bin/sh")
        .args(["-c", SCRIPT, "palanquin-chroma"])
        .arg(log)
        .arg(GRACE)
        .arg(&chroma.path)
        .args(["run", "--host", "127.0.0.1", "--port", &port.to_string(), "--path"])
        .arg(folder)
        .env("ANONYMIZED_TELEMETRY", "False")
        .stdin(Stdio::piped())
        .stdout(lock)
        .stderr(Stdio::null())
        // What a terminal sends to Palanquin is not for the server: it ends when it is told.
        .process_group(0)
        .spawn()
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Whether a Chroma server answers on the port.
fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /api/v2/heartbeat HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(4096).read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.contains("nanosecond heartbeat"))
}

fn read_end(log: &Path) -> Option<String> {
    let mut file = File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(SHOWN_BYTES))).ok()?;
    let mut bytes = Vec::new();
    file.take(SHOWN_BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn printable(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_a_process_left_when_it_ended_is_waited_for() {
        let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let left = lock_in(home.path(), folder.path()).unwrap();
        let mut ended = Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        std::fs::write(left.path(), format!("\0{} palanquin migrate", ended.id())).unwrap();
        let (mut left, mut waited) = (Some(left), 0);
        let taken = take_lock(home.path(), folder.path(), || {
            waited += 1;
            drop(left.take());
        });
        assert_eq!((taken.is_ok(), waited), (true, 1));
        assert_eq!(patience(last_holder(home.path(), folder.path())), DYING, "it is ours now");
    }
}
