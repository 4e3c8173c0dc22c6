use crate::connection::{Dsn, Server, Timeouts};
use palanquin_engine::contract::ErrorKind;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/certificates").join(name)
}

/// A server that takes TLS, or does not, and lets nobody in: it says whether they came by TLS.
async fn start(takes_tls: bool) -> u16 {
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let chain = CertificateDer::pem_file_iter(certificate("server.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(certificate("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(meet(stream, takes_tls.then(|| acceptor.clone())));
        }
    });
    port
}

async fn meet(mut stream: TcpStream, tls: Option<TlsAcceptor>) {
    let mut head = [0; 8];
    if stream.read_exact(&mut head).await.is_err() {
        return;
    }
    // Version 1234.5679 asks for TLS; anything else begins a session.
    let asks = head[4..] == [0x04, 0xd2, 0x16, 0x2f];
    match tls {
        Some(tls) if asks => {
            stream.write_all(b"S").await.unwrap();
            if let Ok(mut stream) = tls.accept(stream).await {
                stream.read_exact(&mut head).await.unwrap();
                refuse(stream, "came by TLS").await;
            }
        }
        _ if asks => {
            stream.write_all(b"N").await.unwrap();
            if stream.read_exact(&mut head).await.is_ok() {
                refuse(stream, "came in the open").await;
            }
        }
        _ => refuse(stream, "came in the open").await,
    }
}

async fn refuse(mut stream: impl AsyncRead + AsyncWrite + Unpin, how: &str) {
    let fields = format!("SFATAL\0VFATAL\0C28000\0M{how}\0\0");
    let mut message = vec![b'E'];
    message.extend(u32::try_from(fields.len() + 4).unwrap().to_be_bytes());
    message.extend(fields.as_bytes());
    stream.write_all(&message).await.ok();
    stream.shutdown().await.ok();
}

/// How an attempt to connect ends: by the server's own words, or before it.
async fn attempt(host: &str, port: u16, parameters: &str) -> (ErrorKind, String) {
    let dsn = Dsn::parse(&format!("host={host} port={port} user=ada dbname=d password=s3cret {parameters}")).unwrap();
    let limit = Duration::from_secs(10);
    let server = Server::new(dsn, Timeouts { statement: limit, lock: limit }, 1, 1);
    let error = server.session().await.err().unwrap();
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    (error.kind(), error.what())
}

fn trusting(mode: &str, authority: &str) -> String {
    format!("sslmode={mode} sslrootcert='{}'", certificate(authority).display())
}

#[tokio::test]
async fn each_mode_trusts_what_it_says_and_no_more() {
    let port = start(true).await;
    for (host, parameters, gets_in) in [
        ("localhost", "sslmode=prefer".to_owned(), true),
        ("localhost", "sslmode=require".to_owned(), true),
        ("127.0.0.1", trusting("verify-ca", "authority.pem"), true),
        ("localhost", trusting("verify-full", "authority.pem"), true),
        ("127.0.0.1", trusting("verify-full", "authority.pem"), false),
        ("localhost", trusting("verify-full", "other_authority.pem"), false),
        ("localhost", trusting("verify-ca", "other_authority.pem"), false),
        ("localhost", trusting("require", "other_authority.pem"), false),
    ] {
        let (kind, what) = attempt(host, port, &parameters).await;
        assert_eq!(what.contains("came by TLS"), gets_in, "{host} {parameters}: {what}");
        assert_eq!(kind, ErrorKind::PermissionDenied, "{host} {parameters}: {what}");
    }
    let (_, what) = attempt("localhost", port, "sslmode=disable").await;
    assert!(what.contains("came in the open"), "{what}");
}

#[tokio::test]
async fn a_server_without_tls_is_only_taken_where_tls_is_not_required() {
    let port = start(false).await;
    for mode in ["disable", "prefer", "allow"] {
        let (_, what) = attempt("localhost", port, &format!("sslmode={mode}")).await;
        assert!(what.contains("came in the open"), "{mode}: {what}");
    }
    for parameters in ["sslmode=require".to_owned(), trusting("verify-full", "authority.pem")] {
        let (_, what) = attempt("localhost", port, &parameters).await;
        assert!(!what.contains("came"), "{parameters}: {what}");
    }
}

#[tokio::test]
async fn certificates_that_cannot_be_read_are_the_requests_fault() {
    for parameters in ["sslmode=verify-full sslrootcert=/nowhere", "sslcert=/nowhere sslkey=/nowhere"] {
        let (kind, what) = attempt("localhost", 1, parameters).await;
        assert_eq!(kind, ErrorKind::InvalidRequest, "{what}");
    }
}
