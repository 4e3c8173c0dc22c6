use super::*;
use crate::layout::header::tests::header_bytes;
use crate::layout::pickle::tests::chroma_pickle;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

struct Segment {
    _folder: tempfile::TempDir,
    folder: SegmentFolder,
}

/// A segment of one-dimensional vectors: slot by slot an id, its label, its vector and norm, whether it is deleted.
fn segment(elements: &[(&str, u32, f32, f32, bool)]) -> Segment {
    let home = tempfile::tempdir().unwrap();
    let folder = SegmentFolder::new(home.path(), uuid::Uuid::nil());
    std::fs::create_dir(folder.path()).unwrap();
    let (mut data, mut length) = (Vec::new(), Vec::new());
    for (_, label, vector, norm, deleted) in elements {
        data.extend([0, 0, u8::from(*deleted), 0]);
        data.extend([0; 128]);
        data.extend(vector.to_le_bytes());
        data.extend(u64::from(*label).to_le_bytes());
        length.extend(norm.to_le_bytes());
    }
    let live = elements.iter().filter(|element| !element.4);
    let ids: Vec<(&str, u32)> = live.map(|(id, label, ..)| (*id, *label)).collect();
    for (name, bytes) in [
        (HEADER, header_bytes(1, elements.len().max(1000) as u64, elements.len() as u64)),
        (DATA, data),
        (LENGTH, length),
        (PICKLE, chroma_pickle(&ids)),
    ] {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    Segment { _folder: home, folder }
}

fn vector(index: &Index, fingerprints: &Fingerprints, id: &str) -> Option<f32> {
    let at = index.find(fingerprints.of(id.as_bytes()))?;
    let (mut raw, mut vector) = (Vec::new(), Vec::new());
    index.read_raw(at, &mut raw).unwrap();
    index.vector(at, &raw, &mut vector).unwrap();
    Some(vector[0])
}

#[test]
fn labels_lead_to_vectors_whatever_the_slots() {
    let segment = segment(&[
        ("x", 4, 0.5, 2.0, false),
        ("y", 2, 0.25, 4.0, false),
        ("x", 1, 9.0, 9.0, true),
        ("z", 7, 3.0, 1.0, false),
    ]);
    let fingerprints = Fingerprints::new();
    let index = Index::load(&segment.folder, 1, true, &fingerprints, Places::Read).unwrap();
    let found = ["x", "y", "z", "w"].map(|id| vector(&index, &fingerprints, id));
    assert_eq!((found, index.len()), ([Some(1.0), Some(1.0), Some(3.0), None], 3));
    let index = Index::load(&segment.folder, 1, false, &fingerprints, Places::Read).unwrap();
    assert_eq!(vector(&index, &fingerprints, "x"), Some(0.5));
}

#[test]
fn a_place_that_was_guessed_wrong_is_noticed_when_it_is_read() {
    let segment = segment(&[("x", 1, 0.5, 2.0, false), ("y", 3, 0.25, 4.0, false), ("z", 2, 1.0, 1.0, false)]);
    let fingerprints = Fingerprints::new();
    let index = Index::load(&segment.folder, 1, true, &fingerprints, Places::Guessed).unwrap();
    assert_eq!(vector(&index, &fingerprints, "x"), Some(1.0));
    let at = index.find(fingerprints.of(b"y")).unwrap();
    let mut raw = Vec::new();
    index.read_raw(at, &mut raw).unwrap();
    assert!(matches!(index.vector(at, &raw, &mut Vec::new()), Err(Trouble::Misplaced)));
}

#[test]
fn places_that_cannot_be_guessed_are_read() {
    let segment = segment(&[("x", 9, 0.5, 2.0, false), ("y", 1, 0.25, 4.0, false)]);
    let fingerprints = Fingerprints::new();
    let index = Index::load(&segment.folder, 1, true, &fingerprints, Places::Guessed).unwrap();
    assert_eq!(["x", "y"].map(|id| vector(&index, &fingerprints, id)), [Some(1.0), Some(1.0)]);
}

#[test]
fn an_id_map_that_has_anything_twice_is_damage() {
    for elements in
        [[("x", 1, 0.0, 0.0, false), ("x", 2, 0.0, 0.0, false)], [("x", 1, 0.0, 0.0, false), ("y", 1, 0.0, 0.0, false)]]
    {
        let loaded = Index::load(&segment(&elements).folder, 1, true, &Fingerprints::new(), Places::Read);
        assert!(matches!(loaded, Err(Trouble::Damaged(_))));
    }
}

#[test]
fn an_empty_id_map_needs_no_vectors() {
    let segment = segment(&[]);
    std::fs::remove_file(segment.folder.path().join(DATA)).unwrap();
    let index = Index::load(&segment.folder, 1, true, &Fingerprints::new(), Places::Read).unwrap();
    assert!(index.is_there() && index.len() == 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_failure_persistence(FileFailurePersistence::WithSource("regressions")))]

    #[test]
    fn mutated_files_are_read_or_refused_and_never_panic(which in 0usize..4, at: prop::sample::Index, value: u8, cut: bool) {
        let elements = [("x", 3, 0.5, 2.0, false), ("y", 2, 0.25, 4.0, false), ("z", 1, 9.0, 9.0, false)];
        let segment = segment(&elements);
        let path = segment.folder.path().join([HEADER, DATA, LENGTH, PICKLE][which]);
        let mut bytes = std::fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = value;
        if cut {
            bytes.truncate(at);
        }
        std::fs::write(&path, bytes).unwrap();
        let fingerprints = Fingerprints::new();
        let places = if value % 2 == 0 { Places::Guessed } else { Places::Read };
        if let Ok(index) = Index::load(&segment.folder, 1, true, &fingerprints, places) {
            for id in ["x", "y", "z"] {
                let Some(at) = index.find(fingerprints.of(id.as_bytes())) else { continue };
                let mut raw = Vec::new();
                let read = index.read_raw(at, &mut raw);
                let _ = read.and_then(|()| index.vector(at, &raw, &mut Vec::new()));
            }
        }
    }
}

/// Peak memory of a load, a million rows with ids as MemPalace makes them, in a process of its own:
/// `cargo test … memory_of_a_million_rows -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, not a check"]
fn memory_of_a_million_rows() {
    const FOLDER: &str = "PALANQUIN_MEASURED_SEGMENT";
    if let Some(folder) = std::env::var_os(FOLDER) {
        let figure = |name: &str| {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
        };
        let folder = SegmentFolder::new(std::path::Path::new(&folder), uuid::Uuid::nil());
        let before = figure("VmRSS:");
        let index = Index::load(&folder, 1, true, &Fingerprints::new(), Places::Read).unwrap();
        let (peak, kept) = (figure("VmHWM:") - before, figure("VmRSS:") - before);
        println!("{} rows: peak {peak} KiB, kept {kept} KiB", index.len());
        return;
    }
    let ids: Vec<String> = (0..1_000_000u32).map(|i| format!("drawer_wing_code_auth-migration_{i:024x}")).collect();
    let labels = (1..=1_000_000u32).rev();
    let elements: Vec<_> = ids.iter().zip(labels).map(|(id, label)| (id.as_str(), label, 1.0, 1.0, false)).collect();
    let segment = segment(&elements);
    let home = segment.folder.path().parent().unwrap();
    let test = ["--ignored", "--nocapture", "memory_of_a_million_rows"];
    let child = std::process::Command::new(std::env::current_exe().unwrap()).args(test).env(FOLDER, home).status();
    assert!(child.unwrap().success());
}
