use super::Trouble;
use super::files::{DATA, HEADER, LENGTH, PICKLE, SegmentFolder, Stamps};
use super::fingerprint::{Fingerprint, Fingerprints};
use super::header::{HEADER_BYTES, Header};
use super::pickle::{Labelled, read_index_metadata};
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::fs::FileExt;

/// Greatest `index_metadata.pickle` that is read: eight million rows with long ids.
const MAX_PICKLE_BYTES: u64 = 1 << 30;
/// Bytes of `data_level0.bin` read at once while its labels are collected.
const CHUNK_BYTES: usize = 256 << 10;
/// Byte of an element that carries the mark of deletion in its lowest bit.
const DELETED_AT: usize = 2;

/// One generation of a segment's files: where each id's vector is.
///
/// Labels say nothing about places where Chroma added elements from several threads: the label that each element carries
/// is then read once, here ([`Places::Read`]), which takes as long as reading every vector. Mostly one thread added them, and
/// label `n` is in slot `n - 1`; taken for granted ([`Places::Guessed`]), that is checked for each element that is read.
///
/// Memory per element of the index: resident 28 bytes (24 for the fingerprint, label and slot of a [`Labelled`],
/// reserved exactly, and 4 for the norm). While it loads, 4 bytes of labels by slot, 4 more to sort them if labels and
/// slots differ, ⅛ of used marks: 36 in all. A pickle of an older version remembers each id, 24 bytes that a growing
/// vector may double and, while it moves, hold one and a half times over; freed before the labels are collected: 96. The
/// pickle itself is streamed. Measured with a million rows of a current palace: 32 at the peak, 29 kept.
#[derive(Debug)]
pub(crate) struct Index {
    /// The stamps the files had throughout the load.
    pub(crate) stamps: Stamps,
    /// The greatest sequence number of any row, where older versions kept them.
    pub(crate) max_row_seq_id: Option<i64>,
    /// The sequence number the index has come to, where older versions kept it in the file.
    pub(crate) max_seq_id: Option<i64>,
    /// Whether an older version wrote it, inside a transaction not yet committed.
    pub(crate) legacy: bool,
    is_illegible: bool,
    elements: Option<Elements>,
}

/// How the slot of a label is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Places {
    /// Label `n` is taken to be in slot `n - 1`; whoever reads another one there is told [`Trouble::Misplaced`].
    Guessed,
    /// Each element's label was read.
    Read,
}

#[derive(Debug)]
struct Elements {
    places: Places,
    /// Sorted by fingerprint.
    labels: Vec<Labelled>,
    header: Header,
    data: File,
    /// By slot; only where vectors are stored normalised.
    norms: Option<Vec<f32>>,
}

impl Index {
    /// Reads the current generation; `normalised` tells whether the segment keeps vectors and norms apart.
    pub(crate) fn load(
        folder: &SegmentFolder,
        dimension: u32,
        normalised: bool,
        fingerprints: &Fingerprints,
        places: Places,
    ) -> Result<Self, Trouble> {
        let stamps = folder.stamps()?;
        let mut index = Self::nothing(stamps);
        let Some(pickle) = stamps.pickle else { return Ok(index) };
        if pickle.size > MAX_PICKLE_BYTES {
            return Err(Trouble::damaged(format!("{PICKLE} has {} bytes", pickle.size)));
        }
        let header = read_header(folder, stamps)?;
        let most = header.map_or(0, |header| header.elements as usize);
        let input = BufReader::with_capacity(CHUNK_BYTES, folder.open(PICKLE)?);
        let mut read = read_index_metadata(input, pickle.size, most, fingerprints)?;
        index.max_row_seq_id = read.max_row_seq_id;
        index.max_seq_id = read.max_seq_id;
        index.legacy = read.legacy;
        if let Some(header) = header.filter(|_| !read.labels.is_empty()) {
            let size = |name: &str, stamp: Option<super::files::Stamp>| match stamp {
                Some(stamp) => Ok(stamp.size),
                None => Err(Trouble::damaged(format!("{name} is missing"))),
            };
            let length = if normalised { Some(size(LENGTH, stamps.length)?) } else { None };
            header.check(dimension, size(DATA, stamps.data)?, length)?;
            let data = folder.open(DATA)?;
            let places = match places {
                Places::Guessed if guess(&mut read.labels, &header)? => Places::Guessed,
                _ => Places::Read,
            };
            if places == Places::Read {
                place(&mut read.labels, &header, &data)?;
            }
            read.labels.sort_unstable_by_key(|labelled| labelled.id);
            if read.labels.windows(2).any(|pair| pair[0].id == pair[1].id) {
                return Err(Trouble::damaged(format!("{PICKLE} has an id twice")));
            }
            let norms = if normalised { Some(norms_by_slot(&header, &folder.open(LENGTH)?)?) } else { None };
            index.elements = Some(Elements { places, labels: read.labels, header, data, norms });
        }
        if folder.stamps()? != stamps {
            return Err(Trouble::Torn("the index was written while it was read".to_owned()));
        }
        Ok(index)
    }

