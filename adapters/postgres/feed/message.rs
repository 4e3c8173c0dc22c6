//! pgoutput's messages, protocol version 1, as far as tables and rows go: bytes of the server's that are believed in
//! nothing. Beginnings and ends of transactions come from the connection.

use bytes::Bytes;
use std::fmt;

/// What the stream says happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// What a table looks like from here on.
    Relation(Relation),
    /// A new row.
    Insert { table: u32, new: Vec<Field> },
    /// A row as it is now. `old` has its key if that changed, or all of it (REPLICA IDENTITY FULL).
    Update { table: u32, old: Option<Vec<Field>>, new: Vec<Field> },
    /// The key of a row that is gone, or all of it.
    Delete { table: u32, old: Vec<Field> },
    /// Tables that were emptied.
    Truncate { tables: Vec<u32> },
    /// A type, an origin, or what another version may send.
    Other,
}

/// A table by its oid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Relation {
    pub(super) table: u32,
    /// Names and types of its columns, in the order of the fields of its rows.
    pub(super) columns: Vec<(String, u32)>,
}

/// One column of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Null,
    /// Stored out of line and not touched: the log does not have it.
    Unchanged,
    /// As the type's output function has it.
    Text(Bytes),
    /// As the type's send function has it.
    Binary(Bytes),
}

/// Bytes that are no message of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(&'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a message of the log is malformed: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// Reads one message.
pub(super) fn read(bytes: Bytes) -> Result<Message, Malformed> {
    let mut rest = Rest(bytes);
    Ok(match rest.byte()? {
        b'R' => Message::Relation(relation(&mut rest)?),
        b'I' => {
            let table = rest.number()?;
            rest.expect(b'N')?;
            Message::Insert { table, new: row(&mut rest)? }
        }
        b'U' => {
            let table = rest.number()?;
            let old = match rest.byte()? {
                b'K' | b'O' => {
                    let old = row(&mut rest)?;
                    rest.expect(b'N')?;
                    Some(old)
                }
                b'N' => None,
                _ => return Err(Malformed("an update of an unknown kind")),
            };
            Message::Update { table, old, new: row(&mut rest)? }
        }
        b'D' => {
            let table = rest.number()?;
            match rest.byte()? {
                b'K' | b'O' => Message::Delete { table, old: row(&mut rest)? },
                _ => return Err(Malformed("a delete of an unknown kind")),
            }
        }
        b'T' => {
            let count = rest.number()?;
            rest.byte()?;
            let mut tables = Vec::new();
            for _ in 0..count {
                tables.push(rest.number()?);
            }
            Message::Truncate { tables }
        }
        _ => Message::Other,
    })
}

fn relation(rest: &mut Rest) -> Result<Relation, Malformed> {
    let table = rest.number()?;
    rest.text()?;
    rest.text()?;
    rest.byte()?;
    let mut columns = Vec::new();
    for _ in 0..rest.short()? {
        rest.byte()?;
        let name = rest.text()?;
        let kind = rest.number()?;
        rest.number()?;
        columns.push((name, kind));
    }
    Ok(Relation { table, columns })
}

fn row(rest: &mut Rest) -> Result<Vec<Field>, Malformed> {
    let mut fields = Vec::new();
    for _ in 0..rest.short()? {
        fields.push(match rest.byte()? {
            b'n' => Field::Null,
            b'u' => Field::Unchanged,
            b't' => Field::Text(rest.value()?),
            b'b' => Field::Binary(rest.value()?),
            _ => return Err(Malformed("a field of an unknown kind")),
        });
    }
    Ok(fields)
}

/// What has not been read of a message.
struct Rest(Bytes);

impl Rest {
    fn take(&mut self, length: usize) -> Result<Bytes, Malformed> {
        if length > self.0.len() {
            return Err(Malformed("it ends too early"));
        }
        Ok(self.0.split_to(length))
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.byte()? == byte { Ok(()) } else { Err(Malformed("a row does not begin where it should")) }
    }

    fn short(&mut self) -> Result<u16, Malformed> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn number(&mut self) -> Result<u32, Malformed> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn value(&mut self) -> Result<Bytes, Malformed> {
        let length = self.number()?;
        self.take(usize::try_from(length).map_err(|_| Malformed("a field is too long"))?)
    }

