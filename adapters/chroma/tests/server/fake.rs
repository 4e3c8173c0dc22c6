//! A server in front of a real one: it passes on what is asked, unless it is told to answer otherwise.

use palanquin_chroma::ServerOptions;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What is done with a request.
pub(crate) enum Then {
    /// The real server answers.
    PassOn,
    /// This status and these further headers, and nothing is done.
    Answer(u16, &'static [(&'static str, &'static str)]),
    /// The real server does it, and its answer breaks off in the middle.
    CutInHalf,
    /// The real server does it, and no answer comes until the client gives up.
    Silence,
    /// The connection is closed before the request is read to its end.
    HangUp,
}

type Plan = Arc<dyn Fn(&Asked, usize) -> Then + Send + Sync>;

pub(crate) struct Fake {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Fake {
    /// In front of the server at `url`; the plan is asked of each request, with how many came before it.
    pub(crate) async fn before(url: &str, plan: impl Fn(&Asked, usize) -> Then + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = format!("http://{}", listener.local_addr().unwrap());
        let real = url.trim_start_matches("http://").to_owned();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (plan, seen): (Plan, _) = (Arc::new(plan), Arc::clone(&asked));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (plan, seen, real) = (Arc::clone(&plan), Arc::clone(&seen), real.clone());
                tokio::spawn(async move { drop(serve(stream, &plan, &seen, &real).await) });
            }
        });
        Self { url: own, asked, serving }
    }

    /// How the adapter is told of it: impatient, so that a test is not.
    pub(crate) fn options(&self, tenant: ServerOptions) -> ServerOptions {
        let pause = Duration::from_millis(5);
        ServerOptions { url: self.url.clone(), pause, ..tenant }
    }

    /// What came so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// One connection: one request, and the connection is closed.
async fn serve(stream: TcpStream, plan: &Plan, seen: &Mutex<Vec<Asked>>, real: &str) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let mut words = line.split_whitespace();
    let mut word = || words.next().unwrap_or_default().to_owned();
    let mut asked = Asked { method: word(), path: word(), headers: Vec::new(), body: Vec::new() };
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 || line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            asked.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let length = asked.headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    asked.body = vec![0; length];
    let before = seen.lock().unwrap().len();
    // What hangs up has not read the body.
    if matches!(plan(&asked, before), Then::HangUp) {
        seen.lock().unwrap().push(asked);
        return stream.get_mut().shutdown().await;
    }
    stream.read_exact(&mut asked.body).await?;
    seen.lock().unwrap().push(asked.clone());
    let then = plan(&asked, before);
    if let Then::Answer(status, headers) = then {
        let mut head = format!("HTTP/1.1 {status} Said\r\nconnection: close\r\ncontent-length: 0\r\n");
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        stream.write_all(format!("{head}\r\n").as_bytes()).await?;
        return stream.flush().await;
    }
    let answer = pass_on(&asked, real).await?;
    match then {
        Then::CutInHalf => stream.write_all(&answer[..answer.len() - answer.len().min(9) / 2]).await?,
        Then::Silence => {
            // Until the client has gone.
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await?;
        }
        _ => stream.write_all(&answer).await?,
    }
    stream.flush().await
}

async fn pass_on(asked: &Asked, real: &str) -> std::io::Result<Vec<u8>> {
    let mut to = TcpStream::connect(real).await?;
    let head = format!(
        "{} {} HTTP/1.1\r\nhost: {real}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        asked.method,
        asked.path,
        asked.body.len()
    );
    to.write_all(head.as_bytes()).await?;
    to.write_all(&asked.body).await?;
    let mut answer = Vec::new();
    to.read_to_end(&mut answer).await?;
    Ok(answer)
}
