use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::ArrowError;
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use std::collections::VecDeque;

/// Evens out batches: none of more than `rows`, and none of less but the last. A table grown by small commits comes
/// back in batches of a few rows each, and every batch is a commit at the other end.
pub(crate) struct Rebatch {
    rows: usize,
    held: VecDeque<RecordBatch>,
    held_rows: usize,
}

impl Rebatch {
    pub(crate) fn new(rows: usize) -> Self {
        Self { rows: rows.max(1), held: VecDeque::new(), held_rows: 0 }
    }

    pub(crate) fn push(&mut self, batch: RecordBatch) {
        if batch.num_rows() > 0 {
            self.held_rows += batch.num_rows();
            self.held.push_back(batch);
        }
    }

    /// How many rows are held.
    pub(crate) fn held_rows(&self) -> usize {
        self.held_rows
    }

    /// A batch of exactly the wanted size, if so many rows are held.
    pub(crate) fn full(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        if self.held_rows < self.rows { Ok(None) } else { self.take(self.rows) }
    }

    /// Up to `rows` of the rows held, in order; `None` if there are none.
    pub(crate) fn take(&mut self, rows: usize) -> Result<Option<RecordBatch>, ArrowError> {
        let mut missing = rows.min(self.held_rows);
        let mut parts = Vec::new();
        while missing > 0
            && let Some(batch) = self.held.pop_front()
        {
            let taken = missing.min(batch.num_rows());
            if taken < batch.num_rows() {
                self.held.push_front(batch.slice(taken, batch.num_rows() - taken));
                parts.push(copy(&batch, taken)?);
            } else {
                parts.push(batch);
            }
            missing -= taken;
            self.held_rows -= taken;
        }
        match parts.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            [first, ..] => concat_batches(&first.schema(), &parts).map(Some),
        }
    }
}

/// A slice would keep, and be accounted as, the whole batch it was cut from.
fn copy(batch: &RecordBatch, rows: usize) -> Result<RecordBatch, ArrowError> {
    let rows = u32::try_from(rows).map_err(|error| ArrowError::ComputeError(error.to_string()))?;
    take_record_batch(batch, &UInt32Array::from_iter_values(0..rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray;
    use arrow_array::record_batch;
    use arrow_array::types::Int32Type;

    #[test]
    fn sizes_are_even_and_no_row_is_lost_or_moved() {
        let mut rebatch = Rebatch::new(4);
        let (mut next, mut out) = (0, Vec::new());
        for size in [1, 0, 9, 2, 4, 3, 1] {
            let values: Vec<i32> = (next..next + size).collect();
            next += size;
            rebatch.push(record_batch!(("n", Int32, values)).unwrap());
            while let Some(batch) = rebatch.full().unwrap() {
                out.push(batch);
            }
        }
        assert!(out.iter().all(|batch| batch.num_rows() == 4));
        out.extend(rebatch.take(usize::MAX).unwrap());
        assert_eq!(rebatch.take(usize::MAX).unwrap(), None);
        let values: Vec<i32> =
            out.iter().flat_map(|batch| batch.column(0).as_primitive::<Int32Type>().values().to_vec()).collect();
        assert_eq!(values, (0..next).collect::<Vec<_>>());
    }
}
