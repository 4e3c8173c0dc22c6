/// Deeper nesting is left to the parser.
const DEPTH: u8 = 32;

/// Whether JSON text is provably in canonical form already: one pass without allocation, in place of parsing the text
/// and writing it out again. "No" only means that it is not obvious; numbers that are not small integers, keys with
/// escapes and `\u` are left to the parser.
pub(super) fn is_obviously_canonical(text: &str) -> bool {
    // The mark that stands for none begins like this.
    if text.starts_with(r#"{"_repaired_empty_meta":"#) {
        return false;
    }
    let mut check = Check { text: text.as_bytes(), at: 0 };
    check.object(DEPTH).is_some() && check.at == text.len()
}

struct Check<'a> {
    text: &'a [u8],
    at: usize,
}

/// `None` ends the check: not obvious.
type Obvious<T = ()> = Option<T>;

impl<'a> Check<'a> {
    fn peek(&self) -> Obvious<u8> {
        self.text.get(self.at).copied()
    }

    fn expect(&mut self, text: &[u8]) -> Obvious {
        self.text[self.at..].starts_with(text).then(|| self.at += text.len())
    }

    fn object(&mut self, depth: u8) -> Obvious {
        let depth = depth.checked_sub(1)?;
        self.expect(b"{")?;
        if self.peek()? == b'}' {
            return self.expect(b"}");
        }
        let mut last: Option<&[u8]> = None;
        loop {
            let key = self.string()?;
            // In order and distinct; escapes would make the raw order differ from that of the keys.
            if key.contains(&b'\\') || last.is_some_and(|last| last >= key) {
                return None;
            }
            last = Some(key);
            self.expect(b":")?;
            self.value(depth)?;
            if self.peek()? == b'}' {
                return self.expect(b"}");
            }
            self.expect(b",")?;
        }
    }

    fn array(&mut self, depth: u8) -> Obvious {
        let depth = depth.checked_sub(1)?;
        self.expect(b"[")?;
        if self.peek()? == b']' {
            return self.expect(b"]");
        }
        loop {
            self.value(depth)?;
            if self.peek()? == b']' {
                return self.expect(b"]");
            }
            self.expect(b",")?;
        }
    }

    fn value(&mut self, depth: u8) -> Obvious {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b't' => self.expect(b"true"),
            b'f' => self.expect(b"false"),
            b'n' => self.expect(b"null"),
            _ => self.integer(),
        }
    }

    /// Up to 18 digits: fits 64 bits, and is written as it is read.
    fn integer(&mut self) -> Obvious {
        let negative = self.peek()? == b'-';
        self.at += usize::from(negative);
        let digits = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let leading_zero = self.peek()? == b'0';
        self.at += digits;
        let written_so = (1..=18).contains(&digits) && !(leading_zero && (digits > 1 || negative));
        (written_so && !matches!(self.peek(), Some(b'.' | b'e' | b'E'))).then_some(())
    }

    /// The raw text between the quotes.
    fn string(&mut self) -> Obvious<&'a [u8]> {
        self.expect(b"\"")?;
        let from = self.at;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => match self.text.get(self.at + 1)? {
                    b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 2,
                    _ => return None,
                },
                0..0x20 => return None,
                _ => self.at += 1,
            }
        }
        let raw = &self.text[from..self.at];
        self.at += 1;
        Some(raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use palanquin_engine::rows::{canonical_metadata, canonical_metadata_text};
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[ -~\\n\\t\\r\"\\\\/]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((key(), inner), 0..5).prop_map(|entries| Map::from_iter(entries).into()),
            ]
        })
    }

    fn key() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-c_]{0,3}".prop_map(String::from),
            any::<String>(),
            Just("_repaired_empty_meta".to_owned()),
            "[\"\\\\a]{1,3}".prop_map(String::from)
        ]
    }

    fn object() -> impl Strategy<Value = Map<String, Value>> {
        prop::collection::vec((key(), json()), 0..6).prop_map(Map::from_iter)
    }

    fn sound(text: &str) {
        if is_obviously_canonical(text) {
            assert_eq!(canonical_metadata_text(Some(text)).unwrap(), text);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

        #[test]
        fn what_passes_is_a_fixed_point_of_the_canonical_form(map in object()) {
            sound(&canonical_metadata(&map));
            sound(&serde_json::to_string(&map).unwrap());
            sound(&serde_json::to_string_pretty(&map).unwrap());
        }

        #[test]
        fn damaged_text_never_passes_unless_it_is_canonical(map in object(), at in any::<prop::sample::Index>(), with in any::<char>()) {
            let mut chars: Vec<char> = canonical_metadata(&map).chars().collect();
            let at = at.index(chars.len());
            chars[at] = with;
            sound(&chars.iter().collect::<String>());
            chars.remove(at);
            sound(&chars.iter().collect::<String>());
        }

        #[test]
        fn digits_signs_and_points_never_pass_unless_canonical(number in "[-+]?[0-9.eE]{1,20}") {
            sound(&format!(r#"{{"a":{number}}}"#));
        }
    }

    #[test]
    fn ordinary_metadata_passes_and_what_needs_work_does_not() {
        for text in [
            "{}",
            r#"{"a":1,"b":"x \"y\" \\ \n é🙂","c":[true,null,-5],"d":{"x":0}}"#,
            r#"{"a_repaired_empty_meta":true}"#,
        ] {
            assert!(is_obviously_canonical(text), "{text}");
        }
        for text in [
            "",
            "null",
            "{",
            "{}x",
            "{ }",
            r#"{"b":1,"a":2}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"a":-0}"#,
            r#"{"a":01}"#,
            r#"{"a":1.5}"#,
            r#"{"a":1e3}"#,
            r#"{"a":"\/"}"#,
            r#"{"a":"\u00e9"}"#,
            r#"{"a":9223372036854775808}"#,
            r#"{"_repaired_empty_meta":true}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{"a":[1,]}"#,
        ] {
            assert!(!is_obviously_canonical(text), "{text}");
        }
    }
}
