use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use palanquin_engine::contract::{Error, ErrorKind, Result};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use std::fmt;
use std::time::Duration;

/// Where a server is, as whom to speak with it, and how patiently.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// `http://HOST:PORT` or `https://HOST:PORT`, without a path.
    pub url: String,
    /// The tenant of palaces whose reference carries no namespace.
    pub tenant: String,
    /// What to show the server.
    pub credentials: Credentials,
    /// What is waited for a connection.
    pub connect_timeout: Duration,
    /// What an answer may take.
    pub read_timeout: Duration,
    /// What the answer to a write may take: a server builds its index before it answers.
    pub write_timeout: Duration,
    /// How often a request that failed on the way, or that the server was too busy for, is made again.
    pub retries: u32,
    /// The first pause before that; each further one is twice as long.
    pub pause: Duration,
    /// Largest body that is sent, in bytes. A server refuses 40 MiB, a proxy before it often less; what is refused as too
    /// large is sent in halves.
    pub body_bytes: usize,
    /// Writes on their way at a time.
    pub writes_at_once: usize,
}

/// Chroma's own tenant, where none is named.
pub(crate) const DEFAULT_TENANT: &str = "default_tenant";

impl ServerOptions {
    /// This server, with the usual limits and no credentials.
    pub fn of(url: impl Into<String>) -> Self {
        Self {
            url: url.into().trim_end_matches('/').to_owned(),
            tenant: DEFAULT_TENANT.to_owned(),
            credentials: Credentials::default(),
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(120),
            write_timeout: Duration::from_secs(600),
            retries: 4,
            pause: Duration::from_millis(200),
            body_bytes: 16 << 20,
            writes_at_once: 2,
        }
    }

    /// This server, with the credentials of the environment ([`Credentials::from_environment`]).
    ///
    /// # Errors
    /// `InvalidRequest` for credentials no header can carry.
    pub fn to(url: impl Into<String>) -> Result<Self> {
        let credentials = Credentials::from_environment(&|name| std::env::var(name).ok())?;
        Ok(Self { credentials, ..Self::of(url) })
    }
}

/// What is sent with each request to be let in. `Debug` does not show it.
#[derive(Clone, Default)]
pub struct Credentials(Option<(HeaderName, HeaderValue)>);

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Credentials(given)" } else { "Credentials(none)" })
    }
}

impl Credentials {
    /// A token, as `X-Chroma-Token`.
    ///
    /// # Errors
    /// `InvalidRequest` if no header can carry it.
    pub fn token(token: &str) -> Result<Self> {
        Self::header(HeaderName::from_static("x-chroma-token"), token)
    }

    /// A token, as `Authorization: Bearer`.
    ///
    /// # Errors
    /// `InvalidRequest` if no header can carry it.
    pub fn bearer(token: &str) -> Result<Self> {
        Self::header(AUTHORIZATION, &format!("Bearer {token}"))
    }

    /// `user:password`, as `Authorization: Basic`.
    ///
    /// # Errors
    /// `InvalidRequest` if no header can carry it.
    pub fn basic(user_and_password: &str) -> Result<Self> {
        Self::header(AUTHORIZATION, &format!("Basic {}", STANDARD.encode(user_and_password)))
    }

    fn header(name: HeaderName, value: &str) -> Result<Self> {
        let mut value = HeaderValue::from_str(value).map_err(|_| {
            Error::new(ErrorKind::InvalidRequest, "the credentials for the server have a character no header can carry")
        })?;
        value.set_sensitive(true);
        Ok(Self(Some((name, value))))
    }

    /// What the environment names, by the names Chroma's own client knows: a token in `MEMPALACE_CHROMA_TOKEN`,
    /// `CHROMA_API_TOKEN`, `CHROMA_API_KEY` or `CHROMA_CLIENT_AUTH_CREDENTIALS`, the first that is set. It goes as
    /// `X-Chroma-Token`, or as `Authorization: Bearer` where `CHROMA_AUTH_TOKEN_TRANSPORT_HEADER` says `Authorization`.
    /// With `basic` in `CHROMA_CLIENT_AUTH_PROVIDER` the `CHROMA_CLIENT_AUTH_CREDENTIALS` are `user:password`.
    ///
    /// # Errors
    /// `InvalidRequest` if no header can carry it.
    pub fn from_environment(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let says = |name: &str, word: &str| set(name).is_some_and(|value| value.to_ascii_lowercase().contains(word));
        let tokens = ["MEMPALACE_CHROMA_TOKEN", "CHROMA_API_TOKEN", "CHROMA_API_KEY"];
        let given = set("CHROMA_CLIENT_AUTH_CREDENTIALS");
        if let Some(token) = tokens.into_iter().find_map(set) {
            return Self::token_of(&token, says("CHROMA_AUTH_TOKEN_TRANSPORT_HEADER", "authorization"));
        }
        match given {
            None => Ok(Self::default()),
            Some(given) if says("CHROMA_CLIENT_AUTH_PROVIDER", "basic") => Self::basic(&given),
            Some(given) => Self::token_of(&given, says("CHROMA_AUTH_TOKEN_TRANSPORT_HEADER", "authorization")),
        }
    }

    fn token_of(token: &str, as_bearer: bool) -> Result<Self> {
        if as_bearer { Self::bearer(token) } else { Self::token(token) }
    }

    pub(super) fn as_header(&self) -> Option<(&HeaderName, &HeaderValue)> {
        self.0.as_ref().map(|(name, value)| (name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(variables: &[(&str, &str)]) -> Option<(String, String)> {
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let credentials = Credentials::from_environment(&find).unwrap();
        assert!(!format!("{credentials:?}").contains("s3cret"));
        credentials.as_header().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
    }

    #[test]
    fn credentials_are_taken_from_the_names_chromas_client_knows() {
        let token = |name: &str, value: &str| Some((name.to_owned(), value.to_owned()));
        assert_eq!(header(&[]), None);
        assert_eq!(header(&[("CHROMA_API_KEY", "")]), None, "an empty variable is an unset one");
        assert_eq!(header(&[("CHROMA_API_TOKEN", "s3cret")]), token("x-chroma-token", "s3cret"));
        assert_eq!(
            header(&[("CHROMA_API_KEY", "b"), ("MEMPALACE_CHROMA_TOKEN", "s3cret")]),
            token("x-chroma-token", "s3cret")
        );
        let bearer = ("CHROMA_AUTH_TOKEN_TRANSPORT_HEADER", "Authorization");
        assert_eq!(header(&[("CHROMA_API_TOKEN", "s3cret"), bearer]), token("authorization", "Bearer s3cret"));
        let basic = ("CHROMA_CLIENT_AUTH_PROVIDER", "chromadb.auth.basic_authn.BasicAuthClientProvider");
        let given = ("CHROMA_CLIENT_AUTH_CREDENTIALS", "ada:s3cret");
        assert_eq!(header(&[given, basic]), token("authorization", "Basic YWRhOnMzY3JldA=="));
        assert_eq!(header(&[given]), token("x-chroma-token", "ada:s3cret"));
    }

    #[test]
    fn credentials_no_header_can_carry_are_refused_without_being_shown() {
        let error = Credentials::token("s3cret\nx").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert!(!format!("{error:?}").contains("s3cret"));
    }
}
