//! Stands in for pgbouncer with pool_mode = transaction: clients share one session of the server, each for as long as a
//! transaction of its lasts.

use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

pub(crate) struct Pooler {
    dsn: String,
}

impl Pooler {
    /// Before the server of that connection string, which trusts whoever comes.
    pub(crate) async fn before(dsn: &str) -> Self {
        let (before, after) = dsn.split_once('@').unwrap();
        let (server, database) = after.split_once('/').unwrap();
        let user = before.rsplit('/').next().unwrap();
        let mut shared = TcpStream::connect(server).await.unwrap();
        let greeting = greet(&mut shared, user, database).await;
        let (shared, greeting) = (Arc::new(Mutex::new(shared)), Arc::new(greeting));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dsn = format!("{before}@{}/{database}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, Arc::clone(&shared), Arc::clone(&greeting)));
            }
        });
        Self { dsn }
    }

    pub(crate) fn dsn(&self) -> &str {
        &self.dsn
    }
}

/// Opens the server's session; what it said up to its being ready.
async fn greet(server: &mut TcpStream, user: &str, database: &str) -> Vec<u8> {
    let parameters = format!("user\0{user}\0database\0{database}\0client_encoding\0UTF8\0\0");
    let mut startup = (parameters.len() as u32 + 8).to_be_bytes().to_vec();
    startup.extend(196_608_u32.to_be_bytes());
    startup.extend(parameters.as_bytes());
    server.write_all(&startup).await.unwrap();
    let mut said = Vec::new();
    while let Some((kind, message)) = message(server).await {
        said.extend(&message);
        if kind == b'Z' {
            break;
        }
    }
    said
}

/// A message with its kind and length.
async fn message(from: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    from.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let mut message = head.to_vec();
    message.resize(length + 1, 0);
    from.read_exact(&mut message[5..]).await.ok()?;
    Some((head[0], message))
}

/// Lets a client in, and gives it the server's session for each transaction.
async fn serve(mut client: TcpStream, shared: Arc<Mutex<TcpStream>>, greeting: Arc<Vec<u8>>) -> Option<()> {
    loop {
        let length = client.read_u32().await.ok()? as usize;
        let mut startup = vec![0; length - 4];
        client.read_exact(&mut startup).await.ok()?;
        if startup.starts_with(&80_877_103_u32.to_be_bytes()) {
            client.write_all(b"N").await.ok()?;
            continue;
        }
        break;
    }
    client.write_all(&greeting).await.ok()?;
    loop {
        let mut next = Some(message(&mut client).await?);
        let mut server = shared.lock().await;
        loop {
            // Up to what the server answers with being ready.
            loop {
                let (kind, message_) = next.take()?;
                server.write_all(&message_).await.ok()?;
                if matches!(kind, b'Q' | b'S') {
                    break;
                }
                next = Some(message(&mut client).await?);
            }
            let mut is_idle = true;
            while let Some((kind, message)) = message(&mut server).await {
                client.write_all(&message).await.ok()?;
                if kind == b'Z' {
                    is_idle = message.last() == Some(&b'I');
                    break;
                }
                // Rows are awaited from the client.
                if kind == b'G' {
                    is_idle = false;
                    break;
                }
            }
            if is_idle {
                break;
            }
            next = Some(message(&mut client).await?);
        }
    }
}
