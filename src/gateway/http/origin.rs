//! Which web pages may use this server: the guard that refuses other pages, and the CORS answers that inform
//! browsers. Origins are compared with the configured list and with the server's own addresses, never with
//! `Host`: proxies rewrite it, and with DNS rebinding a strange page can make its own host lead here.

use std::{
    collections::HashSet,
    convert::Infallible,
    future::{Ready, ready},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    extract::{ConnectInfo, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::future::{Either, MapOk, TryFutureExt};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use parking_lot::Mutex;
use tower::{Layer, Service};
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};

use super::{
    HttpSettings,
    answer::AUTH_TOKEN,
    refusal::{RefusedOrigin, Rejection},
    request_id,
};
use crate::{
    config::CorsConfig,
    gateway::{credential, tcp::TcpHandle},
};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The most bytes of an unknown origin that go to the log and into the answer.
const LONGEST_WRITTEN: usize = 200;
/// The most refused origins that are logged. Each is logged once.
const MOST_REPORTED: usize = 256;

/// The configured origins, in the form that a browser sends.
fn listed(settings: &CorsConfig) -> impl Iterator<Item = HeaderValue> {
    let named = settings.origins.iter().filter(|origin| *origin != "*");
    named.filter_map(|origin| HeaderValue::from_str(origin).ok())
}

/// Answers preflight requests, and informs browsers which pages may read an answer. This layer is outside
/// [`Guard`], so that allowed pages can also read refusals.
pub fn cors(settings: &CorsConfig, guard: &Guard) -> CorsLayer {
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        // An allowed page may send any header. With credentials, browsers do not accept `*` here.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([AUTH_TOKEN, request_id::HEADER, header::RETRY_AFTER, header::LOCATION])
        .max_age(settings.max_age);
    if settings.allows_everyone() {
        return layer.allow_origin(Any);
    }
    let guard = guard.clone();
    let is_allowed = move |origin: &HeaderValue, parts: &http::request::Parts| {
        guard.allows(origin, local_address(&parts.extensions))
    };
    layer.allow_origin(AllowOrigin::predicate(is_allowed)).allow_credentials(settings.credentials)
}

/// Refuses the preflight requests of other origins. Without this layer, they are answered as if nothing were
/// wrong, without the headers that allow the request, and only the browser knows why it fails.
pub async fn refuse_preflight(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let is_preflight =
        request.method() == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if is_preflight
        && let Some(origin) = headers.get(header::ORIGIN)
        && !guard.rules.everyone
        && !guard.allows(origin, local_address(request.extensions()))
    {
        return guard.refuse(RefusedOrigin::Unknown(written(origin)));
    }
    next.run(request).await
}

/// The address of this server that the client has connected to.
fn local_address(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<ConnectInfo<TcpHandle>>().and_then(|ConnectInfo(line)| line.local)
}

fn written(origin: &HeaderValue) -> String {
    let origin = origin.as_bytes();
    String::from_utf8_lossy(&origin[..origin.len().min(LONGEST_WRITTEN)]).into_owned()
}

/// Refuses requests from pages of other origins. A layer for the API, and for every other service whose
/// requests may carry the login cookie.
///
/// Browsers add a cookie to requests from any page. So a request that changes something, with the cookie as
/// its only credential, must come from a listed origin, from a page of this server, or from a client that is
/// not a browser.
#[derive(Clone, Debug)]
pub struct Guard {
    rules: Arc<Rules>,
}

#[derive(Debug)]
struct Rules {
    listed: HashSet<HeaderValue>,
    everyone: bool,
    credentials: bool,
    missing: bool,
    /// The scheme and the authority of `server.public_url`.
    public: Option<(String, String)>,
    is_development: bool,
    /// The refused origins that were logged.
    reported: Mutex<HashSet<String>>,
}

/// How an origin relates to the server's own addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    No,
    /// A page of this server, or a client that is no browser and says the same.
    Page,
    /// A client that is no browser: some send the address that they connect to, with the scheme of the
    /// WebSocket.
    Client,
    /// The server's host, with another scheme. It may be a client that is no browser, or a page that came
    /// over HTTP, which everybody on the way could have written.
    OtherScheme,
}

/// The parts of an origin.
struct OriginParts<'a> {
    scheme: &'a str,
    host: &'a str,
    /// As it was written, without the usual port of the scheme.
    port: Option<u16>,
}

impl<'a> OriginParts<'a> {
    fn parse(origin: &'a str) -> Option<Self> {
        let (scheme, authority) = origin.split_once("://")?;
        Self::of(scheme, authority)
    }

