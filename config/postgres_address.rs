use super::address::AddressError;
use palanquin_engine::contract::PalaceRef;
use std::fmt;
use std::path::PathBuf;
use url::Url;

/// A palace in a Postgres database: `postgres://USER@HOST:PORT/DB?palace=ID`, with `&namespace=`, `&shared_namespace=`
/// and `&local_path=`. What else stands in the query is the driver's (`sslmode`, say).
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresAddress {
    /// For the driver, password included if the address has one.
    pub dsn: String,
    /// The palace's id (§2.2): as given, or the directory as given.
    pub palace: String,
    /// Tenant within the database.
    pub namespace: Option<String>,
    /// MemPalace's namespace for tables that several palaces share.
    pub shared_namespace: Option<String>,
    /// The directory that holds MemPalace's marker and sidecar, as given.
    pub local_path: Option<PathBuf>,
    /// The address without its password.
    shown: String,
}

impl PostgresAddress {
    pub(super) fn parse(text: &str) -> Result<Self, AddressError> {
        let mut url = Url::parse(text).map_err(|error| AddressError::Malformed(error.to_string()))?;
        let (mut palace, mut namespace, mut shared_namespace, mut local_path) = (None, None, None, None);
        let mut drivers = Vec::new();
        for (key, value) in url.query_pairs() {
            let value = value.into_owned();
            match key.as_ref() {
                "palace" => palace = Some(value),
                "namespace" => namespace = Some(value),
                "shared_namespace" => shared_namespace = Some(value),
                "local_path" => local_path = Some(value),
                // The driver would read it; on the screen it must not appear.
                "password" => return Err(AddressError::PasswordInQuery),
                other => drivers.push((other.to_owned(), value)),
            }
        }
        let Some(palace) = palace.or_else(|| local_path.clone()).filter(|palace| !palace.is_empty()) else {
            return Err(AddressError::NoPalace);
        };
        let mut query = url.query_pairs_mut();
        query.clear().extend_pairs(&drivers);
        drop(query);
        if drivers.is_empty() {
            url.set_query(None);
        }
        let dsn = url.to_string();
        // A URL without a host cannot have a password either.
        let _ = url.set_password(None);
        let ours = [
            ("palace", Some(palace.as_str())),
            ("namespace", namespace.as_deref()),
            ("shared_namespace", shared_namespace.as_deref()),
            ("local_path", local_path.as_deref().filter(|path| *path != palace)),
        ];
        url.query_pairs_mut().extend_pairs(ours.iter().filter_map(|(key, value)| value.map(|value| (key, value))));
        let local_path = local_path.map(PathBuf::from);
        Ok(Self { dsn, palace, namespace, shared_namespace, local_path, shown: url.to_string() })
    }

    /// A palace of a database.
    pub(super) fn in_database(
        dsn: &str,
        palace: &str,
        namespace: Option<&str>,
        shared_namespace: Option<&str>,
        local_path: Option<&str>,
    ) -> Result<Self, AddressError> {
        let mut url = Url::parse(dsn).map_err(|error| AddressError::Malformed(error.to_string()))?;
        if !["postgres", "postgresql"].contains(&url.scheme()) {
            return Err(AddressError::UnsupportedScheme(url.scheme().to_owned()));
        }
        let ours = [
            ("palace", Some(palace)),
            ("namespace", namespace),
            ("shared_namespace", shared_namespace),
            ("local_path", local_path),
        ];
        url.query_pairs_mut().extend_pairs(ours.iter().filter_map(|(key, value)| value.map(|value| (key, value))));
        Self::parse(url.as_str())
    }

    /// The reference a backend opens.
    pub fn palace_ref(&self) -> PalaceRef {
        let (id, local_path) = (self.palace.clone(), self.local_path.clone());
        PalaceRef { id, local_path, namespace: self.namespace.clone() }
    }
}

impl fmt::Display for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresAddress({})", self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_is_taken_out_of_what_the_driver_reads() {
        let text = "postgres://ann:s3cret@db:5433/mem?sslmode=require&palace=p%201&namespace=team.a&shared_namespace=s";
        let address = PostgresAddress::parse(text).unwrap();
        assert_eq!(address.dsn, "postgres://ann:s3cret@db:5433/mem?sslmode=require");
        let reference = address.palace_ref();
        assert_eq!((reference.id.as_str(), reference.namespace.as_deref()), ("p 1", Some("team.a")));
        assert_eq!(address.shared_namespace.as_deref(), Some("s"));
    }

    #[test]
    fn a_password_is_never_shown() {
        let address = PostgresAddress::parse("postgresql://ann:s3cret@db/mem?palace=p").unwrap();
        for shown in [address.to_string(), format!("{address:?}")] {
            assert!(!shown.contains("s3cret") && shown.contains("ann@db/mem?palace=p"), "{shown}");
        }
        let in_query = PostgresAddress::parse("postgres://db/mem?password=s3cret&palace=p").unwrap_err();
        assert_eq!(in_query, AddressError::PasswordInQuery);
    }

    #[test]
    fn the_directory_as_given_is_the_palaces_id_unless_one_is_given() {
        let address = PostgresAddress::parse("postgres://db/mem?local_path=./p").unwrap();
        assert_eq!((address.palace.as_str(), address.to_string().as_str()), ("./p", "postgres://db/mem?palace=.%2Fp"));
        assert_eq!(PostgresAddress::parse("postgres://db/mem").unwrap_err(), AddressError::NoPalace);
    }
}
