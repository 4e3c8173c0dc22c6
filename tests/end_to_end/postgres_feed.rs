//! `mirror` from Postgres into Lance: by the server's log, whatever happens to the program, the server and the slot.

use palanquin_tests::{Finished, Program, ReadRow, Scratch, read_lance};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const PATIENCE: Duration = Duration::from_secs(180);

/// A palace of its own in a server's database, and what mirrors it.
struct Mirrored {
    scratch: Scratch,
    server: String,
    name: String,
}

impl Mirrored {
    /// With the rows of the real palace in it.
    fn made(server: &str, name: &str) -> Self {
        let name = format!("{name}-{}", std::process::id());
        let made = Self { scratch: Scratch::new(), server: server.to_owned(), name };
        let run = made.program("migrate", &made.scratch.palace().display().to_string(), &made.source()).run();
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        made
    }

    fn source(&self) -> String {
        format!("{}?palace={}&local_path={}", self.server, self.name, self.directory().display())
    }

    fn directory(&self) -> PathBuf {
        self.scratch.path("marked")
    }

    fn target(&self) -> PathBuf {
        self.scratch.path("mirror")
    }

    fn program(&self, command: &'static str, source: &str, target: &str) -> Program {
        Program::with([command]).arg(source).arg(target).arg("--state").arg(self.state().to_str().unwrap())
    }

    fn state(&self) -> PathBuf {
        self.scratch.path("state")
    }

    fn mirror(&self) -> (Child, Receiver<String>) {
        let target = format!("lance:{}", self.target().display());
        self.program("mirror", &self.source(), &target).arg("--json").start()
    }

    fn writer(&self) -> Command {
        let python = std::env::var("PALANQUIN_TEST_PYTHON").expect("run the tests with tests/run");
        let mut command = Command::new(python);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("palaces/postgres_writer.py"));
        command.arg(&self.server).arg(&self.name).arg(self.directory()).stdout(Stdio::null());
        command
    }

    fn sql(&self, statement: &str) {
        let mut writer = self.writer();
        assert!(writer.args(["--sql", statement]).status().unwrap().success(), "{statement}");
    }

    fn asked<const N: usize>(&self, arguments: [&str; N]) -> Finished {
        let run = Program::with(arguments).arg("--state").arg(self.state().to_str().unwrap()).run();
        assert_eq!(run.code, Some(0), "{arguments:?}: {}{}", run.stdout, run.stderr);
        run
    }

    /// That the mirror is what a copy of the source now is.
    fn assert_equal(&self) {
        let copy = self.scratch.path("copy");
        let run = self.program("migrate", &self.source(), &format!("lance:{}", copy.display())).run();
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        let by_id = |path: &Path| {
            let mut rows = read_lance(path);
            rows.sort_by(|one, other| (&one.collection, &one.id).cmp(&(&other.collection, &other.id)));
            rows
        };
        let (followed, copied) = (by_id(&self.target()), by_id(&copy));
        let ids =
            |rows: &[ReadRow]| rows.iter().map(|row| (row.collection.clone(), row.id.clone())).collect::<Vec<_>>();
        assert_eq!(ids(&followed), ids(&copied));
        for (followed, copied) in followed.iter().zip(&copied) {
            assert_eq!(followed, copied);
        }
        std::fs::remove_dir_all(copy).unwrap();
    }
}

/// Reads the mirror's lines until one is as wanted.
fn wait_for(lines: &Receiver<String>, what: &str, wanted: impl Fn(&Value) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = lines.recv_timeout(left).unwrap_or_else(|error| panic!("{what}: {error}"));
        if wanted(&serde_json::from_str(&line).unwrap()) {
            return;
        }
    }
}

fn wait_until_live(lines: &Receiver<String>) {
    wait_for(lines, "it follows", |line| line["kind"] == "progress" && !line["link"]["lag"].is_null());
}

/// Until everything that was written before now has been applied.
fn wait_until_caught_up(lines: &Receiver<String>) {
    let written = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    wait_for(lines, "it catches up", |line| {
        let lag = &line["link"]["lag"];
        line["kind"] == "progress"
            && lag["rows"] == 0
            && lag["measured_at_ms"].as_i64().is_some_and(|at| at > written + 2_000)
    });
}

fn end(mut mirror: Child) {
    let pid = rustix::process::Pid::from_child(&mirror);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(mirror.wait().unwrap().code(), Some(130));
}

fn server() -> String {
    std::env::var("PALANQUIN_TEST_POSTGRES").expect("run the tests with tests/run")
}

/// A server of one test's own.
struct OwnServer {
    directory: String,
    settings: Vec<&'static str>,
}

