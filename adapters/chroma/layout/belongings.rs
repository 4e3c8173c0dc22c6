use super::quarantine::segment_of;
use crate::connection::DATABASE;
use crate::directory::MIGRATION_LOG;
use crate::sidecar;
use std::path::Path;
use uuid::Uuid;

/// What SQLite puts behind the name of a database for the files beside it.
const BESIDE_DATABASE: [&str; 4] = ["", "-journal", "-wal", "-shm"];
/// Empty files by which MemPalace remembers repairs of the database.
const MARKERS: [&str; 2] = [".blob_seq_ids_migrated", ".collection_type_fixed"];

/// Whether an entry of a palace's directory is Chroma's, or MemPalace's about what Chroma holds: the database, the folders of
/// the vector indexes, those set aside included, and the files that say which model and which migrations. All else that
/// MemPalace keeps there (the knowledge graph, rooms and wings) is about the palace, whichever store it is in.
pub(crate) fn is_chromas(entry: &Path) -> bool {
    let Some(name) = entry.file_name().and_then(|name| name.to_str()) else { return false };
    let of_database = name.strip_prefix(DATABASE).is_some_and(|end| BESIDE_DATABASE.contains(&end));
    let of_index = || (Uuid::parse_str(name).is_ok() || segment_of(name).is_some()) && entry.is_dir();
    of_database || MARKERS.contains(&name) || is_file(name, sidecar::FILE) || is_file(name, MIGRATION_LOG) || of_index()
}

/// The file itself, or what an interrupted write of it has left.
fn is_file(name: &str, file: &str) -> bool {
    let temporary = || {
        let rest = name.strip_prefix('.')?.strip_prefix(file.trim_start_matches('.'))?.strip_prefix('.')?;
        Uuid::parse_str(rest).ok()
    };
    name == file || temporary().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_part_of_the_store_is_told_apart() {
        let palace = tempfile::tempdir().unwrap();
        let path = palace.path();
        let segment = Uuid::from_u128(7).to_string();
        let aside = format!("{segment}.drift-20260101-000000");
        for folder in [segment.as_str(), &aside, "rooms", "chroma.lance"] {
            std::fs::create_dir(path.join(folder)).unwrap();
        }
        let temporary = format!(".mempalace_embedder.json.{segment}");
        let parts = [DATABASE, "chroma.sqlite3-journal", &segment, &aside, sidecar::FILE, MIGRATION_LOG, &temporary];
        let later = Uuid::from_u128(8).to_string();
        let others = [
            "knowledge_graph.sqlite3",
            "chroma.sqlite3.bak",
            "rooms",
            "chroma.lance",
            ".mempalace_embedder.json.mine",
            "replica.json",
            &later,
        ];
        for part in parts.into_iter().chain(MARKERS) {
            assert!(is_chromas(&path.join(part)), "{part}");
        }
        for other in others {
            assert!(!is_chromas(&path.join(other)), "{other}");
        }
    }
}
