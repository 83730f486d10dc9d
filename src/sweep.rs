//! Collections whose entries outlive what they are about. They are swept whenever they have doubled, so that a
//! collection never has more than twice as many entries as there are living things, and an insertion costs little.

use std::{
    fmt,
    sync::{Arc, Weak},
};

/// Smaller collections are not swept because of their size, and keep their memory.
const SMALL: usize = 256;

/// The length at which a collection has doubled since it was last swept.
#[derive(Debug, Default)]
pub struct SweepLength(usize);

impl SweepLength {
    pub fn is_exceeded(&self, length: usize) -> bool {
        length > self.0
    }

    /// The collection was swept, and this many entries are left.
    pub fn swept(&mut self, left: usize) {
        self.0 = left.saturating_mul(2).max(SMALL);
    }
}

/// A list that does not keep its items alive.
pub struct WeakList<T> {
    items: Vec<Weak<T>>,
    sweep_at: SweepLength,
}

impl<T> WeakList<T> {
    pub fn push(&mut self, item: Weak<T>) {
        self.items.push(item);
        if self.sweep_at.is_exceeded(self.items.len()) {
            self.sweep();
        }
    }

    /// The items that are alive.
    pub fn iter(&self) -> impl Iterator<Item = Arc<T>> {
        self.items.iter().filter_map(Weak::upgrade)
    }

    #[cfg(test)]
    pub fn capacity(&self) -> usize {
        self.items.capacity()
    }

    /// Removes the entries of items that are gone.
    pub fn sweep(&mut self) {
        self.items.retain(|item| item.strong_count() > 0);
        self.items.shrink_to(SMALL);
        self.sweep_at.swept(self.items.len());
    }
}

impl<T> Default for WeakList<T> {
    fn default() -> Self {
        Self { items: Vec::new(), sweep_at: SweepLength::default() }
    }
}

impl<T> fmt::Debug for WeakList<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakList").field("entries", &self.items.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weak_list_has_the_living_items_and_few_entries_of_others() {
        let mut list = WeakList::default();
        let kept: Vec<Arc<usize>> = (0..10).map(Arc::new).collect();
        for item in &kept {
            list.push(Arc::downgrade(item));
        }
        for number in 0..10_000 {
            list.push(Arc::downgrade(&Arc::new(number)));
        }
        assert_eq!(list.iter().collect::<Vec<_>>(), kept);
        assert!(list.items.len() <= SMALL + 1 && list.items.capacity() <= 2 * (SMALL + 1));
        list.sweep();
        assert_eq!(list.items.len(), kept.len());
    }

    #[test]
    fn a_collection_has_doubled_when_it_has_more_than_twice_as_many_entries_as_the_last_sweep_left() {
        let mut length = SweepLength::default();
        assert!(length.is_exceeded(1));
        length.swept(0);
        assert!(!length.is_exceeded(SMALL) && length.is_exceeded(SMALL + 1));
        length.swept(1_000);
        assert!(!length.is_exceeded(2_000) && length.is_exceeded(2_001));
    }
}
