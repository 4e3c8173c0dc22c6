//! The names MemPalace gives tables, indexes and locks (pgvector backend, schema version 1).

use palanquin_engine::contract::{Error, ErrorKind, PalaceRef, Result};
use sha2::{Digest, Sha256};

/// Bytes of an identifier in Postgres.
const LONGEST: usize = 63;
/// Characters of a name part before the rest of it becomes a digest.
const LONGEST_PART: usize = 48;

/// What a palace is called, truly and in table names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// The palace's id.
    pub(crate) palace: String,
    /// The tenant.
    pub(crate) namespace: Option<String>,
    /// The name several machines share, as MemPalace writes it.
    pub(crate) shared_namespace: Option<String>,
    /// What all table names of the palace begin with.
    pub(crate) prefix: String,
}

impl Names {
    /// # Errors
    /// `InvalidRequest` for a shared namespace MemPalace refuses, and for names that Postgres cannot hold.
    pub(crate) fn of(palace: &PalaceRef, namespace: Option<&str>, shared: Option<&str>) -> Result<Self> {
        if palace.namespace.as_deref() == Some("") {
            return Err(Error::new(ErrorKind::InvalidRequest, "the namespace is empty"));
        }
        let namespace = palace.namespace.as_deref().or(namespace).filter(|namespace| !namespace.is_empty());
        if palace.id.contains('\0') || namespace.is_some_and(|namespace| namespace.contains('\0')) {
            return Err(Error::new(ErrorKind::InvalidRequest, "the palace's name has a NUL in it"));
        }
        let shared = shared.map(shared_slug).transpose()?;
        let slugged = namespace.map(|namespace| slug(namespace, "namespace"));
        let key = match &shared {
            Some(shared) => {
                let pair = format!("{}\0{shared}", slugged.as_deref().unwrap_or_default());
                format!("{shared}_{}", digest(&pair, 12))
            }
            None => palace_hash(&palace.id),
        };
        let prefix = match slugged {
            Some(slugged) => format!("mempalace_{slugged}_{key}"),
            None => format!("mempalace_{key}"),
        };
        let (palace, namespace) = (palace.id.clone(), namespace.map(str::to_owned));
        Ok(Self { palace, namespace, shared_namespace: shared, prefix })
    }

    /// The table of a collection.
    pub(crate) fn table(&self, collection: &str) -> String {
        clamped(&format!("{}_{}", self.prefix, slug(collection, "collection")))
    }

    /// The collection whose table this is, as far as a name tells: parts that were cut or folded are lost.
    pub(crate) fn collection_of<'a>(&self, table: &'a str) -> Option<&'a str> {
        let collection = table.strip_prefix(self.prefix.as_str())?.strip_prefix('_')?;
        (self.table(collection) == table).then_some(collection)
    }

    /// Which palace it is, for other programs' eyes.
    pub(crate) fn palace_hash(&self) -> String {
        palace_hash(&self.palace)
    }

    /// Whether another reference with the same tables means the same palace. A shared namespace is shared by ids.
    pub(crate) fn is_same_palace(&self, palace: &str, namespace: Option<&str>, shared: Option<&str>) -> bool {
        self.namespace.as_deref() == namespace
            && self.shared_namespace.as_deref() == shared
            && (shared.is_some() || self.palace == palace)
    }
}

/// The name of a table's vector index.
pub(crate) fn index_name(table: &str) -> String {
    clamped(&format!("{table}_hnsw_idx"))
}

/// The name Postgres gives a table's primary key.
pub(crate) fn key_name(table: &str) -> String {
    const SUFFIX: &str = "_pkey";
    let kept = table.get(..LONGEST - SUFFIX.len()).unwrap_or(table);
    format!("{kept}{SUFFIX}")
}

/// MemPalace's key for its advisory lock on a table, or ours for whatever else is locked by name.
pub(crate) fn lock_key(name: &str) -> i32 {
    let digest = Sha256::digest(name.as_bytes());
    i32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

fn palace_hash(id: &str) -> String {
    digest(id, 16)
}

fn digest(text: &str, digits: usize) -> String {
    let mut hex: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    hex.truncate(digits);
    hex
}

fn slug(value: &str, fallback: &str) -> String {
    let mut safe = String::with_capacity(value.len());
    for c in value.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            safe.push(c);
        } else if !safe.ends_with(FOLDED) {
            safe.push(FOLDED);
        }
    }
    let safe = safe.replace(FOLDED, "_");
    let safe = safe.trim_matches('_');
    match safe {
        "" => fallback.to_owned(),
        safe if safe.len() <= LONGEST_PART => safe.to_owned(),
        safe => format!("{}_{}", &safe[..35], digest(value, 12)),
    }
}

