use super::Row;

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
            Some(vector) => {
                let bytes: Vec<u8> = vector.iter().flat_map(|component| component.to_le_bytes()).collect();
                field(&mut hasher, Some(&bytes));
            }
        }
        Self(*hasher.finalize().as_bytes())
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
