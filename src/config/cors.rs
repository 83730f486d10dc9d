//! `[cors]`: which web pages may talk to Parlor from a browser. Answering preflights and checking `Origin` is left to
//! the gateways.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Mode;
use super::mistake::Findings;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CorsConfig {
    /// Exact origins, compared byte for byte with the `Origin` header; `*` is everyone.
    pub origins: Vec<String>,
    /// Whether browsers may send cookies from those origins.
    pub credentials: bool,
    /// Whether requests without an `Origin` header (curl, Node, mobile apps) are let in.
    pub allow_missing_origin: bool,
    /// How long a browser may remember the answer to a preflight request.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
}

impl CorsConfig {
    /// Whether every origin is allowed; then credentials are not.
    pub fn allows_everyone(&self) -> bool {
        self.origins.iter().any(|origin| origin == "*")
    }

    /// `has_own` says whether `server.public_url` is an origin, too.
    pub(super) fn warn(&self, mode: Mode, has_own: bool, found: &mut Findings<'_>) {
        if mode == Mode::Production && self.origins.is_empty() && !has_own {
            found.refuse(
                "origins",
                "is empty, and so is server.public_url, so no web page can use the server",
                "set server.public_url to the address of this server, and list those of other web front ends here",
            );
        }
    }

    pub(super) fn check(&self, has_own: bool, found: &mut Findings<'_>) {
        if self.origins.is_empty() && !has_own && !self.allow_missing_origin {
            found.refuse(
                "origins",
                "is empty while cors.allow_missing_origin is off, so nobody can use the server",
                "set server.public_url to the address of this server, or list those of your web front ends here",
            );
        }
        if self.allows_everyone() && self.credentials {
            found.refuse(
                "origins",
                "allows every origin (\"*\") together with credentials, so any web page could act as its visitor",
                "name the exact origins, or set cors.credentials = false",
            );
        }
        for origin in self.origins.iter().filter(|origin| *origin != "*") {
            if let Err((wrong, right)) = exact(origin) {
                found.refuse("origins", format!("\"{origin}\" {wrong}"), right);
            }
        }
        found.duration_or_zero("max_age", self.max_age);
    }
}

/// Whether a browser could send exactly this as its `Origin` header. Anything else would silently match nobody.
pub(super) fn exact(origin: &str) -> Result<(), (&'static str, String)> {
    let example =
        || "write it as scheme://host or scheme://host:port, such as \"https://chat.example.com\"".to_owned();
    if origin.contains('*') {
        return Err(("has a wildcard, and only exact origins are compared", "list each origin".to_owned()));
    }
    let Some((scheme, authority)) = origin.split_once("://") else {
        return Err(("has no scheme", example()));
    };
    if let Some((host, path)) = authority.split_once(['/', '?', '#']) {
        let wrong = if path.is_empty() { "ends in a slash" } else { "has a path" };
        return Err((wrong, format!("write \"{scheme}://{host}\"")));
    }
    if origin.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err((
            "has capital letters, which browsers never send",
            format!("write \"{}\"", origin.to_lowercase()),
        ));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let scheme_is_valid = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let host_is_valid = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        }
    };
    let port_is_valid =
        port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number.to_string() == port));
    if !(scheme_is_valid && host_is_valid && port_is_valid) {
        return Err(("is not an origin", example()));
    }
    if matches!((scheme, port), ("https", Some("443")) | ("http", Some("80"))) {
        return Err((
            "names the usual port, which browsers leave out",
            format!("write \"{scheme}://{host}\""),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::exact;
    use crate::config::{Config, Mode};

    #[test]
    fn only_what_a_browser_could_send_is_an_origin() {
        for origin in [
            "https://chat.example.com",
            "https://chat.example.com:8443",
            "http://localhost:3000",
            "http://127.0.0.1",
            "http://[::1]:3000",
            "http://[::1]",
            "capacitor://localhost",
            "chrome-extension://abcdef",
        ] {
            assert_eq!(exact(origin), Ok(()), "{origin}");
        }
        for (origin, wrong) in [
            ("https://chat.example.com/", "ends in a slash"),
            ("https://chat.example.com/app", "has a path"),
            ("https://chat.example.com?x", "has a path"),
            ("https://*.example.com", "has a wildcard"),
            ("chat.example.com", "has no scheme"),
            ("null", "has no scheme"),
            ("", "has no scheme"),
            ("https://Chat.example.com", "has capital letters"),
            ("https://", "is not an origin"),
            ("https://a b", "is not an origin"),
            ("https://user@host", "is not an origin"),
            ("https://bücher.example", "is not an origin"),
            ("https://host:", "is not an origin"),
            ("https://host:080", "is not an origin"),
            ("https://host:99999", "is not an origin"),
            ("http://[::zz]", "is not an origin"),
            ("https://host:443", "names the usual port"),
            ("http://host:80", "names the usual port"),
        ] {
            let found = exact(origin).expect_err(origin).0;
            assert!(found.starts_with(wrong), "{origin}: {found}");
        }
    }

    #[test]
    fn everyone_with_credentials_is_refused_in_both_modes() {
        for mode in [Mode::Development, Mode::Production] {
            let mut config = Config::development();
            config.mode = mode;
            config.cors.origins.push("*".to_owned());
            assert!(config.check().iter().any(|mistake| mistake.setting == "cors.origins"), "{mode}");
            config.cors.credentials = false;
            assert!(config.check().iter().all(|mistake| mistake.setting != "cors.origins"), "{mode}");
        }
    }
}
