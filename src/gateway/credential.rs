//! What a request says about its sender: the credential, and the address and scheme behind trusted proxies.
//! Every gateway uses this module. `auth` checks the credential.

use std::net::{IpAddr, SocketAddr};

use cookie::Cookie;
use http::{HeaderMap, Uri, header};
use percent_encoding::percent_decode_str;
use secrecy::SecretString;

use crate::{auth::Credential, config::ServerConfig};

/// The name of the login cookie.
pub const COOKIE: &str = "chatToken";

/// The credential of a request: query `token`, then query `ticket`, then `Authorization: Bearer`, then the
/// cookie `chatToken`. The first one found counts, even if it is invalid. An empty one does not count,
/// because clients write `token=` if they have no token.
pub fn from_request(uri: &Uri, headers: &HeaderMap) -> Option<Credential> {
    let token = |text: String| Credential::Token(SecretString::from(text));
    let ticket = |text: String| Credential::Ticket(SecretString::from(text));
    from_query(uri, "token")
        .map(token)
        .or_else(|| from_query(uri, "ticket").map(ticket))
        .or_else(|| from_authorization(headers).map(token))
        .or_else(|| from_cookie(headers).map(token))
}

/// Whether the credential of a request is the cookie, which a browser adds to requests from any page.
pub fn is_by_cookie(uri: &Uri, headers: &HeaderMap) -> bool {
    let by_query = ["token", "ticket"].into_iter().any(|name| from_query(uri, name).is_some());
    !by_query && from_authorization(headers).is_none() && from_cookie(headers).is_some()
}

fn from_query(uri: &Uri, name: &str) -> Option<String> {
    let pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    let mut found = pairs.filter(|(key, value)| *key == name && !value.is_empty());
    found.next().map(|(_, value)| decoded(value))
}

fn from_authorization(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(header::AUTHORIZATION).into_iter();
    let mut tokens = values.filter_map(|value| {
        let text = String::from_utf8_lossy(value.as_bytes());
        let (scheme, token) = text.trim().split_once(' ')?;
        let token = token.trim();
        (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
    });
    tokens.next()
}

fn from_cookie(headers: &HeaderMap) -> Option<String> {
    headers.get_all(header::COOKIE).into_iter().find_map(|line| {
        let line = String::from_utf8_lossy(line.as_bytes());
        let cookies = Cookie::split_parse(line.as_ref()).flatten();
        let mut tokens =
            cookies.filter(|cookie| cookie.name() == COOKIE && !cookie.value_trimmed().is_empty());
        tokens.next().map(|cookie| decoded(cookie.value_trimmed()))
    })
}

/// Text that is not UTF-8 is still a credential, although an invalid one.
fn decoded(value: &str) -> String {
    percent_decode_str(value).decode_utf8_lossy().into_owned()
}

/// The program that sends a request, as it names itself.
pub fn user_agent(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::USER_AGENT)?.to_str().ok()
}

/// The address of the client: the peer, or, if the peer is a trusted proxy, the nearest hop of
/// `X-Forwarded-For` that is not a trusted proxy. Hops further left are not trustworthy.
pub fn client_address(headers: &HeaderMap, peer: SocketAddr, server: &ServerConfig) -> IpAddr {
    let mut address = peer.ip().to_canonical();
    for hop in list(headers, "x-forwarded-for").rev() {
        if !server.trusts(address) {
            break;
        }
        // Hops before an unreadable hop are not trustworthy.
        let Some(before) = hop.and_then(parse_hop) else {
            break;
        };
        address = before;
    }
    address
}

