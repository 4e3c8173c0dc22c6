use super::input::{Input, raw_unicode_escape};
use super::{IndexMetadata, Labelled, damaged};
use crate::layout::Trouble;
use crate::layout::fingerprint::{Fingerprint, Fingerprints};
use std::io::BufRead;

/// Values on the stack at once. Writers hand over a dict's items in batches of a thousand.
pub(super) const MAX_STACK: usize = 1 << 20;
/// Bytes of file to a remembered value, at least: only short strings beside their ids take fewer.
const BYTES_PER_MEMO: u64 = 8;

/// What a dict is for, told by the key it will be the value of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    IdToLabel,
    IdToSeqId,
    Plain,
}

#[derive(Clone, Copy, Debug)]
enum Value {
    Mark,
    Int(i64),
    Text(Fingerprint),
    Dict(Role),
    Inert,
}

struct Names {
    id_to_label: Fingerprint,
    id_to_seq_id: Fingerprint,
    max_seq_id: Fingerprint,
}

/// The interpreter: a stack, a memo, and what was found so far.
pub(super) struct Machine<'a, R> {
    input: Input<R>,
    fingerprints: &'a Fingerprints,
    names: Names,
    stack: Vec<Value>,
    memo: Vec<Value>,
    max_memo: u64,
    max_labels: usize,
    found: IndexMetadata,
    has_labels: bool,
}

impl<'a, R: BufRead> Machine<'a, R> {
    /// Before the first opcode.
    pub(super) fn new(input: Input<R>, size: u64, max_labels: usize, fingerprints: &'a Fingerprints) -> Self {
        let names = Names {
            id_to_label: fingerprints.of(b"id_to_label"),
            id_to_seq_id: fingerprints.of(b"id_to_seq_id"),
            max_seq_id: fingerprints.of(b"max_seq_id"),
        };
        Self {
            input,
            fingerprints,
            names,
            stack: Vec::new(),
            memo: Vec::new(),
            max_memo: size / BYTES_PER_MEMO + 1024,
            max_labels,
            found: IndexMetadata::default(),
            has_labels: false,
        }
    }

    /// Runs to the end.
    pub(super) fn run(mut self) -> Result<IndexMetadata, Trouble> {
        while self.step()? {}
        if self.stack.len() == 1 && self.has_labels { Ok(self.found) } else { Err(damaged("does not hold an id map")) }
    }

