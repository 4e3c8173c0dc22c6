use std::fmt;

/// Version of the storage contract a backend was written against (§9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpecVersion {
    /// A backend of another major version is refused.
    pub major: u16,
    /// An older minor version works.
    pub minor: u16,
}

impl SpecVersion {
    /// The version this crate implements.
    pub const CURRENT: Self = Self { major: 1, minor: 0 };

    /// Whether a backend that declares this version can be used by this crate.
    pub fn is_supported(self) -> bool {
        self.major == Self::CURRENT.major && self <= Self::CURRENT
    }
}

impl fmt::Display for SpecVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
