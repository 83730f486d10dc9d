//! Limits the number of open connections that have not authenticated yet.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use ipnet::IpNet;
use parking_lot::Mutex;

use super::network::networks;
use crate::counts::{Count, Counted};

/// See the module. It has one or two entries for each address with a pending connection, so at most twice
/// `most` entries.
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
    /// By network: an IPv6 address is counted with its /64 network and with its /48 network.
    addresses: HashMap<IpNet, usize>,
}

/// A connection counts as pending as long as this exists.
#[derive(Debug)]
pub struct Pending {
    limits: Arc<PendingLimits>,
    networks: Vec<IpNet>,
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
        let networks: Vec<IpNet> = address.into_iter().flat_map(networks).collect();
        let mut pending = self.0.pending.lock();
        let here = |network| pending.addresses.get(network).copied().unwrap_or(0);
        if pending.all >= self.0.most
            || networks.iter().any(|network| here(network) >= self.0.most_per_address)
        {
            return None;
        }
        for network in &networks {
            *pending.addresses.entry(*network).or_default() += 1;
        }
        pending.all += 1;
        Some(Pending { limits: self.0.clone(), networks, _counted: self.0.count.one() })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut pending = self.limits.pending.lock();
        pending.all -= 1;
        for network in &self.networks {
            if let Some(here) = pending.addresses.get_mut(network) {
                *here -= 1;
                if *here == 0 {
                    pending.addresses.remove(network);
                }
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
        assert!(admit("2001:db8:0:1::1").is_none(), "one /48 is one address");
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
