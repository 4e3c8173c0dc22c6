use super::entries::PalaceEntry;
use super::{Configuration, ConfigurationError};
use crate::Place;
use crate::address::{Address, AddressError};
use crate::postgres_address::PostgresAddress;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A palace as a command is given it: a name of the configuration, a path, or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    text: String,
    address: Address,
}

impl Given {
    /// It, word for word.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl FromStr for Given {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Ok(Self { address: text.parse()?, text: text.to_owned() })
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As an address it is shown without its password.
        if self.address.backend.is_some() { self.address.fmt(f) } else { f.write_str(&self.text) }
    }
}

/// Where a palace is, and who said what about its backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is; its backend, if the command named one.
    pub address: Address,
    /// Its name, if it is one of the configuration's.
    pub name: Option<String>,
    /// The type of the backend the configuration says it has: step two of the selection (§3.3).
    pub configured: Option<String>,
    /// A path of the same spelling that is there, and was not meant.
    pub passed_over: Option<PathBuf>,
}

impl From<Address> for Found {
    fn from(address: Address) -> Self {
        Self { address, name: None, configured: None, passed_over: None }
    }
}

impl Configuration {
    /// The palace that is meant. A name of the configuration comes before a path of the same spelling, which `./` in
    /// front of it makes a path; everything else is a path or an address.
    ///
    /// # Errors
    /// An entry of the configuration that does not say where the palace is.
    pub fn find(
        &self,
        given: &Given,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Found, ConfigurationError> {
        let Some(entry) = self.palaces.get(&given.text) else { return Ok(given.address.clone().into()) };
        let passed_over = given.address.path().filter(|path| path.exists()).map(Path::to_owned);
        Ok(Found { passed_over, ..self.entry(&given.text, entry, environment)? })
    }

    /// The palace of that name.
    ///
    /// # Errors
    /// A name there is none of, or an entry that does not say where the palace is.
    pub fn palace(
        &self,
        name: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Found, ConfigurationError> {
        match self.palaces.get(name) {
            Some(entry) => self.entry(name, entry, environment),
            None => Err(self.wrong(format!("palaces.{name}"), "there is no such palace", "add it")),
        }
    }

    /// The place of a palace that an entry like this, of this name, would have.
    ///
    /// # Errors
    /// An entry that does not say where the palace is.
    pub fn place(
        &self,
        name: &str,
        entry: &PalaceEntry,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Found, ConfigurationError> {
        self.entry(name, entry, environment)
    }

    /// Whether palaces of a backend lie where its own entry says.
    pub fn has_a_place_of_its_own(&self, backend: &str) -> bool {
        let options = self.backends.get(backend).map(|entry| &entry.options);
        options.is_some_and(|options| options.contains_key("uri") || options.contains_key("url"))
    }

    fn entry(
        &self,
        name: &str,
        entry: &PalaceEntry,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Found, ConfigurationError> {
        let key = |part: &str| format!("palaces.{name}.{part}");
        let configured = entry.backend.as_deref().map(|backend| self.backend_type(backend).to_owned());
        let found =
            |address| Found { address, name: Some(name.to_owned()), configured: configured.clone(), passed_over: None };
        if let Some(text) = &entry.address {
            let address: Address = text
                .parse()
                .map_err(|error: AddressError| self.wrong(key("address"), error.to_string(), "correct it"))?;
            if let (Some(in_address), Some(configured)) = (&address.backend, &configured)
                && in_address != configured
            {
                let found = format!("it is of backend {in_address}, and backend says {configured}");
                return Err(self.wrong(key("address"), found, "leave one of them out"));
            }
            let configured = configured.clone().or(address.backend.clone());
            return Ok(Found { configured, ..found(Address { backend: None, ..address }) });
        }
        let place = match configured.as_deref() {
            Some("postgres") => self.in_database(name, entry, environment)?,
            Some("chroma") if self.option(entry, "url").is_some() => self.on_chroma_server(name, entry)?,
            Some("lance") if entry.local_path.is_none() && self.option(entry, "uri").is_some() => {
                let uri = self.option(entry, "uri").unwrap_or_default().trim_end_matches('/');
                Place::Object(format!("{uri}/{}", entry.id.as_deref().unwrap_or(name)))
            }
            kind => self.in_directory(name, entry, kind)?,
        };
        Ok(found(Address { backend: None, place }))
    }

    fn option(&self, entry: &PalaceEntry, option: &str) -> Option<&str> {
        let backend = self.backends.get(entry.backend.as_deref()?)?;
        backend.options.get(option).map(String::as_str)
    }

    fn in_directory(&self, name: &str, entry: &PalaceEntry, kind: Option<&str>) -> Result<Place, ConfigurationError> {
        let key = |part: &str| format!("palaces.{name}.{part}");
        if let (Some(_), Some(kind)) = (&entry.namespace, kind) {
            let found = format!("a palace of backend {kind} in a directory has no namespace");
            return Err(self.wrong(key("namespace"), found, "leave it out"));
        }
        let Some(path) = &entry.local_path else {
            let fix = "add local_path, or a backend on a server";
            return Err(self.wrong(format!("palaces.{name}"), "it does not say where the palace is", fix));
        };
        let address: Address = format!("file://{}", path.display()).parse()?;
        Ok(address.place)
    }

    /// Id and directory are written as MemPalace takes them: a directory's id is its absolute path.
    fn in_database(
        &self,
        name: &str,
        entry: &PalaceEntry,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Place, ConfigurationError> {
        let from_environment = || {
            let set = ["MEMPALACE_POSTGRES_DSN", "MEMPALACE_PGVECTOR_DSN"].into_iter().filter_map(environment);
            set.map(|dsn| dsn.trim().to_owned()).find(|dsn| !dsn.is_empty())
        };
        let in_file = self.option(entry, "dsn").map(str::to_owned);
        let key = match (&in_file, entry.backend.as_deref()) {
            (Some(_), Some(backend)) => format!("backends.{backend}.dsn"),
            _ => format!("palaces.{name}.backend"),
        };
        // Without one, libpq's own variables say where the server is.
        let dsn = in_file.or_else(from_environment).unwrap_or_else(|| "postgresql:///".to_owned());
        let local_path = entry.local_path.as_ref().map(|path| path.to_string_lossy().into_owned());
        let palace = entry.id.clone().or_else(|| local_path.clone()).unwrap_or_else(|| name.to_owned());
        let namespace = entry.namespace.clone().or_else(|| self.option(entry, "namespace").map(str::to_owned));
        let shared = self.option(entry, "shared_namespace");
        let address = PostgresAddress::in_database(&dsn, &palace, namespace.as_deref(), shared, local_path.as_deref());
        address.map(Place::Postgres).map_err(|_| {
            let found = "the address of its database is no URL";
            self.wrong(key, found, "write it as postgresql://USER@HOST/DB, in the file or in MEMPALACE_POSTGRES_DSN")
        })
    }

    fn on_chroma_server(&self, name: &str, entry: &PalaceEntry) -> Result<Place, ConfigurationError> {
        let mut text = format!("chroma+{}", self.option(entry, "url").unwrap_or_default().trim_end_matches('/'));
        let tenant = entry.namespace.as_deref().or_else(|| self.option(entry, "tenant"));
        let database = entry.id.as_deref().or_else(|| self.option(entry, "database"));
        for (key, value) in [("tenant", tenant), ("database", database)] {
            if let Some(value) = value {
                let mark = if text.contains('?') { '&' } else { '?' };
                let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
                text.push_str(&format!("{mark}{key}={value}"));
            }
        }
        let address: Result<Address, AddressError> = text.parse();
        let backend = entry.backend.as_deref().unwrap_or(name);
        address.map(|address| address.place).map_err(|error| {
            self.wrong(format!("backends.{backend}.url"), error.to_string(), "write it as http://HOST:PORT")
        })
    }
}
