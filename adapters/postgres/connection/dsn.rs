use palanquin_engine::contract::{Error, ErrorKind, Result};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// How far the server is trusted with TLS; libpq's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SslMode {
    /// Never TLS.
    Disable,
    /// TLS if the server has it; `allow` is read as this too.
    #[default]
    Prefer,
    /// TLS, with whatever certificate; with `sslrootcert` as `verify-ca`.
    Require,
    /// TLS, with a certificate of a trusted authority.
    VerifyCa,
    /// TLS, with a certificate of a trusted authority for this host.
    VerifyFull,
}

/// Where a server is and as whom to connect: a libpq connection string, `postgresql://…` or `key=value …`.
///
/// `Debug` and `Display` leave out the password, and everything else but host, port, database and user.
#[derive(Clone)]
pub struct Dsn {
    pub(crate) config: tokio_postgres::Config,
    pub(crate) ssl_mode: SslMode,
    /// `sslrootcert`: a file of certificates, or the word `system`.
    pub(crate) root_certificates: Option<PathBuf>,
    /// `sslcert` and `sslkey`.
    pub(crate) client_certificate: Option<(PathBuf, PathBuf)>,
    /// `passfile`.
    pub(crate) pass_file: Option<PathBuf>,
    /// Host, port and database as MemPalace writes them into its marker: read off the string by Python's `urlparse`.
    pub(crate) in_marker: (String, u16, String),
    pub(crate) has_port: bool,
    pub(crate) has_ssl_mode: bool,
}

/// libpq's parameters that change nothing here.
const WITHOUT_EFFECT: [&str; 12] = [
    "gssencmode",
    "gsslib",
    "gssdelegation",
    "krbsrvname",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslsni",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "fallback_application_name",
    "client_encoding",
];

impl Dsn {
    /// Reads a connection string. No I/O.
    ///
    /// # Errors
    /// `InvalidRequest`, which does not repeat the string.
    pub fn parse(text: &str) -> Result<Self> {
        let is_url = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
        if is_url { from_url(text) } else { from_pairs(text) }
    }

    /// How far the server is trusted.
    pub fn ssl_mode(&self) -> SslMode {
        self.ssl_mode
    }

    fn take(&mut self, key: &str, value: &str) -> Result<bool> {
        match key {
            "sslmode" => {
                self.has_ssl_mode = true;
                self.ssl_mode = match value {
                    "disable" => SslMode::Disable,
                    "allow" | "prefer" => SslMode::Prefer,
                    "require" => SslMode::Require,
                    "verify-ca" => SslMode::VerifyCa,
                    "verify-full" => SslMode::VerifyFull,
                    _ => return Err(invalid("sslmode is none of disable, prefer, require, verify-ca and verify-full")),
                };
            }
            "sslrootcert" => self.root_certificates = Some(value.into()),
            "sslcert" => self.client_certificate.get_or_insert_default().0 = value.into(),
            "sslkey" => self.client_certificate.get_or_insert_default().1 = value.into(),
            "passfile" => self.pass_file = Some(value.into()),
            key if WITHOUT_EFFECT.contains(&key) => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn empty() -> Self {
        Self {
            config: tokio_postgres::Config::new(),
            ssl_mode: SslMode::default(),
            root_certificates: None,
            client_certificate: None,
            pass_file: None,
            in_marker: (String::new(), 5432, String::new()),
            has_port: false,
            has_ssl_mode: false,
        }
    }
}

impl FromStr for Dsn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use tokio_postgres::config::Host;
        f.write_str("postgresql://")?;
        if let Some(user) = self.config.get_user() {
            write!(f, "{user}@")?;
        }
        let ports = self.config.get_ports();
        for (i, host) in self.config.get_hosts().iter().enumerate() {
            f.write_str(if i > 0 { "," } else { "" })?;
            match host {
                Host::Tcp(host) => f.write_str(host)?,
                #[cfg(unix)]
                Host::Unix(path) => write!(f, "{}", path.display())?,
            }
            write!(f, ":{}", ports.get(i).or(ports.first()).copied().unwrap_or(5432))?;
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dsn({self})")
    }
}

fn invalid(detail: &str) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("the connection string cannot be used: {detail}"))
}

