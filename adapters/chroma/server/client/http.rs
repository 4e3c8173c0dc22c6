use super::failure::{refused, unanswered};
use super::options::{DEFAULT_TENANT, ServerOptions};
use super::tls;
use bytes::Bytes;
use palanquin_engine::contract::{Error, ErrorKind, Result};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode, redirect};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;

/// A body of so many bytes whose connection breaks may have been refused as too large: servers hang up before they have
/// read it, and their answer is lost.
const SUSPECT_BYTES: usize = 1 << 20;
/// Longest pause a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Carries requests to one server. Nothing is connected until something is asked.
#[derive(Clone)]
pub(super) struct Http(Arc<Inner>);

struct Inner {
    options: ServerOptions,
    client: OnceCell<reqwest::Client>,
}

/// A request that does the same when it is made twice, as all are that are made here.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    /// Below `/api/v2`, percent-encoded.
    pub(super) path: &'a str,
    pub(super) body: Option<Bytes>,
    pub(super) timeout: Duration,
    /// What it is for, in errors.
    pub(super) doing: &'a str,
}

/// How a request ended that was not answered as wished.
pub(super) enum Refused {
    /// The body is larger than the server, or whatever stands before it, takes.
    TooLarge,
    /// It is there already.
    Exists,
    /// It is not there.
    Missing,
    /// Anything else.
    Failed(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Refused {
    /// As an error, where none of them is expected.
    pub(super) fn into_error(self, doing: &str) -> Error {
        match self {
            Self::Failed(error) => error,
            Self::TooLarge => refused(StatusCode::PAYLOAD_TOO_LARGE, b"", doing),
            Self::Exists => refused(StatusCode::CONFLICT, b"", doing),
            Self::Missing => refused(StatusCode::NOT_FOUND, b"", doing),
        }
    }
}

impl Http {
    pub(super) fn new(options: ServerOptions) -> Self {
        Self(Arc::new(Inner { options, client: OnceCell::new() }))
    }

    pub(super) fn options(&self) -> &ServerOptions {
        &self.0.options
    }

    async fn client(&self) -> Result<&reqwest::Client> {
        self.0.client.get_or_try_init(|| async { build(&self.0.options) }).await
    }

    /// Makes a request, again where that can help: no answer, a broken one and a failing server leave open whether it was
    /// done, and doing it twice is the same as once.
    pub(super) async fn ask(&self, request: Request<'_>) -> Result<Bytes, Refused> {
        let mut pause = self.0.options.pause;
        let mut left = self.0.options.retries;
        loop {
            let (error, wanted_pause) = match self.once(&request).await? {
                Answered::Well(body) => return Ok(body),
                Answered::Refused(refused) => return Err(refused),
                Answered::Worth { error, pause } => (error, pause),
            };
            if left == 0 {
                return Err(Refused::Failed(error));
            }
            left -= 1;
            tracing::debug!(what = %error.what(), left, "a request is made again");
            tokio::time::sleep(wanted_pause.unwrap_or(pause).min(LONGEST_PAUSE)).await;
            pause *= 2;
        }
    }

    async fn once(&self, request: &Request<'_>) -> Result<Answered> {
        let Request { method, path, body, timeout, doing } = request;
        let url = format!("{}/api/v2{path}", self.0.options.url);
        let mut building = self.client().await?.request(method.clone(), url).timeout(*timeout);
        if let Some((name, value)) = self.0.options.credentials.as_header() {
            building = building.header(name, value);
        }
        if let Some(body) = body {
            building = building.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let worth = |error| {
            let error = unanswered(error, &self.0.options.url, doing);
            match error.kind() {
                ErrorKind::Unavailable => Answered::Worth { error, pause: None },
                _ => Answered::Refused(Refused::Failed(error)),
            }
        };
        let answer = match building.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let is_large = body.as_ref().is_some_and(|body| body.len() > SUSPECT_BYTES);
                if is_large && !error.is_timeout() && !error.is_connect() {
                    return Ok(Answered::Refused(Refused::TooLarge));
                }
                return Ok(worth(error));
            }
        };
        let (status, asked_pause) = (answer.status(), pause_asked(&answer));
        let body = match answer.bytes().await {
            Ok(body) => body,
            Err(error) if status.is_success() || status.is_server_error() => return Ok(worth(error)),
            Err(_) => Bytes::new(),
        };
        Ok(match status {
            status if status.is_success() => Answered::Well(body),
            StatusCode::PAYLOAD_TOO_LARGE => Answered::Refused(Refused::TooLarge),
            StatusCode::CONFLICT => Answered::Refused(Refused::Exists),
            StatusCode::NOT_FOUND => Answered::Refused(Refused::Missing),
            status => {
                let error = refused(status, &body, doing);
                match error.kind() {
                    ErrorKind::Busy | ErrorKind::Unavailable => Answered::Worth { error, pause: asked_pause },
                    _ => Answered::Refused(Refused::Failed(error)),
                }
            }
        })
    }

    /// Reads an answer; parsing many MiB would hold up other tasks.
    pub(super) async fn parsed<T: DeserializeOwned + Send + 'static>(&self, body: Bytes, doing: &str) -> Result<T> {
        let parse = move || serde_json::from_slice(&body);
        let parsed = tokio::task::spawn_blocking(parse).await;
        let parsed =
            parsed.map_err(|error| Error::new(ErrorKind::Internal, "reading an answer failed").with_source(error))?;
        // The parser's own words may quote a row.
        parsed.map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let detail = format!("{doing}: the answer is not what Chroma's API v2 answers ({line}:{column})");
            Error::new(ErrorKind::UnsupportedFormat, detail)
        })
    }
}

enum Answered {
    Well(Bytes),
    Refused(Refused),
    /// Worth another attempt, after the pause the server asked for if it did.
    Worth {
        error: Error,
        pause: Option<Duration>,
    },
}

fn pause_asked(answer: &Response) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn build(options: &ServerOptions) -> Result<reqwest::Client> {
    let refused = |error: reqwest::Error| {
        Error::new(ErrorKind::InvalidRequest, "the server's address makes no sense").with_source(error.without_url())
    };
    let mut builder = reqwest::Client::builder()
        .connect_timeout(options.connect_timeout)
        // What is sent is not for anybody else.
        .redirect(redirect::Policy::none())
        .tls_backend_preconfigured(tls::config()?);
    let url = reqwest::Url::parse(&options.url)
        .map_err(|error| Error::new(ErrorKind::InvalidRequest, "the server's address is no URL").with_source(error))?;
    let host = url.host_str().unwrap_or_default();
    if host == "localhost" || host == "[::1]" || host.starts_with("127.") {
        builder = builder.no_proxy();
    }
    builder.build().map_err(refused)
}

/// One part of a path, whatever is in it.
pub(super) fn encoded(part: &str) -> String {
    let mut text = String::with_capacity(part.len());
    for byte in part.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(byte)),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

/// The path of a database.
pub(super) fn database_path(tenant: &str, database: &str) -> String {
    let tenant = if tenant.is_empty() { DEFAULT_TENANT } else { tenant };
    format!("/tenants/{}/databases/{}", encoded(tenant), encoded(database))
}
