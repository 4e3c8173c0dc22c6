//! A way to the server that can be cut where a network would cut it: in the middle of rows, or of an answer.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Where the way is cut, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Once a session has sent so many bytes.
    AfterSent(usize),
    /// Once a session has received so many bytes.
    AfterReceived(usize),
    /// When the server has answered a COMMIT: the answer does not arrive.
    AnswerToCommit,
}

/// Passes on what is sent to the server and what it answers.
pub(crate) struct Way {
    dsn: String,
    cut: Arc<Mutex<Option<Cut>>>,
    cuts: watch::Receiver<usize>,
}

impl Way {
    /// To the server of that connection string.
    pub(crate) async fn to(dsn: &str) -> Self {
        let (before, after) = dsn.split_once('@').unwrap();
        let (server, database) = after.split_once('/').unwrap();
        let (server, listener) = (server.to_owned(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let dsn = format!("{before}@{}/{database}", listener.local_addr().unwrap());
        let cut = Arc::new(Mutex::new(None));
        let (counts, cuts) = watch::channel(0);
        let (armed, counts) = (Arc::clone(&cut), Arc::new(counts));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&server).await else { continue };
                tokio::spawn(pass(client, server, Arc::clone(&armed), Arc::clone(&counts)));
            }
        });
        Self { dsn, cut, cuts }
    }

    pub(crate) fn dsn(&self) -> &str {
        &self.dsn
    }

    /// Cuts the next session that comes so far.
    pub(crate) fn cut(&self, cut: Cut) {
        *self.cut.lock().unwrap() = Some(cut);
    }

    /// How often it was cut.
    pub(crate) fn cuts(&self) -> usize {
        *self.cuts.borrow()
    }
}

/// Passes bytes on in both directions until the way is cut or an end closes.
async fn pass(client: TcpStream, server: TcpStream, armed: Arc<Mutex<Option<Cut>>>, cuts: Arc<watch::Sender<usize>>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let takes = |wanted: fn(Cut, usize) -> bool, bytes: usize| {
        let mut cut = armed.lock().unwrap();
        let is_due = cut.is_some_and(|cut| wanted(cut, bytes));
        if is_due {
            *cut = None;
            cuts.send_modify(|cuts| *cuts += 1);
        }
        is_due
    };
    let answers = Arc::new(Mutex::new(false));
    let sent = |bytes, text: &[u8]| {
        if text.windows(7).any(|part| part == b"COMMIT\0") {
            *answers.lock().unwrap() = true;
        }
        takes(|cut, bytes| matches!(cut, Cut::AfterSent(n) if bytes >= n), bytes)
    };
    let received = |bytes, _: &[u8]| {
        let answered = std::mem::take(&mut *answers.lock().unwrap());
        answered && takes(|cut, _| cut == Cut::AnswerToCommit, bytes)
            || takes(|cut, bytes| matches!(cut, Cut::AfterReceived(n) if bytes >= n), bytes)
    };
    // The first to end takes the other with it, and both connections are closed.
    tokio::select! {
        () = one_way(from_client, to_server, sent) => {}
        () = one_way(from_server, to_client, received) => {}
    }
}

async fn one_way(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, is_cut: impl Fn(usize, &[u8]) -> bool) {
    let (mut buffer, mut bytes) = (vec![0; 16 << 10], 0);
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
        bytes += read;
        if is_cut(bytes, &buffer[..read]) || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
