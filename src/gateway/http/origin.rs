//! Which web pages may use this server: the guard that refuses other pages, and the CORS answers that inform
//! browsers. Origins are compared with the configured list, never with `Host`, because proxies rewrite
//! `Host`.

use std::{
    collections::HashSet,
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use futures_util::future::{Either, MapOk, TryFutureExt};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use tower::{Layer, Service};
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};

use super::{answer::AUTH_TOKEN, request_id};
use crate::config::CorsConfig;
use crate::{
    error::{Error, Forbidden, Result},
    gateway::credential,
};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The most bytes of an unknown origin that go to the log.
const LONGEST_WRITTEN: usize = 200;

/// The configured origins, in the form that a browser sends.
fn listed(settings: &CorsConfig) -> impl Iterator<Item = HeaderValue> {
    let named = settings.origins.iter().filter(|origin| *origin != "*");
    named.filter_map(|origin| HeaderValue::from_str(origin).ok())
}

/// Answers preflight requests, and informs browsers which pages may read an answer. This layer is outside
/// [`Guard`], so that allowed pages can also read refusals.
pub fn cors(settings: &CorsConfig) -> CorsLayer {
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        // An allowed page may send any header. With credentials, browsers do not accept `*` here.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([AUTH_TOKEN, request_id::HEADER, header::RETRY_AFTER, header::LOCATION])
        .max_age(settings.max_age);
    if settings.allows_everyone() {
        layer.allow_origin(Any)
    } else {
        layer.allow_origin(AllowOrigin::list(listed(settings))).allow_credentials(settings.credentials)
    }
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
}

impl Guard {
    pub fn new(settings: &CorsConfig) -> Self {
        let everyone = settings.allows_everyone();
        let rules = Rules {
            listed: listed(settings).collect(),
            everyone,
            credentials: settings.credentials && !everyone,
            missing: settings.allow_missing_origin,
        };
        Self { rules: Arc::new(rules) }
    }

    /// Whether the origin of a request is allowed.
    pub fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<()> {
        let rules = &*self.rules;
        let mut origins = headers.get_all(header::ORIGIN).into_iter().peekable();
        // Browsers send this header with every request to a trustworthy address. `none` is an address that a
        // user has typed.
        let site = headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
        let is_ours = matches!(site, Some(b"same-origin" | b"none"));
        let has_origin = origins.peek().is_some();
        let is_listed = has_origin && origins.all(|origin| rules.listed.contains(origin));

        let may_ask = match has_origin {
            true => is_listed || rules.everyone,
            // Browsers omit the origin if a page only reads from its own origin.
            false => rules.missing || is_ours,
        };
        if !may_ask {
            return Err(Error::Forbidden(Forbidden::Origin));
        }
        let is_vouched_for = (is_listed && rules.credentials) || is_ours || (!has_origin && site.is_none());
        if !is_vouched_for && changes_something(method, headers) && credential::is_by_cookie(uri, headers) {
            return Err(Error::Forbidden(Forbidden::Origin));
        }
        Ok(())
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
        match self.guard.check(request.method(), request.uri(), request.headers()) {
            Ok(()) => Either::Right(self.inner.call(request).map_ok(IntoResponse::into_response)),
            Err(refused) => {
                let origin =
                    request.headers().get(header::ORIGIN).map(HeaderValue::as_bytes).unwrap_or_default();
                let origin = String::from_utf8_lossy(&origin[..origin.len().min(LONGEST_WRITTEN)]);
                tracing::info!(?origin, "refused a page");
                Either::Left(ready(Ok(refused.into_response())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "https://chat.example.com";
    const BAD: &str = "https://evil.example.com";

    fn guard(origin: &str, credentials: bool, allow_missing_origin: bool) -> Guard {
        Guard::new(&CorsConfig {
            origins: vec![origin.to_owned(), "http://localhost:3000".to_owned()],
            credentials,
            max_age: std::time::Duration::ZERO,
            allow_missing_origin,
        })
    }

    /// Header lines in the form `name: value`.
    fn passes(guard: &Guard, method: Method, lines: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        guard.check(&method, &Uri::from_static("/api/users"), &headers).is_ok()
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
