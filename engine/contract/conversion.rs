use serde::Serialize;

/// A change without which a store cannot hold some rows. A backend declares those it forces
/// ([`Descriptor::conversions`](super::Descriptor::conversions)); core makes them before it writes
/// ([`convert`](crate::rows::convert())), counts them and compares with them in mind. An adapter makes none by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Conversion {
    /// U+0000 in documents and metadata becomes U+2400. An id with U+0000 in it is refused, and so is metadata of which
    /// two keys would become one.
    NulInText,
}

impl Conversion {
    /// Every one there is.
    pub const ALL: [Self; 1] = [Self::NulInText];

    /// Stable name, for the journal and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::NulInText => "nul_in_text",
        }
    }

    /// The conversion of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|conversion| conversion.name() == name)
    }

    /// Why a row that would have to be converted is refused where nothing may be.
    pub fn strictly(self) -> &'static str {
        match self {
            Self::NulInText => {
                "its text has U+0000 in it, which the target cannot hold, and --strict forbids to convert it"
            }
        }
    }

    /// What is done, as a sentence without a full stop.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NulInText => "U+0000 in documents and metadata became U+2400 (␀)",
        }
    }
}