    /// Whether there is an id map at all, an empty one included.
    pub(crate) fn is_there(&self) -> bool {
        self.stamps.pickle.is_some() && !self.is_illegible
    }

    /// An index that is there and cannot be read, taken for none at all.
    pub(crate) fn illegible(stamps: Stamps) -> Self {
        Self { is_illegible: true, ..Self::nothing(stamps) }
    }

    fn nothing(stamps: Stamps) -> Self {
        Self { stamps, max_row_seq_id: None, max_seq_id: None, legacy: false, is_illegible: false, elements: None }
    }

    /// How many ids have a vector in it.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.elements.as_ref().map_or(0, |elements| elements.labels.len())
    }

    /// Where the id's vector is, if the index has one.
    pub(crate) fn find(&self, id: Fingerprint) -> Option<Labelled> {
        let labels = &self.elements.as_ref()?.labels;
        labels.binary_search_by_key(&id, |labelled| labelled.id).ok().map(|at| labels[at])
    }

    /// Appends the element's raw bytes; [`Index::vector`] reads them.
    pub(crate) fn read_raw(&self, at: Labelled, out: &mut Vec<u8>) -> Result<(), Trouble> {
        let Some(elements) = &self.elements else { return Ok(()) };
        let (start, size) = (out.len(), elements.header.element_bytes);
        out.resize(start + size, 0);
        let read = elements.data.read_exact_at(&mut out[start..], u64::from(at.slot) * size as u64);
        read.map_err(|error| Trouble::io(DATA, error))
    }

    /// How many bytes [`Index::read_raw`] appends.
    pub(crate) fn raw_bytes(&self) -> usize {
        self.elements.as_ref().map_or(0, |elements| elements.header.element_bytes)
    }

    /// The vector in some raw bytes, once the element proves to be the one that was looked for.
    pub(crate) fn vector(&self, at: Labelled, element: &[u8], out: &mut Vec<f32>) -> Result<(), Trouble> {
        let Some(elements) = &self.elements else { return Ok(()) };
        let header = elements.header;
        let is_it = label_of(&element[header.label_offset..]) == u64::from(at.label);
        if !is_it && elements.places == Places::Guessed {
            return Err(Trouble::Misplaced);
        }
        if !is_it {
            return Err(Trouble::damaged(format!("{DATA} has another label than {PICKLE} at element {}", at.slot)));
        }
        if element[DELETED_AT] & 1 == 1 {
            return Err(Trouble::damaged(format!("{DATA} has element {} as deleted, {PICKLE} has not", at.slot)));
        }
        let stored = stored_components(header, element);
        match &elements.norms {
            Some(norms) => {
                let norm = norms.get(at.slot as usize).copied().unwrap_or_default();
                out.extend(stored.map(|component| component * norm));
            }
            None => out.extend(stored),
        }
        Ok(())
    }

    /// The length of the vector in some raw bytes as it is stored, where vectors are stored with their norms apart.
    pub(crate) fn stored_length(&self, element: &[u8]) -> Option<f32> {
        let elements = self.elements.as_ref().filter(|elements| elements.norms.is_some())?;
        Some(stored_components(elements.header, element).map(|component| component * component).sum::<f32>().sqrt())
    }
}

fn stored_components(header: Header, element: &[u8]) -> impl Iterator<Item = f32> {
    let stored = element[header.vector_offset..header.label_offset].as_chunks::<4>().0;
    stored.iter().map(|component| f32::from_le_bytes(*component))
}