impl OwnServer {
    fn start(settings: &[&'static str]) -> (Self, String) {
        let own = Self { directory: script(&["scratch"]), settings: settings.to_vec() };
        let address = own.started();
        (own, address)
    }

    fn started(&self) -> String {
        script(&[&["start", self.directory.as_str(), "18"][..], &self.settings[..]].concat())
    }

    fn stop(&self, how: &str) {
        script(&["stop", &self.directory, how]);
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.stop("immediate");
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

fn script(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("postgres.sh");
    let output =
        Command::new(script).args(arguments).env("PALANQUIN_TEST_FSYNC", "on").stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_palace_that_mempalace_writes_to_is_followed_through_kills_to_the_last_change() {
    let seed = 20_261_125;
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mirrored = Mirrored::made(&server(), "killed");
    let (mut following, mut lines) = mirrored.mirror();
    wait_until_live(&lines);
    let mut writer = mirrored.writer().args(["--seconds", "15", "--seed", "7"]).spawn().unwrap();
    let mut kills = 0;
    while writer.try_wait().unwrap().is_none() {
        let moment = Instant::now() + Duration::from_millis(random.random_range(200..4_000));
        while lines.recv_timeout(moment.saturating_duration_since(Instant::now())).is_ok() {}
        following.kill().unwrap();
        following.wait().unwrap();
        kills += 1;
        (following, lines) = mirrored.mirror();
    }
    assert!(writer.wait().unwrap().success(), "the writer failed");
    assert!(kills >= 3, "{kills} kills");
    wait_until_caught_up(&lines);
    mirrored.sql(
        "BEGIN; TRUNCATE {table}; INSERT INTO {table} (id, document, embedding) \
                  SELECT 'after-' || n, 'd', array_fill(n, ARRAY[384])::vector FROM generate_series(1, 50) n; COMMIT",
    );
    wait_until_caught_up(&lines);
    end(following);
    mirrored.assert_equal();
}

#[test]
fn a_server_that_is_restarted_under_the_mirror_is_followed_on() {
    let (own, server) = OwnServer::start(&[]);
    let mirrored = Mirrored::made(&server, "restarted");
    let (following, lines) = mirrored.mirror();
    wait_until_live(&lines);
    for (seed, how) in ["fast", "immediate"].into_iter().enumerate() {
        let mut writer = mirrored
            .writer()
            .args(["--seconds", "60", "--seed", &seed.to_string()])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let applied = std::cell::Cell::new(None);
        wait_for(&lines, "changes arrive", |line| {
            let now = line["link"]["changes_applied"].as_u64();
            let before = applied.replace(applied.get().or(now));
            now.zip(before).is_some_and(|(now, before)| now > before + 20)
        });
        own.stop(how);
        // It loses its server too.
        writer.wait().unwrap();
        assert_eq!(own.started(), server);
        mirrored.sql("UPDATE {table} SET metadata = '{\"after\": \"the restart\"}' WHERE id < 'm'");
        wait_until_caught_up(&lines);
    }
    end(following);
    mirrored.assert_equal();
}

#[test]
fn a_slot_that_is_gone_means_one_comparison_and_a_removed_link_leaves_none() {
    let mirrored = Mirrored::made(&server(), "slots");
    let source = mirrored.source();
    let (following, lines) = mirrored.mirror();
    wait_until_live(&lines);
    let listed: Value =
        serde_json::from_str(mirrored.asked(["links", "list", "--json"]).stdout.lines().next().unwrap()).unwrap();
    let slot = |expect: usize| -> Vec<Value> {
        let asked = mirrored.asked(["slots", "list", &source, "--json"]);
        let lines = asked.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let found: Vec<Value> = lines.filter(|line| !line["link"].is_null()).collect();
        assert_eq!(found.len(), expect, "{}", asked.stdout);
        found
    };
    let link = slot(1)[0]["link"].as_str().unwrap().to_owned();
    let name = slot(1)[0]["slot"]["name"].as_str().unwrap().to_owned();
    assert!(mirrored.asked(["links", "list"]).stdout.contains("following"), "{listed}");
    let state = mirrored.state();
    let busy =
        Program::with(["slots", "drop"]).arg(&source).arg(&name).arg("--state").arg(state.to_str().unwrap()).run();
    assert_eq!(busy.code, Some(3), "{}{}", busy.stdout, busy.stderr);
    end(following);
    let shown = mirrored.asked(["slots", "list", &source]).stdout;
    assert!(shown.contains(&link) && shown.contains("unread"), "{shown}");
    mirrored.asked(["slots", "drop", &source, &name]);
    slot(0);
    mirrored.sql("DELETE FROM {table} WHERE id IN (SELECT id FROM {table} ORDER BY id LIMIT 100)");
    mirrored.sql("UPDATE {table} SET metadata = '{\"while\": \"nobody followed\"}' WHERE id > 'm'");
    let (following, lines) = mirrored.mirror();
    wait_for(&lines, "it says that it compares", |line| {
        let to = line["event"]["to"].as_str().unwrap_or_default();
        let reason = line["event"]["reason"].as_str().unwrap_or_default();
        to.starts_with("comparing all of") && reason.contains("slot")
    });
    wait_until_caught_up(&lines);
    mirrored.sql("UPDATE {table} SET metadata = '{\"by\": \"the new slot\"}' WHERE id < 'm'");
    wait_until_caught_up(&lines);
    end(following);
    mirrored.assert_equal();
    let links = mirrored.asked(["links", "list", "--json"]).stdout;
    assert!(links.contains(&link), "{links}");
    let removed = mirrored.asked(["links", "remove", &link]).stdout;
    assert!(removed.contains("replication slot") && removed.contains("publication"), "{removed}");
    slot(0);
    assert!(!mirrored.asked(["links", "list", "--json"]).stdout.contains(&link));
    assert!(mirrored.target().exists(), "the mirror stays as it is");
}

#[test]
fn a_server_whose_log_tells_no_rows_is_refused_with_the_ways_out() {
    let (_own, server) = OwnServer::start(&["wal_level=replica"]);
    let mirrored = Mirrored::made(&server, "refused");
    let target = format!("lance:{}", mirrored.target().display());
    let run = mirrored.program("mirror", &mirrored.source(), &target).run();
    assert_eq!(run.code, Some(3), "{}{}", run.stdout, run.stderr);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(said.contains("wal_level = logical") && said.contains("--capture scan"), "{said}");
    assert!(!mirrored.target().exists());
}
