use super::answers::{
    Delete, Described, Get, Named, NewCollection, NewMetadata, NewName, PreFlight, Record, Records, Wanted,
};
use super::http::{Http, Refused, Request, database_path, encoded};
use super::options::ServerOptions;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use palanquin_engine::contract::{Error, ErrorKind, Result};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{OnceCell, Semaphore};

/// Ids in one request, and rows in one answer: a server fails from some 32 700 on, where SQLite runs out of variables.
pub(crate) const MOST_IDS: usize = 20_000;
/// Rows in one write. More make it no faster.
const WRITTEN_ROWS: usize = 1_000;

/// The endpoints that are used of one server. Clones share connections and what was learnt of the server.
#[derive(Clone)]
pub(crate) struct Client {
    http: Http,
    learnt: Arc<Learnt>,
}

struct Learnt {
    /// Rows the server takes at once, as it says.
    rows: OnceCell<usize>,
    /// Bytes it takes at once, as it has shown.
    bytes: AtomicUsize,
    writing: Semaphore,
}

/// A row to be written; what is `None` stays as it is, or is absent in a new row.
#[derive(Clone, Debug)]
pub(crate) struct Write<'a> {
    pub(crate) id: &'a str,
    pub(crate) embedding: Option<&'a [f32]>,
    pub(crate) document: Option<&'a str>,
    /// A JSON object; a key that is null in it is removed.
    pub(crate) metadata: Option<String>,
}

impl Client {
    /// No I/O.
    pub(crate) fn new(options: ServerOptions) -> Self {
        let bytes = AtomicUsize::new(options.body_bytes.max(1));
        let writing = Semaphore::new(options.writes_at_once.max(1));
        Self { http: Http::new(options), learnt: Arc::new(Learnt { rows: OnceCell::new(), bytes, writing }) }
    }

    pub(crate) fn options(&self) -> &ServerOptions {
        self.http.options()
    }

    /// Rows in one write.
    pub(crate) async fn rows_at_once(&self) -> usize {
        let ask = || async {
            let said: PreFlight = self.get("/pre-flight-checks", "asking the server for its limits").await?;
            if !said.supports_base64_encoding {
                let detail = "the server takes no base64 vectors; Chroma does from 1.0 on";
                return Err(Error::new(ErrorKind::UnsupportedFormat, detail));
            }
            Ok(said.max_batch_size.clamp(1, WRITTEN_ROWS))
        };
        self.learnt.rows.get_or_try_init(ask).await.copied().unwrap_or(WRITTEN_ROWS)
    }

    /// The version of its API, which all servers from 1.0 to 1.5 give as `1.0.0`.
    pub(crate) async fn version(&self) -> Result<String> {
        self.get("/version", "asking the server for its version").await
    }

    pub(crate) async fn heartbeat(&self) -> Result<()> {
        let _: Value = self.get("/heartbeat", "asking whether the server is there").await?;
        Ok(())
    }

    pub(crate) async fn has_database(&self, tenant: &str, database: &str) -> Result<bool> {
        let doing = "looking for the database";
        match self.ask(Method::GET, &database_path(tenant, database), None, doing).await {
            Ok(_) => Ok(true),
            Err(Refused::Missing) => Ok(false),
            Err(refused) => Err(refused.into_error(doing)),
        }
    }

    /// Makes the tenant and the database, unless they are there.
    pub(crate) async fn make_database(&self, tenant: &str, database: &str) -> Result<()> {
        let doing = "making the database";
        let made = |made: Result<Bytes, Refused>| match made {
            Ok(_) | Err(Refused::Exists) => Ok(()),
            Err(refused) => Err(refused.into_error(doing)),
        };
        made(self.ask(Method::POST, "/tenants", body(&Named { name: tenant })?, doing).await)?;
        let path = format!("/tenants/{}/databases", encoded(tenant));
        made(self.ask(Method::POST, &path, body(&Named { name: database })?, doing).await)
    }

    pub(crate) async fn collections(&self, database: &Database) -> Result<Vec<Described>> {
        self.get(&format!("{}/collections", database.path()), "listing the collections").await
    }

    /// The collection of that name; `None` if there is none.
    pub(crate) async fn collection(&self, database: &Database, name: &str) -> Result<Option<Described>> {
        let doing = "looking for the collection";
        let path = format!("{}/collections/{}", database.path(), encoded(name));
        match self.ask(Method::GET, &path, None, doing).await {
            Ok(body) => self.http.parsed(body, doing).await.map(Some),
            Err(Refused::Missing) => Ok(None),
            Err(refused) => Err(refused.into_error(doing)),
        }
    }

    /// Makes a collection; `None` if one of that name is there, which may be the one an unanswered request made.
    pub(crate) async fn make_collection(
        &self,
        database: &Database,
        name: &str,
        metadata: &Map<String, Value>,
    ) -> Result<Option<Described>> {
        let doing = "making the collection";
        let path = format!("{}/collections", database.path());
        match self.ask(Method::POST, &path, body(&NewCollection { name, metadata })?, doing).await {
            Ok(body) => self.http.parsed(body, doing).await.map(Some),
            Err(Refused::Exists) => Ok(None),
            Err(refused) => Err(refused.into_error(doing)),
        }
    }

