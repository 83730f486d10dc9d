//! The proxies that may say where a request comes from: addresses and ranges of addresses.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// One address ("10.0.0.2"), or a range of them ("10.0.0.0/8", "2001:db8::/32"). IPv4 addresses that are
/// written as IPv6 ones (`::ffff:10.0.0.2`) are IPv4 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyRange(IpNet);

/// The bits of an IPv6 address before the IPv4 address that it contains.
const MAPPED: u8 = 96;

impl ProxyRange {
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Whether all addresses of a kind are in it.
    pub(super) fn is_everything(&self) -> bool {
        self.0.prefix_len() == 0
    }
}

impl FromStr for ProxyRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let range = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let range = range
            .map_err(|_| format!("\"{text}\" is neither an IP address nor a range such as \"10.0.0.0/8\""))?;
        Ok(Self(canonical(range).trunc()))
    }
}

fn canonical(range: IpNet) -> IpNet {
    mapped(range).map_or(range, IpNet::V4)
}

/// The IPv4 range that an IPv6 range stands for.
fn mapped(range: IpNet) -> Option<Ipv4Net> {
    let IpNet::V6(range) = range else { return None };
    let address = range.addr().to_ipv4_mapped()?;
    Ipv4Net::new(address, range.prefix_len().checked_sub(MAPPED)?).ok()
}

/// An address alone is shown without the length of its prefix.
impl fmt::Display for ProxyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            write!(f, "{}", self.0.addr())
        } else {
            write!(f, "{}", self.0)
        }
    }
}

impl Serialize for ProxyRange {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ProxyRange {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        String::deserialize(input)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_an_address_or_many() {
        for (text, shown, inside, outside) in [
            ("10.0.0.2", "10.0.0.2", "10.0.0.2", "10.0.0.3"),
            ("10.0.0.2/32", "10.0.0.2", "::ffff:10.0.0.2", "::a00:2"),
            (" 10.1.2.3/8 ", "10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("::ffff:10.0.0.2", "10.0.0.2", "10.0.0.2", "10.0.0.3"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8", "10.9.9.9", "11.0.0.1"),
            ("2001:db8::/32", "2001:db8::/32", "2001:db8:1::1", "2001:db9::1"),
            ("::1", "::1", "::1", "::2"),
        ] {
            let range: ProxyRange = text.parse().unwrap();
            assert_eq!(range.to_string(), shown);
            assert!(range.contains(inside.parse().unwrap()), "{text}");
            assert!(!range.contains(outside.parse().unwrap()), "{text}");
            assert_eq!(shown.parse(), Ok(range));
        }
        for text in ["", "proxy", "10.0.0.0/33", "10.0.0/8", "10.0.0.1-10.0.0.9", "fe80::1%eth0"] {
            assert!(text.parse::<ProxyRange>().is_err(), "{text}");
        }
        assert!("0.0.0.0/0".parse::<ProxyRange>().unwrap().is_everything());
    }
}
