//! Names of what is beside a palace in the same database of a server: the copy that is to take its place, and what it held before
//! while the two change places. Whoever looks at the palace is shown none of it.

use std::fmt;

/// What all of them begin with.
const OURS: &str = "palanquin-";
/// The copy that is to take a palace's place, and what holds nothing, to empty one with.
const COPIES: [&str; 2] = ["new-", "nothing-"];
/// What a palace held before.
const OLD: &str = "old-";

/// Which copy of which request. Its collections are named `palanquin-new-REQUEST.NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beside {
    kind: &'static str,
    request: String,
}

impl Beside {
    /// What the id of a palace that is a copy beside another tells: the id of the other, and which copy it is.
    pub(crate) fn of(id: &str) -> Option<(&str, Self)> {
        let (palace, mark) = id.rsplit_once(&format!(".{OURS}"))?;
        let (kind, request) = COPIES.into_iter().find_map(|kind| Some((kind, mark.strip_prefix(kind)?)))?;
        (!palace.is_empty() && is_request(request)).then(|| (palace, Self { kind, request: request.to_owned() }))
    }

    /// What its collections are called in the database.
    pub(crate) fn name_of(&self, collection: &str) -> String {
        format!("{self}.{collection}")
    }

    /// The collection of it that is called so in the database.
    pub(crate) fn collection<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.strip_prefix(&self.to_string())?.strip_prefix('.')
    }

    /// What the collections are called that it has replaced.
    pub(crate) fn old_name_of(&self, collection: &str) -> String {
        format!("{OURS}{OLD}{}.{collection}", self.request)
    }

    /// Whether it has replaced the collection that is called so.
    pub(crate) fn has_replaced(&self, name: &str) -> bool {
        name.strip_prefix(OURS)
            .and_then(|rest| rest.strip_prefix(OLD)?.strip_prefix(&self.request))
            .is_some_and(|rest| rest.starts_with('.'))
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{OURS}{}{}", self.kind, self.request)
    }
}

/// Whether a collection of that name is beside a palace and none of it.
pub(crate) fn is_beside(name: &str) -> bool {
    after_mark(name, &COPIES) || is_old(name)
}

/// Whether a collection of that name was set aside while a palace was replaced.
pub(crate) fn is_old(name: &str) -> bool {
    after_mark(name, &[OLD])
}

fn after_mark(name: &str, kinds: &[&str]) -> bool {
    let Some(mark) = name.strip_prefix(OURS) else { return false };
    let request = kinds.iter().find_map(|kind| mark.strip_prefix(kind));
    request.and_then(|rest| rest.split_once('.')).is_some_and(|(request, _)| is_request(request))
}

/// Whether it names a request for a copy, as links are named.
fn is_request(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_beside_a_palace_is_known_by_the_palaces_id_and_its_request() {
        let (palace, beside) = Beside::of("my.palace.palanquin-new-0123456789ab").unwrap();
        assert_eq!((palace, beside.to_string().as_str()), ("my.palace", "palanquin-new-0123456789ab"));
        let name = beside.name_of("drawers.x");
        assert_eq!(name, "palanquin-new-0123456789ab.drawers.x");
        assert_eq!(beside.collection(&name), Some("drawers.x"));
        let old = beside.old_name_of("drawers");
        assert_eq!(old, "palanquin-old-0123456789ab.drawers");
        assert!(beside.has_replaced(&old) && !beside.has_replaced(&name) && beside.collection(&old).is_none());
        assert!(is_beside(&name) && is_beside(&old) && is_old(&old) && !is_old(&name));
        let (_, nothing) = Beside::of("my.palace.palanquin-nothing-0123456789ab").unwrap();
        assert!(nothing.collection(&name).is_none() && nothing.has_replaced(&old));
    }

    #[test]
    fn whatever_else_looks_like_one_is_a_palace_or_a_collection_of_its_own() {
        for id in [
            "palace",
            ".palanquin-new-0123456789ab",
            "p.palanquin-new-",
            "p.palanquin-old-0123456789ab",
            "p.palanquin-new-0123456789AB",
            "p.palanquin-new-0123456789ab.more",
            "p-palanquin-new-0123456789ab",
        ] {
            assert_eq!(Beside::of(id), None, "{id}");
        }
        for name in ["palanquin-new-0123456789ab", "palanquin-new-x.drawers", "palanquin_migration_log", "drawers"] {
            assert!(!is_beside(name), "{name}");
        }
    }
}