    /// Executes one opcode; `false` after the last.
    fn step(&mut self) -> Result<bool, Trouble> {
        match self.input.byte()? {
            b'.' => return Ok(false),
            // Framing carries nothing.
            0x80 => match self.input.byte()? {
                0..=5 => {}
                version => return Err(damaged(format_args!("has protocol {version}"))),
            },
            0x95 => drop(self.input.bytes::<8>()?),
            // Scalars.
            b'N' | 0x88 | 0x89 => self.push(Value::Inert)?,
            b'J' => {
                let value = i32::from_le_bytes(self.input.bytes()?);
                self.push(Value::Int(value.into()))?;
            }
            b'K' => {
                let value = self.input.byte()?;
                self.push(Value::Int(value.into()))?;
            }
            b'M' => {
                let value = u16::from_le_bytes(self.input.bytes()?);
                self.push(Value::Int(value.into()))?;
            }
            0x8a => {
                let length = self.input.byte()?;
                self.long(length.into())?;
            }
            0x8b => {
                let length = u32::from_le_bytes(self.input.bytes()?);
                self.long(length.into())?;
            }
            b'I' | b'L' => {
                self.input.line()?;
                let text = self.input.scratch.strip_suffix(b"L").unwrap_or(&self.input.scratch);
                let value = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
                self.push(value.map_or(Value::Inert, Value::Int))?;
            }
            b'F' => {
                self.input.line()?;
                self.push(Value::Inert)?;
            }
            b'G' => {
                self.input.bytes::<8>()?;
                self.push(Value::Inert)?;
            }
            // Text.
            b'X' | b'T' => {
                let length = u32::from_le_bytes(self.input.bytes()?);
                self.text(length.into())?;
            }
            0x8c | b'U' => {
                let length = self.input.byte()?;
                self.text(length.into())?;
            }
            0x8d => {
                let length = u64::from_le_bytes(self.input.bytes()?);
                self.text(length)?;
            }
            b'V' => {
                self.input.line()?;
                let text = raw_unicode_escape(&self.input.scratch).ok_or_else(|| damaged("has a malformed string"))?;
                self.push(Value::Text(self.fingerprints.of(text.as_bytes())))?;
            }
            b'S' => {
                self.input.line()?;
                let line = self.input.scratch.as_slice();
                let quoted = line.len() >= 2 && line.first() == line.last() && !line.contains(&b'\\');
                let value =
                    if quoted { Value::Text(self.fingerprints.of(&line[1..line.len() - 1])) } else { Value::Inert };
                self.push(value)?;
            }
            // Bytes.
            b'B' => {
                let length = u32::from_le_bytes(self.input.bytes()?);
                self.skip(length.into())?;
            }
            b'C' => {
                let length = self.input.byte()?;
                self.skip(length.into())?;
            }
            0x8e | 0x96 => {
                let length = u64::from_le_bytes(self.input.bytes()?);
                self.skip(length)?;
            }
            // Containers.
            b'(' => self.push(Value::Mark)?,
            b'}' => {
                let dict = self.new_dict()?;
                self.push(dict)?;
            }
            b'd' => {
                let items = self.mark()?;
                let values = self.stack.split_off(items);
                self.stack.pop();
                let dict = self.new_dict()?;
                self.set_items(dict, &values)?;
                self.push(dict)?;
            }
            b's' => {
                let at = self.stack.len().checked_sub(2).ok_or_else(underflow)?;
                let values = self.stack.split_off(at);
                let dict = self.top()?;
                self.set_items(dict, &values)?;
            }
            b'u' => {
                let items = self.mark()?;
                let dict = *items.checked_sub(2).and_then(|at| self.stack.get(at)).ok_or_else(underflow)?;
                let mut at = items;
                while at < self.stack.len() {
                    let pair = [self.stack[at], *self.stack.get(at + 1).ok_or_else(underflow)?];
                    self.set_items(dict, &pair)?;
                    at += 2;
                }
                self.stack.truncate(items - 1);
            }
            b']' | b')' | 0x8f => self.push(Value::Inert)?,
            b'l' | b't' | 0x91 => {
                let items = self.mark()?;
                self.stack.truncate(items - 1);
                self.push(Value::Inert)?;
            }
            b'a' => drop(self.pop()?),
            b'e' | 0x90 => {
                let items = self.mark()?;
                self.stack.truncate(items - 1);
                self.top()?;
            }
            0x85 => self.fold(1)?,
            0x86 => self.fold(2)?,
            0x87 => self.fold(3)?,
            // Objects: inert, whatever they name.
            b'c' => {
                self.input.line()?;
                self.input.line()?;
                self.push(Value::Inert)?;
            }
            0x93 | b'R' => self.fold(2)?,
            0x81 => {
                self.found.legacy = true;
                self.fold(2)?;
            }
            0x92 => self.fold(3)?,
            b'o' | b'i' => {
                let items = self.mark()?;
                self.stack.truncate(items - 1);
                self.push(Value::Inert)?;
            }
            b'b' => {
                self.found.legacy = true;
                self.pop()?;
                self.top()?;
            }
            // Stack and memo.
            b'0' => drop(self.pop()?),
            b'1' => {
                let items = self.mark()?;
                self.stack.truncate(items - 1);
            }
            b'2' => {
                let value = self.top()?;
                self.push(value)?;
            }
            0x94 => {
                let at = self.memo.len();
                self.put(at)?;
            }
            b'q' => {
                let at = self.input.byte()?;
                self.put(at.into())?;
            }
            b'r' => {
                let at = u32::from_le_bytes(self.input.bytes()?);
                self.put(at as usize)?;
            }
            b'p' => {
                let at = self.input.index_line()?;
                self.put(at)?;
            }
            b'h' => {
                let at = self.input.byte()?;
                self.get(at.into())?;
            }
            b'j' => {
                let at = u32::from_le_bytes(self.input.bytes()?);
                self.get(at as usize)?;
            }
            b'g' => {
                let at = self.input.index_line()?;
                self.get(at)?;
            }
            opcode => return Err(damaged(format_args!("has the opcode {opcode:#04x}, which no id map has"))),
        }
        Ok(true)
    }

    /// A new dict; what it is for stands right below it.
    fn new_dict(&mut self) -> Result<Value, Trouble> {
        let role = match self.stack.last() {
            Some(Value::Text(key)) if *key == self.names.id_to_label => Role::IdToLabel,
            Some(Value::Text(key)) if *key == self.names.id_to_seq_id => Role::IdToSeqId,
            _ => Role::Plain,
        };
        if role == Role::IdToLabel && std::mem::replace(&mut self.has_labels, true) {
            return Err(damaged("holds two id maps"));
        }
        Ok(Value::Dict(role))
    }

