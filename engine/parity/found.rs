use super::vectors::Distances;
use super::{Difference, DifferenceCounts};
use std::collections::BTreeSet;

/// Differences kept by id; beyond that they are counted. Some 10 MB of ids as MemPalace makes them.
const KEPT: usize = 100_000;

/// What a comparison has found so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    kept: Vec<Difference>,
    pub(super) counts: DifferenceCounts,
    pub(super) within_tolerance: u64,
    pub(super) vectors: Distances,
}

impl Found {
    pub(super) fn add(&mut self, difference: Difference) {
        *self.count_of(&difference) += 1;
        if self.kept.len() < KEPT {
            self.kept.push(difference);
        }
    }

    /// The differences kept, ascending by id.
    pub(super) fn kept(&self) -> &[Difference] {
        &self.kept
    }

    /// Whether every difference is among those kept.
    pub(super) fn is_complete(&self) -> bool {
        self.counts.total() == self.kept.len() as u64
    }

    /// Takes what was found of some rows out, and puts in what was found of them later.
    pub(super) fn replace(&mut self, ids: &BTreeSet<String>, later: Self) {
        let (gone, kept) = std::mem::take(&mut self.kept).into_iter().partition(|kept| ids.contains(kept.id()));
        self.kept = kept;
        let gone: Vec<Difference> = gone;
        for difference in &gone {
            *self.count_of(difference) -= 1;
        }
        later.kept.into_iter().for_each(|difference| self.add(difference));
        self.kept.sort_by(|a, b| a.id().cmp(b.id()));
    }

    fn count_of(&mut self, difference: &Difference) -> &mut u64 {
        match difference {
            Difference::Missing { .. } => &mut self.counts.missing,
            Difference::Extra { .. } => &mut self.counts.extra,
            Difference::Different { .. } => &mut self.counts.different,
            Difference::Duplicate { .. } => &mut self.counts.duplicate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(id: &str) -> Difference {
        Difference::Missing { id: id.to_owned() }
    }

    #[test]
    fn what_is_found_later_of_a_row_takes_the_place_of_what_was_found_before() {
        let mut found = Found::default();
        ["a", "b", "c"].into_iter().for_each(|id| found.add(missing(id)));
        let mut later = Found::default();
        later.add(Difference::Extra { id: "aa".into() });
        found.replace(&["b".to_owned(), "aa".to_owned()].into(), later);
        assert_eq!(found.kept(), [missing("a"), Difference::Extra { id: "aa".into() }, missing("c")]);
        assert_eq!((found.counts.missing, found.counts.extra, found.is_complete()), (2, 1, true));
    }

    #[test]
    fn more_than_can_be_kept_is_counted() {
        let mut found = Found::default();
        (0..=KEPT).for_each(|n| found.add(missing(&n.to_string())));
        assert_eq!((found.kept().len(), found.counts.missing, found.is_complete()), (KEPT, KEPT as u64 + 1, false));
    }
}