    fn text(&mut self) -> Result<String, Malformed> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(Malformed("a name does not end"))?;
        let text = self.take(end)?;
        self.take(1)?;
        String::from_utf8(text.to_vec()).map_err(|_| Malformed("a name is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(message: &Message) -> Vec<u8> {
        let mut out = Vec::new();
        let put_row = |out: &mut Vec<u8>, row: &[Field]| {
            out.extend(u16::try_from(row.len()).unwrap().to_be_bytes());
            for field in row {
                let (kind, value) = match field {
                    Field::Null => (b'n', None),
                    Field::Unchanged => (b'u', None),
                    Field::Text(value) => (b't', Some(value)),
                    Field::Binary(value) => (b'b', Some(value)),
                };
                out.push(kind);
                if let Some(value) = value {
                    out.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
                    out.extend_from_slice(value);
                }
            }
        };
        match message {
            Message::Relation(relation) => {
                out.push(b'R');
                out.extend(relation.table.to_be_bytes());
                out.extend(b"public\0t\0d");
                out.extend(u16::try_from(relation.columns.len()).unwrap().to_be_bytes());
                for (name, kind) in &relation.columns {
                    out.push(0);
                    out.extend(name.as_bytes());
                    out.push(0);
                    out.extend(kind.to_be_bytes());
                    out.extend((-1_i32).to_be_bytes());
                }
            }
            Message::Insert { table, new } => {
                out.push(b'I');
                out.extend(table.to_be_bytes());
                out.push(b'N');
                put_row(&mut out, new);
            }
            Message::Update { table, old, new } => {
                out.push(b'U');
                out.extend(table.to_be_bytes());
                if let Some(old) = old {
                    out.push(b'K');
                    put_row(&mut out, old);
                }
                out.push(b'N');
                put_row(&mut out, new);
            }
            Message::Delete { table, old } => {
                out.push(b'D');
                out.extend(table.to_be_bytes());
                out.push(b'O');
                put_row(&mut out, old);
            }
            Message::Truncate { tables } => {
                out.push(b'T');
                out.extend(u32::try_from(tables.len()).unwrap().to_be_bytes());
                out.push(0);
                tables.iter().for_each(|table| out.extend(table.to_be_bytes()));
            }
            Message::Other => out.push(b'Y'),
        }
        out
    }

    fn a_row() -> impl Strategy<Value = Vec<Field>> {
        let value = || proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
        let field = prop_oneof![
            Just(Field::Null),
            Just(Field::Unchanged),
            value().prop_map(Field::Text),
            value().prop_map(Field::Binary),
        ];
        proptest::collection::vec(field, 0..6)
    }

    fn a_message() -> impl Strategy<Value = Message> {
        let columns = proptest::collection::vec(("[a-zé🙂]{0,8}", any::<u32>()), 0..5);
        prop_oneof![
            (any::<u32>(), columns).prop_map(|(table, columns)| Message::Relation(Relation { table, columns })),
            (any::<u32>(), a_row()).prop_map(|(table, new)| Message::Insert { table, new }),
            (any::<u32>(), proptest::option::of(a_row()), a_row()).prop_map(|(table, old, new)| Message::Update {
                table,
                old,
                new
            }),
            (any::<u32>(), a_row()).prop_map(|(table, old)| Message::Delete { table, old }),
            proptest::collection::vec(any::<u32>(), 0..5).prop_map(|tables| Message::Truncate { tables }),
            Just(Message::Other),
        ]
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(message in a_message()) {
            prop_assert_eq!(read(Bytes::from(written(&message))), Ok(message));
        }

        #[test]
        fn a_message_that_was_cut_short_is_refused(message in a_message(), cut in any::<prop::sample::Index>()) {
            let bytes = written(&message);
            let cut = cut.index(bytes.len());
            prop_assert!(read(Bytes::from(bytes[..cut].to_vec())).is_err());
        }

        #[test]
        fn hostile_bytes_are_an_answer_or_an_error_and_never_a_panic(
            message in a_message(),
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            noise in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut bytes = written(&message);
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let _ = read(Bytes::from(bytes));
            let _ = read(Bytes::from(noise));
        }
    }
}
