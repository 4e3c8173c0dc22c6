use palanquin_engine::contract::Cursor;
use std::fmt;

/// A place in the server's log, in bytes from its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Lsn(pub(super) u64);

impl Lsn {
    /// From the server's way of writing it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (high, low) = text.split_once('/')?;
        let half = |text: &str| u32::from_str_radix(text, 16).ok().map(u64::from);
        Some(Self(half(high)? << 32 | half(low)?))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

/// Which log: a server made anew, or one that was restored or promoted, counts from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) system: i64,
    pub(super) timeline: u32,
}

/// How far a table's changes have been handed on. A table that was dropped and made again is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) log: Log,
    pub(super) table: u32,
    pub(super) lsn: Lsn,
}

impl Position {
    pub(super) fn cursor(&self) -> Cursor {
        Cursor(self.to_string())
    }

    /// `None` for what was not written by [`Self::cursor`].
    pub(super) fn of(cursor: &Cursor) -> Option<Self> {
        let mut parts = cursor.0.split('.');
        let mut next = |radix| u64::from_str_radix(parts.next()?, radix).ok();
        let position = Self {
            log: Log { system: next(16)?.cast_signed(), timeline: u32::try_from(next(10)?).ok()? },
            table: u32::try_from(next(10)?).ok()?,
            lsn: Lsn(next(16)?),
        };
        (position.to_string() == cursor.0).then_some(position)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { log, table, lsn } = self;
        write!(f, "{:x}.{}.{table}.{:X}", log.system, log.timeline, lsn.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_position_is_read_as_it_was_written_and_nothing_else_is_one(
            system: i64, timeline: u32, table: u32, lsn: u64, noise in ".{0,40}",
        ) {
            let position = Position { log: Log { system, timeline }, table, lsn: Lsn(lsn) };
            prop_assert_eq!(Position::of(&position.cursor()), Some(position));
            for other in [format!("x{position}"), format!(" {position}"), format!("{position}."), noise] {
                prop_assert_eq!(Position::of(&Cursor(other)), None);
            }
        }

        #[test]
        fn the_servers_way_of_writing_is_read(lsn: u64) {
            prop_assert_eq!(Lsn::parse(&Lsn(lsn).to_string()), Some(Lsn(lsn)));
        }
    }
}
