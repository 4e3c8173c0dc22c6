use super::dsn::Dsn;
use palanquin_engine::contract::Result;
use std::path::{Path, PathBuf};
use tokio_postgres::config::Host;

/// How environment variables are read; another one in tests. An empty variable is an unset one.
pub(crate) struct Variables<'a>(pub(crate) &'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The connection string of the environment, ours before MemPalace's; libpq's variables fill in what it leaves out.
    pub(crate) fn dsn(&self) -> Result<Dsn> {
        let text = self.get("MEMPALACE_POSTGRES_DSN").or_else(|| self.get("MEMPALACE_PGVECTOR_DSN"));
        self.completed(Dsn::parse(text.as_deref().unwrap_or_default())?)
    }

    /// `dsn` with what it leaves out: `PGHOST`, `PGPORT`, `PGDATABASE`, `PGUSER`, `PGPASSWORD`, `PGPASSFILE`, `PGSSLMODE`,
    /// `PGSSLROOTCERT`, `PGAPPNAME`, and libpq's own defaults. An address
    /// that names a host without a port means 5432, as in MemPalace's marker, whatever `PGPORT` says.
    pub(crate) fn completed(&self, mut dsn: Dsn) -> Result<Dsn> {
        if !dsn.has_port
            && let Some(port) = self.get("PGPORT").and_then(|port| port.parse().ok())
        {
            dsn.config.port(port);
            dsn.in_marker.1 = port;
        }
        if dsn.config.get_hosts().is_empty() && dsn.config.get_hostaddrs().is_empty() {
            let host = self.get("PGHOST").unwrap_or_else(|| "localhost".to_owned());
            dsn.config.host(&host);
            dsn.in_marker.0 = host.to_lowercase();
        }
        if dsn.config.get_user().is_none() {
            let user = self.get("PGUSER").or_else(|| self.get("USER")).unwrap_or_else(|| "postgres".to_owned());
            dsn.config.user(user);
        }
        if dsn.config.get_dbname().is_none() {
            let user = dsn.config.get_user().unwrap_or_default().to_owned();
            let database = self.get("PGDATABASE").unwrap_or(user);
            dsn.config.dbname(&database);
            dsn.in_marker.2 = database;
        }
        if dsn.config.get_password().is_none()
            && let Some(password) = (self.0)("PGPASSWORD").filter(|password| !password.is_empty())
        {
            dsn.config.password(password);
        }
        if !dsn.has_ssl_mode
            && let Some(mode) = self.get("PGSSLMODE")
        {
            dsn.ssl_mode = Dsn::parse(&format!("sslmode={mode}"))?.ssl_mode;
        }
        if dsn.root_certificates.is_none() {
            dsn.root_certificates = self.get("PGSSLROOTCERT").map(PathBuf::from);
        }
        if dsn.pass_file.is_none() {
            let usual = || Some(Path::new(&self.get("HOME")?).join(".pgpass"));
            dsn.pass_file = self.get("PGPASSFILE").map(PathBuf::from).or_else(usual);
        }
        if dsn.config.get_application_name().is_none() {
            dsn.config.application_name(self.get("PGAPPNAME").unwrap_or_else(|| "palanquin".to_owned()));
        }
        Ok(dsn)
    }
}

/// The password a passfile holds for this server, if the file is there and nobody else can read it: libpq ignores one
/// that others can.
pub(crate) fn password_of_file(dsn: &Dsn) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let path = dsn.pass_file.as_deref()?;
    let metadata = std::fs::metadata(path).ok()?;
    if !metadata.is_file() {
        return None;
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "the password file is not used: others can read it");
        return None;
    }
    let host = match dsn.config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        _ => "localhost".to_owned(),
    };
    let port = dsn.config.get_ports().first().copied().unwrap_or(5432).to_string();
    let wanted = [&host, &port, dsn.config.get_dbname()?, dsn.config.get_user()?].map(str::to_owned);
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let (password, named) = fields.split_last()?;
        let matches =
            named.len() == 4 && named.iter().zip(&wanted).all(|(field, wanted)| field == "*" || field == wanted);
        matches.then(|| password.clone())
    })
}

/// The fields of a line, parted by colons that no backslash escapes.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        let count = fields.len();
        let Some(field) = fields.last_mut() else { break };
        match c {
            '\\' => field.extend(characters.next()),
            ':' if count < 5 => fields.push(String::new()),
            c => field.push(c),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn dsn(variables: &[(&str, &str)]) -> Result<Dsn> {
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Variables(&find).dsn()
    }

    #[test]
    fn the_environments_connection_strings_come_before_libpqs_variables() {
        let ours = ("MEMPALACE_POSTGRES_DSN", "postgresql://ours/a");
        let theirs = ("MEMPALACE_PGVECTOR_DSN", "postgresql://theirs/b");
        let libpq = [("PGHOST", "libpq"), ("PGPORT", "7"), ("PGDATABASE", "c"), ("PGUSER", "ada"), ("PGPASSWORD", "x")];
        let both = [&[ours, theirs][..], &libpq].concat();
        assert_eq!(dsn(&both).unwrap().to_string(), "postgresql://ada@ours:5432/a");
        assert_eq!(dsn(&[&[theirs][..], &libpq].concat()).unwrap().to_string(), "postgresql://ada@theirs:5432/b");
        let filled = dsn(&libpq).unwrap();
        assert_eq!(filled.to_string(), "postgresql://ada@libpq:7/c");
        assert_eq!(filled.config.get_password(), Some(&b"x"[..]));
        assert!(dsn(&[("PGSSLMODE", "nonsense")]).is_err());
    }

    #[test]
    fn a_password_file_is_used_unless_others_can_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pass");
        std::fs::write(&path, "# comment\nother:*:*:*:no\n*:5432:a\\:b:ada:p\\:w:x\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let text = format!("host=h user=ada dbname='a:b' passfile='{}'", path.display());
        assert_eq!(password_of_file(&Dsn::parse(&text).unwrap()).as_deref(), Some("p:w:x"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(password_of_file(&Dsn::parse(&text).unwrap()), None);
    }
}
