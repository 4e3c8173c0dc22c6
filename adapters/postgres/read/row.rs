//! Rows as the server sends them, in binary: big-endian floats, `jsonb` as a version byte and text.

use crate::write::json_of;
use palanquin_engine::rows::{Row, RowBatchBuilder, RowSchemaError, canonical_metadata_text};

/// What a row is not that it should be. Holds nothing of the row.
#[derive(Debug)]
pub(crate) enum Malformed {
    /// A field that no server sends.
    Field(&'static str),
    /// Metadata that is no JSON object.
    Metadata(serde_json::Error),
    /// A vector of another width than the collection's.
    Vector(RowSchemaError),
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Field(field) => write!(f, "the field {field} of a row is malformed"),
            Self::Metadata(_) => f.write_str("the metadata of a row is no JSON object"),
            Self::Vector(_) => f.write_str("the vector of a row has another width"),
        }
    }
}

impl std::error::Error for Malformed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Field(_) => None,
            Self::Metadata(error) => Some(error),
            Self::Vector(error) => Some(error),
        }
    }
}

/// A row as it was sent.
pub(crate) struct Sent<'a> {
    pub(crate) id: &'a str,
    pub(crate) document: Option<&'a str>,
    /// As `jsonb_send` has it.
    pub(crate) metadata: Option<&'a [u8]>,
    /// As `vector_send` has it.
    pub(crate) embedding: Option<&'a [u8]>,
}

/// Decodes `vector_send`'s form into `vector`.
pub(crate) fn decode_vector(bytes: &[u8], vector: &mut Vec<f32>) -> Result<(), Malformed> {
    vector.clear();
    let (head, components) = bytes.split_at_checked(4).ok_or(Malformed::Field("embedding"))?;
    let width = usize::from(u16::from_be_bytes([head[0], head[1]]));
    if components.len() != width * 4 {
        return Err(Malformed::Field("embedding"));
    }
    let (chunks, _) = components.as_chunks::<4>();
    vector.extend(chunks.iter().map(|chunk| f32::from_be_bytes(*chunk)));
    Ok(())
}

/// Decodes `jsonb_send`'s form into canonical text.
pub(crate) fn decode_jsonb(bytes: &[u8]) -> Result<String, Malformed> {
    let Some((1, text)) = bytes.split_first() else { return Err(Malformed::Field("metadata")) };
    let text = std::str::from_utf8(text).map_err(|_| Malformed::Field("metadata"))?;
    canonical_metadata_text(Some(&json_of(text))).map_err(Malformed::Metadata)
}

/// Adds a row. `vector` is scratch space.
pub(crate) fn push(batch: &mut RowBatchBuilder, sent: Sent<'_>, vector: &mut Vec<f32>) -> Result<(), Malformed> {
    let Sent { id, document, metadata, embedding } = sent;
    let metadata = metadata.map_or_else(|| Ok("{}".to_owned()), decode_jsonb)?;
    if let Some(embedding) = embedding {
        decode_vector(embedding, vector)?;
    }
    let embedding = embedding.map(|_| vector.as_slice());
    batch.push(Row { id, document, metadata: &metadata, embedding }).map_err(Malformed::Vector)
}