fn read_header(folder: &SegmentFolder, stamps: Stamps) -> Result<Option<Header>, Trouble> {
    if stamps.header.is_none() {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(HEADER_BYTES + 1);
    let read = folder.open(HEADER)?.take(HEADER_BYTES as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| Trouble::io(HEADER, error))?;
    Header::parse(&bytes).map(Some)
}

/// Reads the header alone, for those who only report on it.
pub(crate) fn header_of(folder: &SegmentFolder) -> Result<Option<Header>, Trouble> {
    read_header(folder, folder.stamps()?)
}

/// Takes each label's slot for granted; `false` if some label can be in no such slot.
fn guess(labels: &mut [Labelled], header: &Header) -> Result<bool, Trouble> {
    let mut used = vec![0u64; header.elements as usize / 64 + 1];
    for labelled in labels {
        let slot = labelled.label.wrapping_sub(1);
        if slot >= header.elements {
            return Ok(false);
        }
        let (word, bit) = (slot as usize / 64, 1 << (slot % 64));
        if used[word] & bit != 0 {
            return Err(Trouble::damaged(format!("{PICKLE} has the label {} twice", labelled.label)));
        }
        used[word] |= bit;
        labelled.slot = slot;
    }
    Ok(true)
}

/// Finds each label's slot by the labels that the elements carry.
fn place(labels: &mut [Labelled], header: &Header, data: &File) -> Result<(), Trouble> {
    let by_slot = labels_by_slot(header, data)?;
    let mut by_label = Vec::new();
    let mut used = vec![0u64; by_slot.len() / 64 + 1];
    for labelled in labels {
        let guess = labelled.label.wrapping_sub(1);
        let slot = if by_slot.get(guess as usize) == Some(&labelled.label) {
            guess
        } else {
            if by_label.is_empty() {
                by_label = (0..header.elements).collect();
                by_label.sort_unstable_by_key(|slot| by_slot[*slot as usize]);
            }
            let found = by_label.binary_search_by_key(&labelled.label, |slot| by_slot[*slot as usize]);
            let missing = || Trouble::damaged(format!("{PICKLE} has the label {}, {DATA} has not", labelled.label));
            by_label[found.map_err(|_| missing())?]
        };
        let (word, bit) = (slot as usize / 64, 1 << (slot % 64));
        if used[word] & bit != 0 {
            return Err(Trouble::damaged(format!("{PICKLE} has the label {} twice", labelled.label)));
        }
        used[word] |= bit;
        labelled.slot = slot;
    }
    Ok(())
}

fn labels_by_slot(header: &Header, data: &File) -> Result<Vec<u32>, Trouble> {
    let per_chunk = (CHUNK_BYTES / header.element_bytes).max(1);
    let mut by_slot = Vec::with_capacity(header.elements as usize);
    let mut chunk = vec![0; per_chunk * header.element_bytes];
    let mut left = header.elements as usize;
    let mut at = 0;
    while left > 0 {
        let chunk = &mut chunk[..per_chunk.min(left) * header.element_bytes];
        data.read_exact_at(chunk, at).map_err(|error| Trouble::io(DATA, error))?;
        let labels = chunk.chunks_exact(header.element_bytes).map(|element| label_of(&element[header.label_offset..]));
        by_slot.extend(labels.map(|label| u32::try_from(label).unwrap_or(u32::MAX)));
        at += chunk.len() as u64;
        left = header.elements as usize - by_slot.len();
    }
    Ok(by_slot)
}

fn norms_by_slot(header: &Header, length: &File) -> Result<Vec<f32>, Trouble> {
    let mut norms = Vec::with_capacity(header.elements as usize);
    let mut input = BufReader::with_capacity(CHUNK_BYTES, length);
    let mut norm = [0; 4];
    for _ in 0..header.elements {
        input.read_exact(&mut norm).map_err(|error| Trouble::io(LENGTH, error))?;
        norms.push(f32::from_le_bytes(norm));
    }
    Ok(norms)
}

fn label_of(bytes: &[u8]) -> u64 {
    bytes.first_chunk::<8>().map_or(u64::MAX, |label| u64::from_le_bytes(*label))
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
