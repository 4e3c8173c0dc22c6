use super::{BackendChoice, SelectedBy, select_backend};
use crate::contract::{
    Backend, Capabilities, Descriptor, Error, ErrorKind, Fidelity, OpenOptions, Palace, PalaceRef, Replaces, Result,
    SpecVersion,
};
use async_trait::async_trait;
use std::path::Path;
use std::sync::Arc;

/// Detects what lies below a directory of its name.
struct Named(Descriptor);

#[async_trait]
impl Backend for Named {
    fn descriptor(&self) -> &Descriptor {
        &self.0
    }

    fn detect(&self, path: &Path) -> bool {
        path.to_string_lossy().contains(self.0.name)
    }

    async fn open(&self, _: &PalaceRef, _: OpenOptions) -> Result<Arc<dyn Palace>> {
        Err(Error::new(ErrorKind::PalaceNotFound, "selection opens nothing"))
    }
}

fn select(choice: BackendChoice<'_>) -> Result<(&'static str, SelectedBy)> {
    let backends: Vec<Arc<dyn Backend>> = ["chroma", "lance", "memory"]
        .into_iter()
        .map(|name| {
            Arc::new(Named(Descriptor {
                name,
                spec_version: SpecVersion::CURRENT,
                capabilities: Capabilities::default(),
                maintenance_kinds: &[],
                metrics: &[],
                capture: None,
                fidelity: Fidelity::Exact,
                conversions: &[],
                keeps_settings: false,
                replaces: Replaces::Directory,
                readers: 1,
                writers: 1,
            })) as Arc<dyn Backend>
        })
        .collect();
    select_backend(&backends, choice).map(|(backend, by)| (backend.descriptor().name, by))
}

#[test]
fn each_step_is_asked_only_where_none_above_it_chose() {
    let path = Path::new("/palaces/memory");
    let all = BackendChoice {
        explicit: Some("lance"),
        configured: Some("chroma"),
        environment: Some("memory"),
        path: Some(path),
    };
    assert_eq!(select(all).unwrap(), ("lance", SelectedBy::Explicit));
    let all = BackendChoice { explicit: None, ..all };
    assert_eq!(select(all).unwrap(), ("chroma", SelectedBy::Configuration));
    let all = BackendChoice { configured: None, environment: Some("lance"), ..all };
    assert_eq!(select(all).unwrap(), ("lance", SelectedBy::Environment));
    let all = BackendChoice { environment: None, ..all };
    assert_eq!(select(all).unwrap(), ("memory", SelectedBy::Detection));
    assert_eq!(select(BackendChoice { path: None, ..all }).unwrap(), ("chroma", SelectedBy::Default));
    let unrecognised = BackendChoice { path: Some(Path::new("/palaces/new")), ..all };
    assert_eq!(select(unrecognised).unwrap(), ("chroma", SelectedBy::Default));
}

#[test]
fn an_empty_variable_is_an_unset_one() {
    let choice = BackendChoice { environment: Some(""), path: Some(Path::new("/lance")), ..BackendChoice::default() };
    assert_eq!(select(choice).unwrap(), ("lance", SelectedBy::Detection));
}

#[test]
fn a_name_no_backend_has_is_refused_and_not_passed_over() {
    let choice =
        BackendChoice { environment: Some("qdrant"), path: Some(Path::new("/lance")), ..BackendChoice::default() };
    let error = select(choice).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.what().contains("chroma, lance, memory"), "{error}");
}

#[test]
fn what_two_backends_recognise_is_not_guessed() {
    let choice = BackendChoice { path: Some(Path::new("/lance/memory")), ..BackendChoice::default() };
    let error = select(choice).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.what().contains("lance and memory"), "{error}");
    let named = BackendChoice { explicit: Some("lance"), ..choice };
    assert_eq!(select(named).unwrap(), ("lance", SelectedBy::Explicit));
}
