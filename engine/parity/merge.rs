use super::found::Found;
use super::vectors::{Criterion, Likeness};
use super::{Difference, End};
use crate::contract::{Error, ErrorKind, Result, RowStream};
use crate::rows::{Row, RowBatch, RowDigest};
use futures::TryStreamExt;
use std::cmp::Ordering;

/// Compares two streams of rows, each ascending by id, row by row. A batch of each end is held, whatever their length.
///
/// `heard` hears of each batch as of 0 further rows. Returns how many ids stand on both ends.
///
/// # Errors
/// The first failure of either end; `Corrupt` if one is out of order.
pub(super) async fn merge(
    (source, target): (RowStream, RowStream),
    criterion: Criterion,
    heard: &(dyn Fn(End, u64) + Send + Sync),
    found: &mut Found,
) -> Result<u64> {
    let (mut source, mut target) = (Ordered::new(source), Ordered::new(target));
    let mut group = Group::default();
    let mut met = 0;
    loop {
        if source.is_used_up() || target.is_used_up() {
            let (of_source, of_target) = futures::try_join!(source.fill(), target.fill())?;
            for (end, filled) in [(End::Source, of_source), (End::Target, of_target)] {
                if filled {
                    heard(end, 0);
                }
            }
        }
        let (left, right) = (source.row(), target.row());
        let step = match (left, right) {
            (None, None) => {
                group.close(found);
                return Ok(met);
            }
            (Some(row), _) if group.is_of(row.id) => {
                group.source.push(RowDigest::of(judged(row, criterion)));
                Ordering::Less
            }
            (_, Some(row)) if group.is_of(row.id) => {
                group.target.push(RowDigest::of(judged(row, criterion)));
                Ordering::Greater
            }
            (Some(row), None) => group.begin(row.id, Some(Alone::Missing), found),
            (None, Some(row)) => group.begin(row.id, Some(Alone::Extra), found),
            (Some(left), Some(right)) => match left.id.cmp(right.id) {
                Ordering::Less => group.begin(left.id, Some(Alone::Missing), found),
                Ordering::Greater => group.begin(right.id, Some(Alone::Extra), found),
                Ordering::Equal => {
                    group.begin(left.id, None, found);
                    group.fields = differing_fields(left, right, criterion, found);
                    met += 1;
                    Ordering::Equal
                }
            },
        };
        if step != Ordering::Greater {
            source.advance()?;
        }
        if step != Ordering::Less {
            target.advance()?;
        }
    }
}

/// Where an id stands, if not on both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alone {
    Missing,
    Extra,
}

/// The rows of one id. The first of each end are compared with each other, further ones as a heap.
#[derive(Debug, Default)]
struct Group {
    id: Option<String>,
    alone: Option<Alone>,
    fields: Vec<String>,
    source: Vec<RowDigest>,
    target: Vec<RowDigest>,
}

impl Group {
    fn is_of(&self, id: &str) -> bool {
        self.id.as_deref() == Some(id)
    }

    /// Concludes the rows of the id before, and says which end goes on.
    fn begin(&mut self, id: &str, alone: Option<Alone>, found: &mut Found) -> Ordering {
        self.close(found);
        let text = self.id.get_or_insert_default();
        text.clear();
        text.push_str(id);
        self.alone = alone;
        match alone {
            Some(Alone::Missing) => Ordering::Less,
            Some(Alone::Extra) => Ordering::Greater,
            None => Ordering::Equal,
        }
    }

