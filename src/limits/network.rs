//! What counts as one address. A household, an office or a rented machine has one IPv4 address, or an IPv6
//! network of 64 bits. The owner of a site may use all networks of 64 bits in its 48 bits, so these count
//! together as well.

use std::net::IpAddr;

use ipnet::IpNet;

/// An IPv4 address, or an IPv6 network of 64 bits.
pub(super) fn network(address: IpAddr) -> IpNet {
    let address = address.to_canonical();
    prefix(address, if address.is_ipv4() { 32 } else { 64 })
}

/// The IPv6 network of 48 bits around an address. None for IPv4.
fn site(address: IpAddr) -> Option<IpNet> {
    let address = address.to_canonical();
    address.is_ipv6().then(|| prefix(address, 48))
}

/// Everything that an address counts as.
pub(super) fn networks(address: IpAddr) -> impl Iterator<Item = IpNet> {
    [Some(network(address)), site(address)].into_iter().flatten()
}

fn prefix(address: IpAddr, bits: u8) -> IpNet {
    IpNet::new(address, bits).map_or_else(|_| address.into(), |network| network.trunc())
}

/// Whether two addresses count as one.
pub fn is_same_network(one: IpAddr, other: IpAddr) -> bool {
    network(one) == network(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_counts_as_its_network_and_its_site() {
        for (address, expected) in [
            ("192.0.2.1", vec!["192.0.2.1/32"]),
            ("::ffff:192.0.2.1", vec!["192.0.2.1/32"]),
            ("2001:db8:1:2:3:4:5:6", vec!["2001:db8:1:2::/64", "2001:db8:1::/48"]),
        ] {
            let networks: Vec<String> =
                networks(address.parse().unwrap()).map(|network| network.to_string()).collect();
            assert_eq!(networks, expected, "{address}");
        }
    }
}
