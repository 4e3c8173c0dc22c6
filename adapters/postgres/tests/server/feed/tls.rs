use super::{Copy, drawers};
use crate::database::Database;
use crate::palace::{batch, numbered};
use palanquin_engine::contract::{ErrorKind, WriteMode};
use palanquin_postgres::{Dsn, PostgresOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/certificates").join(name)
}

/// Speaks TLS for a server that does not, and counts who came by it.
async fn in_front_of(server: String, came: Arc<AtomicUsize>) -> u16 {
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let chain = CertificateDer::pem_file_iter(certificate("server.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(certificate("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()));
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let (server, came, acceptor) = (server.clone(), Arc::clone(&came), acceptor.clone());
            tokio::spawn(async move {
                let mut head = [0; 8];
                near.read_exact(&mut head).await.ok()?;
                assert_eq!(head[4..], [0x04, 0xd2, 0x16, 0x2f], "nobody comes in the open");
                near.write_all(b"S").await.ok()?;
                let mut near = acceptor.accept(near).await.ok()?;
                came.fetch_add(1, Ordering::AcqRel);
                let mut far = TcpStream::connect(server).await.ok()?;
                copy_bidirectional(&mut near, &mut far).await.ok()
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replication_connection_trusts_the_server_as_every_other_one_does() {
    let database = Database::new().await;
    let address = database.dsn();
    let server = address.split('@').nth(1).unwrap().split('/').next().unwrap().to_owned();
    let came = Arc::new(AtomicUsize::new(0));
    let port = in_front_of(server, Arc::clone(&came)).await;
    let name = address.rsplit('/').next().unwrap();
    let options = |host: &str, authority: &str| {
        let authority = certificate(authority).display().to_string();
        let dsn = format!(
            "host={host} port={port} user=postgres dbname={name} sslmode=verify-full sslrootcert='{authority}'"
        );
        PostgresOptions { sessions: 2, ..PostgresOptions::of(Dsn::parse(&dsn).unwrap()) }
    };
    let (_palace, drawers) = drawers(options("localhost", "authority.pem"), 4).await;
    drawers.apply(batch(&numbered(0..50, 4)), WriteMode::Append).await.unwrap();
    let before = came.load(Ordering::Acquire);
    let mut copy = Copy::of(drawers.as_ref()).await;
    drawers.apply(batch(&numbered(20..90, 4)), WriteMode::Upsert).await.unwrap();
    copy.catch_up(drawers.as_ref(), 10).await;
    assert!(came.load(Ordering::Acquire) >= before + 2, "slot and stream came by TLS");
    let left: Vec<_> = std::fs::read_dir(std::env::temp_dir())
        .unwrap()
        .filter_map(|entry| entry.ok().filter(|entry| entry.file_name().to_string_lossy().starts_with("palanquin-")))
        .collect();
    for entry in &left {
        use std::os::unix::fs::PermissionsExt;
        // Another test's may go while it is looked at.
        if let Ok(metadata) = entry.metadata() {
            assert_eq!(metadata.permissions().mode() & 0o077, 0, "{} is for others too", entry.path().display());
        }
    }
    for (host, authority) in [("127.0.0.1", "authority.pem"), ("localhost", "other_authority.pem")] {
        let options_of_open = palanquin_engine::contract::OpenMode::Read.into();
        let reference =
            palanquin_engine::contract::PalaceRef { id: "palace".into(), local_path: None, namespace: None };
        let refused = crate::palace::backend(options(host, authority)).open(&reference, options_of_open).await;
        assert_eq!(refused.err().unwrap().kind(), ErrorKind::PermissionDenied, "{host} {authority}");
    }
}
