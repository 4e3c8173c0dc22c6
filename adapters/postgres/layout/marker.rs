//! `pgvector_backend.json`: the file by which MemPalace finds a palace's tables, and refuses others.

use super::Names;
use crate::connection::Dsn;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Its name in a palace's directory.
pub(crate) const FILE_NAME: &str = "pgvector_backend.json";

/// What other backends leave in a palace's directory. MemPalace refuses a directory with two of them.
const OF_OTHERS: [&str; 5] =
    ["chroma.sqlite3", "sqlite_exact.sqlite3", "qdrant_backend.json", "milvus_backend.json", "milvus.db"];

/// What lies in a palace's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing that says whose it is.
    Vacant,
    /// A marker of these tables.
    Ours,
    /// A marker of other tables; the names of what differs.
    Elsewhere(Vec<&'static str>),
    /// Something that is no palace of this backend.
    Other(String),
}

pub(crate) fn is_there(palace: &Path) -> bool {
    palace.join(FILE_NAME).is_file()
}

/// Looks at a directory; writes nothing.
pub(crate) fn look(palace: &Path, names: &Names, dsn: &Dsn) -> io::Result<Standing> {
    match fs::metadata(palace) {
        Ok(found) if !found.is_dir() => return Ok(Standing::Other("it is a file".to_owned())),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Standing::Vacant),
        Err(error) => return Err(error),
    }
    let text = match fs::read(palace.join(FILE_NAME)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let other = OF_OTHERS.into_iter().find(|name| palace.join(name).exists());
            return Ok(other.map_or(Standing::Vacant, |name| Standing::Other(format!("it holds {name}"))));
        }
        Err(error) => return Err(error),
    };
    let marker: Option<Map<String, Value>> = serde_json::from_slice(&text).ok();
    let Some(marker) = marker.filter(|marker| marker.get("backend") == Some(&json!("pgvector"))) else {
        return Ok(Standing::Other(format!("its {FILE_NAME} is none of MemPalace's")));
    };
    let found = marker.get("pgvector").and_then(Value::as_object);
    let expected = target(names, dsn);
    let differs = |key: &&'static str| {
        let found = found.and_then(|found| found.get(*key)).unwrap_or(&Value::Null);
        found != &expected[*key] && !(*key == "host" && is_this_machine(found) && is_this_machine(&expected[*key]))
    };
    let differing: Vec<_> = TARGET.into_iter().filter(differs).collect();
    Ok(if differing.is_empty() { Standing::Ours } else { Standing::Elsewhere(differing) })
}

const TARGET: [&str; 7] = ["host", "port", "dbname", "namespace", "shared_namespace", "palace_hash", "table_prefix"];

fn target(names: &Names, dsn: &Dsn) -> Value {
    let (host, port, database) = &dsn.in_marker;
    json!({
        "host": host,
        "port": port,
        "dbname": database,
        "namespace": names.namespace,
        "shared_namespace": names.shared_namespace,
        "palace_hash": names.palace_hash(),
        "table_prefix": names.prefix,
    })
}

fn is_this_machine(host: &Value) -> bool {
    matches!(host.as_str(), Some("" | "localhost" | "127.0.0.1" | "::1"))
}

/// Makes the directory, mode 0700, and the marker unless one is there. Durable when it returns.
pub(crate) fn write(palace: &Path, names: &Names, dsn: &Dsn) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(palace)?;
    if is_there(palace) {
        return Ok(());
    }
    let marker = json!({
        "backend": "pgvector",
        "schema_version": 1,
        "created_at": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string(),
        "palace_id": names.palace,
        "pgvector": target(names, dsn),
    });
    replace(palace, FILE_NAME, &serde_json::to_vec_pretty(&marker)?)
}

/// Replaces a file in a palace's directory at once, mode 0600.
pub(super) fn replace(palace: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    let temporary = palace.join(format!(".{name}.{}", uuid::Uuid::new_v4()));
    let written = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&temporary, palace.join(name))?;
        File::open(palace)?.sync_all()
    };
    written().inspect_err(|_| {
        // What is left of a failed attempt; the error to report is the attempt's.
        drop(fs::remove_file(&temporary));
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use palanquin_engine::contract::PalaceRef;
    use std::os::unix::fs::PermissionsExt;

    fn names(namespace: Option<&str>) -> Names {
        let palace = PalaceRef { id: "p".into(), local_path: None, namespace: namespace.map(str::to_owned) };
        Names::of(&palace, None, None).unwrap()
    }

    #[test]
    fn a_marker_is_known_again_and_tells_what_differs() {
        let directory = tempfile::tempdir().unwrap();
        let palace = directory.path().join("a/palace");
        let dsn = Dsn::parse("postgresql://ada:secret@localhost:5433/m").unwrap();
        assert_eq!(look(&palace, &names(None), &dsn).unwrap(), Standing::Vacant);
        write(&palace, &names(None), &dsn).unwrap();
        assert_eq!(look(&palace, &names(None), &dsn).unwrap(), Standing::Ours);
        assert!(is_there(&palace));
        let written = fs::read_to_string(palace.join(FILE_NAME)).unwrap();
        assert!(!written.contains("secret") && !written.contains("ada"), "{written}");
        assert_eq!(fs::metadata(&palace).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(palace.join(FILE_NAME)).unwrap().permissions().mode() & 0o777, 0o600);

        let same_machine = Dsn::parse("postgresql://127.0.0.1:5433/m").unwrap();
        assert_eq!(look(&palace, &names(None), &same_machine).unwrap(), Standing::Ours);
        let other = Dsn::parse("postgresql://db:5434/m").unwrap();
        assert_eq!(look(&palace, &names(None), &other).unwrap(), Standing::Elsewhere(vec!["host", "port"]));
        let namespaced = look(&palace, &names(Some("n")), &dsn).unwrap();
        assert_eq!(namespaced, Standing::Elsewhere(vec!["namespace", "table_prefix"]));
    }

    #[test]
    fn the_directory_of_another_backend_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let dsn = Dsn::parse("postgresql://db/m").unwrap();
        fs::write(directory.path().join("chroma.sqlite3"), "x").unwrap();
        for path in [directory.path().to_owned(), directory.path().join("chroma.sqlite3")] {
            assert!(matches!(look(&path, &names(None), &dsn).unwrap(), Standing::Other(_)), "{path:?}");
        }
    }
}