    /// Replaces a collection's own metadata, all of it.
    pub(crate) async fn put_metadata(&self, of: &Place, metadata: &Map<String, Value>) -> Result<()> {
        let doing = "recording what belongs to the collection";
        let body = body(&NewMetadata { new_metadata: metadata })?;
        self.ask(Method::PUT, &of.path(""), body, doing).await.map(drop).map_err(|refused| refused.into_error(doing))
    }

    /// Gives a collection another name, which must be free: a server answers as to a failure of its own where it is not.
    pub(crate) async fn rename(&self, of: &Place, name: &str) -> Result<()> {
        let doing = "giving a collection another name";
        let body = body(&NewName { new_name: name })?;
        self.ask(Method::PUT, &of.path(""), body, doing).await.map(drop).map_err(|refused| refused.into_error(doing))
    }

    /// Drops the collection of that name, if there is one.
    pub(crate) async fn drop_collection(&self, database: &Database, name: &str) -> Result<()> {
        let doing = "dropping a collection";
        let path = format!("{}/collections/{}", database.path(), encoded(name));
        match self.ask(Method::DELETE, &path, None, doing).await {
            Ok(_) | Err(Refused::Missing) => Ok(()),
            Err(refused) => Err(refused.into_error(doing)),
        }
    }

    pub(crate) async fn count(&self, of: &Place) -> Result<u64> {
        self.get(&of.path("/count"), "counting rows").await
    }

    /// The id of every row, in no particular order.
    pub(crate) async fn ids(&self, of: &Place) -> Result<Vec<String>> {
        let request = Get { ids: None, include: Wanted::IDS.names() };
        let records: Records = self.post(&of.path("/get"), &request, "listing the rows").await?;
        Ok(records.ids)
    }

    /// The rows of these ids, at most [`MOST_IDS`], in no particular order; absent ones are left out.
    pub(crate) async fn rows(&self, of: &Place, ids: &[&str], wanted: Wanted) -> Result<Vec<Record>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let request = Get { ids: Some(ids), include: wanted.names() };
        let records: Records = self.post(&of.path("/get"), &request, "reading rows").await?;
        Ok(records.into_rows().collect())
    }

    /// Removes rows; absent ones are passed over.
    pub(crate) async fn delete(&self, of: &Place, ids: &[&str]) -> Result<()> {
        let doing = "deleting rows";
        for ids in ids.chunks(MOST_IDS) {
            let deleted = self.write(&of.path("/delete"), body(&Delete { ids })?, doing).await;
            deleted.map_err(|refused| refused.into_error(doing))?;
        }
        Ok(())
    }

    /// Writes rows, new or there, in as many requests as it takes, some of them at once.
    pub(crate) async fn upsert(&self, of: &Place, rows: &[Write<'_>]) -> Result<()> {
        self.send(&of.path("/upsert"), rows, true).await
    }

    /// Changes texts of rows that are there and leaves their vectors alone.
    pub(crate) async fn update_texts(&self, of: &Place, rows: &[Write<'_>]) -> Result<()> {
        self.send(&of.path("/update"), rows, false).await
    }

    async fn send(&self, path: &str, rows: &[Write<'_>], vectors: bool) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let most = self.rows_at_once().await;
        let bytes = self.learnt.bytes.load(Ordering::Relaxed);
        let mut sending = Vec::new();
        for rows in portions(rows, most, bytes, vectors) {
            sending.push(self.send_portion(path, rows, vectors).boxed());
        }
        stream::iter(sending).buffer_unordered(self.options().writes_at_once.max(1)).try_collect().await
    }

    /// Sends rows in one request, or in halves as long as that is too much.
    async fn send_portion(&self, path: &str, rows: &[Write<'_>], vectors: bool) -> Result<()> {
        let doing = "writing rows";
        let mut waiting = vec![rows];
        while let Some(rows) = waiting.pop() {
            let body = encoded_rows(rows, vectors)?;
            let bytes = body.len();
            match self.write(path, Some(body), doing).await {
                Ok(_) => {}
                Err(Refused::TooLarge) if rows.len() > 1 => {
                    self.learnt.bytes.fetch_min((bytes / 2).max(1), Ordering::Relaxed);
                    tracing::info!(bytes, "the server takes no body of this size; it is sent in halves");
                    let (one, other) = rows.split_at(rows.len() / 2);
                    waiting.extend([other, one]);
                }
                Err(Refused::TooLarge) => {
                    let id = rows.first().map_or("", |row| row.id);
                    let detail = format!("the server refuses row {id:?} as too large ({bytes} bytes)");
                    return Err(Error::new(ErrorKind::RowRefused, detail));
                }
                Err(refused) => return Err(refused.into_error(doing)),
            }
        }
        Ok(())
    }

    async fn write(&self, path: &str, body: Option<Bytes>, doing: &str) -> Result<Bytes, Refused> {
        let _turn = self.learnt.writing.acquire().await;
        let timeout = self.options().write_timeout;
        self.http.ask(Request { method: Method::POST, path, body, timeout, doing }).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Bytes>, doing: &str) -> Result<Bytes, Refused> {
        let timeout = self.options().read_timeout;
        self.http.ask(Request { method, path, body, timeout, doing }).await
    }

    async fn get<T: DeserializeOwned + Send + 'static>(&self, path: &str, doing: &str) -> Result<T> {
        let answer = self.ask(Method::GET, path, None, doing).await.map_err(|refused| refused.into_error(doing))?;
        self.http.parsed(answer, doing).await
    }

    async fn post<T: DeserializeOwned + Send + 'static>(
        &self,
        path: &str,
        request: &impl Serialize,
        doing: &str,
    ) -> Result<T> {
        let answer = self.ask(Method::POST, path, body(request)?, doing).await;
        let answer = answer.map_err(|refused| refused.into_error(doing))?;
        self.http.parsed(answer, doing).await
    }
}

/// A database of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Database {
    pub(crate) tenant: String,
    pub(crate) name: String,
}