    fn close(&mut self, found: &mut Found) {
        let Some(id) = &self.id else { return };
        let (source, target) = (self.source.len() as u64, self.target.len() as u64);
        let id = || id.clone();
        match self.alone.take() {
            Some(Alone::Missing) if source == 0 => found.add(Difference::Missing { id: id() }),
            Some(Alone::Missing) => found.add(Difference::Duplicate { id: id(), source: source + 1, target: 0 }),
            Some(Alone::Extra) if target == 0 => found.add(Difference::Extra { id: id() }),
            Some(Alone::Extra) => found.add(Difference::Duplicate { id: id(), source: 0, target: target + 1 }),
            None if source != target => {
                found.add(Difference::Duplicate { id: id(), source: source + 1, target: target + 1 });
            }
            None => {
                self.source.sort_unstable_by_key(|digest| digest.0);
                self.target.sort_unstable_by_key(|digest| digest.0);
                if self.source != self.target {
                    self.fields.push("copies".to_owned());
                }
                if !self.fields.is_empty() {
                    found.add(Difference::Different { id: id(), fields: std::mem::take(&mut self.fields) });
                }
            }
        }
        self.fields.clear();
        self.source.clear();
        self.target.clear();
    }
}

/// A row as far as it is looked at.
pub(super) fn judged(row: Row<'_>, criterion: Criterion) -> Row<'_> {
    match criterion {
        Criterion::Unseen => Row { embedding: None, ..row },
        Criterion::Bits | Criterion::Ulps | Criterion::Cosine => row,
    }
}

fn differing_fields(source: Row<'_>, target: Row<'_>, criterion: Criterion, found: &mut Found) -> Vec<String> {
    let mut fields = Vec::new();
    if source.document != target.document {
        fields.push("document".to_owned());
    }
    if source.metadata != target.metadata {
        fields.push("metadata".to_owned());
    }
    let likeness = match (source.embedding, target.embedding) {
        _ if criterion == Criterion::Unseen => Likeness::Exact,
        (Some(a), Some(b)) => criterion.accepts((a, b), &mut found.vectors),
        (None, None) => Likeness::Exact,
        _ => Likeness::Other,
    };
    match likeness {
        Likeness::Exact => {}
        Likeness::Close => found.within_tolerance += u64::from(fields.is_empty()),
        Likeness::Other => fields.push("embedding".to_owned()),
    }
    fields
}

/// A stream that is looked at row by row.
struct Ordered {
    batches: RowStream,
    batch: Option<RowBatch>,
    at: usize,
    has_ended: bool,
}

impl Ordered {
    fn new(batches: RowStream) -> Self {
        Self { batches, batch: None, at: 0, has_ended: false }
    }

    /// Whether it takes reading on to know the next row.
    fn is_used_up(&self) -> bool {
        !self.has_ended && self.batch.as_ref().is_none_or(|batch| self.at >= batch.len())
    }

    /// Reads on if it must; whether it did.
    async fn fill(&mut self) -> Result<bool> {
        let mut read = false;
        while self.is_used_up() {
            let last = self.batch.as_ref().and_then(RowBatch::last_id).map(str::to_owned);
            let next = self.batches.try_next().await?;
            read = true;
            self.at = 0;
            self.has_ended = next.is_none();
            if let (Some(last), Some(first)) = (&last, next.as_ref().and_then(|batch| batch.row(0)))
                && last.as_str() > first.id
            {
                return Err(out_of_order());
            }
            // An empty batch does not make the rows before it forgotten.
            match next {
                Some(batch) if batch.is_empty() => self.at = self.batch.as_ref().map_or(0, RowBatch::len),
                next => self.batch = next,
            }
        }
        Ok(read)
    }

    fn row(&self) -> Option<Row<'_>> {
        self.batch.as_ref().and_then(|batch| batch.row(self.at))
    }

    fn advance(&mut self) -> Result<()> {
        let before = self.at;
        self.at += 1;
        let batch = self.batch.as_ref();
        match batch.and_then(|batch| Some((batch.row(before)?, batch.row(self.at)?))) {
            Some((before, next)) if before.id > next.id => Err(out_of_order()),
            _ => Ok(()),
        }
    }
}

fn out_of_order() -> Error {
    Error::new(ErrorKind::Corrupt, "the rows did not come in the order of their ids")
}
