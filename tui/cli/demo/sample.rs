use palanquin_engine::contract::{Error, ErrorKind, Result};
use std::path::Path;

/// A palace that MemPalace 3.11 wrote: 400 drawers and 40 closets, part of them flushed to the vector index, part still
/// in the queue. `tests/palaces/sample.sh` makes it.
const SAMPLE: &[u8] = include_bytes!("sample-palace.tar.zst");

/// Unpacks the sample palace into a new folder.
pub(super) fn unpack(folder: &Path) -> Result<()> {
    let failed = |error| Error::io("the sample palace could not be unpacked", error).in_palace(folder.display());
    std::fs::create_dir_all(folder).map_err(failed)?;
    let tar = zstd::stream::decode_all(SAMPLE)
        .map_err(|error| Error::new(ErrorKind::Internal, "the sample palace is damaged").with_source(error))?;
    tar::Archive::new(tar.as_slice()).unpack(folder).map_err(failed)
}
