//! Limits the number of open connections that have not authenticated yet.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use parking_lot::Mutex;

use super::network;
use crate::counts::{Count, Counted};

/// See the module. It has an entry for each address with a pending connection, so at most `most` entries.
/// Cheap to clone; all clones share their state.
#[derive(Clone, Debug)]
pub struct PendingConnections(Arc<PendingLimits>);

#[derive(Debug)]
struct PendingLimits {
    count: Count,
    most: usize,
    most_per_address: usize,
    pending: Mutex<OpenCounts>,
}

#[derive(Debug, Default)]
struct OpenCounts {
    all: usize,
    /// By network: an IPv6 /64 counts as one address.
    addresses: HashMap<IpAddr, usize>,
}

/// A connection counts as pending as long as this exists.
#[derive(Debug)]
pub struct Pending {
    limits: Arc<PendingLimits>,
    network: Option<IpAddr>,
    _counted: Counted,
}

impl PendingConnections {
    /// `count` counts all pending connections.
    pub fn new(most: usize, most_per_address: usize, count: Count) -> Self {
        Self(Arc::new(PendingLimits { count, most, most_per_address, pending: Mutex::default() }))
    }

    /// Adds one connection, or returns none if there are too many. Without an address, only the total limit
    /// applies.
    pub fn admit(&self, address: Option<IpAddr>) -> Option<Pending> {
        let network = address.map(network);
        let mut pending = self.0.pending.lock();
        if pending.all >= self.0.most {
            return None;
        }
        if let Some(network) = network {
            let here = pending.addresses.get(&network).copied().unwrap_or(0);
            if here >= self.0.most_per_address {
                return None;
            }
            pending.addresses.insert(network, here + 1);
        }
        pending.all += 1;
        Some(Pending { limits: self.0.clone(), network, _counted: self.0.count.one() })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut pending = self.limits.pending.lock();
        pending.all -= 1;
        if let Some(network) = self.network
            && let Some(here) = pending.addresses.get_mut(&network)
        {
            *here -= 1;
            if *here == 0 {
                pending.addresses.remove(&network);
            }
        }
        if pending.addresses.is_empty() {
            // Also frees the memory that a flood of connections has used.
            pending.addresses = HashMap::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_all_together_have_a_limit() {
        let connections = PendingConnections::new(4, 2, Count::default());
        let admit = |address: &str| connections.admit(Some(address.parse().unwrap()));
        let (first, second) = (admit("2001:db8::1").unwrap(), admit("2001:db8::2").unwrap());
        assert!(admit("2001:db8::3").is_none(), "one /64 is one address");
        let third = admit("192.0.2.1").unwrap();
        let fourth = connections.admit(None).unwrap();
        assert!(connections.admit(None).is_none());
        assert!(admit("192.0.2.9").is_none());
        drop(first);
        let fifth = admit("2001:db8::3").unwrap();
        assert_eq!(connections.0.count.now(), 4);
        drop((second, third, fourth, fifth));
        assert_eq!(connections.0.count.now(), 0);
        assert_eq!(connections.0.pending.lock().addresses.capacity(), 0);
    }
}
