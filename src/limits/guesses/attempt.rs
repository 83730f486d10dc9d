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
}

impl Attempt {
    pub(super) fn new(guesses: Guesses, account: u64, guesser: Guesser, parts: Vec<Part>) -> Self {
        Self { guesses, account, guesser, parts, id: Uuid::now_v7() }
    }

    /// The password was right. This attempt does not count, the earlier ones still do.
    pub async fn right(mut self) {
        let keys = self.shared_keys();
        self.end(false);
        self.note_known();
        self.forget(keys).await;
    }

    /// The password was right, and proves who the guesser is: also forgets the wrong passwords of this account
    /// from this source. Those of other accounts from the same address stay; otherwise a login to one's own
    /// account would permit more guesses at other accounts. Those of the same account from elsewhere stay,
    /// too.
    pub async fn proven(mut self) {
        let shared_keys = self.shared_keys();
        let keys = self.parts.iter().map(|part| part.key);
        let proven: Vec<Key> =
            keys.filter(|key| matches!(key, Key::Pair(..) | Key::Slow(_, Some(_)))).collect();
        self.end(false);
        let book = self.guesses.0.clone();
        for key in &proven {
            book.counted.lock().tally.clear(key);
        }
        self.note_known();
        if let Some(shared) = &book.shared {
            shared.clear(proven.iter().map(|key| book.shared_key(key)).collect()).await;
        }
        self.forget(shared_keys).await;
    }

    /// Nothing was checked, because of a fault of the server: the attempt does not count.
    pub async fn withdraw(mut self) {
        let keys = self.shared_keys();
        self.end(false);
        self.forget(keys).await;
    }

    /// Counts it for the other nodes, as a wrong one.
    pub(super) async fn share(&self) {
        let book = &self.guesses.0;
        let Some(shared) = &book.shared else { return };
        let now = book.clock.now();
        let counting = self.parts.iter().filter(|part| part.counts);
        let parts = counting.map(|part| (book.shared_key(&part.key), book.until(part, now)));
        shared.count(self.id, parts.collect()).await;
    }

    async fn forget(&self, keys: Vec<Uuid>) {
        if let Some(shared) = &self.guesses.0.shared {
            shared.forget(self.id, keys).await;
        }
    }

    fn shared_keys(&self) -> Vec<Uuid> {
        let book = &self.guesses.0;
        let shared = self.parts.iter().filter(|part| part.counts && book.shared.is_some());
        shared.map(|part| book.shared_key(&part.key)).collect()
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
