//! A Chroma server behind TLS, as operators put one behind a proxy.

use palanquin_tests::{Program, Scratch, read_lance};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("certificates").join(name)
}

/// Speaks TLS for the server of these tests.
struct Proxy {
    port: u16,
    /// Sessions that came about, each with a client that trusts the certificate.
    sessions: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Proxy {
    fn start() -> Self {
        let server = std::env::var("PALANQUIN_TEST_CHROMA").expect("tests/chroma.sh with … sets it");
        let server = server.strip_prefix("http://").unwrap().to_owned();
        let chain = CertificateDer::pem_file_iter(certificate("server.pem")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(certificate("server.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()));
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("localhost:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let sessions = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&sessions);
        runtime.spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (server, counted, acceptor) = (server.clone(), Arc::clone(&counted), acceptor.clone());
                tokio::spawn(async move {
                    let mut near = acceptor.accept(near).await.ok()?;
                    let mut far = TcpStream::connect(server).await.ok()?;
                    counted.fetch_add(1, Ordering::AcqRel);
                    copy_bidirectional(&mut near, &mut far).await.ok()
                });
            }
        });
        Self { port, sessions, _runtime: runtime }
    }

    /// A palace's address behind it.
    fn address(&self, database: &str) -> String {
        format!("chroma+https://localhost:{}?database={database}", self.port)
    }
}

#[test]
fn a_palace_goes_to_a_server_behind_tls_and_comes_back_from_it() {
    let (scratch, proxy) = (Scratch::new(), Proxy::start());
    let authority = certificate("authority.pem");
    let address = proxy.address(&format!("tls-{}", std::process::id()));
    let migrate = |source: &str, target: &str| {
        let run = Program::with(["migrate"]).arg(source).arg(target).arg("--state");
        let run = run.arg(scratch.path("state").to_str().unwrap()).env("SSL_CERT_FILE", &authority).run();
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    };
    let back = scratch.path("back");
    migrate(scratch.palace().to_str().unwrap(), &address);
    migrate(&address, &format!("lance:{}", back.display()));
    assert_eq!(read_lance(&back).len(), 2_452);
    assert!(proxy.sessions.load(Ordering::Acquire) > 1);
}

#[test]
fn a_server_whose_certificate_is_not_trusted_is_told_nothing() {
    let (scratch, proxy) = (Scratch::new(), Proxy::start());
    let source = scratch.palace();
    let other_host = proxy.address("d").replace("localhost", "127.0.0.1");
    for (address, authority) in [(proxy.address("d"), "other_authority.pem"), (other_host, "authority.pem")] {
        let run = Program::with(["migrate"]).arg(source.to_str().unwrap()).arg(&address).arg("--state");
        let run = run.arg(scratch.path("state").to_str().unwrap()).env("SSL_CERT_FILE", &certificate(authority)).run();
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(!matches!(run.code, Some(0 | 101)) && said.contains("certificate"), "{:?} {said}", run.code);
        assert_eq!(proxy.sessions.load(Ordering::Acquire), 0, "{address}");
    }
}
