use palanquin_engine::contract::Error;

/// Why one attempt to read gave nothing.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Something changed under the read; the next attempt sees it settled.
    Torn(String),
    /// What was read contradicts itself: damage, or a write half done.
    Damaged(String),
    /// A label is not in the slot where it was taken to be: the places must be read.
    Misplaced,
    /// Another attempt would not help.
    Failed(Error),
}

impl Trouble {
    /// Damage, told in one sentence without a full stop.
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }

    /// What went wrong with the named file: a missing end or a missing file may be a write half done.
    pub(crate) fn io(file: &str, error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Self::Damaged(format!("{file} ends too early")),
            std::io::ErrorKind::NotFound => Self::Damaged(format!("{file} is missing")),
            _ => Self::Failed(Error::io(format!("cannot read {file}"), error)),
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use palanquin_engine::contract::ErrorKind;
    use std::io;

    #[test]
    fn a_file_that_may_not_be_read_is_not_called_damaged() {
        let Trouble::Failed(error) = Trouble::io("x", io::ErrorKind::PermissionDenied.into()) else {
            panic!("another attempt was suggested");
        };
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        for kind in [io::ErrorKind::UnexpectedEof, io::ErrorKind::NotFound] {
            assert!(matches!(Trouble::io("x", kind.into()), Trouble::Damaged(_)));
        }
    }
}
