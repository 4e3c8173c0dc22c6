use super::{Store, migrate};
use palanquin_tests::{Program, ReadRow, Scratch, files_below, python, read_lance};
use serde_json::Value;

/// Name, rows, dimension and metric of each collection that can be copied.
#[track_caller]
fn collections(palace: &str) -> Vec<(String, u64, u64, String)> {
    let run = Program::with(["inspect", "--exact", "--json"]).arg(palace).run();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let inspection: Value = serde_json::from_str(run.stdout.trim()).unwrap();
    let told = |one: &Value| {
        let text = |key: &str| one[key].as_str().unwrap().to_owned();
        let number = |key: &str| one[key].as_u64().unwrap();
        (text("name"), number("rows"), number("dimension"), text("metric"))
    };
    inspection["inspection"]["collections"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["rows"] != 0)
        .map(told)
        .collect()
}

/// Whether a row is the one that was written to the first of the palaces, its vector but for a few last bits: each Chroma
/// on the way rounds vectors of its cosine collections once.
#[track_caller]
fn assert_near(rows: &[ReadRow], wanted: &[ReadRow], of: &str) {
    assert_eq!(rows.len(), wanted.len(), "{of}");
    for (row, wanted) in rows.iter().zip(wanted) {
        let (there, given) = (row.embedding.as_ref().unwrap(), wanted.embedding.as_ref().unwrap());
        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 8.0 * f32::EPSILON * b.abs();
        assert!(there.len() == given.len() && there.iter().zip(given).all(near), "{of}: {row:?}");
        assert_eq!(ReadRow { embedding: None, ..row.clone() }, ReadRow { embedding: None, ..wanted.clone() }, "{of}");
    }
}

fn sorted(mut rows: Vec<ReadRow>) -> Vec<ReadRow> {
    rows.sort_by(|a, b| (&a.collection, &a.id).cmp(&(&b.collection, &b.id)));
    rows
}

#[test]
fn widths_metrics_and_empty_documents_are_kept_between_any_two_stores_and_sources_are_left_as_they_were() {
    let scratch = Scratch::new();
    let (made, state, wanted) = (scratch.path("made"), scratch.path("state"), scratch.path("wanted"));
    let output = python().arg("odd").arg(&made).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let first = format!("chroma:{}", made.display());
    migrate(&first, &format!("lance:{}", wanted.display()), &state);
    let wanted = sorted(read_lance(&wanted));
    assert_eq!(wanted.len(), 31);
    for from in Store::ALL {
        let source = from.address(&scratch, &format!("odd-{}", from.name()));
        migrate(&first, &source, &state);
        let there = collections(&source);
        assert_eq!(there.len(), 2, "{source}: {there:?}");
        for to in Store::ALL {
            let of = format!("{} to {}", from.name(), to.name());
            let target = to.address(&scratch, &format!("odd-{}-{}", from.name(), to.name()));
            let folder = scratch.path(&format!("odd-{}", from.name()));
            let before = folder.exists().then(|| files_below(&folder));
            let run = migrate(&source, &target, &state);
            assert!(run.stdout.contains("copied and verified"), "{of}: {}", run.stdout);
            assert!(before.is_none_or(|before| files_below(&folder) == before), "{of}: the source was changed");
            assert_eq!(collections(&target), there, "{of}");
            let back = scratch.path(&format!("back-{}-{}", from.name(), to.name()));
            migrate(&target, &format!("lance:{}", back.display()), &state);
            assert_near(&sorted(read_lance(&back)), &wanted, &of);
        }
    }
}
