/// Which row of a list is selected, and from which row on the list is shown. It follows the row's key: rows may come,
/// go and change places around it.
#[derive(Clone, Debug)]
pub(crate) struct Selection<K> {
    key: Option<K>,
    index: usize,
    offset: usize,
}

impl<K> Default for Selection<K> {
    fn default() -> Self {
        Self { key: None, index: 0, offset: 0 }
    }
}

impl<K: Clone + PartialEq> Selection<K> {
    pub(crate) fn key(&self) -> Option<&K> {
        self.key.as_ref()
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// First row shown.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    pub(crate) fn select(&mut self, index: usize, len: usize, key_at: impl Fn(usize) -> K) {
        self.index = index.min(len.saturating_sub(1));
        self.key = (len > 0).then(|| key_at(self.index));
    }

    /// Finds the selected row again after the rows have changed; if it is gone, the row in its place is selected.
    pub(crate) fn find_again(&mut self, len: usize, key_at: impl Fn(usize) -> K) {
        let is_it = |index: usize| self.key.as_ref().is_some_and(|key| *key == key_at(index));
        let found = (self.index < len && is_it(self.index)).then_some(self.index);
        let index = found.or_else(|| (0..len).find(|&index| is_it(index))).unwrap_or(self.index);
        self.select(index, len, key_at);
    }

    /// Scrolls just so far that the selected row is shown and no line is wasted.
    pub(crate) fn scroll(&mut self, len: usize, capacity: usize) {
        if capacity == 0 {
            self.offset = self.index;
            return;
        }
        let lowest = (self.index + 1).saturating_sub(capacity);
        self.offset = self.offset.clamp(lowest, self.index).min(len.saturating_sub(capacity));
    }
}