/// Whether a trusted proxy says that the request came over TLS. This server itself speaks plain HTTP.
pub fn is_https(headers: &HeaderMap, peer: SocketAddr, server: &ServerConfig) -> bool {
    server.trusts(peer.ip())
        && list(headers, "x-forwarded-proto")
            .next()
            .flatten()
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

/// The items of a list header, from all its lines. An item that is not text becomes `None`.
fn list<'a>(headers: &'a HeaderMap, name: &'static str) -> impl DoubleEndedIterator<Item = Option<&'a str>> {
    headers.get_all(name).into_iter().flat_map(|line| {
        let items: Vec<_> = match line.to_str() {
            Ok(line) => line.split(',').map(|item| Some(item.trim())).collect(),
            Err(_) => vec![None],
        };
        items
    })
}

/// An address as proxies write it: with or without brackets, with or without a port.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse::<IpAddr>().or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header::HeaderName};
    use secrecy::ExposeSecret;

    use super::*;

    fn trusting(ranges: &[&str]) -> ServerConfig {
        let mut server = crate::config::Config::development().server;
        server.trusted_proxies = ranges.iter().map(|range| range.parse().unwrap()).collect();
        server
    }

    fn headers(lines: &[(&'static str, &[u8])]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap()))
            .collect()
    }

    #[test]
    fn the_first_credential_found_wins_good_or_bad() {
        let bearer: (&str, &[u8]) = ("authorization", b"Bearer b");
        let cookie: (&str, &[u8]) = ("cookie", b"theme=dark; chatToken=c; lang=en");
        for (uri, lines, expected) in [
            ("/", vec![], None),
            ("/?token=a", vec![bearer, cookie], Some("a")),
            ("/?EIO=4&token=a%2Eb%20&token=c", vec![], Some("a.b ")),
            ("/?token=%ff", vec![bearer], Some("\u{fffd}")),
            ("/?token=", vec![bearer, cookie], Some("b")),
            ("/?token", vec![cookie], Some("c")),
            ("/?xtoken=a", vec![cookie], Some("c")),
            ("/?token=&token=d", vec![], Some("d")),
            ("/", vec![("authorization", b"bearer   b ")], Some("b")),
            ("/", vec![("authorization", b"Bearer \xff"), cookie], Some("\u{fffd}")),
            ("/", vec![("authorization", b"Bearer "), cookie], Some("c")),
            ("/", vec![("authorization", b"Basic b"), cookie], Some("c")),
            ("/", vec![("authorization", b"Basic b"), bearer], Some("b")),
            ("/", vec![("cookie", b"a=b"), cookie], Some("c")),
            ("/", vec![("cookie", b"chatToken=")], None),
            ("/", vec![("cookie", b"chatToken=\"c\"")], Some("c")),
            ("/", vec![("cookie", b"chattoken=c")], None),
        ] {
            let found = from_request(&uri.parse().unwrap(), &headers(&lines));
            let found = found.map(|found| match found {
                Credential::Token(token) => token.expose_secret().to_owned(),
                Credential::Ticket(ticket) => panic!("a ticket {}", ticket.expose_secret()),
            });
            assert_eq!(found.as_deref(), expected, "{uri} {lines:?}");
        }
    }

    #[test]
    fn a_ticket_comes_after_the_token_of_the_query_and_before_the_headers() {
        let bearer: (&str, &[u8]) = ("authorization", b"Bearer b");
        let cookie: (&str, &[u8]) = ("cookie", b"chatToken=c");
        for (uri, lines, ticket, expected) in [
            ("/?ticket=t", vec![], true, "t"),
            ("/?ticket=t", vec![bearer, cookie], true, "t"),
            ("/?ticket=t&token=a", vec![bearer], false, "a"),
            ("/?ticket=t&token=", vec![bearer], true, "t"),
            ("/?ticket=&ticket=%74", vec![cookie], true, "t"),
            ("/?ticket=", vec![bearer, cookie], false, "b"),
            ("/?ticket", vec![cookie], false, "c"),
            ("/?tickets=t", vec![cookie], false, "c"),
        ] {
            let found = from_request(&uri.parse().unwrap(), &headers(&lines)).unwrap();
            let (is_ticket, text) = match found {
                Credential::Token(token) => (false, token),
                Credential::Ticket(text) => (true, text),
            };
            assert_eq!((is_ticket, text.expose_secret()), (ticket, expected), "{uri} {lines:?}");
        }
    }

    #[test]
    fn only_the_cookie_goes_along_by_itself() {
        let cookie: (&str, &[u8]) = ("cookie", b"chatToken=c");
        let is_by_cookie = |uri: &str, lines: &[_]| is_by_cookie(&uri.parse().unwrap(), &headers(lines));
        assert!(is_by_cookie("/", &[cookie]));
        assert!(!is_by_cookie("/", &[]));
        assert!(!is_by_cookie("/?token=a", &[cookie]));
        assert!(!is_by_cookie("/?ticket=a", &[cookie]));
        assert!(is_by_cookie("/?ticket=", &[cookie]));
        assert!(!is_by_cookie("/", &[cookie, ("authorization", b"Bearer b")]));
    }

    #[test]
    fn forwarded_addresses_are_believed_as_far_as_the_proxies_are() {
        let server = trusting(&["10.0.0.0/30", "172.16.0.1"]);
        type HeaderLines = Vec<(&'static str, &'static [u8])>;
        let table: [(&str, HeaderLines, &str); 12] = [
            ("192.0.2.1:5", vec![], "192.0.2.1"),
            ("[::ffff:192.0.2.1]:5", vec![], "192.0.2.1"),
            ("192.0.2.1:5", vec![("x-forwarded-for", b"198.51.100.7")], "192.0.2.1"),
            ("10.0.0.1:5", vec![], "10.0.0.1"),
            ("10.0.0.1:5", vec![("x-forwarded-for", b"198.51.100.7")], "198.51.100.7"),
            ("[::ffff:10.0.0.1]:5", vec![("x-forwarded-for", b"198.51.100.7:4711")], "198.51.100.7"),
            ("10.0.0.1:5", vec![("x-forwarded-for", b"1.1.1.1, 198.51.100.7, 10.0.0.2")], "198.51.100.7"),
            (
                "10.0.0.1:5",
                vec![("x-forwarded-for", b"1.1.1.1"), ("x-forwarded-for", b"[2001:db8::1]:80")],
                "2001:db8::1",
            ),
            ("10.0.0.1:5", vec![("x-forwarded-for", b"1.1.1.1, unknown")], "10.0.0.1"),
            ("10.0.0.1:5", vec![("x-forwarded-for", b"1.1.1.1, \xff")], "10.0.0.1"),
            ("10.0.0.1:5", vec![("x-forwarded-for", b"10.0.0.2")], "10.0.0.2"),
            ("172.16.0.1:5", vec![("x-forwarded-for", b"198.51.100.7, 10.0.0.9, 10.0.0.3")], "10.0.0.9"),
        ];
        for (peer, lines, expected) in table {
            let address = client_address(&headers(&lines), peer.parse().unwrap(), &server);
            assert_eq!(address, expected.parse::<IpAddr>().unwrap(), "{peer} {lines:?}");
        }
    }

    #[test]
    fn a_trusted_proxy_says_whether_it_was_tls() {
        let server = trusting(&["10.0.0.1"]);
        for (peer, proto, expected) in [
            ("10.0.0.1:5", &b"https"[..], true),
            ("10.0.0.1:5", b"HTTPS, http", true),
            ("10.0.0.1:5", b"http", false),
            ("192.0.2.1:5", b"https", false),
        ] {
            let headers = headers(&[("x-forwarded-proto", proto)]);
            assert_eq!(is_https(&headers, peer.parse().unwrap(), &server), expected, "{peer}");
        }
        assert!(!is_https(&HeaderMap::new(), "10.0.0.1:5".parse().unwrap(), &server));
    }

    fn shown(found: Option<Credential>) -> Option<(bool, String)> {
        found.map(|found| match found {
            Credential::Token(token) => (false, token.expose_secret().to_owned()),
            Credential::Ticket(ticket) => (true, ticket.expose_secret().to_owned()),
        })
    }

    proptest::proptest! {
        #[test]
        fn any_query_cookie_and_header_is_read(
            query in "[!-~]{0,40}",
            token in ".{1,20}",
            cookie in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40),
            authorization in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40),
            forwarded in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40),
        ) {
            let mut headers = HeaderMap::new();
            for (name, value) in [
                (header::COOKIE, &cookie),
                (header::AUTHORIZATION, &authorization),
                (HeaderName::from_static("x-forwarded-for"), &forwarded),
            ] {
                if let Ok(value) = HeaderValue::from_bytes(value) {
                    headers.insert(name, value);
                }
            }
            if let Ok(uri) = format!("/?{query}").parse::<Uri>() {
                let found = shown(from_request(&uri, &headers));
                // If only the cookie counts, the credential is the cookie's value.
                if is_by_cookie(&uri, &headers) {
                    assert_eq!(found.map(|(_, text)| text), from_cookie(&headers));
                }
            }
            // Whatever follows, the first token of the query counts, and is decoded to its original text.
            let encoded = percent_encoding::utf8_percent_encode(&token, percent_encoding::NON_ALPHANUMERIC);
            let uri: Uri = format!("/?token={encoded}&ticket=x").parse().unwrap();
            assert_eq!(shown(from_request(&uri, &headers)), Some((false, token)));
            assert!(!is_by_cookie(&uri, &headers));
            // Only a trusted proxy can name the address of a client.
            let peer: SocketAddr = "192.0.2.1:5".parse().unwrap();
            assert_eq!(client_address(&headers, peer, &trusting(&["10.0.0.1"])), peer.ip());
            client_address(&headers, peer, &trusting(&["192.0.2.0/24"]));
            assert!(!is_https(&headers, peer, &trusting(&[])));
        }
    }
}