fn from_url(text: &str) -> Result<Dsn> {
    let mut dsn = Dsn::empty();
    let (address, query) = text.split_once('?').unwrap_or((text, ""));
    let query = query.split('#').next().unwrap_or_default();
    let mut kept = String::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(|| invalid("a parameter has no value"))?;
        let value = percent_decoded(value).ok_or_else(|| invalid("a parameter is not well escaped"))?;
        if !dsn.take(key, &value)? {
            kept.push(if kept.is_empty() { '?' } else { '&' });
            kept.push_str(pair);
        }
    }
    dsn.config = format!("{address}{kept}").parse().map_err(|error: tokio_postgres::Error| invalid(&cause(&error)))?;
    let (authority, database) = address
        .split_once("://")
        .map_or("", |(_, rest)| rest)
        .split_once('/')
        .unwrap_or((address.split_once("://").map_or("", |(_, rest)| rest), ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').unwrap_or_default()),
        None => host.split_once(':').unwrap_or((host, "")),
    };
    dsn.has_port = !dsn.config.get_ports().is_empty();
    dsn.in_marker = (host.to_lowercase(), port.parse().unwrap_or(5432), database.trim_start_matches('/').to_owned());
    Ok(dsn)
}

fn from_pairs(text: &str) -> Result<Dsn> {
    let mut dsn = Dsn::empty();
    let mut kept = String::new();
    for (key, value) in pairs(text)? {
        if !dsn.take(&key, &value)? {
            kept.push_str(&format!("{key}='{}' ", value.replace('\\', "\\\\").replace('\'', "\\'")));
        }
        match key.as_str() {
            "host" => dsn.in_marker.0 = value.to_lowercase(),
            "port" => {
                dsn.has_port = true;
                dsn.in_marker.1 = value.parse().unwrap_or(5432);
            }
            "dbname" => dsn.in_marker.2 = value,
            _ => {}
        }
    }
    dsn.config = kept.parse().map_err(|error: tokio_postgres::Error| invalid(&cause(&error)))?;
    Ok(dsn)
}

/// `key=value` pairs with libpq's quoting.
fn pairs(text: &str) -> Result<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) =
            rest.split_once('=').ok_or_else(|| invalid("it is neither an address nor key=value pairs"))?;
        let mut characters = after.trim_start().chars();
        let quoted = characters.as_str().starts_with('\'');
        if quoted {
            characters.next();
        }
        let mut value = String::new();
        loop {
            let before = characters.clone();
            match characters.next() {
                None if quoted => return Err(invalid("a quoted value has no end")),
                None => break,
                Some('\'') if quoted => break,
                Some(c) if !quoted && c.is_whitespace() => {
                    characters = before;
                    break;
                }
                Some('\\') => value.extend(characters.next()),
                Some(c) => value.push(c),
            }
        }
        pairs.push((key.trim().to_owned(), value));
        rest = characters.as_str().trim_start();
    }
    Ok(pairs)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn cause(error: &tokio_postgres::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for text in
            ["postgresql://ada:s3cret@db:5433/memory", "host=db port=5433 user=ada password='s3 cret' dbname=memory"]
        {
            let dsn = Dsn::parse(text).unwrap();
            let shown = format!("{dsn} {dsn:?}");
            assert!(!shown.contains("cret"), "{shown}");
            assert_eq!(dsn.to_string(), "postgresql://ada@db:5433/memory");
            assert_eq!(dsn.in_marker, ("db".into(), 5433, "memory".into()));
        }
        for text in ["postgresql://a:s3cret@h/d?nonsense=1", "password=s3cret nonsense=1", "password='s3cret", "s3cret"]
        {
            let error = Dsn::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRequest);
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
    }

    #[test]
    fn tls_parameters_are_read_in_both_forms() {
        for text in [
            "postgresql://db/memory?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem&application_name=x",
            "host=db dbname=memory sslmode=verify-full sslrootcert = /etc/ca.pem application_name=x",
        ] {
            let dsn = Dsn::parse(text).unwrap();
            assert_eq!(dsn.ssl_mode(), SslMode::VerifyFull);
            assert_eq!(dsn.root_certificates, Some("/etc/ca.pem".into()));
            assert_eq!(dsn.config.get_application_name(), Some("x"));
        }
        assert_eq!(Dsn::parse("host=db").unwrap().ssl_mode(), SslMode::Prefer);
        assert!(Dsn::parse("host=db sslmode=full").is_err());
    }

    #[test]
    fn the_marker_holds_what_python_reads_off_an_address() {
        let marker = |text: &str| Dsn::parse(text).unwrap().in_marker;
        assert_eq!(marker("postgresql://u:p@LocalHost/My%20db"), ("localhost".into(), 5432, "My%20db".into()));
        assert_eq!(marker("postgres://[::1]:7/x?sslmode=disable"), ("::1".into(), 7, "x".into()));
        assert_eq!(marker("postgresql:///x?host=/run/postgresql"), (String::new(), 5432, "x".into()));
    }
}
