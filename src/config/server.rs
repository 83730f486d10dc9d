//! `[server]`: addresses and times of the HTTP server. Opening the sockets is left to `app`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use humantime_serde::re::humantime::format_duration;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::mistake::Findings;
use super::{Mode, cors, proxies::ProxyRange};

/// Clients learn both times of the heartbeat as whole milliseconds, and add them. Browsers count timers in 31
/// bits of milliseconds, which are 24 days. So does the kernel with the time for unread data.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_hours(24);

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Where to listen; at least one address, in the file one or a list.
    #[serde(deserialize_with = "one_or_more")]
    pub listen: Vec<SocketAddr>,
    /// The address under which browsers reach the server, such as `https://chat.example.com`; empty if none is
    /// known. Its origin is the server's own.
    pub public_url: String,
    /// The proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<ProxyRange>,
    /// How long one HTTP request may take; of a Socket.IO poll only what the client sends.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// By when the head of a request must be there.
    #[serde(with = "humantime_serde")]
    pub head_timeout: Duration,
    /// How long a connection may be idle between two requests.
    #[serde(with = "humantime_serde")]
    pub keep_alive_timeout: Duration,
    /// How long after the handshake, and then after each answer, a socket is pinged.
    #[serde(with = "humantime_serde")]
    pub ping_interval: Duration,
    /// How long a client may take to answer a ping.
    #[serde(with = "humantime_serde")]
    pub ping_timeout: Duration,
    /// How long what was sent may stay unread by the client's machine; then the connection is closed.
    #[serde(with = "humantime_serde")]
    pub unread_timeout: Duration,
    /// How long running work may take to finish at the end; zero does not wait.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// The folder of the npm package `socket.io-client`, which need not be there.
    pub client_folder: PathBuf,
}

impl ServerConfig {
    /// Whether this is the address of a trusted proxy.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|range| range.contains(address))
    }

    /// How long a client may send nothing complete. A ping and its answer take no longer.
    pub fn silence(&self) -> Duration {
        self.ping_interval.saturating_add(self.ping_timeout)
    }

    /// The scheme of `public_url`, and its host with the port, if it is not the usual one.
    pub fn public_origin(&self) -> Option<(&str, &str)> {
        let (scheme, rest) = self.public_url.split_once("://")?;
        let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
        let origin = self.public_url.get(..scheme.len() + "://".len() + authority.len())?;
        let is_web = matches!(scheme, "https" | "http") && !rest.contains(['?', '#']);
        (is_web && cors::exact(origin).is_ok()).then_some((scheme, authority))
    }

    /// Whether `public_url` names this machine, so that nobody else can read what a browser sends there.
    pub(super) fn is_public_local(&self) -> bool {
        self.public_origin().is_some_and(|(_, authority)| {
            let host = match authority.rsplit_once(':') {
                Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
                _ => authority,
            };
            let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
            address
                .map_or(host == "localhost" || host.ends_with(".localhost"), |address| address.is_loopback())
        })
    }

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
        for range in self.trusted_proxies.iter().filter(|range| range.is_everything()) {
            found.refuse(
                "trusted_proxies",
                format!("has {range}, so anybody could say where a request comes from"),
                "name the addresses of your proxies",
            );
        }
        found.duration("request_timeout", self.request_timeout);
        found.duration("head_timeout", self.head_timeout);
        found.duration("keep_alive_timeout", self.keep_alive_timeout);
        for (key, value) in [
            ("ping_interval", self.ping_interval),
            ("ping_timeout", self.ping_timeout),
            ("unread_timeout", self.unread_timeout),
        ] {
            if !(SHORTEST..=LONGEST).contains(&value) {
                found.refuse(
                    key,
                    format!("is {}", format_duration(value)),
                    format!(
                        "use a time from \"{}\" to \"{}\"",
                        format_duration(SHORTEST),
                        format_duration(LONGEST)
                    ),
                );
            }
        }
        if !self.public_url.is_empty() && self.public_origin().is_none() {
            found.refuse(
                "public_url",
                format!("\"{}\" is not an address of a web server", self.public_url),
                "write it as browsers show it, such as \"https://chat.example.com\"",
            );
        }
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
    use std::time::Duration;

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
    fn the_public_url_is_one_of_a_web_server() {
        for (url, expected) in [
            ("https://chat.example.com", Some(("https", "chat.example.com"))),
            ("https://chat.example.com/", Some(("https", "chat.example.com"))),
            ("https://chat.example.com:8443/chat/", Some(("https", "chat.example.com:8443"))),
            ("http://[::1]:8087", Some(("http", "[::1]:8087"))),
            ("chat.example.com", None),
            ("wss://chat.example.com", None),
            ("https://Chat.example.com", None),
            ("https://chat.example.com:443", None),
            ("https://chat.example.com/?a", None),
            ("https://", None),
        ] {
            let mut config = Config::development();
            config.server.public_url = url.to_owned();
            assert_eq!(config.server.public_origin(), expected, "{url}");
            let refused = config.check().iter().any(|mistake| mistake.setting == "server.public_url");
            assert_eq!(refused, expected.is_none(), "{url}");
        }
        assert!(Config::development().check().is_empty(), "none is needed");
    }

    #[test]
    fn times_that_clients_or_the_kernel_count_are_times_that_they_can_count() {
        for (time, wrong) in [
            (Duration::from_millis(99), true),
            (Duration::from_millis(100), false),
            (Duration::from_secs(25), false),
            (Duration::from_hours(24), false),
            (Duration::from_hours(25), true),
        ] {
            let mut config = Config::development();
            (config.server.ping_interval, config.server.ping_timeout) = (time, time);
            config.server.unread_timeout = time;
            let mistakes = config.check();
            let refused = ["server.ping_interval", "server.ping_timeout", "server.unread_timeout"]
                .map(|setting| mistakes.iter().any(|mistake| mistake.setting == setting));
            assert_eq!(refused, [wrong; 3], "{time:?}");
        }
    }

    #[test]
    fn not_everybody_is_a_trusted_proxy() {
        for (ranges, wrong) in
            [(vec!["10.0.0.0/8", "::1"], false), (vec!["0.0.0.0/0"], true), (vec!["10.0.0.2", "::/0"], true)]
        {
            let mut config = Config::development();
            config.server.trusted_proxies =
                ranges.iter().map(|range| range.parse().expect("a range")).collect();
            let refused = config.check().iter().any(|mistake| mistake.setting == "server.trusted_proxies");
            assert_eq!(refused, wrong, "{ranges:?}");
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