    fn of(scheme: &'a str, authority: &'a str) -> Option<Self> {
        let usual = match scheme {
            "http" | "ws" => 80,
            "https" | "wss" => 443,
            _ => return None,
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok()?)),
            _ => (authority, None),
        };
        Some(Self { scheme, host, port: port.filter(|port| *port != usual) })
    }
}

impl Rules {
    fn own(&self, origin: &HeaderValue, local: Option<SocketAddr>) -> Own {
        let Some(origin) = origin.to_str().ok().and_then(OriginParts::parse) else { return Own::No };
        let own_scheme = match self.is_own_host(&origin, local) {
            Some(scheme) => scheme,
            None => return Own::No,
        };
        match origin.scheme {
            scheme if scheme == own_scheme => Own::Page,
            "ws" | "wss" => Own::Client,
            _ => Own::OtherScheme,
        }
    }

    /// The scheme of the server's pages, if the origin has the server's host and port.
    fn is_own_host(&self, origin: &OriginParts<'_>, local: Option<SocketAddr>) -> Option<&str> {
        if let Some((scheme, authority)) = &self.public
            && let Some(public) = OriginParts::of(scheme, authority)
            && public.host.eq_ignore_ascii_case(origin.host)
            && public.port == origin.port
        {
            return Some(scheme);
        }
        let local = local.filter(|local| self.is_development && origin.port == Some(local.port()))?;
        // Only names that lead nowhere else: a name of the DNS could lead here at the will of its owner.
        let is_here = match origin.host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(address) => address.to_canonical() == local.ip().to_canonical(),
            Err(_) => origin.host == "localhost" && local.ip().to_canonical().is_loopback(),
        };
        is_here.then_some("http")
    }
}

impl Guard {
    pub fn new(settings: &HttpSettings) -> Self {
        let cors = &settings.cors;
        let everyone = cors.allows_everyone();
        let public = settings.server.public_origin();
        let rules = Rules {
            listed: listed(cors).collect(),
            everyone,
            credentials: cors.credentials && !everyone,
            missing: cors.allow_missing_origin,
            public: public.map(|(scheme, authority)| (scheme.to_owned(), authority.to_owned())),
            is_development: settings.is_development,
            reported: Mutex::default(),
        };
        Self { rules: Arc::new(rules) }
    }

    /// Whether an origin is listed or the server's own. `local` is the address that the client has connected
    /// to.
    fn allows(&self, origin: &HeaderValue, local: Option<SocketAddr>) -> bool {
        self.rules.listed.contains(origin) || self.rules.own(origin, local) != Own::No
    }

    /// Whether the origin of a request is allowed. `local` is the address that the client has connected to.
    fn check(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        local: Option<SocketAddr>,
    ) -> Result<(), RefusedOrigin> {
        let rules = &*self.rules;
        let origins = || headers.get_all(header::ORIGIN).into_iter();
        // Browsers send this header with every request to a trustworthy address. `none` is an address that a
        // user has typed.
        let site = headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
        let is_ours = matches!(site, Some(b"same-origin" | b"none"));
        let has_origin = origins().next().is_some();

        let unknown = origins().find(|origin| !self.allows(origin, local));
        if let (Some(origin), false) = (unknown, rules.everyone) {
            return Err(RefusedOrigin::Unknown(written(origin)));
        }
        // Browsers omit the origin if a page only reads from its own origin.
        if !has_origin && !rules.missing && !is_ours {
            return Err(RefusedOrigin::Missing);
        }
        let vouches = |origin: &HeaderValue| {
            (rules.credentials && rules.listed.contains(origin))
                || matches!(rules.own(origin, local), Own::Page | Own::Client)
        };
        let is_vouched_for = is_ours || if has_origin { origins().all(vouches) } else { site.is_none() };
        if !is_vouched_for && changes_something(method, headers) && credential::is_by_cookie(uri, headers) {
            return Err(RefusedOrigin::ByCookie(origins().next().map(written).unwrap_or_default()));
        }
        Ok(())
    }

    /// The answer to a refused request. Logs each origin once, so that whoever sets the server up finds the
    /// reason, and nobody can fill the log.
    fn refuse(&self, refused: RefusedOrigin) -> Response {
        let told = refused.to_string();
        let mut reported = self.rules.reported.lock();
        if reported.len() < MOST_REPORTED && reported.insert(told.clone()) {
            tracing::warn!("Refused a page. {told}");
            if reported.len() == MOST_REPORTED {
                tracing::warn!("Further origins that are refused are not logged.");
            }
        }
        drop(reported);
        Rejection::Origin(refused).into_response()
    }
}

