use super::address::AddressError;
use palanquin_engine::contract::PalaceRef;
use std::fmt;
use url::Url;

/// The words an address begins with.
const SCHEMES: [&str; 2] = ["chroma+http://", "chroma+https://"];
/// Chroma's own names, where an address gives none.
const DEFAULT_TENANT: &str = "default_tenant";
const DEFAULT_DATABASE: &str = "default_database";

/// A palace on a Chroma server: `chroma+http://HOST:PORT`, with `?tenant=` and `&database=`. Credentials come from the
/// environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChromaAddress {
    /// `http://HOST:PORT` or `https://HOST:PORT`.
    pub server: String,
    /// The tenant; `None` for Chroma's default one.
    pub tenant: Option<String>,
    /// The database.
    pub database: String,
}

impl ChromaAddress {
    /// Whether a text is meant as one.
    pub(super) fn is_meant(text: &str) -> bool {
        SCHEMES.iter().any(|scheme| text.starts_with(scheme))
    }

    pub(super) fn parse(text: &str) -> Result<Self, AddressError> {
        let malformed = |why: &str| AddressError::Malformed(why.to_owned());
        let text = text.strip_prefix("chroma+").unwrap_or(text);
        let url = Url::parse(text).map_err(|error| AddressError::Malformed(error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::SecretInAddress);
        }
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(malformed("a Chroma server's address has no path"));
        }
        let (mut tenant, mut database) = (None, None);
        for (key, value) in url.query_pairs() {
            match key.as_ref() {
                "tenant" => tenant = Some(value.into_owned()),
                "database" => database = Some(value.into_owned()),
                // Whatever else is there may be a secret and must not be shown.
                _ => return Err(malformed("of a Chroma server only tenant and database are named in its address")),
            }
        }
        let set = |value: Option<String>| value.filter(|value| !value.is_empty());
        let tenant = set(tenant).filter(|tenant| tenant != DEFAULT_TENANT);
        let database = set(database).unwrap_or_else(|| DEFAULT_DATABASE.to_owned());
        Ok(Self { server: url.origin().ascii_serialization(), tenant, database })
    }

    /// The reference a backend opens: the tenant is the namespace, the database the id.
    pub fn palace_ref(&self) -> PalaceRef {
        PalaceRef { id: self.database.clone(), local_path: None, namespace: self.tenant.clone() }
    }
}

impl fmt::Display for ChromaAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some(tenant) = &self.tenant {
            query.append_pair("tenant", tenant);
        }
        if self.database != DEFAULT_DATABASE {
            query.append_pair("database", &self.database);
        }
        let query = query.finish();
        write!(f, "chroma+{}", self.server)?;
        if query.is_empty() { Ok(()) } else { write!(f, "?{query}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_a_tenant_and_a_database() {
        let address = ChromaAddress::parse("chroma+http://db:8000?tenant=acme%201&database=mem").unwrap();
        assert_eq!(address.server, "http://db:8000");
        let reference = address.palace_ref();
        assert_eq!((reference.id.as_str(), reference.namespace.as_deref()), ("mem", Some("acme 1")));
        assert_eq!(address.to_string(), "chroma+http://db:8000?tenant=acme+1&database=mem");
        assert_eq!(ChromaAddress::parse(&address.to_string()), Ok(address));
    }

    #[test]
    fn what_an_address_leaves_out_is_chromas_default_and_one_palace_has_one_address() {
        let short = ChromaAddress::parse("chroma+https://db").unwrap();
        let long = "chroma+https://DB:443/?tenant=default_tenant&database=default_database";
        assert_eq!(ChromaAddress::parse(long), Ok(short.clone()));
        assert_eq!((short.to_string().as_str(), short.server.as_str()), ("chroma+https://db", "https://db"));
    }

    #[test]
    fn secrets_and_paths_have_no_place_in_it() {
        for text in ["chroma+http://ada:s3cret@db", "chroma+http://ada@db"] {
            assert_eq!(ChromaAddress::parse(text), Err(AddressError::SecretInAddress));
        }
        for text in ["chroma+http://db/api/v2", "chroma+http://db?token=s3cret", "chroma+http://", "chroma+http://db#x"]
        {
            let error = ChromaAddress::parse(text).unwrap_err();
            assert!(matches!(error, AddressError::Malformed(_)) && !error.to_string().contains("s3cret"), "{error}");
        }
    }
}
