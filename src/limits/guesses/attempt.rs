//! An attempt that is under way, and how it ends.

use uuid::Uuid;

use super::{Guesser, Guesses, Key, Part, address_of};
use crate::limits::network::network;

/// An attempt in progress. Dropping it counts it as wrong.
#[must_use = "an attempt counts as wrong unless it is told how it ended"]
pub struct Attempt {
    guesses: Guesses,
    account: u64,
    guesser: Guesser,
    /// Empty once it has ended.
    parts: Vec<Part>,
    /// Its name among the attempts of all nodes.
    id: Uuid,
    /// What all nodes call the keys of the parts that count. Empty if this node counts alone.
    names: Vec<(Key, Uuid)>,
}

impl Attempt {
    pub(super) fn new(guesses: Guesses, account: u64, guesser: Guesser, parts: Vec<Part>) -> Self {
        let book = &guesses.0;
        let shared = parts.iter().filter(|part| book.shared.is_some() && part.counts);
        let names = shared.map(|part| (part.key, book.shared_key(&part.key))).collect();
        Self { guesses, account, guesser, parts, id: Uuid::now_v7(), names }
    }

    /// The password was right. This attempt does not count, the earlier ones still do.
    pub async fn right(mut self) {
        self.end(false);
        self.note_known();
        self.forget(|_| false).await;
    }

    /// The password was right, and proves who the guesser is: also forgets the wrong passwords of this account
    /// from this source. Those of other accounts from the same address stay; otherwise a login to one's own
    /// account would permit more guesses at other accounts. Those of the same account from elsewhere stay,
    /// too.
    pub async fn proven(mut self) {
        let is_cleared = |key: &Key| matches!(key, Key::Pair(..) | Key::Slow(_, Some(_)));
        let keys: Vec<Key> = self.parts.iter().map(|part| part.key).filter(is_cleared).collect();
        self.end(false);
        {
            let mut counted = self.guesses.0.counted.lock();
            keys.iter().for_each(|key| counted.tally.clear(key));
        }
        self.note_known();
        self.forget(is_cleared).await;
    }

    /// Nothing was checked, because of a fault of the server: the attempt does not count.
    pub async fn withdraw(mut self) {
        self.end(false);
        self.forget(|_| false).await;
    }

    /// Counts it for the other nodes, as a wrong one.
    pub(super) async fn share(&self) {
        let book = &self.guesses.0;
        let Some(shared) = &book.shared else { return };
        let now = book.clock.now();
        let counting = self.parts.iter().filter(|part| part.counts);
        let until = counting.map(|part| book.until(part, now));
        shared.count(self.id, self.names.iter().map(|(_, name)| *name).zip(until).collect()).await;
    }

    /// Forgets it at the other nodes, and with it everything that is counted of the keys that are cleared.
    async fn forget(&self, is_cleared: impl Fn(&Key) -> bool) {
        let Some(shared) = &self.guesses.0.shared else { return };
        let cleared = self.names.iter().filter(|(key, _)| is_cleared(key));
        let cleared = cleared.map(|(_, name)| *name).collect();
        shared.forget(self.id, self.names.iter().map(|(_, name)| *name).collect(), cleared).await;
    }

    fn note_known(&self) {
        let inner = &self.guesses.0;
        let now = inner.clock.now();
        inner.counted.lock().known.note((self.account, network(address_of(self.guesser))), now);
    }

    fn end(&mut self, is_wrong: bool) {
        let inner = &self.guesses.0;
        let mut counted = inner.counted.lock();
        let now = inner.clock.now();
        for part in self.parts.drain(..) {
            let counts = is_wrong && part.counts;
            let until = counts
                .then(|| counted.tally.until(&part.key, inner.rule(&part.key), part.after.as_slice(), now));
            counted.tally.end(&part.key, until);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.end(true);
    }
}
