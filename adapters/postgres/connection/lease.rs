use super::Server;
use super::server::{Connector, Session};
use deadpool::managed::Object;
use std::ops::Deref;

/// A session with a stream of rows on it. Given back once the stream has ended; dropped before that, the statement is
/// cancelled on the server and the session closed, so that nobody waits for rows that nobody reads.
pub(crate) struct Lease {
    session: Option<Object<Connector>>,
    server: Server,
    ended: bool,
}

impl Lease {
    pub(super) fn new(session: Object<Connector>, server: Server) -> Self {
        Self { session: Some(session), server, ended: false }
    }

    /// The statement has ended: the session is as good as new.
    pub(crate) fn ended(&mut self) {
        self.ended = true;
    }
}

impl Deref for Lease {
    type Target = Session;

    fn deref(&self) -> &Session {
        match &self.session {
            Some(session) => session,
            // Taken in `drop` only.
            None => unreachable!("a lease holds its session"),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(session) = self.session.take().filter(|_| !self.ended) else { return };
        self.server.stop_soon(Object::take(session));
    }
}
