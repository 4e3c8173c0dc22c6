//! A way to the server that can be cut where a network would cut it: in the middle of rows, or of an answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Where the way is cut, once; counted from when that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Once a session has sent so many bytes.
    AfterSent(usize),
    /// Once a session has received so many bytes.
    AfterReceived(usize),
    /// When the server has answered a COMMIT, so many others gone before: the answer does not arrive.
    AnswerToCommit(usize),
}

/// Passes on what is sent to the server and what it answers.
pub(crate) struct Way {
    dsn: String,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    cut: Option<Cut>,
    /// How often a cut was asked for, and how often one was made.
    asked: usize,
    made: usize,
}

impl Way {
    /// To the server of that connection string.
    pub(crate) async fn to(dsn: &str) -> Self {
        let (before, after) = dsn.split_once('@').unwrap();
        let (server, database) = after.split_once('/').unwrap();
        let (server, listener) = (server.to_owned(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let dsn = format!("{before}@{}/{database}", listener.local_addr().unwrap());
        let plan = Arc::<Mutex<Plan>>::default();
        let shared = Arc::clone(&plan);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&server).await else { continue };
                tokio::spawn(pass(client, server, Arc::clone(&shared)));
            }
        });
        Self { dsn, plan }
    }

    pub(crate) fn dsn(&self) -> &str {
        &self.dsn
    }

    /// Cuts the next session that comes so far.
    pub(crate) fn cut(&self, cut: Cut) {
        let mut plan = self.plan.lock().unwrap();
        (plan.cut, plan.asked) = (Some(cut), plan.asked + 1);
    }

    /// How often it was cut.
    pub(crate) fn cuts(&self) -> usize {
        self.plan.lock().unwrap().made
    }
}

impl Plan {
    fn make(&mut self) -> bool {
        (self.cut, self.made) = (None, self.made + 1);
        true
    }
}

/// Bytes of one direction since the newest cut was asked for.
#[derive(Default)]
struct Counted {
    asked: usize,
    bytes: usize,
}

impl Counted {
    fn add(&mut self, read: usize, asked: usize) -> usize {
        if self.asked != asked {
            *self = Self { asked, bytes: 0 };
        }
        self.bytes += read;
        self.bytes
    }
}

/// Passes bytes on in both directions until the way is cut or an end closes, which closes both connections.
async fn pass(client: TcpStream, server: TcpStream, plan: Arc<Mutex<Plan>>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let commits = AtomicBool::new(false);
    let mut counted = Counted::default();
    let sent = |text: &[u8]| {
        let mut plan = plan.lock().unwrap();
        let bytes = counted.add(text.len(), plan.asked);
        commits.fetch_or(text.windows(7).any(|part| part == b"COMMIT\0"), Ordering::SeqCst);
        matches!(plan.cut, Some(Cut::AfterSent(n)) if bytes >= n) && plan.make()
    };
    let mut counted = Counted::default();
    let received = |text: &[u8]| {
        let mut plan = plan.lock().unwrap();
        let bytes = counted.add(text.len(), plan.asked);
        let answers = commits.swap(false, Ordering::SeqCst);
        let cut = plan.cut;
        match cut {
            Some(Cut::AfterReceived(n)) => bytes >= n && plan.make(),
            Some(Cut::AnswerToCommit(0)) => answers && plan.make(),
            Some(Cut::AnswerToCommit(before)) => {
                plan.cut = Some(Cut::AnswerToCommit(before - usize::from(answers)));
                false
            }
            _ => false,
        }
    };
    tokio::select! {
        () = one_way(from_client, to_server, sent) => {}
        () = one_way(from_server, to_client, received) => {}
    }
}

async fn one_way(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut is_cut: impl FnMut(&[u8]) -> bool) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
        if is_cut(&buffer[..read]) || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
