use super::{Configuration, ConfigurationError};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Entries of one table, by name.
type Tables = Vec<(String, Map<String, Value>)>;

/// A backend of the configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct BackendEntry {
    /// Its type: the name of an adapter.
    pub(super) kind: String,
    /// Its options, those that are known for the type.
    pub(super) options: BTreeMap<String, String>,
}

/// A palace of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PalaceEntry {
    /// Name of a backend of the configuration, or of an adapter.
    pub backend: Option<String>,
    /// Its directory, absolute; a relative one is below the file's own folder.
    pub local_path: Option<PathBuf>,
    /// Its tenant on a server.
    pub namespace: Option<String>,
    /// Its id (§2.2); by default the directory, else its name.
    pub id: Option<String>,
    /// Where it is, for a place that the other entries cannot tell.
    pub address: Option<String>,
}

/// The embedder palaces are searched with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedder {
    /// What runs it; this program never does.
    pub kind: Option<String>,
    /// Its model.
    pub model: String,
}

const CHROMA: [&str; 3] = ["url", "tenant", "database"];
const LANCE: [&str; 1] = ["uri"];
const POSTGRES: [&str; 3] = ["dsn", "namespace", "shared_namespace"];

/// Options of a type that are understood. Of a type nobody knows here all are kept: it is refused by its name later.
fn known_options(kind: &str) -> &'static [&'static str] {
    match kind {
        "chroma" => &CHROMA,
        "lance" => &LANCE,
        "postgres" => &POSTGRES,
        _ => &[],
    }
}

/// The tree in types. What is not understood is passed over with a warning (§4.3); what is understood and wrong is not.
pub(super) fn of(
    path: &Path,
    mut tree: Map<String, Value>,
    home: Option<&Path>,
) -> Result<Configuration, ConfigurationError> {
    let mut reader = Reader { path, home, warnings: Vec::new() };
    let mut backends = BTreeMap::new();
    for (name, table) in reader.tables(&mut tree, "backends")? {
        let entry = reader.backend(&format!("backends.{name}"), table)?;
        backends.insert(name, entry);
    }
    let mut palaces = BTreeMap::new();
    for (name, table) in reader.tables(&mut tree, "palaces")? {
        let entry = reader.palace(&name, table)?;
        palaces.insert(name, entry);
    }
    let embedder = match tree.remove("embedder") {
        Some(Value::Object(table)) => reader.embedder(table)?,
        Some(_) => return Err(reader.wrong("embedder", "it is no table", "write it with type and model")),
        None => None,
    };
    reader.unknown("", tree.keys());
    let path = Some(path.to_owned());
    Ok(Configuration { path, backends, palaces, embedder, warnings: reader.warnings })
}

struct Reader<'a> {
    path: &'a Path,
    home: Option<&'a Path>,
    warnings: Vec<String>,
}

impl Reader<'_> {
    fn wrong(&self, key: &str, found: &str, fix: &str) -> ConfigurationError {
        let (path, key) = (self.path.to_owned(), key.to_owned());
        ConfigurationError::Wrong { path, key, found: found.to_owned(), fix: fix.to_owned() }
    }

    fn unknown<'k>(&mut self, above: &str, keys: impl Iterator<Item = &'k String>) {
        let dot = if above.is_empty() { "" } else { "." };
        let told = keys.map(|key| format!("{}, {above}{dot}{key}: not known, and passed over", self.path.display()));
        self.warnings.extend(told);
    }

    fn tables(&self, tree: &mut Map<String, Value>, key: &str) -> Result<Tables, ConfigurationError> {
        let entries = match tree.remove(key) {
            None => return Ok(Vec::new()),
            Some(Value::Object(entries)) => entries,
            Some(_) => return Err(self.wrong(key, "it is no table", "write one entry per name below it")),
        };
        let mut tables = Vec::new();
        for (name, entry) in entries {
            match entry {
                Value::Object(table) => tables.push((name, table)),
                _ => {
                    let fix =
                        if key == "palaces" { "write it with backend and local_path" } else { "write it with type" };
                    return Err(self.wrong(&format!("{key}.{name}"), "it is no table", fix));
                }
            }
        }
        Ok(tables)
    }

    fn text(
        &self,
        table: &mut Map<String, Value>,
        above: &str,
        key: &str,
    ) -> Result<Option<String>, ConfigurationError> {
        match table.remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text)),
            Some(_) => {
                Err(self.wrong(&format!("{above}.{key}"), "it is no text", "write it in quotes, or leave it out"))
            }
        }
    }

    fn backend(&mut self, key: &str, mut table: Map<String, Value>) -> Result<BackendEntry, ConfigurationError> {
        let Some(kind) = self.text(&mut table, key, "type")? else {
            return Err(self.wrong(key, "it has no type", "add one, as in type = \"lance\""));
        };
        // The RFC writes options beside the type; a table of their own is understood too.
        if let Some(Value::Object(options)) = table.remove("options") {
            table.extend(options);
        }
        let mut options = BTreeMap::new();
        for name in known_options(&kind) {
            if let Some(value) = self.text(&mut table, key, name)? {
                options.insert((*name).to_owned(), value);
            }
        }
        self.unknown(key, table.keys());
        Ok(BackendEntry { kind, options })
    }

    fn palace(&mut self, name: &str, mut table: Map<String, Value>) -> Result<PalaceEntry, ConfigurationError> {
        let key = format!("palaces.{name}");
        if name.is_empty() || name.contains(['/', ':']) || name.starts_with(['-', '.', '~']) {
            let fix = "name it without '/' and ':', and not as a path or an option begins";
            return Err(self.wrong(&key, "its name would be taken for a path or an address", fix));
        }
        let entry = PalaceEntry {
            backend: self.text(&mut table, &key, "backend")?,
            local_path: match self.text(&mut table, &key, "local_path")? {
                Some(text) => Some(self.directory(&format!("{key}.local_path"), &text)?),
                None => None,
            },
            namespace: self.text(&mut table, &key, "namespace")?,
            id: self.text(&mut table, &key, "id")?,
            address: self.text(&mut table, &key, "address")?,
        };
        self.unknown(&key, table.keys());
        if entry.address.is_some() && (entry.local_path.is_some() || entry.namespace.is_some() || entry.id.is_some()) {
            let fix = "leave out local_path, namespace and id, which are parts of it";
            return Err(self.wrong(&format!("{key}.address"), "it is not the only word on where the palace is", fix));
        }
        Ok(entry)
    }

    fn embedder(&mut self, mut table: Map<String, Value>) -> Result<Option<Embedder>, ConfigurationError> {
        let kind = self.text(&mut table, "embedder", "type")?;
        let model = self.text(&mut table, "embedder", "model")?;
        self.unknown("embedder", table.keys());
        Ok(model.map(|model| Embedder { kind, model }))
    }

    /// `~` is the user's home, and a relative path is below the file's folder: what the file says does not depend on
    /// where the command is run.
    fn directory(&self, key: &str, text: &str) -> Result<PathBuf, ConfigurationError> {
        let path = match text.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                let Some(home) = self.home else {
                    return Err(self.wrong(key, "there is no HOME that ~ could mean", "write the path in full"));
                };
                home.join(rest.trim_start_matches('/'))
            }
            _ => PathBuf::from(text),
        };
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::path::absolute(folder.join(path))
            .map_err(|_| self.wrong(key, "it cannot be made absolute", "write the path in full"))
    }
}