/// An upgraded connection carries commands, whatever its method.
fn changes_something(method: &Method, headers: &HeaderMap) -> bool {
    !method.is_safe() || headers.contains_key(header::UPGRADE)
}

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { guard: self.clone(), inner }
    }
}

/// A service behind a [`Guard`].
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    guard: Guard,
    inner: S,
}

impl<S> Service<Request> for Guarded<S>
where
    S: Service<Request, Error = Infallible, Response: IntoResponse>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response, Infallible>>, MapOk<S::Future, fn(S::Response) -> Response>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let local = local_address(request.extensions());
        match self.guard.check(request.method(), request.uri(), request.headers(), local) {
            Ok(()) => Either::Right(self.inner.call(request).map_ok(IntoResponse::into_response)),
            Err(refused) => Either::Left(ready(Ok(self.guard.refuse(refused)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "https://chat.example.com";
    const BAD: &str = "https://evil.example.com";

    fn guard(origin: &str, credentials: bool, allow_missing_origin: bool) -> Guard {
        let cors = CorsConfig {
            origins: vec![origin.to_owned(), "http://localhost:3000".to_owned()],
            credentials,
            max_age: std::time::Duration::ZERO,
            allow_missing_origin,
        };
        Guard::new(&HttpSettings { cors, is_development: false, ..HttpSettings::for_tests() })
    }

    /// A guard of a server with this `public_url`, or of one in development.
    fn own_guard(public_url: Option<&str>) -> Guard {
        let mut settings = HttpSettings { is_development: public_url.is_none(), ..HttpSettings::for_tests() };
        settings.server.public_url = public_url.unwrap_or_default().to_owned();
        Guard::new(&settings)
    }

    /// Header lines in the form `name: value`.
    fn passes(guard: &Guard, method: Method, lines: &[&str]) -> bool {
        checked(guard, method, lines, None).is_ok()
    }

    fn checked(
        guard: &Guard,
        method: Method,
        lines: &[&str],
        local: Option<&str>,
    ) -> Result<(), RefusedOrigin> {
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let local = local.map(|local| local.parse().unwrap());
        guard.check(&method, &Uri::from_static("/api/users"), &headers, local)
    }

    #[test]
    fn the_servers_own_addresses_are_known_by_the_setting_or_in_development_by_where_it_listens() {
        const COOKIE: &str = "cookie: chatToken=x";
        let behind = own_guard(Some("https://chat.example.com/lobby"));
        let on_a_port = own_guard(Some("http://192.0.2.1:8087"));
        let development = own_guard(None);
        let (v4, v6) = ("127.0.0.1:21000", "[::1]:21000");
        // What each may do: nothing, ask, or also use the cookie.
        for (guard, local, origin, may) in [
            (&behind, v4, "https://chat.example.com", 2),
            (&behind, v4, "https://chat.example.com:443", 2),
            (&behind, v4, "wss://chat.example.com", 2),
            (&behind, v4, "ws://chat.example.com", 2),
            (&behind, v4, "http://chat.example.com", 1),
            (&behind, v4, "http://chat.example.com:8087", 0),
            (&behind, v4, "https://chat.example.com.evil.example", 0),
            (&behind, v4, "https://chat.example.com/", 0),
            (&behind, v4, "ftp://chat.example.com", 0),
            (&behind, v4, "https://chat.example.com:x", 0),
            (&behind, v4, "http://127.0.0.1:21000", 0),
            (&behind, v4, "http://localhost:21000", 0),
            (&on_a_port, v4, "http://192.0.2.1:8087", 2),
            (&on_a_port, v4, "ws://192.0.2.1:8087", 2),
            (&on_a_port, v4, "http://192.0.2.1", 0),
            (&development, v4, "http://127.0.0.1:21000", 2),
            (&development, v4, "http://localhost:21000", 2),
            (&development, v4, "ws://127.0.0.1:21000", 2),
            (&development, v4, "https://localhost:21000", 1),
            (&development, v4, "http://localhost:21001", 0),
            (&development, v4, "http://[::1]:21000", 0),
            (&development, v6, "http://[::1]:21000", 2),
            (&development, v6, "http://localhost:21000", 2),
            // A name that its owner lets lead here.
            (&development, v4, "http://rebound.example:21000", 0),
            (&development, v4, "http://localhost", 0),
            (&development, v4, "null", 0),
        ] {
            let origin = format!("origin: {origin}");
            let asks = checked(guard, Method::POST, &[&origin], Some(local)).is_ok();
            let by_cookie = checked(guard, Method::POST, &[&origin, COOKIE], Some(local)).is_ok();
            assert_eq!(usize::from(asks) + usize::from(by_cookie), may, "{origin} at {local}");
        }
        let host = ["origin: http://rebound.example:21000", "host: rebound.example:21000"];
        assert!(checked(&development, Method::GET, &host, Some(v4)).is_err(), "the host does not count");
    }

    #[test]
    fn a_refusal_names_the_origin_and_the_setting() {
        let guard = guard(GOOD, true, false);
        let told = |lines: &[&str]| checked(&guard, Method::POST, lines, None).unwrap_err().to_string();
        for (told, named) in [
            (told(&["origin: https://a.example"]), ["https://a.example", "cors.origins"]),
            (told(&[]), ["Origin", "cors.allow_missing_origin"]),
        ] {
            assert!(named.iter().all(|name| told.contains(name)), "{told}");
        }
        let long = format!("origin: https://{}", "a".repeat(10_000));
        assert!(told(&[&long]).len() < 500);
        for number in 0..2 * MOST_REPORTED {
            drop(guard.refuse(RefusedOrigin::Unknown(number.to_string())));
        }
        assert_eq!(guard.rules.reported.lock().len(), MOST_REPORTED);
    }

    #[test]
    fn an_origin_is_listed_to_the_letter_or_refused() {
        let guard = guard(GOOD, true, true);
        for (origin, allowed) in [
            (GOOD, true),
            ("http://localhost:3000", true),
            (BAD, false),
            ("null", false),
            ("https://chat.example.com:443", false),
            ("https://chat.example.com.evil.example", false),
            ("http://chat.example.com", false),
            ("https://CHAT.example.com", false),
        ] {
            for method in [Method::GET, Method::POST] {
                let line = format!("origin: {origin}");
                assert_eq!(passes(&guard, method, &[&line]), allowed, "{origin}");
            }
        }
        let host = "host: evil.example.com";
        assert!(!passes(&guard, Method::GET, &[&format!("origin: {BAD}"), host]), "the host does not count");
        let both = [&*format!("origin: {GOOD}"), &format!("origin: {BAD}")];
        assert!(!passes(&guard, Method::GET, &both), "one good origin does not excuse a bad one");
    }

    #[test]
    fn no_origin_is_let_in_by_the_setting_and_our_own_pages_always() {
        for (missing, lines, allowed) in [
            (true, vec![], true),
            (false, vec![], false),
            (false, vec!["sec-fetch-site: same-origin"], true),
            (false, vec!["sec-fetch-site: none"], true),
            (false, vec!["sec-fetch-site: cross-site"], false),
        ] {
            assert_eq!(
                passes(&guard(GOOD, true, missing), Method::GET, &lines),
                allowed,
                "{missing} {lines:?}"
            );
        }
    }

    #[test]
    fn a_cookie_alone_changes_nothing_for_a_strange_page() {
        const COOKIE: &str = "cookie: chatToken=x";
        let good = format!("origin: {GOOD}");
        let listed = guard(GOOD, true, true);
        for (lines, allowed) in [
            (vec![COOKIE], true),
            (vec![COOKIE, &good], true),
            (vec![COOKIE, &good, "sec-fetch-site: cross-site"], true),
            (vec![COOKIE, "sec-fetch-site: same-origin"], true),
            (vec![COOKIE, "sec-fetch-site: none"], true),
            (vec![COOKIE, "sec-fetch-site: cross-site"], false),
            (vec![COOKIE, "sec-fetch-site: same-site"], false),
            (vec![COOKIE, "authorization: Bearer x", "sec-fetch-site: cross-site"], true),
            (vec!["cookie: theme=dark", "sec-fetch-site: cross-site"], true),
        ] {
            assert_eq!(passes(&listed, Method::POST, &lines), allowed, "{lines:?}");
            assert!(passes(&listed, Method::GET, &lines), "reading: {lines:?}");
        }
        assert!(!passes(&listed, Method::GET, &[COOKIE, "sec-fetch-site: cross-site", "upgrade: websocket"]));
    }

    #[test]
    fn everyone_may_ask_but_not_by_cookie() {
        const COOKIE: &str = "cookie: chatToken=x";
        let bad = format!("origin: {BAD}");
        for credentials in [false, true] {
            let everyone = guard("*", credentials, true);
            assert!(passes(&everyone, Method::POST, &[&bad]));
            assert!(passes(&everyone, Method::POST, &[&bad, COOKIE, "authorization: Bearer x"]));
            assert!(!passes(&everyone, Method::POST, &[&bad, COOKIE]));
            assert!(passes(&everyone, Method::POST, &[&bad, COOKIE, "sec-fetch-site: same-origin"]));
        }
    }
}
