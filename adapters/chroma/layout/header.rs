use super::Trouble;
use super::files::HEADER;

/// Bytes of a `header.bin`.
pub(crate) const HEADER_BYTES: usize = 100;
const LABEL_BYTES: u64 = 8;
/// An element's links: a count, then at most this many neighbours. Chroma's default is 32.
const MAX_NEIGHBOURS: u64 = 65_536;

/// How `data_level0.bin` is laid out: `elements` records of `element_bytes`, each links, vector, label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Records that hold something, deleted ones included.
    pub(crate) elements: u32,
    /// Records the index has room for.
    pub(crate) max_elements: u64,
    /// Bytes of a record.
    pub(crate) element_bytes: usize,
    /// Where the vector starts in a record.
    pub(crate) vector_offset: usize,
    /// Where the label starts in a record; the vector ends there.
    pub(crate) label_offset: usize,
}

impl Header {
    /// Parses a header and checks it against itself; [`Header::check`] checks it against the rest.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Trouble> {
        let lies = |what: String| Trouble::damaged(format!("{HEADER} {what}"));
        if bytes.len() != HEADER_BYTES {
            return Err(lies(format!("has {} bytes instead of {HEADER_BYTES}", bytes.len())));
        }
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(word)
        };
        let version = i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        if version != 1 {
            return Err(lies(format!("has version {version} instead of 1")));
        }
        let (first, max_elements, elements) = (word(4), word(12), word(20));
        let (element_bytes, label_offset, vector_offset) = (word(28), word(36), word(44));
        let max_neighbours = word(68);
        if first != 0 {
            return Err(lies(format!("puts the first element at byte {first}")));
        }
        if elements > max_elements {
            return Err(lies(format!("counts {elements} elements of at most {max_elements}")));
        }
        let elements = u32::try_from(elements).map_err(|_| lies(format!("counts {elements} elements")))?;
        if max_neighbours > MAX_NEIGHBOURS || vector_offset != 4 + 4 * max_neighbours {
            return Err(lies(format!("puts vectors at byte {vector_offset} after {max_neighbours} neighbours")));
        }
        if label_offset.checked_add(LABEL_BYTES) != Some(element_bytes) || label_offset < vector_offset {
            return Err(lies(format!("puts the label at byte {label_offset} of an element of {element_bytes} bytes")));
        }
        let narrow = |value: u64| {
            u32::try_from(value).map(|value| value as usize).map_err(|_| lies(format!("has an offset of {value}")))
        };
        Ok(Self {
            elements,
            max_elements,
            element_bytes: narrow(element_bytes)?,
            vector_offset: narrow(vector_offset)?,
            label_offset: narrow(label_offset)?,
        })
    }

    /// Checks it against the width of the vectors and the sizes of the files it describes; `length_bytes` only where
    /// norms are used.
    pub(crate) fn check(&self, dimension: u32, data_bytes: u64, length_bytes: Option<u64>) -> Result<(), Trouble> {
        let width = (self.label_offset - self.vector_offset) as u64;
        if width != 4 * u64::from(dimension) {
            return Err(Trouble::damaged(format!(
                "{HEADER} has vectors of {width} bytes, the collection's have {dimension} components"
            )));
        }
        let needed = u64::from(self.elements) * self.element_bytes as u64;
        if needed > data_bytes {
            return Err(Trouble::damaged(format!(
                "data_level0.bin has {data_bytes} bytes, the {} elements of {HEADER} need {needed}",
                self.elements
            )));
        }
        let needed = 4 * u64::from(self.elements);
        if let Some(length_bytes) = length_bytes
            && needed > length_bytes
        {
            return Err(Trouble::damaged(format!(
                "length.bin has {length_bytes} bytes, the {} elements of {HEADER} need {needed}",
                self.elements
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::FileFailurePersistence;

    /// A header as Chroma writes it.
    pub(crate) fn header_bytes(dimension: u64, max_elements: u64, elements: u64) -> Vec<u8> {
        let (vector, label) = (132, 132 + 4 * dimension);
        let mut bytes = 1i32.to_le_bytes().to_vec();
        for word in [0, max_elements, elements, label + 8, label, vector] {
            bytes.extend(u64::to_le_bytes(word));
        }
        bytes.extend((-1i32).to_le_bytes());
        bytes.extend(u32::MAX.to_le_bytes());
        for word in [16u64, 32, 16, 0.36f64.to_bits(), 100] {
            bytes.extend(word.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn chromas_header_is_read() {
        let header = Header::parse(&header_bytes(384, 1024, 1000)).unwrap();
        assert_eq!((header.elements, header.element_bytes, header.vector_offset), (1000, 1676, 132));
        header.check(384, 1_676_000, Some(4000)).unwrap();
    }

    #[test]
    fn a_header_that_promises_more_than_the_files_hold_is_damage() {
        let header = Header::parse(&header_bytes(384, 1024, 1000)).unwrap();
        for (dimension, data, length) in [(384, 1_675_999, None), (384, 1_676_000, Some(3999)), (383, 1_676_000, None)]
        {
            assert!(matches!(header.check(dimension, data, length), Err(Trouble::Damaged(_))));
        }
    }

    #[test]
    fn a_header_that_contradicts_itself_is_damage() {
        for (at, value) in [(0, 2u8), (4, 1), (28, 0), (36, 0), (44, 1), (68, 1), (26, 9), (35, 255)] {
            let mut bytes = header_bytes(384, 1024, 1000);
            bytes[at] = value;
            assert!(matches!(Header::parse(&bytes), Err(Trouble::Damaged(_))), "byte {at}");
        }
        assert!(Header::parse(&header_bytes(384, 10, 11)).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_failure_persistence(FileFailurePersistence::WithSource("regressions")))]

        #[test]
        fn no_bytes_make_the_header_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(header) = Header::parse(&bytes) {
                let _ = header.check(384, 1 << 20, Some(1 << 10));
            }
        }

        #[test]
        fn a_mutated_header_never_promises_more_than_the_files_hold(at in 0usize..100, value: u8) {
            let mut bytes = header_bytes(8, 256, 241);
            bytes[at] = value;
            let data = 241 * 172;
            if let Ok(header) = Header::parse(&bytes) && header.check(8, data, Some(964)).is_ok() {
                prop_assert!(u64::from(header.elements) * header.element_bytes as u64 <= data);
                prop_assert_eq!(header.label_offset - header.vector_offset, 32);
            }
        }
    }
}
