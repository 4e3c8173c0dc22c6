use std::hash::{BuildHasher, RandomState};

/// 128 bits that stand for an id: two SipHashes under keys drawn once per process, so that nobody can prepare two ids
/// with one fingerprint.
pub(crate) type Fingerprint = [u64; 2];

/// Takes fingerprints; only those of one `Fingerprints` can be compared.
#[derive(Clone, Debug)]
pub(crate) struct Fingerprints([RandomState; 2]);

impl Fingerprints {
    /// With fresh keys.
    pub(crate) fn new() -> Self {
        Self([RandomState::new(), RandomState::new()])
    }

    /// The fingerprint of some bytes.
    pub(crate) fn of(&self, bytes: &[u8]) -> Fingerprint {
        [self.0[0].hash_one(bytes), self.0[1].hash_one(bytes)]
    }
}
