use super::damaged;
use crate::layout::Trouble;
use crate::layout::files::PICKLE;
use std::io::{BufRead, Read};

/// Bytes of one string. Chroma sets no limit to ids.
const MAX_TEXT: u64 = 64 << 20;

/// The file, read from front to end and never beyond the size it had.
pub(super) struct Input<R> {
    file: R,
    left: u64,
    /// What the last `block` or `line` read.
    pub(super) scratch: Vec<u8>,
}

impl<R: BufRead> Input<R> {
    /// A file of `size` bytes.
    pub(super) fn new(file: R, size: u64) -> Self {
        Self { file, left: size, scratch: Vec::new() }
    }

    /// Bytes not yet read.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    fn take(&mut self, count: u64) -> Result<(), Trouble> {
        self.left = self.left.checked_sub(count).ok_or_else(|| damaged("ends too early"))?;
        Ok(())
    }

    pub(super) fn byte(&mut self) -> Result<u8, Trouble> {
        self.bytes::<1>().map(|[byte]| byte)
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Trouble> {
        self.take(N as u64)?;
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes).map_err(|error| Trouble::io(PICKLE, error))?;
        Ok(bytes)
    }

    /// Reads `length` bytes into the scratch, which the file's size bounds.
    pub(super) fn block(&mut self, length: u64) -> Result<(), Trouble> {
        self.take(length)?;
        if length > MAX_TEXT {
            return Err(damaged(format_args!("has a string of {length} bytes")));
        }
        self.scratch.clear();
        let read = (&mut self.file).take(length).read_to_end(&mut self.scratch);
        match read.map_err(|error| Trouble::io(PICKLE, error))? as u64 {
            read if read == length => Ok(()),
            _ => Err(damaged("ends too early")),
        }
    }

    /// Reads a line into the scratch, without its end.
    pub(super) fn line(&mut self) -> Result<(), Trouble> {
        self.scratch.clear();
        let read = (&mut self.file).take(self.left.min(MAX_TEXT)).read_until(b'\n', &mut self.scratch);
        self.take(read.map_err(|error| Trouble::io(PICKLE, error))? as u64)?;
        match self.scratch.pop() {
            Some(b'\n') => Ok(()),
            _ => Err(damaged("ends too early")),
        }
    }

    pub(super) fn index_line(&mut self) -> Result<usize, Trouble> {
        self.line()?;
        let text = std::str::from_utf8(&self.scratch).ok();
        text.and_then(|text| text.parse().ok()).ok_or_else(|| damaged("has a malformed memo index"))
    }
}

/// Protocol 0's strings: Latin-1 with `\uXXXX` and `\UXXXXXXXX`.
pub(super) fn raw_unicode_escape(mut bytes: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(bytes.len());
    while let Some((&first, rest)) = bytes.split_first() {
        let digits = match (first, rest.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                text.push(char::from(first));
                bytes = rest;
                continue;
            }
        };
        let code = std::str::from_utf8(rest.get(1..=digits)?).ok()?;
        text.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
        bytes = &rest[digits + 1..];
    }
    Some(text)
}
