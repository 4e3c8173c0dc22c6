use super::client::Database;
use crate::beside::Beside;
use palanquin_engine::contract::PalaceRef;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::net::Ipv4Addr;

/// What the names begin with that we make of ids no server takes as they are.
const DERIVED: &str = "palanquin-";
/// Hexadecimal digits after that.
const DIGITS: usize = 32;

/// The database of a palace: its namespace is the tenant, its id the database. What cannot be a name there is replaced
/// by one made of its digest, and so is what looks like one: no two palaces share a database, but for one that is to take
/// the other's place.
pub(super) fn database_of(palace: &PalaceRef, tenant: &str) -> (Database, Option<Beside>) {
    let tenant = palace.namespace.as_deref().map_or_else(|| tenant.to_owned(), name_for);
    match Beside::of(&palace.id) {
        Some((id, beside)) => (Database { tenant, name: name_for(id) }, Some(beside)),
        None => (Database { tenant, name: name_for(&palace.id) }, None),
    }
}

fn name_for(text: &str) -> String {
    if is_name(text) && !is_derived(text) {
        return text.to_owned();
    }
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(DIGITS / 2).fold(DERIVED.to_owned(), |mut name, byte| {
        let _ = write!(name, "{byte:02x}");
        name
    })
}

/// Whether a server takes it as the name of a database or collection, as it says when it refuses one.
pub(super) fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric();
    (3..=512).contains(&text.len())
        && text.chars().all(|c| plain(c) || matches!(c, '.' | '_' | '-'))
        && text.starts_with(plain)
        && text.ends_with(plain)
        && !text.contains("..")
        && text.parse::<Ipv4Addr>().is_err()
}

fn is_derived(text: &str) -> bool {
    text.strip_prefix(DERIVED)
        .is_some_and(|digest| digest.len() == DIGITS && digest.chars().all(|c| c.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_a_server_takes_is_kept_and_any_other_has_one_made_for_it() {
        for text in ["default_database", "abc", "A.b-c_9", &"x".repeat(512)] {
            assert_eq!(name_for(text), text);
        }
        let hostile = ["", "ab", "../x", "a b c", "_ab", "ab.", "a..b", "127.0.0.1", "é", "nul\0nul", &"x".repeat(513)];
        let names: std::collections::BTreeSet<String> = hostile.iter().map(|text| name_for(text)).collect();
        assert_eq!(names.len(), hostile.len(), "each its own");
        for name in names {
            assert!(is_name(&name) && is_derived(&name), "{name}");
            assert_ne!(name_for(&name), name, "what looks like one is another palace's");
        }
    }

    #[test]
    fn a_namespace_is_a_tenant() {
        let palace = |id: &str, namespace: Option<&str>| PalaceRef {
            id: id.into(),
            local_path: None,
            namespace: namespace.map(str::to_owned),
        };
        let of = |palace: PalaceRef| database_of(&palace, "default_tenant").0;
        assert_eq!(of(palace("one", None)), Database { tenant: "default_tenant".into(), name: "one".into() });
        assert_eq!(of(palace("one", Some("acme"))), Database { tenant: "acme".into(), name: "one".into() });
        assert_ne!(of(palace("a-b", Some("ccc"))), of(palace("a", Some("b-ccc"))));
        let (database, beside) = database_of(&palace("one.palanquin-new-0123456789ab", None), "default_tenant");
        assert_eq!((database, beside.is_some()), (of(palace("one", None)), true));
    }
}
