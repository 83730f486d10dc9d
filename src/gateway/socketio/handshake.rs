//! What a session keeps of the request that opened it.
//!
//! The engine keeps a request's parts for as long as the session lives. They are slices of the HTTP server's
//! read buffer: 16 KB per connection. So the engine gets a small copy of the request, and beside it a handshake
//! with what the session needs. The copy contains no token.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, Request},
    response::Response,
};
use http::{HeaderMap, HeaderValue, Uri, header};
use hyper::upgrade::OnUpgrade;
use parking_lot::Mutex;

use super::{
    SocketIoSettings,
    refused::{early_bytes, too_many},
};
use crate::{
    auth::{Credential, Device},
    backlog::{Backlog, Backlogs},
    counts::{Count, Counted},
    gateway::{
        credential,
        tcp::{FrameFilter, TcpHandle},
    },
    limits::{EventBudget, Pending, PendingConnections},
};

/// Data from the first request of a session.
pub struct Handshake {
    /// The credential from the query, the headers or a cookie.
    pub credential: Option<Credential>,
    pub device: Device,
    /// The session's websocket, if the session began with one. Other sessions may share the TCP connections
    /// that carry a polling session's requests.
    pub websocket: Option<TcpHandle>,
    /// How often the session may ask to join a namespace. Each attempt costs queries, and perhaps a page of
    /// messages that the connection has missed.
    pub attempts: EventBudget,
    /// The bytes of events and acknowledgements that wait for the session, over any transport.
    pub backlog: Arc<Backlog>,
    /// Present until the session has joined a namespace.
    pending: Mutex<Option<Pending>>,
    /// The engine keeps this for as long as the session lives.
    _counted: Option<Counted>,
}

impl Handshake {
    /// The session has joined a namespace, so its user is known.
    pub fn joined(&self) {
        drop(self.pending.lock().take());
    }
}

/// How often a session may ask to join a namespace.
const ATTEMPTS_PER_SECOND: u32 = 1;
const ATTEMPTS_AT_ONCE: u32 = 10;
/// The headers that the engine reads: one of a websocket request, and one of a polling client's request.
const KEPT: [header::HeaderName; 2] = [header::SEC_WEBSOCKET_KEY, header::CONTENT_TYPE];
/// The query parameters that the engine reads.
const KEPT_PARAMETERS: [&str; 4] = ["EIO", "transport", "sid", "b64"];

/// Makes the handshakes of sessions.
pub struct Handshakes {
    pub settings: Arc<SocketIoSettings>,
    pub engine_sessions: Count,
    pub backlogs: Backlogs,
    pub pending: PendingConnections,
}

/// Whether a request has a body. The position of the first websocket frame after a body is not known.
fn has_body(headers: &HeaderMap) -> bool {
    let has_length = headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
    has_length || headers.contains_key(header::TRANSFER_ENCODING)
}

