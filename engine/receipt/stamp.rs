use super::Receipt;
use crate::rows::canonical_metadata;
use serde_json::{Map, Value};

/// Under which key the stamp stands.
const STAMP: &str = "stamp";
/// What a stamp begins with: the hash it is.
const PREFIX: &str = "blake3:";

/// Text that is no receipt.
#[derive(Debug, thiserror::Error)]
pub enum StampError {
    /// Something else.
    #[error("it is no receipt: {0}")]
    NoReceipt(String),
    /// A receipt without what would tell a change.
    #[error("it is no receipt: it bears no stamp")]
    NoStamp,
}

/// A receipt that was read.
#[derive(Debug)]
pub struct Checked {
    /// The stamp it bears.
    pub stamp: String,
    /// Whether it is the one that was made: nothing in it was changed since.
    pub is_intact: bool,
    /// What it says; `None` where a changed or newer one cannot be understood.
    pub receipt: Option<Receipt>,
}

/// The receipt as a document that bears its stamp: the BLAKE3 of its canonical JSON without the stamp. Whoever changes it
/// can stamp it anew: it guards against accident and haste, and against forgery where the stamp is kept elsewhere.
///
/// # Errors
/// Never, of a receipt: all of its keys are strings.
pub fn stamp(receipt: &Receipt) -> Result<(String, String), StampError> {
    let failed = |error: serde_json::Error| StampError::NoReceipt(error.to_string());
    let Value::Object(mut document) = serde_json::to_value(receipt).map_err(failed)? else {
        return Err(StampError::NoStamp);
    };
    let stamp = stamp_of(&document);
    document.insert(STAMP.to_owned(), stamp.clone().into());
    let text = serde_json::to_string_pretty(&Value::Object(document)).map_err(failed)?;
    Ok((text + "\n", stamp))
}

/// Reads a receipt and compares its stamp with its content.
///
/// # Errors
/// `NoReceipt` or `NoStamp` for any other text.
pub fn check(text: &str) -> Result<Checked, StampError> {
    let mut document: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| StampError::NoReceipt(error.to_string()))?;
    let Some(Value::String(stamp)) = document.remove(STAMP) else { return Err(StampError::NoStamp) };
    let is_intact = stamp == stamp_of(&document);
    let receipt = serde_json::from_value(Value::Object(document)).ok();
    Ok(Checked { stamp, is_intact, receipt })
}

fn stamp_of(document: &Map<String, Value>) -> String {
    format!("{PREFIX}{}", blake3::hash(canonical_metadata(document).as_bytes()).to_hex())
}

#[cfg(test)]
mod tests {
    use super::super::page::tests::receipt;
    use super::*;

    #[test]
    fn a_stamped_receipt_says_what_it_said() {
        let (text, stamp) = stamp(&receipt()).unwrap();
        let checked = check(&text).unwrap();
        assert_eq!((checked.is_intact, checked.stamp, checked.receipt), (true, stamp, Some(receipt())));
    }

    #[test]
    fn white_space_and_the_order_of_keys_do_not_matter_and_everything_else_does() {
        let (text, _) = stamp(&receipt()).unwrap();
        let compact: Value = serde_json::from_str(&text).unwrap();
        assert!(check(&compact.to_string()).unwrap().is_intact);
        for (from, to) in
            [("\"rows\": 2452", "\"rows\": 2453"), ("verified", "Verified"), ("not_checked", "not_chcked")]
        {
            assert!(text.contains(from), "{from}");
            assert!(!check(&text.replacen(from, to, 1)).unwrap().is_intact, "{from}");
        }
    }

    #[test]
    fn what_is_no_receipt_is_told_apart() {
        for text in ["", "[]", "# Receipt", "{\"schema\": 1"] {
            assert!(matches!(check(text), Err(StampError::NoReceipt(_))), "{text}");
        }
        assert!(matches!(check("{\"schema\": 1}"), Err(StampError::NoStamp)));
        assert!(!check("{\"stamp\": \"blake3:00\"}").unwrap().is_intact);
    }
}
