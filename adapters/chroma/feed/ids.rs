use std::collections::BTreeMap;
use std::iter::Peekable;

/// Changes collected beside the packed ids before they are packed too.
const LOOSE: usize = 4096;

/// Ids, sorted and each once, packed: of an id is kept what differs from the one before it.
#[derive(Clone, Debug, Default)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    count: usize,
    last: String,
}

impl Packed {
    /// Appends an id that is greater than all before it.
    pub(super) fn push(&mut self, id: &str) {
        debug_assert!(self.count == 0 || self.last.as_str() < id);
        let shared = self.last.bytes().zip(id.bytes()).take_while(|(a, b)| a == b).count();
        write_number(&mut self.bytes, shared);
        write_number(&mut self.bytes, id.len() - shared);
        self.bytes.extend_from_slice(&id.as_bytes()[shared..]);
        self.count += 1;
        self.last.clear();
        self.last.push_str(id);
    }

    fn iter(&self) -> Unpacked<'_> {
        Unpacked { bytes: &self.bytes, id: Vec::new() }
    }
}

struct Unpacked<'a> {
    bytes: &'a [u8],
    id: Vec<u8>,
}

impl Iterator for Unpacked<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let shared = read_number(&mut self.bytes)?;
        let rest = read_number(&mut self.bytes)?;
        let (rest, bytes) = self.bytes.split_at_checked(rest)?;
        self.bytes = bytes;
        self.id.truncate(shared);
        self.id.extend_from_slice(rest);
        String::from_utf8(self.id.clone()).ok()
    }
}

/// A set of ids that is kept for long and read in order: packed, with what changed since beside it.
#[derive(Debug, Default)]
pub(super) struct IdSet {
    packed: Packed,
    /// Whether the id is in the set, whatever is packed.
    loose: BTreeMap<String, bool>,
    loose_bytes: usize,
}

impl From<Packed> for IdSet {
    fn from(packed: Packed) -> Self {
        Self { packed, ..Self::default() }
    }
}

impl IdSet {
    /// Puts an id in.
    pub(super) fn insert(&mut self, id: &str) {
        self.set(id, true);
    }

    /// Takes an id out.
    pub(super) fn remove(&mut self, id: &str) {
        self.set(id, false);
    }

    fn set(&mut self, id: &str, there: bool) {
        if let Some(known) = self.loose.get_mut(id) {
            *known = there;
            return;
        }
        self.loose_bytes += id.len() + 64;
        self.loose.insert(id.to_owned(), there);
        if self.loose.len() > LOOSE.max(self.packed.count / 4) {
            let mut packed = Packed::default();
            self.iter().for_each(|id| packed.push(&id));
            *self = Self::from(packed);
        }
    }

    /// Its ids in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = String> {
        Merged { packed: self.packed.iter().peekable(), loose: self.loose.iter().peekable() }
    }

    /// Memory it takes, about.
    pub(super) fn bytes(&self) -> usize {
        self.packed.bytes.capacity() + self.loose_bytes
    }
}

struct Merged<P: Iterator<Item = String>, L: Iterator> {
    packed: Peekable<P>,
    loose: Peekable<L>,
}

impl<'a, P, L> Iterator for Merged<P, L>
where
    P: Iterator<Item = String>,
    L: Iterator<Item = (&'a String, &'a bool)>,
{
    type Item = String;

    fn next(&mut self) -> Option<String> {
        loop {
            let Some((id, there)) = self.loose.peek().copied() else { return self.packed.next() };
            if let Some(before) = self.packed.next_if(|packed| packed < id) {
                return Some(before);
            }
            self.packed.next_if(|packed| packed == id);
            self.loose.next();
            if *there {
                return Some(id.clone());
            }
        }
    }
}

/// Seven bits at a time, the lowest first.
fn write_number(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn read_number(bytes: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    let mut shift = 0;
    loop {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::FileFailurePersistence;
    use std::collections::BTreeSet;

    #[test]
    fn ids_as_mempalace_makes_them_take_less_than_half_their_length() {
        let mut packed = Packed::default();
        let ids = (0..100_000u64)
            .map(|i| format!("drawer_wing_code_auth-migration_{:024x}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let ids: BTreeSet<String> = ids.collect();
        ids.iter().for_each(|id| packed.push(id));
        assert_eq!(packed.count, ids.len());
        assert!(packed.bytes.len() < ids.len() * 28, "{}", packed.bytes.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_failure_persistence(FileFailurePersistence::WithSource("regressions")))]

        #[test]
        fn it_is_a_set_whatever_is_packed(
            packed in proptest::collection::btree_set(any::<String>(), 0..200),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<String>(), any::<bool>()), 0..200),
        ) {
            let mut front = Packed::default();
            packed.iter().for_each(|id| front.push(id));
            let (mut set, mut expected) = (IdSet::from(front), packed.clone());
            let known: Vec<&String> = packed.iter().collect();
            for (at, id, there) in &changes {
                // Every other one is an id that is packed already.
                let id = if at.index(2) == 0 && !known.is_empty() { known[at.index(known.len())] } else { id };
                if *there {
                    set.insert(id);
                    expected.insert(id.clone());
                } else {
                    set.remove(id);
                    expected.remove(id);
                }
            }
            prop_assert!(set.iter().eq(expected));
        }

    }

    #[test]
    fn it_is_packed_again_when_much_has_changed() {
        let mut set = IdSet::default();
        let ids: Vec<String> =
            (0..3 * LOOSE as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string()).collect();
        ids.iter().for_each(|id| set.insert(id));
        assert!(set.loose.len() <= LOOSE);
        assert!(set.iter().eq(ids.iter().cloned().collect::<BTreeSet<_>>()));
    }
}
