//! `[server]`: addresses and times of the HTTP server. Opening the sockets is left to `app`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::Mode;
use super::mistake::Findings;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Where to listen; at least one address, in the file one or a list.
    #[serde(deserialize_with = "one_or_more")]
    pub listen: Vec<SocketAddr>,
    /// The proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// How long one HTTP request may take; of a Socket.IO poll only what the client sends.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// By when the head of a request must be there.
    #[serde(with = "humantime_serde")]
    pub head_timeout: Duration,
    /// How long running work may take to finish at the end; zero does not wait.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// The folder of the npm package `socket.io-client`, which need not be there.
    pub client_folder: PathBuf,
}

impl ServerConfig {
    pub(super) fn check(&self, mode: Mode, found: &mut Findings<'_>) {
        if self.listen.is_empty() {
            found.refuse("listen", "names no address", "name at least one, such as \"127.0.0.1:8087\"");
        }
        for (i, address) in self.listen.iter().enumerate() {
            if mode == Mode::Development && !is_loopback(address) {
                found.refuse(
                    "listen",
                    format!(
                        "{address} can be reached from other machines, and development is not safe to expose"
                    ),
                    "use 127.0.0.1 or [::1], or run in production mode",
                );
            }
            // Port 0 means any free port, so it may come twice.
            if address.port() != 0 && self.listen[..i].contains(address) {
                found.refuse("listen", format!("names {address} twice"), "name it once");
            }
        }
        found.duration("request_timeout", self.request_timeout);
        found.duration("head_timeout", self.head_timeout);
        found.duration_or_zero("drain_timeout", self.drain_timeout);
        // An empty path would be the folder that the program runs in, by accident.
        if self.client_folder.as_os_str().is_empty() {
            found.refuse("client_folder", "is empty", "name a folder, which need not be there");
        }
    }
}

pub(super) fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// One string or a list of strings. A visitor rather than an untagged enum, whose error could not say what is wrong.
fn one_or_more<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<SocketAddr>, D::Error> {
    struct Addresses;

    impl<'de> de::Visitor<'de> for Addresses {
        type Value = Vec<SocketAddr>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an address such as \"127.0.0.1:8087\" or a list of them")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(vec![address(text)?])
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut addresses = Vec::new();
            while let Some(text) = items.next_element::<String>()? {
                addresses.push(address(&text)?);
            }
            Ok(addresses)
        }
    }

    fn address<E: de::Error>(text: &str) -> Result<SocketAddr, E> {
        text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &Addresses))
    }

    input.deserialize_any(Addresses)
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Mode};

    #[test]
    fn development_stays_on_this_machine_and_production_need_not() {
        for (address, wrong_in_development) in [
            ("127.0.0.1:8087", false),
            ("127.8.8.8:0", false),
            ("[::1]:8087", false),
            ("[::ffff:127.0.0.1]:8087", false),
            ("0.0.0.0:8087", true),
            ("[::]:8087", true),
            ("192.168.1.2:8087", true),
        ] {
            let mut config = Config::development();
            config.server.listen = vec![address.parse().expect("an address")];
            let refused = config.check().iter().any(|mistake| mistake.setting == "server.listen");
            assert_eq!(refused, wrong_in_development, "{address}");

            config.mode = Mode::Production;
            assert!(config.check().iter().all(|mistake| mistake.setting != "server.listen"), "{address}");
        }
    }

    #[test]
    fn the_folder_of_the_client_has_a_name() {
        let mut config = Config::development();
        for (folder, wrong) in [("", true), ("node_modules/socket.io-client", false), ("/nowhere", false)] {
            config.server.client_folder = folder.into();
            let refused = config.check().iter().any(|mistake| mistake.setting == "server.client_folder");
            assert_eq!(refused, wrong, "{folder:?}");
        }
    }

    #[test]
    fn no_address_and_the_same_twice_are_mistakes_but_any_port_twice_is_not() {
        let mut config = Config::development();
        for (listen, wrong) in [
            (vec![], Some("names no address")),
            (vec!["127.0.0.1:1", "127.0.0.1:1"], Some("names 127.0.0.1:1 twice")),
            (vec!["127.0.0.1:0", "127.0.0.1:0"], None),
        ] {
            config.server.listen = listen.iter().map(|text| text.parse().expect("an address")).collect();
            assert_eq!(config.check().first().map(|mistake| mistake.wrong.as_str()), wrong);
        }
    }
}
