//! A tenant of its own for each test, on the server `tests/chroma.sh with` has started; and what a server holds, asked
//! without the adapter.

use palanquin_chroma::ServerOptions;
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) struct Tenant {
    server: String,
    name: String,
}

impl Tenant {
    pub(crate) fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var("PALANQUIN_TEST_CHROMA")
            .expect("PALANQUIN_TEST_CHROMA is not set: run `tests/chroma.sh with cargo test …`");
        let name = format!("test-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        Self { server, name }
    }

    /// How the adapter is told of it.
    pub(crate) fn options(&self) -> ServerOptions {
        ServerOptions { tenant: self.name.clone(), ..ServerOptions::of(&self.server) }
    }

    /// Every collection and row of every database but one.
    #[allow(dead_code, reason = "not every test binary looks")]
    pub(crate) async fn picture(&self, except: Option<&str>) -> String {
        let mut picture = String::new();
        let databases = format!("/tenants/{}/databases", self.name);
        for database in list(&self.ask(&databases, None).await) {
            let name = database["name"].as_str().unwrap_or_default().to_owned();
            if Some(name.as_str()) == except {
                continue;
            }
            let _ = writeln!(picture, "{name}");
            let collections = format!("{databases}/{name}/collections");
            let mut all = list(&self.ask(&collections, None).await);
            all.sort_by_key(|collection| collection["name"].to_string());
            for mut collection in all {
                // A server tells keys in any order.
                collection.sort_all_objects();
                let _ = writeln!(picture, " {} {} {}", collection["id"], collection["name"], collection["metadata"]);
                let wanted = json!({"include": ["documents", "metadatas", "embeddings"]});
                let rows = format!("{collections}/{}/get", collection["id"].as_str().unwrap());
                let mut rows = self.ask(&rows, Some(wanted)).await;
                rows.sort_all_objects();
                let _ = writeln!(picture, "  {rows}");
            }
        }
        picture
    }

    /// Drops a collection, as another program would.
    #[allow(dead_code, reason = "not every test binary does")]
    pub(crate) async fn drop_collection(&self, database: &str, collection: &str) {
        let path = format!("/tenants/{}/databases/{database}/collections/{collection}", self.name);
        let dropped = client().delete(format!("{}/api/v2{path}", self.server)).send().await.unwrap();
        assert!(dropped.status().is_success());
    }

    async fn ask(&self, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}/api/v2{path}", self.server);
        let request = match body {
            None => client().get(url),
            Some(body) => client().post(url).header("content-type", "application/json").body(body.to_string()),
        };
        let answer = request.send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls()).build().unwrap()
}

fn tls() -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(std::sync::Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

fn list(answer: &Value) -> Vec<Value> {
    answer.as_array().cloned().unwrap_or_default()
}
