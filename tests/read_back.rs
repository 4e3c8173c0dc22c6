use futures::TryStreamExt;
use palanquin_engine::contract::{Backend, KeyRange, OpenMode, PalaceRef, ScanOrder, ScanRequest};
use palanquin_engine::rows::RowBatch;
use palanquin_lance::LanceBackend;
use std::path::Path;

/// A row as it lies in a Lance palace.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadRow {
    /// Collection it is in.
    pub collection: String,
    /// Its id.
    pub id: String,
    /// Its document.
    pub document: Option<String>,
    /// Its metadata in canonical form.
    pub metadata: String,
    /// Its vector.
    pub embedding: Option<Vec<f32>>,
}

/// Every row of a Lance palace, duplicates included.
///
/// # Panics
/// If it cannot be read.
#[allow(clippy::expect_used, reason = "a test cannot go on without it")]
pub fn read_lance(path: &Path) -> Vec<ReadRow> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let palace =
            LanceBackend::new().open(&PalaceRef::local(path), OpenMode::Read.into()).await.expect("a Lance palace");
        let mut rows = Vec::new();
        for info in palace.collections().await.expect("its collections") {
            let collection = palace.collection(&info.name).await.expect("a collection");
            let scan = ScanRequest { range: KeyRange::ALL, order: ScanOrder::Any, batch_rows: 1_000 };
            let batches: Vec<RowBatch> = collection.scan(scan).try_collect().await.expect("its rows");
            rows.extend(batches.iter().flat_map(RowBatch::rows).map(|row| ReadRow {
                collection: info.name.clone(),
                id: row.id.to_owned(),
                document: row.document.map(str::to_owned),
                metadata: row.metadata.to_owned(),
                embedding: row.embedding.map(<[f32]>::to_vec),
            }));
        }
        rows
    })
}
