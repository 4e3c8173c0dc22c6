//! Metadata as `jsonb` keeps it: in decimal, where only a point tells a float from an integer. `1e15` would come back as
//! an integer, so floats are written out. `jsonb` has no negative zero, but keeps trailing zeros, which nobody else
//! writes: `0.00` stands for it. It has no NUL.

use serde_json::{Map, Value};
use std::borrow::Cow;

/// Why a text is no metadata that Postgres can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It holds U+0000.
    Nul,
    /// It is not canonical JSON.
    Malformed,
}

/// Canonical metadata as `jsonb` is to read it. Borrowed where nothing has to be changed.
pub(crate) fn of_text(canonical: &str) -> Result<Cow<'_, str>, Refused> {
    let bytes = canonical.as_bytes();
    let mut rewritten: Option<String> = None;
    let (mut at, mut copied) = (0, 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_text(bytes, at)?,
            b'-' | b'0'..=b'9' => {
                let end = at + bytes[at..].iter().take_while(|byte| b"+-.eE0123456789".contains(byte)).count();
                let number = &canonical[at..end];
                if number.contains(['e', 'E']) || number == "-0.0" {
                    let float: f64 = number.parse().map_err(|_| Refused::Malformed)?;
                    let out = rewritten.get_or_insert_with(|| String::with_capacity(canonical.len() + 32));
                    out.push_str(&canonical[copied..at]);
                    out.push_str(&of_float(float));
                    copied = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    Ok(match rewritten {
        None => Cow::Borrowed(canonical),
        Some(mut out) => {
            out.push_str(&canonical[copied..]);
            Cow::Owned(out)
        }
    })
}

/// Where the text that begins at `start` is over.
fn end_of_text(bytes: &[u8], start: usize) -> Result<usize, Refused> {
    let mut at = start + 1;
    loop {
        match bytes.get(at) {
            None => return Err(Refused::Malformed),
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') if bytes[at..].starts_with(br"\u0000") => return Err(Refused::Nul),
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
        }
    }
}

/// A value as `jsonb` is to read it; `None` if it holds U+0000.
pub(crate) fn of_value(value: &Value) -> Option<String> {
    of_text(&value.to_string()).ok().map(Cow::into_owned)
}

/// An object as `jsonb` is to read it; `None` if it holds U+0000.
pub(super) fn of_object(object: &Map<String, Value>) -> Option<String> {
    let text = serde_json::to_string(object).ok()?;
    of_text(&text).ok().map(Cow::into_owned)
}

/// What `jsonb` gave back, with its negative zeros as JSON has them.
pub(crate) fn to_json(stored: &str) -> Cow<'_, str> {
    if !stored.contains(NEGATIVE_ZERO) {
        return Cow::Borrowed(stored);
    }
    let bytes = stored.as_bytes();
    let mut out = String::with_capacity(stored.len());
    let (mut at, mut copied) = (0, 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => match end_of_text(bytes, at) {
                Ok(end) => at = end,
                Err(_) => break,
            },
            b'-' | b'0'..=b'9' => {
                let end = at + bytes[at..].iter().take_while(|byte| b"+-.eE0123456789".contains(byte)).count();
                if &stored[at..end] == NEGATIVE_ZERO {
                    out.push_str(&stored[copied..at]);
                    out.push_str("-0.0");
                    copied = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    out.push_str(&stored[copied..]);
    Cow::Owned(out)
}

const NEGATIVE_ZERO: &str = "0.00";

fn of_float(float: f64) -> String {
    if float == 0.0 && float.is_sign_negative() {
        return NEGATIVE_ZERO.to_owned();
    }
    let digits = float.to_string();
    if digits.contains('.') { digits } else { format!("{digits}.0") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn floats_are_written_out_and_nothing_else_is_touched() {
        assert_eq!(of_text(r#"{"a":1e+300}"#).unwrap(), format!(r#"{{"a":1{}.0}}"#, "0".repeat(300)));
        assert_eq!(of_text(r#"{"a":[-1.5e-7,2],"b":1E2}"#).unwrap(), r#"{"a":[-0.00000015,2],"b":100.0}"#);
        for untouched in [r#"{"a":"1e5 \" 2e5","1e9":2.0,"t":true}"#, "{}", r#"{"a":-3,"b":null}"#] {
            assert!(matches!(of_text(untouched).unwrap(), Cow::Borrowed(text) if text == untouched));
        }
    }

    #[test]
    fn a_nul_is_found_wherever_it_is() {
        for value in [json!({"a": "x\0y"}), json!({"x\0y": 1}), json!({"a": [{"b": "\0"}]})] {
            assert_eq!(of_text(&value.to_string()), Err(Refused::Nul), "{value}");
        }
        let looks_like_one = json!({"a": "\\u0000"}).to_string();
        assert!(of_text(&looks_like_one).is_ok(), "{looks_like_one}");
    }

    #[test]
    fn a_negative_zero_is_kept_in_what_jsonb_keeps() {
        let text = json!({"a": -0.0, "b": [0.0, -0.0], "c": "0.00 -0.0", "d": 10.001}).to_string();
        let stored = of_text(&text).unwrap();
        assert_eq!(stored, r#"{"a":0.00,"b":[0.0,0.00],"c":"0.00 -0.0","d":10.001}"#);
        assert_eq!(to_json(&stored), text);
    }

    proptest! {
        #[test]
        fn every_float_comes_back_with_its_bits_and_as_a_float(float in any::<f64>().prop_filter("JSON", |f| f.is_finite())) {
            let text = of_value(&json!(float)).unwrap();
            prop_assert!(text.contains('.') && !text.contains('e'), "{}", text);
            prop_assert_eq!(to_json(&text).parse::<f64>().unwrap().to_bits(), float.to_bits());
        }
    }
}
