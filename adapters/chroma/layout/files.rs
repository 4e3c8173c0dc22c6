use super::Trouble;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// File of the id map.
pub(crate) const PICKLE: &str = "index_metadata.pickle";
/// File of the layout.
pub(crate) const HEADER: &str = "header.bin";
/// File of the vectors.
pub(crate) const DATA: &str = "data_level0.bin";
/// File of the vectors' norms.
pub(crate) const LENGTH: &str = "length.bin";

/// How long files must have been left alone before a contradiction in them counts as damage.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// Identity and state of one file, as far as `stat` tells; `None` fields: it is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Modified, in nanoseconds since the epoch.
    pub(crate) modified: i128,
    /// Size in bytes.
    pub(crate) size: u64,
    inode: u64,
    device: u64,
}

impl Stamp {
    /// As the file is now.
    pub(crate) fn of(path: &Path) -> io::Result<Option<Self>> {
        match std::fs::metadata(path) {
            Ok(meta) => Ok(Some(Self {
                modified: i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec()),
                size: meta.len(),
                inode: meta.ino(),
                device: meta.dev(),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether nothing was written for so long that no write can be half done.
    pub(crate) fn settled(&self) -> bool {
        self.older_than(SETTLED_AFTER)
    }

    fn older_than(&self, age: Duration) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as i128);
        (now - self.modified).unsigned_abs() >= age.as_nanos()
    }
}

/// The stamps of a segment's files: equal stamps, equal generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamps {
    /// Of [`PICKLE`].
    pub(crate) pickle: Option<Stamp>,
    /// Of [`HEADER`].
    pub(crate) header: Option<Stamp>,
    /// Of [`DATA`].
    pub(crate) data: Option<Stamp>,
    /// Of [`LENGTH`].
    pub(crate) length: Option<Stamp>,
}

impl Stamps {
    /// Whether nothing was written for so long that no write can be half done.
    pub(crate) fn settled(&self) -> bool {
        self.older_than(SETTLED_AFTER)
    }

    /// Whether none of the files was written for so long.
    pub(crate) fn older_than(&self, age: Duration) -> bool {
        [self.pickle, self.header, self.data, self.length].iter().flatten().all(|stamp| stamp.older_than(age))
    }
}

/// The folder of one vector segment.
#[derive(Clone, Debug)]
pub(crate) struct SegmentFolder(PathBuf);

impl SegmentFolder {
    /// The folder of segment `id` in a palace.
    pub(crate) fn new(palace: &Path, id: uuid::Uuid) -> Self {
        Self(palace.join(id.hyphenated().to_string()))
    }

    /// A segment's files in another folder.
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The stamps of its files now.
    pub(crate) fn stamps(&self) -> Result<Stamps, Trouble> {
        let stamp = |name: &str| Stamp::of(&self.0.join(name)).map_err(|error| Trouble::io(name, error));
        Ok(Stamps { pickle: stamp(PICKLE)?, header: stamp(HEADER)?, data: stamp(DATA)?, length: stamp(LENGTH)? })
    }

    /// Opens one of its files for reading.
    pub(crate) fn open(&self, name: &str) -> Result<File, Trouble> {
        File::open(self.0.join(name)).map_err(|error| Trouble::io(name, error))
    }

    /// Size of one of its files and the space it takes on the disk, both in bytes.
    pub(crate) fn size_and_space_of(&self, name: &str) -> Option<(u64, u64)> {
        std::fs::metadata(self.0.join(name)).ok().map(|meta| (meta.len(), meta.blocks() * 512))
    }

    /// Size of one of its files, without opening it.
    pub(crate) fn size_of(&self, name: &str) -> Option<u64> {
        std::fs::metadata(self.0.join(name)).ok().map(|meta| meta.len())
    }
}
