use crate::configuration;
use palanquin_config::{Address, Found, PalaceEntry, Place};
use palanquin_engine::contract::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// What stands in a template for the palace's name.
const NAME: &str = "{name}";

/// Where the copy of a palace goes that was only told its backend (`--to`): beside the source's directory, as
/// `PALACE.BACKEND`; with a root, below that directory; with an address that has `{name}` in it, there. A backend of the
/// configuration that says where its palaces lie (an object store, a Chroma server) has the last word where no root is
/// given. In a database the palace's id is that path, and its marker lies there.
///
/// # Errors
/// `InvalidRequest` where none of these tells.
pub(super) fn of(source: &Found, to: &str, root: Option<&str>) -> Result<Found> {
    let name = name_of(source);
    if let Some(template) = root.filter(|root| root.contains(NAME)) {
        return in_template(&template.replace(NAME, &name), to);
    }
    let configuration = configuration::current();
    let kind = configuration.backend_type(to);
    let local_path = match (root, source.address.path()) {
        (Some(root), _) => Some(absolute(root)?.join(format!("{name}.{kind}"))),
        (None, _) if configuration.has_a_place_of_its_own(to) => None,
        (None, Some(path)) => Some(beside(path, kind)),
        (None, None) => None,
    };
    let id = if local_path.is_none() { Some(name.clone()) } else { None };
    let entry = PalaceEntry { backend: Some(to.to_owned()), local_path, id, ..PalaceEntry::default() };
    let found = configuration.place(&name, &entry, configuration::variable).map_err(|error| {
        let detail = "say where the target goes, with --target-root DIR or as the second argument";
        Error::new(ErrorKind::InvalidRequest, detail).with_source(error)
    })?;
    Ok(Found { name: None, ..found })
}

/// The palace's name in the configuration, else that of its directory, else its id.
fn name_of(source: &Found) -> String {
    let of_path = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let named = source.name.clone().or_else(|| source.address.path().and_then(of_path));
    named.unwrap_or_else(|| {
        let id = match &source.address.place {
            Place::Object(uri) => uri.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned(),
            _ => source.address.palace_ref().id,
        };
        id.replace(['/', ':'], "-")
    })
}

fn beside(path: &Path, kind: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{kind}"));
    path.with_file_name(name)
}

fn absolute(root: &str) -> Result<PathBuf> {
    let root = root.strip_prefix("file://").unwrap_or(root);
    std::path::absolute(root).map_err(|error| Error::io("--target-root cannot be made absolute", error))
}

fn in_template(address: &str, to: &str) -> Result<Found> {
    let invalid = |detail: String| Error::new(ErrorKind::InvalidRequest, detail);
    let address: Address = address.parse().map_err(|error| invalid(format!("--target-root: {error}")))?;
    let kind = configuration::current().backend_type(to).to_owned();
    match &address.backend {
        Some(backend) if *backend != kind => {
            Err(invalid(format!("--target-root is of backend {backend}, --to says {kind}")))
        }
        _ => Ok(Found { configured: Some(kind), ..Found::from(address) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(address: &str, name: Option<&str>) -> Found {
        Found { name: name.map(str::to_owned), ..Found::from(address.parse::<Address>().unwrap()) }
    }

    fn goes_to(from: &Found, to: &str, root: Option<&str>) -> String {
        let found = of(from, to, root).unwrap();
        assert_eq!(found.configured.as_deref(), Some(to));
        found.address.to_string()
    }

    #[test]
    fn a_copy_goes_beside_its_source_unless_a_root_says_otherwise() {
        let palace = source("chroma:/no/such/palace", None);
        assert_eq!(goes_to(&palace, "lance", None), "/no/such/palace.lance");
        assert_eq!(goes_to(&palace, "lance", Some("/else")), "/else/palace.lance");
        let named = source("chroma:/no/such/palace", Some("work"));
        assert_eq!(goes_to(&named, "lance", Some("/else")), "/else/work.lance");
        assert_eq!(goes_to(&named, "lance", Some("lance:s3://b/{name}")), "lance:s3://b/work");
        assert!(of(&named, "postgres", Some("lance:/x/{name}")).is_err());
    }

    #[test]
    fn in_a_database_the_id_is_the_path_beside_the_source_and_the_marker_lies_there() {
        let found = of(&source("chroma:/no/such/palace", None), "postgres", None).unwrap();
        let reference = found.address.palace_ref();
        assert_eq!(
            (reference.id.as_str(), reference.local_path),
            ("/no/such/palace.postgres", Some("/no/such/palace.postgres".into()))
        );
        let found =
            of(&source("postgres://h/d?palace=a%2Fb", None), "postgres", Some("postgres://h/d?palace=copy-{name}"))
                .unwrap();
        assert_eq!(found.address.palace_ref().id, "copy-a-b");
    }

    #[test]
    fn without_a_directory_or_a_root_nothing_is_guessed() {
        let error = of(&source("postgres://h/d?palace=p", None), "lance", None).unwrap_err();
        assert!(error.what().contains("--target-root"), "{}", error.what());
    }
}
