use crate::connection::Server;
use palanquin_engine::contract::{Error, Result};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;
use uuid::Uuid;

/// What is waited for the server to be reached.
const CONNECT: Duration = Duration::from_secs(15);

/// A way to the server for a connection that cannot do TLS by itself: a socket in a directory only this user can enter,
/// forwarded over a connection made by the same rules as every other one. For one connection; gone when dropped.
pub(super) struct Tunnel {
    directory: PathBuf,
    forwarding: JoinHandle<()>,
}

impl Tunnel {
    /// Listens; the server is reached once somebody connects.
    pub(super) async fn open(server: &Server) -> Result<Self> {
        let (config, tls) = server.ready().await?;
        let (config, tls) = (config.clone(), tls.clone());
        let failed = |error| Error::io("no socket could be made for the replication connection", error);
        let directory = private_directory().map_err(failed)?;
        let listener = UnixListener::bind(directory.join(".s.PGSQL.5432")).map_err(|error| {
            std::fs::remove_dir_all(&directory).ok();
            failed(error)
        })?;
        let forwarding = tokio::spawn(async move {
            let Ok((mut near, _)) = listener.accept().await else { return };
            let reached = tokio::time::timeout(CONNECT, reach(&config, tls)).await;
            match reached.map_err(io::Error::from).flatten() {
                Ok(mut far) => drop(copy_bidirectional(&mut near, far.as_mut()).await),
                // In the server's own form, so that whoever connected is told.
                Err(error) => drop(near.write_all(&refusal(&error)).await),
            }
        });
        Ok(Self { directory, forwarding })
    }

    /// What to connect to instead of the server's host, on port 5432.
    pub(super) fn host(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.forwarding.abort();
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

/// New, and nobody else's: making a directory that is there fails.
fn private_directory() -> io::Result<PathBuf> {
    let name = format!("palanquin-{}", Uuid::new_v4().simple());
    // A socket's path has little over a hundred bytes.
    let usual = std::env::temp_dir().join(&name);
    let path = if usual.as_os_str().len() > 80 { Path::new("/tmp").join(&name) } else { usual };
    std::fs::DirBuilder::new().mode(0o700).create(&path)?;
    Ok(path)
}

fn refusal(error: &io::Error) -> Vec<u8> {
    let fields = format!("SFATAL\0C08006\0Mthe server cannot be reached: {error}\0\0");
    let mut message = vec![b'E'];
    message.extend((fields.len() as u32 + 4).to_be_bytes());
    message.extend(fields.as_bytes());
    message
}

trait Far: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Far for T {}

/// The first of the hosts that lets us in.
async fn reach(config: &tokio_postgres::Config, tls: MakeRustlsConnect) -> io::Result<Box<dyn Far>> {
    let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "the connection string names no host");
    for i in 0..hosts.len().max(addresses.len()) {
        let port = ports.get(i).or(ports.first()).copied().unwrap_or(5432);
        let name = match (hosts.get(i), addresses.get(i)) {
            #[cfg(unix)]
            (Some(Host::Unix(path)), _) => match UnixStream::connect(path.join(format!(".s.PGSQL.{port}"))).await {
                Ok(far) => return Ok(Box::new(far)),
                Err(error) => {
                    last = error;
                    continue;
                }
            },
            (Some(Host::Tcp(host)), _) => host.clone(),
            (None, Some(address)) => address.to_string(),
            (None, None) => continue,
        };
        let to = addresses.get(i).map_or_else(|| name.clone(), ToString::to_string);
        match over_tcp(config.get_ssl_mode(), &to, port, &name, tls.clone()).await {
            Ok(far) => return Ok(far),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn over_tcp(
    mode: SslMode,
    to: &str,
    port: u16,
    name: &str,
    mut tls: MakeRustlsConnect,
) -> io::Result<Box<dyn Far>> {
    let mut far = TcpStream::connect((to, port)).await?;
    far.set_nodelay(true)?;
    if mode == SslMode::Disable {
        return Ok(Box::new(far));
    }
    // SSLRequest.
    far.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await?;
    match (far.read_u8().await?, mode) {
        (b'S', _) => {}
        (b'N', SslMode::Prefer) => return Ok(Box::new(far)),
        (b'N', _) => return Err(io::Error::new(io::ErrorKind::Unsupported, "the server does not do TLS")),
        _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "what answers is no Postgres server")),
    }
    let connect = <MakeRustlsConnect as MakeTlsConnect<TcpStream>>::make_tls_connect(&mut tls, name);
    let connect = connect.map_err(io::Error::other)?;
    Ok(Box::new(TlsConnect::<TcpStream>::connect(connect, far).await.map_err(io::Error::other)?))
}
