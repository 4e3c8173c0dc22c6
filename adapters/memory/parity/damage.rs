//! A target damaged at random: what differs is found, all of it and nothing else, and repaired.

use crate::world::{Content, MANNER, Rows, compared, content, contents, holding, pair, rows, seeds, verdict};
use palanquin_engine::parity::{Difference, Repaired, Verdict, repair};
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Changes one thing about a row; the field it is in.
fn change(content: &mut Content, stream: &mut StdRng) -> &'static str {
    match stream.random_range(0..6) {
        0 => {
            content.document = match &content.document {
                Some(_) if stream.random() => None,
                Some(text) => Some(format!("{text}.")),
                None => Some(String::new()),
            };
            "document"
        }
        1 => {
            content.metadata = format!(r#"{{"changed":{}}}"#, stream.random::<u32>());
            "metadata"
        }
        2 => {
            content.embedding = match &content.embedding {
                Some(_) => None,
                None => Some(vec![0.0; 4]),
            };
            "embedding"
        }
        _ => {
            let vector = content.embedding.get_or_insert_with(|| vec![0.0; 4]);
            let component = stream.random_range(0..vector.len());
            // A bit of the fraction: the number stays one.
            vector[component] = f32::from_bits(vector[component].to_bits() ^ (1 << stream.random_range(0..23)));
            "embedding"
        }
    }
}

/// Damages a copy of the rows in so many places; what differs then, by id.
fn damage(source: &Rows, target: &mut Rows, places: usize, stream: &mut StdRng) -> BTreeMap<String, Difference> {
    let ids: Vec<String> = source.keys().cloned().collect();
    let mut expected = BTreeMap::new();
    for _ in 0..places {
        match stream.random_range(0..4) {
            0 => {
                let id =
                    format!("row-{:05}{}", stream.random_range(0..1_000), ["x", "é", "🙂"][stream.random_range(0..3)]);
                target.insert(id.clone(), content(1));
                expected.insert(id.clone(), Difference::Extra { id });
            }
            1 if !ids.is_empty() => {
                let id = ids[stream.random_range(0..ids.len())].clone();
                target.remove(&id);
                expected.insert(id.clone(), Difference::Missing { id });
            }
            _ if !ids.is_empty() => {
                let id = ids[stream.random_range(0..ids.len())].clone();
                if !expected.contains_key(&id) {
                    let field = change(target.get_mut(&id).unwrap(), stream).to_owned();
                    expected.insert(id.clone(), Difference::Different { id, fields: vec![field] });
                }
            }
            _ => {}
        }
    }
    expected
}

#[tokio::test]
async fn any_damage_is_found_to_the_row_and_field_and_repair_makes_the_target_equal() {
    for (seed, mut stream) in seeds(60) {
        let count = [0, 1, 2, 99, 100, 101, 700][stream.random_range(0..7)];
        let source = rows(count);
        let mut damaged = source.clone();
        let places = [0, 1, 2, 5, 40, 900][stream.random_range(0..6)];
        let expected = damage(&source, &mut damaged, places, &mut stream);
        let (left, right) = (holding(&source).await, holding(&damaged).await);
        let comparison = compared(&left, &right, MANNER).await;
        let expected: Vec<Difference> = expected.into_values().collect();
        assert_eq!(comparison.differences(), expected, "seed {seed}");
        let parity = comparison.parity();
        let differs = |d: &&Difference| !matches!(d, Difference::Extra { .. });
        let unequal = expected.iter().filter(differs).count();
        assert_eq!(
            (parity.source_rows, parity.target_rows),
            (source.len() as u64, damaged.len() as u64),
            "seed {seed}"
        );
        assert_eq!(parity.equal, (source.len() - unequal) as u64, "seed {seed}");
        let bare = source.values().filter(|row| row.embedding.is_none()).count() as u64;
        assert_eq!(parity.without_vector, bare, "seed {seed}");
        assert_eq!(
            parity.verdict(),
            if expected.is_empty() { Verdict::Equal } else { Verdict::Different },
            "seed {seed}"
        );
        assert_eq!(parity.source_digest == parity.target_digest, expected.is_empty(), "seed {seed}");

        let compared_pair = pair(&left, &right);
        let written = Mutex::new(Repaired::default());
        let wrote = |more| written.lock().unwrap().add(more);
        let done = repair(&compared_pair, MANNER, comparison.differences(), true, (&|_, _| {}, &wrote)).await.unwrap();
        let extra = expected.len() - unequal;
        let wanted = Repaired { copied: unequal as u64, removed: extra as u64, left: 0 };
        assert_eq!((done, written.into_inner().unwrap()), (wanted, wanted), "seed {seed}");
        let comparison = compared(&left, &right, MANNER).await;
        assert_eq!(verdict(&comparison), Verdict::Equal, "seed {seed}: {:?}", comparison.differences());
        assert_eq!(contents(right.as_ref()).await, source, "seed {seed}");
        assert_eq!(contents(left.as_ref()).await, source, "seed {seed}: the source was written");
    }
}

#[tokio::test]
async fn rows_only_the_target_has_are_left_unless_it_is_said_that_they_go() {
    let source = rows(20);
    let mut more = source.clone();
    more.insert("zzz".into(), content(1));
    more.remove("row-00003");
    let (left, right) = (holding(&source).await, holding(&more).await);
    let comparison = compared(&left, &right, MANNER).await;
    let ends = pair(&left, &right);
    let done = repair(&ends, MANNER, comparison.differences(), false, (&|_, _| {}, &|_| {})).await.unwrap();
    assert_eq!(done, Repaired { copied: 1, removed: 0, left: 1 });
    let comparison = compared(&left, &right, MANNER).await;
    assert_eq!(comparison.differences(), [Difference::Extra { id: "zzz".into() }]);
    assert_eq!((comparison.parity().source_rows, comparison.parity().target_rows), (20, 21));
}