/// Stands for a run of characters that are no part of a name, until underscores that are can no longer be taken for it.
const FOLDED: char = '\u{1}';

fn shared_slug(value: &str) -> Result<String> {
    let separates = |c: char| is_space(c) || "-./:_".contains(c);
    let mut folded = String::new();
    for c in value.trim_matches(is_space).to_lowercase().chars() {
        if !separates(c) {
            folded.push(c);
        } else if !folded.ends_with('_') {
            folded.push('_');
        }
    }
    let folded = folded.trim_matches('_');
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if folded.is_empty() || !folded.chars().all(is_name) {
        let detail = format!(
            "the shared namespace {value:?} is none: it needs an ASCII letter or digit, and nothing but those, spaces and _-./:"
        );
        return Err(Error::new(ErrorKind::InvalidRequest, detail));
    }
    if folded.len() <= LONGEST_PART {
        return Ok(folded.to_owned());
    }
    Ok(format!("{}_{}", folded[..35].trim_end_matches('_'), digest(folded, 12)))
}

/// What Python takes for white space.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn clamped(name: &str) -> String {
    if name.len() <= LONGEST { name.to_owned() } else { format!("{}_{}", &name[..50], digest(name, 12)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(id: &str, namespace: Option<&str>, shared: Option<&str>) -> Names {
        let palace = PalaceRef { id: id.into(), local_path: None, namespace: namespace.map(str::to_owned) };
        Names::of(&palace, None, shared).unwrap()
    }

    #[test]
    fn tables_are_named_as_mempalace_names_them() {
        let plain = names("pal/pg50", None, None);
        assert_eq!(plain.table("mempalace_drawers"), "mempalace_65cdc89651f36df3_mempalace_drawers");
        let both = names("whatever", Some("Team A"), Some("ATK-Fleet"));
        assert_eq!(both.table("mempalace_drawers"), "mempalace_Team_A_atk_fleet_bdf95b0441df_mempalace_drawers");
    }

    #[test]
    fn what_is_no_letter_is_folded_and_what_is_long_is_digested() {
        assert_eq!(slug("a--b__c.", "x"), "a_b__c");
        assert_eq!(slug("a_-b", "x"), "a__b");
        assert_eq!(slug("日本", "x"), "x");
        assert_eq!(slug(&"a".repeat(48), "x").len(), 48);
        let long = slug(&"b".repeat(60), "x");
        assert!(long.starts_with(&"b".repeat(35)) && long.len() == 48, "{long}");
        assert_eq!(shared_slug(" A  b/C ").unwrap(), "a_b_c");
        assert_eq!(shared_slug("a__b").unwrap(), shared_slug("a-b").unwrap());
        let long = shared_slug(&"n".repeat(60)).unwrap();
        assert_eq!(shared_slug(&long).unwrap(), long);
        for none in ["", " ", "日本", "a'b", "--"] {
            assert!(shared_slug(none).is_err(), "{none:?}");
        }
    }

    #[test]
    fn names_stay_within_what_postgres_takes() {
        let names = names("p", Some(&"n".repeat(48)), None);
        let table = names.table("mempalace_drawers");
        assert_eq!(table.len(), 63);
        assert_ne!(index_name(&table), table);
        assert_ne!(names.table("mempalace_closets"), table);
    }

    #[test]
    fn a_collection_is_read_off_its_table() {
        let names = names("p", None, None);
        assert_eq!(names.collection_of(&names.table("mempalace_drawers")), Some("mempalace_drawers"));
        assert_eq!(names.collection_of(&names.table("notes-1")), Some("notes_1"));
        assert_eq!(names.collection_of(&index_name(&names.table("a"))), Some("a_hnsw_idx"));
        assert_eq!(names.collection_of("other"), None);
    }
}
