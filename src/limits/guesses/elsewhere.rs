//! What other nodes have counted of the keys of an attempt.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{GuessBook, Guesser, Key};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct CountedElsewhere {
    /// Until when each counts, ascending.
    until: HashMap<Key, Vec<DateTime<Utc>>>,
    /// Some of them may still turn out to be right.
    pub is_under_way: bool,
}

impl CountedElsewhere {
    /// Until when those of a key count, ascending.
    pub fn until(&self, key: &Key) -> &[DateTime<Utc>] {
        self.until.get(key).map_or(&[], Vec::as_slice)
    }
}

impl GuessBook {
    /// What all nodes call a key. It says nothing of the account or of the address.
    pub(super) fn shared_key(&self, key: &Key) -> Uuid {
        self.hash_of(&match key {
            Key::Pair(account, source) => format!("pair {account} {source}"),
            Key::Address(network) => format!("address {network}"),
            Key::Slow(account, Some(source)) => format!("slow {account} {source}"),
            Key::Slow(account, None) => format!("slow {account}"),
        })
    }

    pub(super) async fn counted_elsewhere(&self, account: u64, guesser: Guesser) -> CountedElsewhere {
        let Some(shared) = &self.shared else { return CountedElsewhere::default() };
        let now = self.clock.now();
        let (parts, _) = self.counted.lock().parts(account, guesser, now);
        let counting = parts.iter().filter(|part| part.counts);
        let keys: HashMap<Uuid, Key> = counting.map(|part| (self.shared_key(&part.key), part.key)).collect();
        let mut counted = CountedElsewhere::default();
        for foreign in shared.read(keys.keys().copied().collect(), now).await {
            let Some(key) = keys.get(&foreign.key) else { continue };
            counted.until.entry(*key).or_default().push(foreign.until);
            counted.is_under_way |= foreign.is_under_way;
        }
        counted
    }
}
