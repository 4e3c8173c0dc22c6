//! The receipt of a migration or a comparison: what moved, what was checked, what was not, as evidence.
//!
//! [`Receipt`] is the content, without rows and without secrets; ids are in it. [`stamp()`] makes the document of it that
//! tells whether it was changed since; [`page()`] writes it for people. Where it is kept is the caller's business.

mod page;
mod stamp;

pub use page::page;
pub use stamp::{Checked, StampError, check, stamp};

use crate::contract::Finding;
use crate::link::{Account, Carried};
use crate::parity::{ParityReport, Repaired};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Version of the document's shape; a change that breaks readers raises it.
pub const SCHEMA: u32 = 1;

/// What a receipt says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// Version of the program.
    pub palanquin: String,
    /// Version of the storage contract it keeps.
    pub contract: String,
    /// When it was made, in RFC 3339.
    pub made_at: String,
    /// What was done: `migrate`, `verify`.
    pub command: String,
    /// The link, of a copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// How it ended, in a few words.
    pub outcome: String,
    /// The program's exit code.
    pub exit_code: u8,
    /// Why it ended so, where the outcome does not say it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The palace that was read.
    pub source: Place,
    /// The palace that was written, or compared.
    pub target: Place,
    /// Collections asked for; all of them when empty.
    pub collections: Vec<String>,
    /// The filter rows had to pass, if only some were wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// Flags that overrode a refusal, or changed what was compared.
    pub flags: Vec<String>,
    /// Rows durable in the target by the copy.
    pub rows: u64,
    /// Their bytes as they travelled.
    pub bytes: u64,
    /// The same per collection, with its model.
    pub carried: Vec<Carried>,
    /// Timings, conversions, dead letters, maintenance.
    pub account: Account,
    /// The comparison; `null` if there was none.
    pub parity: Option<ParityReport>,
    /// What a repair did to the target, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repaired: Option<Repaired>,
    /// What was not checked, in sentences: never empty in earnest.
    pub not_checked: Vec<String>,
    /// What the operator should look at.
    pub findings: Vec<Finding>,
}

/// One end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its address, without secrets.
    pub address: String,
    /// Its backend.
    pub backend: String,
}

impl Receipt {
    /// What no comparison of this program looks at, and what this one in particular did not.
    pub fn left_unchecked(parity: Option<&ParityReport>) -> Vec<String> {
        let mut unchecked: Vec<String> = match parity {
            None => vec!["whether both ends hold the same rows: they were not compared".to_owned()],
            Some(parity) => parity.inconclusive().into_iter().chain(parity.not_compared.iter().cloned()).collect(),
        };
        if parity.is_some_and(|parity| parity.search.is_none()) {
            unchecked.push("whether both ends find the same rows: no search was compared".to_owned());
        }
        unchecked.push("whether the vectors are those the recorded model makes of the documents".to_owned());
        unchecked.push("what either end has come to hold since".to_owned());
        unchecked
    }
}
