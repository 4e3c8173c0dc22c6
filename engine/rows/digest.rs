use super::Row;

/// Components of a vector that are hashed at once.
const AT_ONCE: usize = 256;

/// Digest of one row in canonical form: BLAKE3 over id, document, metadata and the bits of the vector, each with its
/// length, so that no two different rows share a preimage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RowDigest(pub [u8; 32]);

impl RowDigest {
    /// The digest of a row.
    pub fn of(row: Row<'_>) -> Self {
        let mut hasher = blake3::Hasher::new();
        field(&mut hasher, Some(row.id.as_bytes()));
        field(&mut hasher, row.document.map(str::as_bytes));
        field(&mut hasher, Some(row.metadata.as_bytes()));
        match row.embedding {
            None => field(&mut hasher, None),
            Some(vector) => components(&mut hasher, vector),
        }
        Self(*hasher.finalize().as_bytes())
    }
}

/// A vector as its little-endian bytes, without a buffer of its size.
fn components(hasher: &mut blake3::Hasher, vector: &[f32]) {
    hasher.update(&[1]);
    hasher.update(&(vector.len() as u64 * 4).to_le_bytes());
    let mut bytes = [0; 4 * AT_ONCE];
    for some in vector.chunks(AT_ONCE) {
        for (place, component) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(some) {
            *place = component.to_le_bytes();
        }
        hasher.update(&bytes[..some.len() * 4]);
    }
}

fn field(hasher: &mut blake3::Hasher, bytes: Option<&[u8]>) {
    match bytes {
        None => {
            hasher.update(&[0]);
        }
        Some(bytes) => {
            hasher.update(&[1]);
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: Row<'static> = Row { id: "a", document: Some("d"), metadata: "{}", embedding: Some(&[0.0, 1.0]) };

    #[test]
    fn a_vector_is_hashed_as_its_little_endian_bytes_whatever_its_width() {
        for width in [0, 1, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE] {
            let vector: Vec<f32> = (0..width).map(|i| i as f32 + 0.5).collect();
            let mut expected = blake3::Hasher::new();
            field(&mut expected, Some(b"a"));
            field(&mut expected, Some(b"d"));
            field(&mut expected, Some(b"{}"));
            field(&mut expected, Some(&vector.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()));
            let digest = RowDigest::of(Row { embedding: Some(&vector), ..ROW });
            assert_eq!(digest.0, *expected.finalize().as_bytes(), "{width}");
        }
    }

    #[test]
    fn each_field_and_its_absence_changes_the_digest() {
        let mut digests = vec![RowDigest::of(ROW)];
        for other in [
            Row { id: "b", ..ROW },
            Row { document: None, ..ROW },
            Row { document: Some(""), ..ROW },
            Row { metadata: r#"{"a":1}"#, ..ROW },
            Row { embedding: None, ..ROW },
            Row { embedding: Some(&[-0.0, 1.0]), ..ROW },
            Row { id: "ad", document: Some(""), ..ROW },
        ] {
            digests.push(RowDigest::of(other));
        }
        for (i, digest) in digests.iter().enumerate() {
            assert!(!digests[..i].contains(digest), "{i}");
        }
    }
}