impl Handshakes {
    /// The small copy of a request, and the handshake of its session. Returns an answer if the request is
    /// refused.
    pub fn reduce(&self, request: Request) -> Result<(Request, Arc<Handshake>), Box<Response>> {
        let (mut parts, body) = request.into_parts();
        let tcp = parts.extensions.remove::<ConnectInfo<TcpHandle>>().map(|ConnectInfo(tcp)| tcp);
        let address = match &tcp {
            Some(tcp) => credential::client_address(&parts.headers, tcp.peer, &self.settings.server),
            None => Ipv4Addr::UNSPECIFIED.into(),
        };
        let query = parts.uri.query().unwrap_or_default();
        let sid = parameter(query, "sid");
        let pending = match sid {
            Some(_) => None,
            None => Some(self.pending.admit(self.counted(address)).ok_or_else(|| Box::new(too_many()))?),
        };
        if parts.extensions.get::<OnUpgrade>().is_some() && has_body(&parts.headers) {
            return Err(Box::new(early_bytes()));
        }
        let websocket = tcp.filter(|_| parameter(query, "transport") == Some("websocket"));
        let upgrade = parts.extensions.remove::<OnUpgrade>();
        let backlog = match (&websocket, &upgrade) {
            (Some(tcp), Some(_)) => {
                let backlog = tcp.backlog().clone();
                if sid.is_none() {
                    tcp.switch(backlog.clone(), FrameFilter::SocketIo)
                        .map_err(|_| Box::new(early_bytes()))?;
                }
                backlog
            }
            _ => self.backlogs.backlog(),
        };
        let handshake = Arc::new(Handshake {
            credential: if sid.is_none() {
                credential::from_request(&parts.uri, &parts.headers)
            } else {
                None
            },
            device: Device::new(address, credential::user_agent(&parts.headers).filter(|_| sid.is_none())),
            websocket,
            attempts: EventBudget::new(ATTEMPTS_PER_SECOND, ATTEMPTS_AT_ONCE),
            backlog,
            pending: Mutex::new(pending),
            _counted: sid.is_none().then(|| self.engine_sessions.one()),
        });
        let mut reduced = Request::new(body);
        *reduced.method_mut() = parts.method;
        *reduced.version_mut() = parts.version;
        *reduced.uri_mut() = kept_uri(query);
        *reduced.headers_mut() = kept_headers(&parts.headers);
        if let Some(upgrade) = upgrade {
            reduced.extensions_mut().insert(upgrade);
        }
        reduced.extensions_mut().insert(handshake.clone());
        Ok((reduced, handshake))
    }

    /// The address for the limit of pending connections per address. A loopback address, or a proxy that does
    /// not name its client, may stand for anybody, so it counts only in the total.
    fn counted(&self, address: IpAddr) -> Option<IpAddr> {
        (!address.is_loopback() && !self.settings.server.trusts(address)).then_some(address)
    }
}

/// The value of a query parameter, as it is written.
pub fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
}

fn kept_headers(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in KEPT {
        if let Some(value) = headers.get(&name)
            && let Ok(copy) = HeaderValue::from_bytes(value.as_bytes())
        {
            kept.insert(name, copy);
        }
    }
    // A map that was filled has room for five more headers, half a kilobyte. A clone has no spare room.
    kept.clone()
}

fn kept_uri(query: &str) -> Uri {
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| KEPT_PARAMETERS.contains(&pair.split('=').next().unwrap_or_default()))
        .collect();
    let kept = kept.join("&");
    match &*kept {
        // The two most frequent queries take no memory.
        "EIO=4&transport=websocket" => Uri::from_static("/socket.io/?EIO=4&transport=websocket"),
        "EIO=4&transport=polling" => Uri::from_static("/socket.io/?EIO=4&transport=polling"),
        // Parts of a valid query form a valid query again.
        other => format!("/socket.io/?{other}").parse().unwrap_or_else(|_| Uri::from_static("/socket.io/")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kept_address_has_no_token() {
        let uri = kept_uri("token=secret&EIO=4&transport=polling&t=abc&sid=x1");
        assert_eq!(uri.to_string(), "/socket.io/?EIO=4&transport=polling&sid=x1");
        assert_eq!(parameter("a=1&sid=x1", "sid"), Some("x1"));
        assert_eq!(parameter("xsid=1", "sid"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_query_is_kept_but_for_what_the_engine_reads(
            query in "([a-zA-Z]{0,9}=?[!-~]{0,9}&?){0,6}",
            secret in "[a-z]{12}",
        ) {
            for query in [format!("{query}&token={secret}&{query}"), format!("ticket={secret}&jwt={secret}")] {
                let uri = kept_uri(&query);
                assert_eq!(uri.path(), "/socket.io/");
                assert!(!uri.to_string().contains(&secret), "{uri}");
                for name in KEPT_PARAMETERS {
                    let kept = uri.query().and_then(|query| parameter(query, name));
                    assert!(kept.is_none() || kept == parameter(&query, name), "{query}");
                }
            }
        }
    }
}
