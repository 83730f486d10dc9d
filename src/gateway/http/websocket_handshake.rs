//! The checks of a WebSocket handshake (RFC 6455, section 4.2.1), for all gateways that accept WebSockets.

use axum::{body::Body, extract::Request, response::Response};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version,
    header::{self, InvalidHeaderValue},
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// What is wrong with a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHandshake {
    /// The request does not ask for a WebSocket. A proxy may have removed the headers that ask for it.
    NotAnUpgrade,
    /// A version other than 13.
    Version,
    /// The key is not sixteen bytes in base64.
    Key,
}

/// Checks the parts of a request. Returns its key.
///
/// # Errors
/// The first thing that is wrong.
pub fn check<'a>(
    method: &Method,
    version: Version,
    headers: &'a HeaderMap,
) -> Result<&'a HeaderValue, BadHandshake> {
    let asks = *method == Method::GET
        && version >= Version::HTTP_11
        && lists(headers, &header::CONNECTION, "upgrade")
        && lists(headers, &header::UPGRADE, "websocket");
    if !asks {
        return Err(BadHandshake::NotAnUpgrade);
    }
    if only(headers, &header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(BadHandshake::Version);
    }
    only(headers, &header::SEC_WEBSOCKET_KEY).filter(|key| is_key(key.as_bytes())).ok_or(BadHandshake::Key)
}

/// The same for a whole request.
///
/// # Errors
/// See [`check`].
pub fn check_request(request: &Request) -> Result<(), BadHandshake> {
    check(request.method(), request.version(), request.headers()).map(drop)
}

/// The header `Sec-WebSocket-Accept` for a key.
///
/// # Errors
/// Never: base64 is a valid header value.
pub fn accept(key: &HeaderValue) -> Result<HeaderValue, InvalidHeaderValue> {
    HeaderValue::try_from(derive_accept_key(key.as_bytes()))
}

/// The answer that makes the connection a websocket.
pub fn switching(accept: HeaderValue) -> Response {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    answer
}

/// The first of the subprotocols that a client offers, if it offers any.
///
/// # Errors
/// The header is not a list of different tokens.
pub fn first_protocol(headers: &HeaderMap) -> Result<Option<HeaderValue>, BadProtocols> {
    let mut offered: Vec<&str> = Vec::new();
    for line in headers.get_all(header::SEC_WEBSOCKET_PROTOCOL) {
        let line = line.to_str().map_err(|_| BadProtocols)?;
        for protocol in line.split(',').map(|protocol| protocol.trim_matches([' ', '\t'])) {
            if !is_token(protocol) || offered.contains(&protocol) || offered.len() >= MOST_PROTOCOLS {
                return Err(BadProtocols);
            }
            offered.push(protocol);
        }
    }
    // A token is a valid header value.
    Ok(offered.first().and_then(|protocol| HeaderValue::from_str(protocol).ok()))
}

/// A list of subprotocols that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadProtocols;

/// More than any client offers.
const MOST_PROTOCOLS: usize = 64;

/// RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_allowed)
}

/// Whether these are sixteen bytes in base64.
fn is_key(key: &[u8]) -> bool {
    let Some(digits) = key.strip_suffix(b"==") else { return false };
    digits.len() == 22 && digits.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte))
}

/// A header that occurs once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).into_iter();
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// Whether a list header contains this item in any of its lines, in upper or lower case.
fn lists(headers: &HeaderMap, name: &HeaderName, item: &str) -> bool {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|listed| listed.trim().eq_ignore_ascii_case(item))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_handshake_is_checked_to_the_letter() {
        const KEY: &str = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";
        let right =
            ["connection: keep-alive, Upgrade", "upgrade: WebSocket", "sec-websocket-version: 13", KEY];
        let with = |at: usize, line: &'static str| {
            let mut lines = right.to_vec();
            if line.is_empty() {
                let _ = lines.remove(at);
            } else {
                lines[at] = line
            }
            check(&Method::GET, Version::HTTP_11, &headers(&lines)).map(drop)
        };
        assert_eq!(with(0, right[0]), Ok(()));
        for (at, line, wrong) in [
            (0, "", BadHandshake::NotAnUpgrade),
            (0, "connection: close", BadHandshake::NotAnUpgrade),
            (1, "", BadHandshake::NotAnUpgrade),
            (1, "upgrade: h2c", BadHandshake::NotAnUpgrade),
            (2, "", BadHandshake::Version),
            (2, "sec-websocket-version: 8", BadHandshake::Version),
            (2, "sec-websocket-version: 13, 8", BadHandshake::Version),
            (3, "", BadHandshake::Key),
            (3, "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=", BadHandshake::Key),
            (3, "sec-websocket-key: dGhlIHNhbXBsZSBub25jZ===", BadHandshake::Key),
            (3, "sec-websocket-key: dGhlIHNhb-BsZSBub25jZQ==", BadHandshake::Key),
        ] {
            assert_eq!(with(at, line), Err(wrong), "{line:?} for {}", right[at]);
        }
        let twice = headers(&[right[0], right[1], right[2], KEY, KEY]);
        assert_eq!(check(&Method::GET, Version::HTTP_11, &twice), Err(BadHandshake::Key));
        for (method, version) in [(Method::POST, Version::HTTP_11), (Method::GET, Version::HTTP_10)] {
            assert_eq!(check(&method, version, &headers(&right)), Err(BadHandshake::NotAnUpgrade));
        }
    }

    #[test]
    fn the_first_subprotocol_is_found_in_a_list_of_different_ones() {
        let first = |lines: &[&str]| first_protocol(&headers(lines));
        assert_eq!(first(&[]), Ok(None));
        for lines in [
            &["sec-websocket-protocol: a, b"][..],
            &["sec-websocket-protocol: a", "sec-websocket-protocol: b"],
        ] {
            assert_eq!(first(lines), Ok(Some(HeaderValue::from_static("a"))));
        }
        for line in ["a,", "a, a", "a b", "", "a;b", "\u{e9}"] {
            assert_eq!(first(&[&format!("sec-websocket-protocol: {line}")]), Err(BadProtocols), "{line}");
        }
    }
}
