use super::fields::Fields;
use super::select::addresses;
use crate::collection::Pinned;
use palanquin_engine::contract::{GetRequest, GetResult, Result};

/// The rows of a selection, all from the pinned version (§1). Filter and ids are looked at inside the scan, of nothing
/// but the columns they need; the fields are then read of the rows that are told.
pub(crate) async fn get(pinned: &Pinned, request: &GetRequest) -> Result<GetResult> {
    let addresses = addresses(pinned, &request.selection, request.offset, request.limit).await?;
    let Fields { ids, documents, metadatas, embeddings } = Fields::of(pinned, addresses, request.include).await?;
    let embeddings = request.include.embeddings.then_some(embeddings);
    Ok(GetResult { ids, documents, metadatas, embeddings })
}