impl Database {
    fn path(&self) -> String {
        database_path(&self.tenant, &self.name)
    }
}

/// A collection by its id: another one of the same name is another place, and what was meant for this one is refused.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) database: Database,
    pub(crate) id: String,
}

impl Place {
    fn path(&self, then: &str) -> String {
        format!("{}/collections/{}{then}", self.database.path(), encoded(&self.id))
    }
}

fn body(request: &impl Serialize) -> Result<Option<Bytes>> {
    let text = serde_json::to_vec(request);
    let text = text.map_err(|error| Error::new(ErrorKind::Internal, "a request as JSON").with_source(error))?;
    Ok(Some(Bytes::from(text)))
}

/// Cuts rows into what goes into one request each.
fn portions<'a, 'r>(rows: &'a [Write<'r>], most: usize, bytes: usize, vectors: bool) -> Vec<&'a [Write<'r>]> {
    let mut portions = Vec::new();
    let (mut start, mut size) = (0, 0);
    for (at, row) in rows.iter().enumerate() {
        let more = row.bytes(vectors);
        if at > start && (at - start >= most || size + more > bytes) {
            portions.push(&rows[start..at]);
            (start, size) = (at, 0);
        }
        size += more;
    }
    if start < rows.len() {
        portions.push(&rows[start..]);
    }
    portions
}

impl Write<'_> {
    /// About what it takes in a request; texts are longer where signs are escaped.
    fn bytes(&self, vectors: bool) -> usize {
        let vector = if vectors { self.embedding.map_or(0, |vector| vector.len() * 16 / 3 + 8) } else { 0 };
        let texts = self.document.map_or(0, str::len) + self.metadata.as_ref().map_or(0, String::len);
        self.id.len() + vector + texts * 9 / 8 + 32
    }
}

/// The body of an upsert or update: vectors in base64, a third of what their digits take.
fn encoded_rows(rows: &[Write<'_>], vectors: bool) -> Result<Bytes> {
    let mut text = Vec::with_capacity(rows.iter().map(|row| row.bytes(vectors)).sum::<usize>() + 64);
    let broken = |error| Error::new(ErrorKind::Internal, "rows as JSON").with_source(error);
    list(&mut text, "{\"ids\":", rows, |row, text| serde_json::to_writer(text, row.id)).map_err(broken)?;
    if vectors {
        let mut bytes = Vec::new();
        list(&mut text, ",\"embeddings\":", rows, |row, text| {
            let Some(vector) = row.embedding else { return serde_json::to_writer(text, &()) };
            bytes.clear();
            bytes.extend(vector.iter().flat_map(|component| component.to_le_bytes()));
            let start = text.len() + 1;
            text.push(b'"');
            text.resize(start + bytes.len().div_ceil(3) * 4, 0);
            // The place is just as long as what is written into it.
            let _ = STANDARD.encode_slice(&bytes, &mut text[start..]);
            text.push(b'"');
            Ok(())
        })
        .map_err(broken)?;
    }
    list(&mut text, ",\"documents\":", rows, |row, text| serde_json::to_writer(text, &row.document)).map_err(broken)?;
    list(&mut text, ",\"metadatas\":", rows, |row, text| {
        text.extend_from_slice(row.metadata.as_deref().unwrap_or("null").as_bytes());
        Ok(())
    })
    .map_err(broken)?;
    text.push(b'}');
    Ok(Bytes::from(text))
}

fn list<'a, 'r>(
    text: &mut Vec<u8>,
    before: &str,
    rows: &'a [Write<'r>],
    mut each: impl FnMut(&'a Write<'r>, &mut Vec<u8>) -> serde_json::Result<()>,
) -> serde_json::Result<()> {
    text.extend_from_slice(before.as_bytes());
    for (at, row) in rows.iter().enumerate() {
        text.push(if at == 0 { b'[' } else { b',' });
        each(row, text)?;
    }
    text.push(b']');
    Ok(())
}