    fn set_items(&mut self, dict: Value, items: &[Value]) -> Result<(), Trouble> {
        let Value::Dict(role) = dict else { return Err(damaged("sets an item of something that is no dict")) };
        for pair in items.chunks(2) {
            match (role, pair) {
                (Role::IdToLabel, &[Value::Text(id), Value::Int(label)]) => {
                    let narrow = u32::try_from(label).ok().filter(|label| *label != u32::MAX);
                    let label = narrow.ok_or_else(|| damaged(format_args!("has the label {label}")))?;
                    if self.found.labels.len() >= self.max_labels {
                        let most = self.max_labels;
                        return Err(damaged(format_args!("has more ids than the {most} elements of header.bin")));
                    }
                    if self.found.labels.is_empty() {
                        self.found.labels.reserve_exact(self.max_labels.min((self.input.left() / 16) as usize));
                    }
                    self.found.labels.push(Labelled { id, label, slot: u32::MAX });
                }
                (Role::IdToLabel, _) => return Err(damaged("maps an id to something that is no label")),
                (Role::IdToSeqId, &[_, Value::Int(seq)]) => {
                    self.found.max_row_seq_id = self.found.max_row_seq_id.max(Some(seq));
                    self.found.legacy = true;
                }
                (Role::Plain, &[Value::Text(key), Value::Int(value)]) if key == self.names.max_seq_id => {
                    self.found.max_seq_id = Some(value);
                }
                (_, [_, _]) => {}
                _ => return Err(underflow()),
            }
        }
        Ok(())
    }

    fn push(&mut self, value: Value) -> Result<(), Trouble> {
        if self.stack.len() >= MAX_STACK {
            return Err(damaged(format_args!("stacks more than {MAX_STACK} values")));
        }
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, Trouble> {
        self.stack.pop().ok_or_else(underflow)
    }

    fn top(&self) -> Result<Value, Trouble> {
        self.stack.last().copied().ok_or_else(underflow)
    }

    /// Index of the first value above the topmost mark.
    fn mark(&self) -> Result<usize, Trouble> {
        self.stack.iter().rposition(|value| matches!(value, Value::Mark)).map(|at| at + 1).ok_or_else(underflow)
    }

    fn fold(&mut self, count: usize) -> Result<(), Trouble> {
        let below = self.stack.len().checked_sub(count).ok_or_else(underflow)?;
        self.stack.truncate(below);
        self.push(Value::Inert)
    }

    fn put(&mut self, at: usize) -> Result<(), Trouble> {
        let value = self.top()?;
        if at as u64 >= self.max_memo {
            return Err(damaged(format_args!("remembers more than {} values", self.max_memo)));
        }
        // Python's pure writer of protocols 0 and 1 counts from 1.
        if self.memo.is_empty() && at == 1 {
            self.memo.push(Value::Inert);
        }
        let known = self.memo.len();
        match self.memo.get_mut(at) {
            Some(place) => *place = value,
            None if at == known => self.memo.push(value),
            None => return Err(damaged(format_args!("remembers its value {at} too early"))),
        }
        Ok(())
    }

    fn get(&mut self, at: usize) -> Result<(), Trouble> {
        let value = *self.memo.get(at).ok_or_else(|| damaged(format_args!("recalls its value {at} too early")))?;
        self.push(value)
    }

    fn text(&mut self, length: u64) -> Result<(), Trouble> {
        self.input.block(length)?;
        self.push(Value::Text(self.fingerprints.of(&self.input.scratch)))
    }

    fn skip(&mut self, length: u64) -> Result<(), Trouble> {
        self.input.block(length)?;
        self.push(Value::Inert)
    }

    fn long(&mut self, length: u64) -> Result<(), Trouble> {
        self.input.block(length)?;
        let bytes = self.input.scratch.as_slice();
        let value = match bytes.last() {
            Some(last) if bytes.len() <= 8 => {
                let mut word = [if last & 0x80 == 0 { 0 } else { 0xff }; 8];
                word[..bytes.len()].copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(word))
            }
            Some(_) => Value::Inert,
            None => Value::Int(0),
        };
        self.push(value)
    }
}

fn underflow() -> Trouble {
    damaged("takes a value from an empty stack")
}
